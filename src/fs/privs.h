/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/privs.h - what a change takes away from a file, where the host's kernel cannot know. */
#ifndef GW_FS_PRIVS_H
#define GW_FS_PRIVS_H

#include <stdbool.h>

struct fs;
struct fs_request;

/*
 * Called before a file is written to, or its size or owner changes, with its @fd (open or O_PATH).
 * The host's kernel takes two things away then, but not here:
 *
 * - security.capability, where the guest's is kept under another name (--xattrmap);
 * - set-id bits, which it leaves to this process (CAP_FSETID). @killed: the guest's caller has no
 *   such privilege. Not with a change of owner: the kernel takes them from everybody then.
 *
 * Where the guest's kernel says that, it is done, FUSE_HANDLE_KILLPRIV_V2 or not: of a WRITE past
 * its page cache it says it always, of all else, if that was not agreed on, it sends a SETATTR of
 * the mode instead. Where it does neither, everybody but root has no such privilege.
 */
void fs_privs_drop(const struct fs *fs, int fd, bool killed);
bool fs_privs_killed_by_user(const struct fs_request *req);

#endif
