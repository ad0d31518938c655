/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/resolver.h - after a move, what the guest has cached is looked for beside its requests. */
#ifndef GW_FS_RESOLVER_H
#define GW_FS_RESOLVER_H

struct fs;
struct fs_resolver;

int fs_resolver_new(struct fs_resolver **resolver);
/* NULL is allowed. */
void fs_resolver_free(struct fs_resolver *resolver);

/* The device runs: look for what is unresolved, if anything is. Without a thread for it all is
 * looked for when it is first used. */
void fs_resolver_start(struct fs_resolver *resolver, struct fs *fs);
/* Whoever walks or replaces the table has it alone from here on. NULL is allowed. */
void fs_resolver_stop(struct fs_resolver *resolver);

#endif
