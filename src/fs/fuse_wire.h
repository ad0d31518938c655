/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/fuse_wire.h - the FUSE protocol as virtio-fs carries it: numbers and layouts, nothing else. */
#ifndef GW_FS_FUSE_WIRE_H
#define GW_FS_FUSE_WIRE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Definitions of our own, because a distribution's linux/fuse.h may be years behind the guest.
 * Names are the protocol's, so that a reader finds them elsewhere. Numbers are in the guest's byte
 * order, which on all hosts that we run on is little-endian (VIRTIO 1.3, 5.11.6: a device that
 * finds a foreign opcode order fails FUSE_INIT).
 *
 * 7.39 brought STATX, 7.45 COPY_FILE_RANGE_64. tests/unit/fuse-wire.c compares all of this with
 * the system's header as far as that goes.
 */
#define FUSE_KERNEL_VERSION	  7
#define FUSE_KERNEL_MINOR_VERSION 45
#define FUSE_ROOT_ID		  1

enum fuse_opcode {
	FUSE_LOOKUP = 1,
	FUSE_FORGET = 2, /* has no answer */
	FUSE_GETATTR = 3,
	FUSE_SETATTR = 4,
	FUSE_READLINK = 5,
	FUSE_SYMLINK = 6,
	FUSE_MKNOD = 8,
	FUSE_MKDIR = 9,
	FUSE_UNLINK = 10,
	FUSE_RMDIR = 11,
	FUSE_RENAME = 12,
	FUSE_LINK = 13,
	FUSE_OPEN = 14,
	FUSE_READ = 15,
	FUSE_WRITE = 16,
	FUSE_STATFS = 17,
	FUSE_RELEASE = 18,
	FUSE_FSYNC = 20,
	FUSE_SETXATTR = 21,
	FUSE_GETXATTR = 22,
	FUSE_LISTXATTR = 23,
	FUSE_REMOVEXATTR = 24,
	FUSE_FLUSH = 25,
	FUSE_INIT = 26,
	FUSE_OPENDIR = 27,
	FUSE_READDIR = 28,
	FUSE_RELEASEDIR = 29,
	FUSE_FSYNCDIR = 30,
	FUSE_GETLK = 31,
	FUSE_SETLK = 32,
	FUSE_SETLKW = 33,
	FUSE_ACCESS = 34,
	FUSE_CREATE = 35,
	FUSE_INTERRUPT = 36,
	FUSE_BMAP = 37,
	FUSE_DESTROY = 38,
	FUSE_IOCTL = 39,
	FUSE_POLL = 40,
	FUSE_NOTIFY_REPLY = 41,
	FUSE_BATCH_FORGET = 42, /* has no answer */
	FUSE_FALLOCATE = 43,
	FUSE_READDIRPLUS = 44,
	FUSE_RENAME2 = 45,
	FUSE_LSEEK = 46,
	FUSE_COPY_FILE_RANGE = 47,
	FUSE_SETUPMAPPING = 48,
	FUSE_REMOVEMAPPING = 49,
	FUSE_SYNCFS = 50,
	FUSE_TMPFILE = 51,
	FUSE_STATX = 52,
	FUSE_COPY_FILE_RANGE_64 = 53,
};

/* Every request begins with this one, every answer with the next. */
struct fuse_in_header {
	uint32_t len; /* of the whole request */
	uint32_t opcode;
	uint64_t unique;
	uint64_t nodeid;
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	uint16_t total_extlen; /* of the extensions at the end, in units of 8 bytes */
	uint16_t padding;
};

struct fuse_out_header {
	uint32_t len;  /* of the whole answer */
	int32_t error; /* 0 or a negative errno */
	uint64_t unique;
};

