/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/legacy.h - command lines as they were written for older daemons. */
#ifndef GW_DAEMON_LEGACY_H
#define GW_DAEMON_LEGACY_H

/*
 * virtiofsd in C took its options as "-o key=value,key,no_key"; the one in Rust still does, and so
 * do management tools. @argv with each of these replaced by the long options that it means: a new
 * array, ended by NULL, and its *@count; all in one allocation, which free() frees. -EINVAL with a
 * sentence for a key or value that means nothing.
 */
int gw_legacy_expand(int argc, char **argv, char ***expanded, int *count);

#endif
