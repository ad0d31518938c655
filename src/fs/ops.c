/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/ops.c - the table of FUSE operations, one row each. */
#include "base/checked.h"
#include "fs/counters.h"
#include "fs/ops.h"

#define ARG(type)    .arg_size = sizeof(struct fuse_##type)
#define ANSWER(type) .answer = sizeof(struct fuse_##type)

/*
 * A row is at its opcode. Operations without one (BMAP, POLL, DAX mappings) are
 * answered with ENOSYS, which Linux remembers and does itself, or does without.
 */
static const struct fs_op ops[] = {
	[FUSE_LOOKUP] = {"LOOKUP", fs_op_lookup, ANSWER(entry_out), .names = 1},
	[FUSE_FORGET] = {"FORGET", fs_op_forget, ARG(forget_in),
			 .flags = FS_OP_HIPRIO | FS_OP_MUTE | FS_OP_EARLY},
	[FUSE_GETATTR] = {"GETATTR", fs_op_getattr, ARG(getattr_in), ANSWER(attr_out)},
	[FUSE_SETATTR] = {"SETATTR", fs_op_setattr, ARG(setattr_in), ANSWER(attr_out),
			  .flags = FS_OP_WRITES},
	[FUSE_READLINK] = {"READLINK", fs_op_readlink},
	[FUSE_SYMLINK] = {"SYMLINK", fs_op_symlink, ANSWER(entry_out), .names = 2,
			  .flags = FS_OP_WRITES | FS_OP_CREATES | FS_OP_FREE_NAME2},
	[FUSE_MKNOD] = {"MKNOD", fs_op_mknod, ARG(mknod_in), ANSWER(entry_out), .names = 1,
			.flags = FS_OP_WRITES | FS_OP_CREATES},
	[FUSE_MKDIR] = {"MKDIR", fs_op_mkdir, ARG(mkdir_in), ANSWER(entry_out), .names = 1,
			.flags = FS_OP_WRITES | FS_OP_CREATES},
	[FUSE_UNLINK] = {"UNLINK", fs_op_unlink, .names = 1, .flags = FS_OP_WRITES},
	[FUSE_RMDIR] = {"RMDIR", fs_op_rmdir, .names = 1, .flags = FS_OP_WRITES},
	[FUSE_RENAME] = {"RENAME", fs_op_rename, ARG(rename_in), .names = 2, .flags = FS_OP_WRITES},
	[FUSE_LINK] = {"LINK", fs_op_link, ARG(link_in), ANSWER(entry_out), .names = 1,
		       .flags = FS_OP_WRITES},
	[FUSE_OPEN] = {"OPEN", fs_op_open, ARG(open_in), ANSWER(open_out)},
	[FUSE_READ] = {"READ", fs_op_read, ARG(read_in)},
	[FUSE_WRITE] = {"WRITE", fs_op_write, ARG(write_in), ANSWER(write_out),
			.tail = FS_TAIL_DATA, .flags = FS_OP_WRITES},
	[FUSE_STATFS] = {"STATFS", fs_op_statfs, ANSWER(statfs_out)},
	[FUSE_RELEASE] = {"RELEASE", fs_op_release, ARG(release_in)},
	[FUSE_FSYNC] = {"FSYNC", fs_op_fsync, ARG(fsync_in), .flags = FS_OP_POOL},
	[FUSE_SETXATTR] = {"SETXATTR", fs_op_setxattr, ARG(setxattr_in),
			   .arg_min = FUSE_COMPAT_SETXATTR_IN_SIZE, .names = 1,
			   .tail = FS_TAIL_BLOB,
			   .flags = FS_OP_WRITES | FS_OP_XATTR | FS_OP_FREE_NAME | FS_OP_LONG_ARG},
	[FUSE_GETXATTR] = {"GETXATTR", fs_op_getxattr, ARG(getxattr_in), .names = 1,
			   .flags = FS_OP_XATTR | FS_OP_FREE_NAME},
	[FUSE_LISTXATTR] = {"LISTXATTR", fs_op_listxattr, ARG(getxattr_in), .flags = FS_OP_XATTR},
	[FUSE_REMOVEXATTR] = {"REMOVEXATTR", fs_op_removexattr, .names = 1,
			      .flags = FS_OP_WRITES | FS_OP_XATTR | FS_OP_FREE_NAME},
	[FUSE_FLUSH] = {"FLUSH", fs_op_flush, ARG(flush_in)},
	[FUSE_INIT] = {"INIT", fs_op_init, ARG(init_in), ANSWER(init_out),
		       .arg_min = FUSE_COMPAT_INIT_IN_SIZE, .flags = FS_OP_EARLY},
	[FUSE_OPENDIR] = {"OPENDIR", fs_op_opendir, ARG(open_in), ANSWER(open_out)},
	[FUSE_READDIR] = {"READDIR", fs_op_readdir, ARG(read_in)},
	[FUSE_RELEASEDIR] = {"RELEASEDIR", fs_op_releasedir, ARG(release_in)},
	[FUSE_FSYNCDIR] = {"FSYNCDIR", fs_op_fsync, ARG(fsync_in), .flags = FS_OP_POOL},
	[FUSE_GETLK] = {"GETLK", fs_op_getlk, ARG(lk_in), ANSWER(lk_out), .flags = FS_OP_POOL},
	[FUSE_SETLK] = {"SETLK", fs_op_setlk, ARG(lk_in), .flags = FS_OP_POOL},
	[FUSE_SETLKW] = {"SETLKW", fs_op_setlkw, ARG(lk_in)},
	[FUSE_ACCESS] = {"ACCESS", fs_op_access, ARG(access_in)},
	[FUSE_CREATE] = {"CREATE", fs_op_create, ARG(create_in),
			 .answer = sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out),
			 .names = 1, .flags = FS_OP_CREATES},
	[FUSE_INTERRUPT] = {"INTERRUPT", fs_op_interrupt, ARG(interrupt_in),
			    .flags = FS_OP_HIPRIO | FS_OP_MUTE | FS_OP_EARLY},
	[FUSE_DESTROY] = {"DESTROY", fs_op_destroy, .flags = FS_OP_EARLY},
	[FUSE_BATCH_FORGET] = {"BATCH_FORGET", fs_op_batch_forget, ARG(batch_forget_in),
			       .tail = FS_TAIL_DATA,
			       .flags = FS_OP_HIPRIO | FS_OP_MUTE | FS_OP_EARLY},
	[FUSE_FALLOCATE] = {"FALLOCATE", fs_op_fallocate, ARG(fallocate_in),
			    .flags = FS_OP_WRITES | FS_OP_POOL},
	[FUSE_READDIRPLUS] = {"READDIRPLUS", fs_op_readdirplus, ARG(read_in)},
	[FUSE_RENAME2] = {"RENAME2", fs_op_rename2, ARG(rename2_in), .names = 2,
			  .flags = FS_OP_WRITES},
	[FUSE_LSEEK] = {"LSEEK", fs_op_lseek, ARG(lseek_in), ANSWER(lseek_out)},
	[FUSE_COPY_FILE_RANGE] = {"COPY_FILE_RANGE", fs_op_copy_file_range, ARG(copy_file_range_in),
				  ANSWER(write_out), .flags = FS_OP_WRITES | FS_OP_POOL},
	/* Verity is computed over the whole file. */
	[FUSE_IOCTL] = {"IOCTL", fs_op_ioctl, ARG(ioctl_in), ANSWER(ioctl_out),
			.tail = FS_TAIL_BLOB, .flags = FS_OP_POOL},
	[FUSE_SYNCFS] = {"SYNCFS", fs_op_syncfs, ARG(syncfs_in), .flags = FS_OP_POOL},
	[FUSE_TMPFILE] = {"TMPFILE", fs_op_tmpfile, ARG(create_in),
			  .answer = sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out),
			  .names = 1, .flags = FS_OP_WRITES | FS_OP_CREATES | FS_OP_FREE_NAME},
	[FUSE_STATX] = {"STATX", fs_op_statx, ARG(statx_in), ANSWER(statx_out)},
	[FUSE_COPY_FILE_RANGE_64] = {"COPY_FILE_RANGE_64", fs_op_copy_file_range_64,
				     ARG(copy_file_range_in), ANSWER(copy_file_range_out),
				     .flags = FS_OP_WRITES | FS_OP_POOL},
};

static_assert(GW_ARRAY_LEN(ops) <= FS_OPCODES_MAX, "each operation has a counter");
static_assert(sizeof(struct fuse_setattr_in) == FS_ARG_MAX, "the longest fixed argument");

const struct fs_op *fs_op_find(uint32_t opcode)
{
	if (opcode >= GW_ARRAY_LEN(ops) || !ops[opcode].run)
		return NULL;
	return &ops[opcode];
}