/* INIT: FUSE_* flags of the first word, then, shifted by 32, of the second (FUSE_INIT_EXT). */
#define FUSE_ASYNC_READ		  (UINT64_C(1) << 0)
#define FUSE_POSIX_LOCKS	  (UINT64_C(1) << 1)
#define FUSE_FILE_OPS		  (UINT64_C(1) << 2)
#define FUSE_ATOMIC_O_TRUNC	  (UINT64_C(1) << 3)
#define FUSE_EXPORT_SUPPORT	  (UINT64_C(1) << 4)
#define FUSE_BIG_WRITES		  (UINT64_C(1) << 5)
#define FUSE_DONT_MASK		  (UINT64_C(1) << 6)
#define FUSE_SPLICE_WRITE	  (UINT64_C(1) << 7)
#define FUSE_SPLICE_MOVE	  (UINT64_C(1) << 8)
#define FUSE_SPLICE_READ	  (UINT64_C(1) << 9)
#define FUSE_FLOCK_LOCKS	  (UINT64_C(1) << 10)
#define FUSE_HAS_IOCTL_DIR	  (UINT64_C(1) << 11)
#define FUSE_AUTO_INVAL_DATA	  (UINT64_C(1) << 12)
#define FUSE_DO_READDIRPLUS	  (UINT64_C(1) << 13)
#define FUSE_READDIRPLUS_AUTO	  (UINT64_C(1) << 14)
#define FUSE_ASYNC_DIO		  (UINT64_C(1) << 15)
#define FUSE_WRITEBACK_CACHE	  (UINT64_C(1) << 16)
#define FUSE_NO_OPEN_SUPPORT	  (UINT64_C(1) << 17)
#define FUSE_PARALLEL_DIROPS	  (UINT64_C(1) << 18)
#define FUSE_HANDLE_KILLPRIV	  (UINT64_C(1) << 19)
#define FUSE_POSIX_ACL		  (UINT64_C(1) << 20)
#define FUSE_ABORT_ERROR	  (UINT64_C(1) << 21)
#define FUSE_MAX_PAGES		  (UINT64_C(1) << 22)
#define FUSE_CACHE_SYMLINKS	  (UINT64_C(1) << 23)
#define FUSE_NO_OPENDIR_SUPPORT	  (UINT64_C(1) << 24)
#define FUSE_EXPLICIT_INVAL_DATA  (UINT64_C(1) << 25)
#define FUSE_MAP_ALIGNMENT	  (UINT64_C(1) << 26)
#define FUSE_SUBMOUNTS		  (UINT64_C(1) << 27)
#define FUSE_HANDLE_KILLPRIV_V2	  (UINT64_C(1) << 28)
#define FUSE_SETXATTR_EXT	  (UINT64_C(1) << 29)
#define FUSE_INIT_EXT		  (UINT64_C(1) << 30)
#define FUSE_SECURITY_CTX	  (UINT64_C(1) << 32)
#define FUSE_HAS_INODE_DAX	  (UINT64_C(1) << 33)
#define FUSE_CREATE_SUPP_GROUP	  (UINT64_C(1) << 34)
#define FUSE_HAS_EXPIRE_ONLY	  (UINT64_C(1) << 35)
#define FUSE_DIRECT_IO_ALLOW_MMAP (UINT64_C(1) << 36)
#define FUSE_PASSTHROUGH	  (UINT64_C(1) << 37)
#define FUSE_NO_EXPORT_SUPPORT	  (UINT64_C(1) << 38)
#define FUSE_HAS_RESEND		  (UINT64_C(1) << 39)
#define FUSE_ALLOW_IDMAP	  (UINT64_C(1) << 40)
#define FUSE_OVER_IO_URING	  (UINT64_C(1) << 41)
#define FUSE_REQUEST_TIMEOUT	  (UINT64_C(1) << 42)

struct fuse_init_in {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint32_t flags2; /* from 7.36 on, like the rest */
	uint32_t unused[11];
};
#define FUSE_COMPAT_INIT_IN_SIZE 16 /* our name: before 7.36 */

struct fuse_init_out {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint16_t max_background;
	uint16_t congestion_threshold;
	uint32_t max_write;
	uint32_t time_gran; /* of time stamps, in nanoseconds */
	uint16_t max_pages;
	uint16_t map_alignment;
	uint32_t flags2;
	uint32_t max_stack_depth;
	uint16_t request_timeout;
	uint16_t unused[11];
};

