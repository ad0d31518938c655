/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/acl.h - POSIX ACLs: what changes where guest and device agreed on FUSE_POSIX_ACL. */
#ifndef GW_FS_ACL_H
#define GW_FS_ACL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/request.h"

/* One is of no use without the others: what ACLs are, who applies the umask, and who clears the
 * set-group-id bit when an ACL is set. */
#define FS_ACL_FLAGS (FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SETXATTR_EXT)

/* Is @name (the guest's) that of an ACL? */
bool fs_acl_is_name(const char *name);
/* A guest that does not enforce ACLs gets none to see or to set: -EOPNOTSUPP for their names. */
int fs_acl_check(const struct fs *fs, const char *name);
/* Takes them out of a list of names, each ended by NUL: the new length. */
size_t fs_acl_list(const struct fs *fs, char *names, size_t len);

/* The mode of what is made in @parent (O_PATH): a default ACL there takes the place of the umask,
 * which the guest's kernel left to us. */
mode_t fs_acl_mode(const struct fs_request *req, int parent, uint32_t mode, uint32_t umask);

/* An ACL was set on the file of @fd (O_PATH) by somebody who is not in its group. */
int fs_acl_kill_sgid(const struct fs *fs, int fd);

#endif
