/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/records.h - what the state of a virtio-fs device consists of (docs/stream.md has the framing).
 */
#ifndef GW_FS_RECORDS_H
#define GW_FS_RECORDS_H

#include "fs/fs.h"
#include "godwit/device.h"
#include "godwit/state.h"

/*
 * Written in this order; on reading, an object may refer to what came before it and to nothing
 * else. Ids are those that the guest knows. Each may come again (later ones win) or be taken back,
 * so that a state collected while the device runs has the same form.
 */

/* What INIT agreed on, and where counters go on. One of it. */
struct gw_fs_session_v1 {
	bool initialised;
	uint32_t minor;
	uint64_t flags;
	uint32_t max_write, max_readahead, max_pages;
	/* No node id or handle id with a generation below these comes again for a free slot. */
	uint32_t inode_generation, handle_generation;
	uint64_t next_number; /* of the reserved range of inode numbers */
};

/* A mount below the share; 0 is the share's own. Which one it is at the destination, the first
 * inode found on it tells. */
struct gw_fs_mount_v1 {
	uint32_t index;
	uint64_t f_type; /* statfs(): what kind of file system, for who reads a dump */
};

struct gw_fs_inode_v1 {
	uint64_t id;
	uint16_t type; /* S_IFMT bits >> 12 */
	uint32_t mount;
	uint64_t ino, btime; /* btime 0: none */
	uint64_t lookups;    /* what the guest will forget; 0: only what it names is wanted */
	uint64_t number;     /* by which the guest knows it, 0: follows from mount and ino */
	bool links;	     /* it has several links: other names may lead to it */
	int64_t handle_type;
	struct gw_bytes handle; /* empty: none, or not needed as evidence */
};

/* The guest found @inode as @name in @parent. */
struct gw_fs_name_v1 {
	uint64_t parent;
	struct gw_bytes name; /* raw */
	uint64_t inode;
};

/* The source could not reach it any more either: the guest goes on getting ESTALE for it. */
struct gw_fs_lost_v1 {
	uint64_t inode;
};

/* What has no name any more is made anew, from attributes and content. */
struct gw_fs_orphan_v1 {
	uint64_t inode;
	uint32_t mode; /* with the type */
	uint32_t uid, gid;
	uint64_t rdev;
	uint64_t size;
	int64_t atime, mtime; /* seconds */
	uint32_t atime_ns, mtime_ns;
	struct gw_bytes target; /* of a symbolic link */
};

/* What lies between two of these is a hole. */
struct gw_fs_content_v1 {
	uint64_t inode;
	uint64_t offset;
	struct gw_bytes data;
};

struct gw_fs_xattr_v1 {
	uint64_t inode;
	struct gw_bytes name; /* raw, no NUL */
	struct gw_bytes value;
};

struct gw_fs_handle_v1 {
	uint64_t id;
	uint64_t inode;
	uint32_t flags; /* that the daemon used, less those that act once */
	bool directory; /* it is read by READDIR */
	bool blind;	/* directory: what was served is not known, the host's cookies have to do */
};

/* An entry that the stream of directory @handle has served, by its place in the order. */
struct gw_fs_dir_v1 {
	uint64_t handle;
	uint64_t position;
	uint64_t cookie; /* with which the guest comes back to go on after it */
	uint64_t hash;	 /* XXH3 of the name */
};

/* An id that another make gave out and that cannot be one of ours. Of a guest that was taken over
 * from it; before the inode or the handle (the one place where the order above is not kept). */
struct gw_fs_foreign_id_v1 {
	bool handle; /* or an inode */
	uint64_t id;
};

/* What is open is handed over to who brings this. Of no use to who does not know it. */
struct gw_fs_handover_v1 {
	uint8_t ticket[16];
};

/* From here on of states with the number 2.
 *
 * @owner has locked bytes of @inode, through @handle as far as is known. @lost: it had, and who
 * asks in its name gets EIO; no range then. Ranges of one owner do not overlap. */
struct gw_fs_lock_v1 {
	uint64_t inode, owner;
	uint64_t start, end; /* the last byte; INT64_MAX: however long the file is */
	bool write;
	uint64_t handle;
	bool lost;
};

/* What flock(2) has on @handle. @lost: it had a lock of whatever kind, and answers EIO. */
struct gw_fs_flock_v1 {
	uint64_t handle;
	bool shared, exclusive;
	bool lost;
};

/* An unnamed file whose content is too long for a state: it is handed over, or it is lost. */
struct gw_fs_unsent_v1 {
	uint64_t inode;
};

#define FS_RECORD_DATA_MAX   (64 * 1024)
#define FS_RECORD_XATTR_MAX  (64 * 1024) /* XATTR_SIZE_MAX */
#define FS_RECORD_TARGET_MAX 4095	 /* PATH_MAX less the NUL */
/* Content of unnamed files that a destination takes from one stream, if the operator allows no more
 * (unnamed.h has what a source sends). */
#define FS_ORPHAN_BYTES_MAX (64 * 1024 * 1024)

extern const struct gw_layout gw_fs_session_v1, gw_fs_mount_v1, gw_fs_inode_v1, gw_fs_name_v1,
	gw_fs_orphan_v1, gw_fs_content_v1, gw_fs_xattr_v1, gw_fs_handle_v1, gw_fs_dir_v1,
	gw_fs_lost_v1, gw_fs_foreign_id_v1, gw_fs_lock_v1, gw_fs_flock_v1, gw_fs_handover_v1,
	gw_fs_unsent_v1;

/* All of them, NULL-terminated: for tools that show a stream. */
extern const struct gw_layout *const fs_layouts[];

/* An object of a record's payload, if it is one that was put and plainly good (state/decode.h). */
struct gw_cursor;
bool fs_inode_decode(struct gw_cursor *in, struct gw_fs_inode_v1 *record, uint64_t *previous);
bool fs_name_decode(struct gw_cursor *in, struct gw_fs_name_v1 *record, uint64_t *previous);
#define FS_FIELDS_MAX 10 /* numbers of @previous that either needs */

/* struct gw_device_ops. */
int fs_save(void *dev, struct gw_state_writer *writer, enum gw_phase phase, size_t budget);
int fs_iterate(void *dev, bool on);
int fs_precopy(void *dev, bool on);
int fs_pending(void *dev, struct gw_pending *pending);
int fs_save_foreign(void *dev, void **bytes, size_t *len);
int fs_load(void *dev, struct gw_state_reader *reader);
int fs_prepare(void *dev, bool on);

/* save.c: parts of a state that are small. */
int fs_save_session(struct fs *fs, struct gw_state_writer *writer);
/* @left: also those that the guest has left. */
int fs_save_mounts(struct fs *fs, struct gw_state_writer *writer, bool left);

#endif