/* Attributes. */
struct fuse_attr {
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t atime;
	uint64_t mtime;
	uint64_t ctime;
	uint32_t atimensec;
	uint32_t mtimensec;
	uint32_t ctimensec;
	uint32_t mode;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev;
	uint32_t blksize;
	uint32_t flags;
};
#define FUSE_ATTR_SUBMOUNT (1U << 0)

struct fuse_sx_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t reserved;
};

struct fuse_statx {
	uint32_t mask;
	uint32_t blksize;
	uint64_t attributes;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint16_t spare0[1];
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t attributes_mask;
	struct fuse_sx_time atime;
	struct fuse_sx_time btime;
	struct fuse_sx_time ctime;
	struct fuse_sx_time mtime;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint64_t spare2[14];
};

struct fuse_entry_out {
	uint64_t nodeid; /* 0: there is no such name, and that may be cached */
	uint64_t generation;
	uint64_t entry_valid;
	uint64_t attr_valid;
	uint32_t entry_valid_nsec;
	uint32_t attr_valid_nsec;
	struct fuse_attr attr;
};

struct fuse_forget_in {
	uint64_t nlookup;
};

struct fuse_forget_one {
	uint64_t nodeid;
	uint64_t nlookup;
};

struct fuse_batch_forget_in {
	uint32_t count;
	uint32_t dummy;
};

#define FUSE_GETATTR_FH (1U << 0)

struct fuse_getattr_in {
	uint32_t getattr_flags;
	uint32_t dummy;
	uint64_t fh;
};

struct fuse_attr_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t dummy;
	struct fuse_attr attr;
};

struct fuse_statx_in {
	uint32_t getattr_flags;
	uint32_t reserved;
	uint64_t fh;
	uint32_t sx_flags;
	uint32_t sx_mask;
};

struct fuse_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t flags;
	uint64_t spare[2];
	struct fuse_statx stat;
};

#define FATTR_MODE	   (1U << 0)
#define FATTR_UID	   (1U << 1)
#define FATTR_GID	   (1U << 2)
#define FATTR_SIZE	   (1U << 3)
#define FATTR_ATIME	   (1U << 4)
#define FATTR_MTIME	   (1U << 5)
#define FATTR_FH	   (1U << 6)
#define FATTR_ATIME_NOW	   (1U << 7)
#define FATTR_MTIME_NOW	   (1U << 8)
#define FATTR_LOCKOWNER	   (1U << 9)
#define FATTR_CTIME	   (1U << 10)
#define FATTR_KILL_SUIDGID (1U << 11)

struct fuse_setattr_in {
	uint32_t valid;
	uint32_t padding;
	uint64_t fh;
	uint64_t size;
	uint64_t lock_owner;
	uint64_t atime;
	uint64_t mtime;
	uint64_t ctime;
	uint32_t atimensec;
	uint32_t mtimensec;
	uint32_t ctimensec;
	uint32_t mode;
	uint32_t unused4;
	uint32_t uid;
	uint32_t gid;
	uint32_t unused5;
};

struct fuse_access_in {
	uint32_t mask;
	uint32_t padding;
};

struct fuse_kstatfs {
	uint64_t blocks;
	uint64_t bfree;
	uint64_t bavail;
	uint64_t files;
	uint64_t ffree;
	uint32_t bsize;
	uint32_t namelen;
	uint32_t frsize;
	uint32_t padding;
	uint32_t spare[6];
};

struct fuse_statfs_out {
	struct fuse_kstatfs st;
};

/* Names. A name or two, each with its NUL, follow these. */
struct fuse_mknod_in {
	uint32_t mode;
	uint32_t rdev;
	uint32_t umask;
	uint32_t padding;
};

struct fuse_mkdir_in {
	uint32_t mode;
	uint32_t umask;
};

struct fuse_rename_in {
	uint64_t newdir;
};

struct fuse_rename2_in {
	uint64_t newdir;
	uint32_t flags;
	uint32_t padding;
};

struct fuse_link_in {
	uint64_t oldnodeid;
};

