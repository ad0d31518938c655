/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/foreign_virtiofsd.h - virtiofsd's device state, parsed (docs/virtiofsd-streams.md). */
#ifndef GW_FS_FOREIGN_VIRTIOFSD_H
#define GW_FS_FOREIGN_VIRTIOFSD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "godwit/state.h"

/* How an inode is told of. Numbers are wire format. */
enum fs_virtiofsd_kind {
	FS_VIRTIOFSD_ROOT = 0,
	FS_VIRTIOFSD_PATH = 1,	    /* a name in another inode */
	FS_VIRTIOFSD_INVALID = 2,   /* the source has lost it */
	FS_VIRTIOFSD_FULL_PATH = 3, /* below the share; read by virtiofsd, never seen written */
	FS_VIRTIOFSD_HANDLE = 4,
};

struct fs_virtiofsd_fhandle {
	uint64_t mount; /* the source's mount id */
	int32_t type;
	struct gw_bytes bytes;
};

/* No honest guest comes near it. */
#define FS_VIRTIOFSD_REFERENCES_MAX (UINT64_C(1) << 62)
#define FS_VIRTIOFSD_NO_PARENT	    UINT32_MAX
struct fs_virtiofsd_inode {
	uint64_t id;
	uint64_t references; /* the guest's look-ups, and one of each inode that names it as parent
			      */
	enum fs_virtiofsd_kind kind;
	uint32_t parent;      /* index of it, FS_VIRTIOFSD_PATH */
	uint32_t children;    /* how many have it as parent */
	bool directory;	      /* it is open as one, or has children */
	bool has_fhandle;     /* FS_VIRTIOFSD_HANDLE: where it is; else evidence */
	uint64_t parent_id;   /* FS_VIRTIOFSD_PATH */
	struct gw_bytes name; /* FS_VIRTIOFSD_PATH: a file name, UTF-8 */
	struct fs_virtiofsd_fhandle fhandle;
};

struct fs_virtiofsd_open {
	uint64_t id;
	uint32_t inode; /* index */
	int32_t flags;
};

struct fs_virtiofsd_mount {
	uint64_t id;
	struct gw_bytes path; /* below the share, "." for its root; no "..", not absolute */
};

/* All bytes stay the stream's: it must outlive this. */
struct fs_virtiofsd {
	unsigned version;		   /* 1, 2 */
	struct fs_virtiofsd_inode *inodes; /* by id */
	uint32_t *order;		   /* indices, parents before children */
	uint32_t inode_count;
	uint64_t next_inode;		 /* larger than any id */
	struct fs_virtiofsd_open *opens; /* by id */
	uint32_t open_count;
	uint64_t next_open;
	bool writeback, announce_submounts, posix_acl, supp_groups;
	struct fs_virtiofsd_mount *mounts;
	uint32_t mount_count;
};

/* The whole structure, bounded: -EBADMSG with what is wrong and where. */
int fs_virtiofsd_parse(struct fs_virtiofsd *state, const void *bytes, size_t len);
/* Of inodes with paths or none; in heap memory. What parses again is written and nothing else. */
int fs_virtiofsd_encode(const struct fs_virtiofsd *state, void **bytes, size_t *len);
bool fs_virtiofsd_is_utf8(const struct gw_bytes *text);
void fs_virtiofsd_clear(struct fs_virtiofsd *state);
/* Of this id; NULL: there is none. */
const struct fs_virtiofsd_mount *fs_virtiofsd_mount(const struct fs_virtiofsd *state, uint64_t id);

/* struct gw_device_ops.foreign */
extern const struct gw_foreign_format fs_foreign_formats[];

#endif
