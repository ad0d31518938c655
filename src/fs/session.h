/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/session.h - what FUSE INIT agrees on. */
#ifndef GW_FS_SESSION_H
#define GW_FS_SESSION_H

#include "fs/fs.h"
#include "fs/fuse_wire.h"
#include "fs/records.h"

/* Data of a request: what this build can do, and what no instance has less than, since that is what
 * there is without FUSE_MAX_PAGES. */
#define FS_MAX_WRITE_MAX (1024 * 1024)
#define FS_MAX_WRITE_MIN (32 * FS_PAGE)
#define FS_PAGE		 4096
/* Older guests are not known to speak virtio-fs (it came with 7.31). */
#define FS_MINOR_MIN 27

/* The flags that an instance takes if the guest offers them. */
uint64_t fs_session_flags(const struct fs *fs);
/* Could @session be this instance's (it came out of a stream)? It agreed on nothing that the
 * parameters do not offer. -EINVAL with a sentence, which names the parameter. */
int fs_session_check(const struct fs *fs, const struct gw_fs_session_v1 *session);
/* Forget what was agreed, and what stands on it: inodes and handles. */
void fs_session_end(struct fs *fs);

#endif