/* Open files. */
struct fuse_open_in {
	uint32_t flags;
	uint32_t open_flags; /* FUSE_OPEN_* */
};

struct fuse_create_in {
	uint32_t flags;
	uint32_t mode;
	uint32_t umask;
	uint32_t open_flags;
};

#define FUSE_OPEN_KILL_SUIDGID (1U << 0)

struct fuse_open_out {
	uint64_t fh;
	uint32_t open_flags; /* FOPEN_* */
	int32_t backing_id;
};

#define FOPEN_DIRECT_IO		     (1U << 0)
#define FOPEN_KEEP_CACHE	     (1U << 1)
#define FOPEN_NONSEEKABLE	     (1U << 2)
#define FOPEN_CACHE_DIR		     (1U << 3)
#define FOPEN_STREAM		     (1U << 4)
#define FOPEN_NOFLUSH		     (1U << 5)
#define FOPEN_PARALLEL_DIRECT_WRITES (1U << 6)

struct fuse_release_in {
	uint64_t fh;
	uint32_t flags;
	uint32_t release_flags;
	uint64_t lock_owner;
};

/* Both ends included; to the end of the file is to INT64_MAX. */
struct fuse_file_lock {
	uint64_t start;
	uint64_t end;
	uint32_t type; /* F_RDLCK and so on */
	uint32_t pid;
};

struct fuse_lk_in {
	uint64_t fh;
	uint64_t owner;
	struct fuse_file_lock lk;
	uint32_t lk_flags;
	uint32_t padding;
};
#define FUSE_LK_FLOCK (1U << 0) /* lk_flags: of flock(2) */

struct fuse_lk_out {
	struct fuse_file_lock lk;
};

struct fuse_flush_in {
	uint64_t fh;
	uint32_t unused;
	uint32_t padding;
	uint64_t lock_owner;
};

struct fuse_read_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t size;
	uint32_t read_flags;
	uint64_t lock_owner;
	uint32_t flags; /* the file's open flags as they are now */
	uint32_t padding;
};

#define FUSE_WRITE_CACHE	(1U << 0) /* from the page cache: lock owner and pid are guesses */
#define FUSE_WRITE_LOCKOWNER	(1U << 1)
#define FUSE_WRITE_KILL_SUIDGID (1U << 2)

struct fuse_write_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t size;
	uint32_t write_flags;
	uint64_t lock_owner;
	uint32_t flags; /* the file's open flags as they are now */
	uint32_t padding;
};

struct fuse_write_out {
	uint32_t size;
	uint32_t padding;
};

#define FUSE_FSYNC_FDATASYNC (1U << 0)

struct fuse_fsync_in {
	uint64_t fh;
	uint32_t fsync_flags;
	uint32_t padding;
};

struct fuse_fallocate_in {
	uint64_t fh;
	uint64_t offset;
	uint64_t length;
	uint32_t mode;
	uint32_t padding;
};

struct fuse_lseek_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t whence;
	uint32_t padding;
};

struct fuse_lseek_out {
	uint64_t offset;
};

struct fuse_copy_file_range_in {
	uint64_t fh_in;
	uint64_t off_in;
	uint64_t nodeid_out;
	uint64_t fh_out;
	uint64_t off_out;
	uint64_t len;
	uint64_t flags;
};

/* Answer of COPY_FILE_RANGE_64; the older operation answers with struct fuse_write_out. */
struct fuse_copy_file_range_out {
	uint64_t bytes_copied;
};

struct fuse_syncfs_in {
	uint64_t padding;
};

/* Directories: an answer is a row of these, each padded to 8 bytes. */
struct fuse_dirent {
	uint64_t ino;
	uint64_t off; /* where to go on after this entry */
	uint32_t namelen;
	uint32_t type; /* DT_* */
	char name[];
};

struct fuse_direntplus {
	struct fuse_entry_out entry_out;
	struct fuse_dirent dirent;
};

