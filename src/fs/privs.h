/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/privs.h - what a change takes away from a file, where the host's kernel cannot know. */
#ifndef GW_FS_PRIVS_H
#define GW_FS_PRIVS_H

#include <stdbool.h>

struct fs;

/*
 * Called before a file is written to, or its size or owner changes, with its @fd (open or O_PATH).
 * The host's kernel takes two things away then, but not here:
 *
 * - security.capability, where the guest's is kept under another name (--xattrmap);
 * - set-id bits, which it leaves to this process (CAP_FSETID). @killed: the guest's kernel says
 *   that its caller has no such privilege (FUSE_HANDLE_KILLPRIV_V2). Not with a change of owner:
 *   the kernel takes them from everybody then.
 */
void fs_privs_drop(const struct fs *fs, int fd, bool killed);

#endif
