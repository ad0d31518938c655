/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/ops.h - the table of FUSE operations: what the dispatcher enforces before a handler runs. */
#ifndef GW_FS_OPS_H
#define GW_FS_OPS_H

#include <stdint.h>

#include "fs/request.h"

enum fs_op_flags {
	FS_OP_HIPRIO = 1 << 0,	   /* the high-priority queue takes it (VIRTIO 1.3, 5.11.6.1) */
	FS_OP_EARLY = 1 << 1,	   /* may come before INIT */
	FS_OP_WRITES = 1 << 2,	   /* always changes the share: -EROFS if that is read-only */
	FS_OP_POOL = 1 << 3,	   /* may block for long: runs in the pool */
	FS_OP_MUTE = 1 << 4,	   /* is never answered, not even with an error */
	FS_OP_CREATES = 1 << 5,	   /* may carry extensions (supplementary groups) */
	FS_OP_XATTR = 1 << 6,	   /* -ENOSYS unless the share has extended attributes */
	FS_OP_FREE_NAME = 1 << 7,  /* the first name is no directory entry (TMPFILE, xattrs) */
	FS_OP_LONG_ARG = 1 << 9,   /* arg_min unless FUSE_SETXATTR_EXT was agreed on */
	FS_OP_FREE_NAME2 = 1 << 8, /* nor is the second (SYMLINK: where it points) */
};

/* What follows fixed argument and names. */
enum fs_tail {
	FS_TAIL_NONE,
	FS_TAIL_BLOB, /* copied to private memory */
	FS_TAIL_DATA, /* stays in guest memory */
};

struct fs_op {
	const char *name;
	fs_op_fn *run;	   /* NULL: no such operation, -ENOSYS */
	uint16_t arg_size; /* of the fixed argument */
	uint16_t arg_min;  /* what guests of older minors send, if that is less; else 0 */
	uint16_t
		answer; /* of the answer's fixed part: there is room for it when the handler runs */
	uint8_t names;
	uint8_t tail; /* enum fs_tail */
	uint16_t flags;
};

/* NULL: no operation of ours has this number. */
const struct fs_op *fs_op_find(uint32_t opcode);

fs_op_fn fs_op_init, fs_op_destroy, fs_op_lookup, fs_op_forget, fs_op_batch_forget, fs_op_interrupt,
	fs_op_statfs, fs_op_syncfs;
fs_op_fn fs_op_getattr, fs_op_setattr, fs_op_statx, fs_op_access, fs_op_readlink;
fs_op_fn fs_op_symlink, fs_op_mknod, fs_op_mkdir, fs_op_unlink, fs_op_rmdir, fs_op_rename,
	fs_op_rename2, fs_op_link;
fs_op_fn fs_op_open, fs_op_create, fs_op_tmpfile, fs_op_release, fs_op_flush;
fs_op_fn fs_op_read, fs_op_write, fs_op_fsync, fs_op_fallocate, fs_op_lseek, fs_op_copy_file_range,
	fs_op_copy_file_range_64, fs_op_ioctl;
fs_op_fn fs_op_opendir, fs_op_readdir, fs_op_readdirplus, fs_op_releasedir;
fs_op_fn fs_op_getlk, fs_op_setlk, fs_op_setlkw;
fs_op_fn fs_op_setxattr, fs_op_getxattr, fs_op_listxattr, fs_op_removexattr;

#endif