#define FUSE_NAME_OFFSET	    offsetof(struct fuse_dirent, name)
#define FUSE_NAME_OFFSET_DIRENTPLUS offsetof(struct fuse_direntplus, dirent.name)
#define FUSE_REC_ALIGN(x)	    (((x) + sizeof(uint64_t) - 1) & ~(sizeof(uint64_t) - 1))

/* What goes in follows it, what comes out follows the answer. */
struct fuse_ioctl_in {
	uint64_t fh;
	uint32_t flags; /* FUSE_IOCTL_* */
	uint32_t cmd;
	uint64_t arg;
	uint32_t in_size;
	uint32_t out_size;
};

struct fuse_ioctl_out {
	int32_t result;
	uint32_t flags;
	uint32_t in_iovs;
	uint32_t out_iovs;
};

/* Extended attributes: the name, and for SETXATTR the value, follow. */
struct fuse_setxattr_in {
	uint32_t size;
	uint32_t flags;
	uint32_t setxattr_flags; /* only with FUSE_SETXATTR_EXT, like the rest */
	uint32_t padding;
};
#define FUSE_COMPAT_SETXATTR_IN_SIZE 8
/* fuse_setxattr_in.setxattr_flags */
#define FUSE_SETXATTR_ACL_KILL_SGID (1U << 0)

struct fuse_getxattr_in {
	uint32_t size; /* 0: only the length is asked */
	uint32_t padding;
};

struct fuse_getxattr_out {
	uint32_t size;
	uint32_t padding;
};

struct fuse_interrupt_in {
	uint64_t unique;
};

/* Extensions at the end of a request (total_extlen), each padded to 8 bytes. */
struct fuse_ext_header {
	uint32_t size; /* this header included */
	uint32_t type;
};

enum fuse_ext_type {
	FUSE_MAX_NR_SECCTX = 31, /* types up to this one are counts of security contexts */
	FUSE_EXT_GROUPS = 32,
};

struct fuse_supp_groups {
	uint32_t nr_groups;
	uint32_t groups[];
};

/* Device configuration (VIRTIO 1.3, 5.11.4); little-endian. The tag is padded with NULs. */
/* What the device sends of itself has unique 0 and one of these as its error. */
enum fuse_notify_code {
	FUSE_NOTIFY_INVAL_INODE = 2,
	FUSE_NOTIFY_INVAL_ENTRY = 3,
};

struct fuse_notify_inval_inode_out {
	uint64_t ino;
	int64_t off;
	int64_t len; /* 0: to the end */
};

struct fuse_notify_inval_entry_out { /* the name and a NUL follow */
	uint64_t parent;
	uint32_t namelen;
	uint32_t flags;
};

struct fuse_virtio_config {
	uint8_t tag[36];
	uint32_t num_request_queues;
};

