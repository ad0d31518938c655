/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/root.h - what is opened once, at start: the share and /proc/self/fd. */
#ifndef GW_FS_ROOT_H
#define GW_FS_ROOT_H

struct fs;

/* Sets root_fd and proc_fd of @fs from its host configuration. */
int fs_root_open(struct fs *fs);
void fs_root_close(struct fs *fs);

/* How many descriptors inodes and handles may hold together: what was configured, or the process's
 * limit less what everything else needs. */
unsigned fs_root_fd_limit(const struct fs *fs);

#endif
