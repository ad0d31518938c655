/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fuse-wire-list.h - what both definitions of the FUSE wire say, as a table. */
/* Included twice: with our definitions (FUSE_OURS) and with the system's. */
#include <stddef.h>

#include "fuse-wire.h"

#define SIZE(type)	 {"sizeof " #type, sizeof(struct type)},
#define AT(type, member) {#type "." #member, offsetof(struct type, member)},
#define NUMBER(name)	 {#name, (unsigned long long)(name)},
/* What a header of that minor does not have yet is absent from both lists. */
#define WIRE_ENTRIES                        \
	SIZE(fuse_in_header)                \
	AT(fuse_in_header, opcode)          \
	AT(fuse_in_header, unique)          \
	AT(fuse_in_header, nodeid)          \
	AT(fuse_in_header, uid)             \
	AT(fuse_in_header, gid)             \
	AT(fuse_in_header, pid)             \
	SIZE(fuse_out_header)               \
	AT(fuse_out_header, error)          \
	AT(fuse_out_header, unique)         \
	SIZE(fuse_init_in)                  \
	AT(fuse_init_in, flags)             \
	AT(fuse_init_in, flags2)            \
	SIZE(fuse_init_out)                 \
	AT(fuse_init_out, max_write)        \
	AT(fuse_init_out, time_gran)        \
	AT(fuse_init_out, max_pages)        \
	AT(fuse_init_out, flags2)           \
	SIZE(fuse_attr)                     \
	AT(fuse_attr, blocks)               \
	AT(fuse_attr, atimensec)            \
	AT(fuse_attr, mode)                 \
	AT(fuse_attr, rdev)                 \
	AT(fuse_attr, flags)                \
	SIZE(fuse_entry_out)                \
	AT(fuse_entry_out, entry_valid)     \
	AT(fuse_entry_out, attr_valid_nsec) \
	AT(fuse_entry_out, attr)            \
	SIZE(fuse_forget_in)                \
	SIZE(fuse_forget_one)               \
	SIZE(fuse_batch_forget_in)          \
	SIZE(fuse_getattr_in)               \
	AT(fuse_getattr_in, fh)             \
	SIZE(fuse_attr_out)                 \
	AT(fuse_attr_out, attr)             \
	SIZE(fuse_setattr_in)               \
	AT(fuse_setattr_in, fh)             \
	AT(fuse_setattr_in, size)           \
	AT(fuse_setattr_in, atime)          \
	AT(fuse_setattr_in, ctimensec)      \
	AT(fuse_setattr_in, mode)           \
	AT(fuse_setattr_in, gid)            \
	SIZE(fuse_access_in)                \
	SIZE(fuse_kstatfs)                  \
	AT(fuse_kstatfs, bsize)             \
	AT(fuse_kstatfs, frsize)            \
	SIZE(fuse_statfs_out)               \
	SIZE(fuse_mknod_in)                 \
	AT(fuse_mknod_in, umask)            \
	SIZE(fuse_mkdir_in)                 \
	SIZE(fuse_rename_in)                \
	SIZE(fuse_rename2_in)               \
	AT(fuse_rename2_in, flags)          \
	SIZE(fuse_link_in)                  \
	SIZE(fuse_open_in)                  \
	SIZE(fuse_create_in)                \
	AT(fuse_create_in, umask)           \
	SIZE(fuse_open_out)                 \
	AT(fuse_open_out, open_flags)       \
	SIZE(fuse_release_in)               \
	AT(fuse_release_in, lock_owner)     \
	SIZE(fuse_flush_in)                 \
	SIZE(fuse_read_in)                  \
	AT(fuse_read_in, size)              \
	AT(fuse_read_in, flags)             \
	SIZE(fuse_write_in)                 \
	AT(fuse_write_in, write_flags)      \
	AT(fuse_write_in, flags)            \
	SIZE(fuse_write_out)                \
	SIZE(fuse_fsync_in)                 \
	AT(fuse_fsync_in, fsync_flags)      \
	SIZE(fuse_fallocate_in)             \
	AT(fuse_fallocate_in, mode)         \
	SIZE(fuse_lseek_in)                 \
	AT(fuse_lseek_in, whence)           \
	SIZE(fuse_lseek_out)                \
	SIZE(fuse_copy_file_range_in)       \
	AT(fuse_copy_file_range_in, fh_out) \
	AT(fuse_copy_file_range_in, len)    \
	SIZE(fuse_syncfs_in)                \
	SIZE(fuse_dirent)                   \
	AT(fuse_dirent, namelen)            \
	AT(fuse_dirent, name)               \
	AT(fuse_direntplus, dirent.name)    \
	SIZE(fuse_file_lock)                \
	AT(fuse_file_lock, type)            \
	SIZE(fuse_lk_in)                    \
	AT(fuse_lk_in, owner)               \
	AT(fuse_lk_in, lk)                  \
	AT(fuse_lk_in, lk_flags)            \
	SIZE(fuse_lk_out)                   \
	SIZE(fuse_ioctl_in)                 \
	AT(fuse_ioctl_in, cmd)              \
	AT(fuse_ioctl_in, arg)              \
	AT(fuse_ioctl_in, in_size)          \
	AT(fuse_ioctl_in, out_size)         \
	SIZE(fuse_ioctl_out)                \
	AT(fuse_ioctl_out, in_iovs)         \
	SIZE(fuse_setxattr_in)              \
	AT(fuse_setxattr_in, flags)         \
	SIZE(fuse_getxattr_in)              \
	SIZE(fuse_getxattr_out)             \
	SIZE(fuse_interrupt_in)             \
	NUMBER(FUSE_LOOKUP)                 \
	NUMBER(FUSE_FORGET)                 \
	NUMBER(FUSE_GETATTR)                \
	NUMBER(FUSE_SETATTR)                \
	NUMBER(FUSE_READLINK)               \
	NUMBER(FUSE_SYMLINK)                \
	NUMBER(FUSE_MKNOD)                  \
	NUMBER(FUSE_MKDIR)                  \
	NUMBER(FUSE_UNLINK)                 \
	NUMBER(FUSE_RMDIR)                  \
	NUMBER(FUSE_RENAME)                 \
	NUMBER(FUSE_LINK)                   \
	NUMBER(FUSE_OPEN)                   \
	NUMBER(FUSE_READ)                   \
	NUMBER(FUSE_WRITE)                  \
	NUMBER(FUSE_STATFS)                 \
	NUMBER(FUSE_RELEASE)                \
	NUMBER(FUSE_FSYNC)                  \
	NUMBER(FUSE_SETXATTR)               \
	NUMBER(FUSE_GETXATTR)               \
	NUMBER(FUSE_LISTXATTR)              \
	NUMBER(FUSE_REMOVEXATTR)            \
	NUMBER(FUSE_FLUSH)                  \
	NUMBER(FUSE_INIT)                   \
	NUMBER(FUSE_OPENDIR)                \
	NUMBER(FUSE_READDIR)                \
	NUMBER(FUSE_RELEASEDIR)             \
	NUMBER(FUSE_FSYNCDIR)               \
	NUMBER(FUSE_ACCESS)                 \
	NUMBER(FUSE_CREATE)                 \
	NUMBER(FUSE_INTERRUPT)              \
	NUMBER(FUSE_DESTROY)                \
	NUMBER(FUSE_BATCH_FORGET)           \
	NUMBER(FUSE_FALLOCATE)              \
	NUMBER(FUSE_READDIRPLUS)            \
	NUMBER(FUSE_RENAME2)                \
	NUMBER(FUSE_LSEEK)                  \
	NUMBER(FUSE_COPY_FILE_RANGE)        \
	NUMBER(FUSE_SYNCFS)                 \
	NUMBER(FUSE_ASYNC_READ)             \
	NUMBER(FUSE_ATOMIC_O_TRUNC)         \
	NUMBER(FUSE_BIG_WRITES)             \
	NUMBER(FUSE_DONT_MASK)              \
	NUMBER(FUSE_AUTO_INVAL_DATA)        \
	NUMBER(FUSE_DO_READDIRPLUS)         \
	NUMBER(FUSE_READDIRPLUS_AUTO)       \
	NUMBER(FUSE_ASYNC_DIO)              \
	NUMBER(FUSE_WRITEBACK_CACHE)        \
	NUMBER(FUSE_PARALLEL_DIROPS)        \
	NUMBER(FUSE_POSIX_ACL)              \
	NUMBER(FUSE_MAX_PAGES)              \
	NUMBER(FUSE_SUBMOUNTS)              \
	NUMBER(FUSE_HANDLE_KILLPRIV_V2)     \
	NUMBER(FUSE_SETXATTR_EXT)           \
	NUMBER(FUSE_INIT_EXT)               \
	NUMBER(FUSE_SECURITY_CTX)           \
	NUMBER(FATTR_MODE)                  \
	NUMBER(FATTR_SIZE)                  \
	NUMBER(FATTR_FH)                    \
	NUMBER(FATTR_MTIME_NOW)             \
	NUMBER(FATTR_CTIME)                 \
	NUMBER(FATTR_KILL_SUIDGID)          \
	NUMBER(FOPEN_DIRECT_IO)             \
	NUMBER(FOPEN_KEEP_CACHE)            \
	NUMBER(FOPEN_CACHE_DIR)             \
	NUMBER(FUSE_WRITE_CACHE)            \
	NUMBER(FUSE_FSYNC_FDATASYNC)        \
	NUMBER(FUSE_GETATTR_FH)             \
	NUMBER(FUSE_COMPAT_SETXATTR_IN_SIZE)

/* Linux 6.1 calls its header 7.38 and has half of that, so those too wait for 7.39. */
#if FUSE_KERNEL_MINOR_VERSION >= 39
#define WIRE_ENTRIES_39                  \
	AT(fuse_in_header, total_extlen) \
	SIZE(fuse_ext_header)            \
	AT(fuse_supp_groups, groups)     \
	NUMBER(FUSE_TMPFILE)             \
	NUMBER(FUSE_EXT_GROUPS)          \
	NUMBER(FUSE_CREATE_SUPP_GROUP)   \
	NUMBER(FUSE_STATX)               \
	SIZE(fuse_statx_in)              \
	AT(fuse_statx_in, sx_mask)       \
	SIZE(fuse_statx_out)             \
	AT(fuse_statx_out, stat)         \
	AT(fuse_statx, ino)              \
	AT(fuse_statx, btime)            \
	AT(fuse_statx, rdev_major)
#else
#define WIRE_ENTRIES_39
#endif

const struct wire_fact WIRE_TABLE[] = {WIRE_ENTRIES WIRE_ENTRIES_39{NULL, 0}};
