/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/privs.h - what a change takes away from a file, where the host's kernel cannot know. */
#ifndef GW_FS_PRIVS_H
#define GW_FS_PRIVS_H

struct fs;

/*
 * Writing to a file, changing its size or its owner takes its security.capability away. Where the
 * guest's is kept under another name (--xattrmap), the host's kernel does not do it. @fd is of the
 * open file.
 */
void fs_privs_drop(const struct fs *fs, int fd);
/* The same by an O_PATH descriptor. */
void fs_privs_drop_path(const struct fs *fs, int path_fd);

#endif
