/* SPDX-License-Identifier: BSD-3-Clause */
/* common/watched.h - a share that is watched, and somebody else on the host who changes it. */
#ifndef GW_TESTS_WATCHED_H
#define GW_TESTS_WATCHED_H

#include <stdbool.h>

/*
 * A file system of its own at @path ("/tmp/gw-watch.XXXXXX", which is filled in): whatever else
 * happens on this host does not happen there. 0, or what the test exits with: it has said why.
 * @names: they are to be heard of, too.
 */
int watched_make(char *path, bool names);
void watched_remove(const char *path);

/* A process of its own: a shell, which has the path as GW_SHARE. */
void watched_others(const char *command);

#endif