#define FUSE_WIRE_SIZE(type, bytes) \
	static_assert(sizeof(struct type) == (bytes), "FUSE wire: size of " #type)
#define FUSE_WIRE_AT(type, member, at)                       \
	static_assert(offsetof(struct type, member) == (at), \
		      "FUSE wire: place of " #type "." #member)

FUSE_WIRE_SIZE(fuse_in_header, 40);
FUSE_WIRE_AT(fuse_in_header, unique, 8);
FUSE_WIRE_AT(fuse_in_header, total_extlen, 36);
FUSE_WIRE_SIZE(fuse_out_header, 16);
FUSE_WIRE_AT(fuse_out_header, unique, 8);
FUSE_WIRE_SIZE(fuse_init_in, 64);
FUSE_WIRE_AT(fuse_init_in, flags2, 16);
FUSE_WIRE_SIZE(fuse_init_out, 64);
FUSE_WIRE_AT(fuse_init_out, max_pages, 28);
FUSE_WIRE_AT(fuse_init_out, flags2, 32);
FUSE_WIRE_AT(fuse_init_out, request_timeout, 40);
FUSE_WIRE_SIZE(fuse_attr, 88);
FUSE_WIRE_AT(fuse_attr, mode, 60);
FUSE_WIRE_SIZE(fuse_sx_time, 16);
FUSE_WIRE_SIZE(fuse_statx, 256);
FUSE_WIRE_AT(fuse_statx, ino, 32);
FUSE_WIRE_AT(fuse_statx, atime, 64);
FUSE_WIRE_AT(fuse_statx, rdev_major, 128);
FUSE_WIRE_SIZE(fuse_entry_out, 128);
FUSE_WIRE_AT(fuse_entry_out, attr, 40);
FUSE_WIRE_SIZE(fuse_forget_in, 8);
FUSE_WIRE_SIZE(fuse_forget_one, 16);
FUSE_WIRE_SIZE(fuse_batch_forget_in, 8);
FUSE_WIRE_SIZE(fuse_getattr_in, 16);
FUSE_WIRE_SIZE(fuse_attr_out, 104);
FUSE_WIRE_SIZE(fuse_statx_in, 24);
FUSE_WIRE_SIZE(fuse_statx_out, 288);
FUSE_WIRE_AT(fuse_statx_out, stat, 32);
FUSE_WIRE_SIZE(fuse_setattr_in, 88);
FUSE_WIRE_AT(fuse_setattr_in, mode, 68);
FUSE_WIRE_SIZE(fuse_access_in, 8);
FUSE_WIRE_SIZE(fuse_kstatfs, 80);
FUSE_WIRE_SIZE(fuse_statfs_out, 80);
FUSE_WIRE_SIZE(fuse_mknod_in, 16);
FUSE_WIRE_SIZE(fuse_mkdir_in, 8);
FUSE_WIRE_SIZE(fuse_rename_in, 8);
FUSE_WIRE_SIZE(fuse_rename2_in, 16);
FUSE_WIRE_SIZE(fuse_link_in, 8);
FUSE_WIRE_SIZE(fuse_open_in, 8);
FUSE_WIRE_SIZE(fuse_create_in, 16);
FUSE_WIRE_SIZE(fuse_open_out, 16);
FUSE_WIRE_SIZE(fuse_release_in, 24);
FUSE_WIRE_SIZE(fuse_file_lock, 24);
FUSE_WIRE_SIZE(fuse_lk_in, 48);
FUSE_WIRE_SIZE(fuse_lk_out, 24);
FUSE_WIRE_SIZE(fuse_flush_in, 24);
FUSE_WIRE_SIZE(fuse_read_in, 40);
FUSE_WIRE_SIZE(fuse_write_in, 40);
FUSE_WIRE_SIZE(fuse_write_out, 8);
FUSE_WIRE_SIZE(fuse_fsync_in, 16);
FUSE_WIRE_SIZE(fuse_fallocate_in, 32);
FUSE_WIRE_SIZE(fuse_lseek_in, 24);
FUSE_WIRE_SIZE(fuse_lseek_out, 8);
FUSE_WIRE_SIZE(fuse_copy_file_range_in, 56);
FUSE_WIRE_SIZE(fuse_copy_file_range_out, 8);
FUSE_WIRE_SIZE(fuse_syncfs_in, 8);
FUSE_WIRE_AT(fuse_dirent, name, 24);
FUSE_WIRE_AT(fuse_direntplus, dirent.name, 152);
FUSE_WIRE_SIZE(fuse_setxattr_in, 16);
FUSE_WIRE_SIZE(fuse_ioctl_in, 32);
FUSE_WIRE_SIZE(fuse_ioctl_out, 16);
FUSE_WIRE_SIZE(fuse_getxattr_in, 8);
FUSE_WIRE_SIZE(fuse_getxattr_out, 8);
FUSE_WIRE_SIZE(fuse_interrupt_in, 8);
FUSE_WIRE_SIZE(fuse_ext_header, 8);
FUSE_WIRE_AT(fuse_supp_groups, groups, 4);
FUSE_WIRE_SIZE(fuse_notify_inval_inode_out, 24);
FUSE_WIRE_SIZE(fuse_notify_inval_entry_out, 16);
FUSE_WIRE_SIZE(fuse_virtio_config, 40);
FUSE_WIRE_AT(fuse_virtio_config, num_request_queues, 36);
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "FUSE wire: little-endian hosts only");

#endif
