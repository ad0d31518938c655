/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/precopied_internal.h - what precopied.c keeps and compares, and precopied_settle.c puts right.
 */
#ifndef GW_FS_PRECOPIED_INTERNAL_H
#define GW_FS_PRECOPIED_INTERNAL_H

#include <errno.h>

#include "fs/precopied.h"
#include "godwit/error.h"

enum fs_precopied_kind { FS_PRECOPIED_INODES, FS_PRECOPIED_NAMES, FS_PRECOPIED_KINDS };

union fs_precopied_object {
	struct gw_fs_inode_v1 inode;
	struct gw_fs_name_v1 name;
};

/* The record that a unit has of one kind. */
struct fs_precopied_piece {
	uint8_t *bytes;
	uint32_t len;
	bool mixed; /* it has several, or one that it shares with others */
};

/* What came in records that were not here before, in their order; it points into copies of them. */
struct fs_came_inode {
	bool put;
	struct gw_fs_inode_v1 record;
};

struct fs_came_name {
	bool put, is_there;
	uint32_t next; /* of one hash, the latest first, from 1 on */
	struct gw_fs_name_v1 record;
};

struct fs_came_copy {
	enum fs_precopied_kind kind;
	struct gw_bytes bytes; /* allocated */
};

struct fs_came {
	struct fs_came_copy *copies;
	size_t copy_count, copy_room;
	struct fs_came_inode *inodes;
	size_t inode_count, inode_room;
	struct fs_came_name *names;
	size_t name_count, name_room;
	uint32_t *buckets; /* of names; precopied_settle.c */
	size_t mask;
};

/* A file that the guest had open, which one that was, and its descriptor. */
struct fs_precopied_open {
	struct gw_fs_handle_v1 record;
	uint64_t ino, btime;
	unsigned mount;
	int fd;
};

enum fs_precopied_step { FS_PRECOPIED_KEEPING, FS_PRECOPIED_COMPARING, FS_PRECOPIED_SETTLED };

struct fs_precopied {
	struct fs_loading loading;
	enum fs_precopied_step step;
	bool unknown;	 /* it is not known what some records were: none counts as the same */
	bool names_came; /* of the state */
	int error;	 /* of comparing, told when it is settled */

	/* Where untouched pages cost nothing, and are zero. */
	void *map;
	struct fs_precopied_piece *pieces[FS_PRECOPIED_KINDS]; /* by unit */
	uint32_t units_end;				       /* none has one from here on */
	uint64_t *inodes_stay;				       /* by unit, a bit a slot */
	uint8_t *names_same;				       /* by unit: no name is another */
	uint8_t *differs[FS_PRECOPIED_KINDS]; /* by unit: something else came of it */

	struct fs_precopied_open *opened; /* in the order of slots */
	size_t opened_count;
	struct fs_came came;
};

#define FS_PRECOPIED_UNITS (FS_SLOTS_MAX / FS_UNIT)

/* Whose it is: names are their inode's. */
static inline uint64_t fs_precopied_id_of(enum fs_precopied_kind kind,
					  const union fs_precopied_object *object)
{
	return kind == FS_PRECOPIED_INODES ? object->inode.id : object->name.inode;
}

static inline uint32_t fs_unit_of(uint64_t id)
{
	return (uint32_t)id / FS_UNIT;
}

static inline bool fs_precopied_stays(const struct fs_precopied *precopied, uint32_t slot)
{
	return precopied->inodes_stay[slot / FS_UNIT] >> slot % FS_UNIT & 1;
}

static inline int fs_precopied_no_memory(void)
{
	return gw_fail(ENOMEM, "load: no memory for what differs from the precopy");
}

typedef int fs_precopied_fn(struct fs_precopied *precopied, enum fs_precopied_kind kind,
			    const union fs_precopied_object *object, bool put);
/* Of what unit a payload begins to be; one that is not as it should be is of none. */
bool fs_precopied_begins_at(enum fs_precopied_kind kind, const struct gw_bytes *payload,
			    uint32_t *unit);
/* Of a payload; objects are judged where they are staged. */
int fs_precopied_each(struct fs_precopied *precopied, enum fs_precopied_kind kind,
		      const struct gw_bytes *payload, fs_precopied_fn *fn);

/* precopied.c: a record that came ahead; and what was opened and is not wanted. */
void fs_precopied_keep(struct fs_precopied *precopied, enum fs_precopied_kind kind,
		       const struct gw_bytes *payload);
void fs_precopied_close_opened(struct fs_precopied *precopied);

/* precopied_settle.c: the tables become what the state says. */
int fs_precopied_settle(struct fs_precopied *precopied);
/* precopied_whole.c: has the state little to do with what came ahead? Then all of it is staged, as
 * if that had not been. */
bool fs_precopied_is_anothers(const struct fs_precopied *precopied);
int fs_precopied_whole(struct fs_precopied *precopied);

#endif
