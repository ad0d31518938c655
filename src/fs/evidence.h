/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/evidence.h - what an inode is, so that another one is never taken for it. */
#ifndef GW_FS_EVIDENCE_H
#define GW_FS_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* A file handle as name_to_handle_at(2) gives it: no privilege is needed to get one. */
#define FS_FHANDLE_MAX 128 /* MAX_HANDLE_SZ */

struct fs_fhandle {
	int32_t type;
	uint16_t len;
	uint8_t bytes[FS_FHANDLE_MAX];
};

/* Of the file that @fd refers to. -EOPNOTSUPP where the file system has none. */
int fs_fhandle_of(int fd, struct fs_fhandle *handle);
/* -EINVAL: longer than any. */
int fs_fhandle_set(struct fs_fhandle *handle, int32_t type, const void *bytes, size_t len);
bool fs_fhandle_equal(const struct fs_fhandle *a, const struct fs_fhandle *b);
/* O_PATH by handle; @mount_fd is a real descriptor (not O_PATH) of a directory on the file system.
 * Needs CAP_DAC_READ_SEARCH. */
int fs_fhandle_open(int mount_fd, const struct fs_fhandle *handle);
/* By statfs(2)'s f_type, as the file systems themselves say it. */
#define FS_MAGIC_EXT4	0xef53u
#define FS_MAGIC_BTRFS	0x9123683eu
#define FS_MAGIC_CEPH	0x00c36400u
#define FS_MAGIC_XFS	0x58465342u
#define FS_MAGIC_GFS2	0x01161970u
#define FS_MAGIC_OCFS2	0x7461636fu
#define FS_MAGIC_NFS	0x6969u
#define FS_MAGIC_LUSTRE 0x0bd00bd0u
/* Does this file system (statfs f_type) promise that handles mean the same on another host? */
bool fs_fhandle_is_portable(uint64_t f_type);

/*
 * What is compared. st_dev is local to a host and no part of it. A file system without birth times
 * says 0, and what one side does not know counts neither way.
 */
struct fs_evidence {
	mode_t type; /* S_IFMT bits */
	uint64_t ino;
	uint64_t btime;
	const struct fs_fhandle *handle; /* NULL: not known, or of no meaning here */
};

/* Is what @fd refers to (and @stx describes) what @expected says? Compares handles only where the
 * expected one is given. */
bool fs_evidence_fits(const struct fs_evidence *expected, int fd, const struct statx *stx);

#endif
