/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/session.h - what FUSE INIT agrees on. */
#ifndef GW_FS_SESSION_H
#define GW_FS_SESSION_H

#include "fs/fs.h"
#include "fs/fuse_wire.h"

#define FS_MAX_WRITE (1024 * 1024)
#define FS_MAX_PAGES 256
/* Older guests are not known to speak virtio-fs (it came with 7.31). */
#define FS_MINOR_MIN 27

/* The flags that an instance takes if the guest offers them. */
uint64_t fs_session_flags(const struct fs *fs);
/* Could a session with these values be this instance's (it came out of a stream)? -EINVAL with a
 * sentence. */
int fs_session_check(const struct fs *fs, uint64_t flags, uint32_t minor);
/* Forget what was agreed, and what stands on it: inodes and handles. */
void fs_session_end(struct fs *fs);

#endif
