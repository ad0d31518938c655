/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/backing.h - a name for what is shared, that two hosts with the same share give it alike. */
#ifndef GW_FS_BACKING_H
#define GW_FS_BACKING_H

#include <stddef.h>

/*
 * "shared-backing:HASH" into @word. With @share_id (--share-id) a hash of that. Else of the type of
 * the file system at @path, what tells two of them apart on any host (its UUID, or server and
 * export), and the handle of the directory. Where the type has neither, "unknown-HASH", which only
 * this host until its next boot gives to the same directory.
 *
 * Looks outside of the directory (/proc/self/mountinfo, /dev/disk): before the sandbox.
 */
#define FS_BACKING_MAX 64
int fs_backing_name(char word[FS_BACKING_MAX], const char *path, const char *share_id);

#endif
