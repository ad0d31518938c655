/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/ready.c - units of the inode table made ready to be saved. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/ready.h"
#include "fs/records.h"
#include "godwit/error.h"

int fs_maker_init(struct fs_maker *maker)
{
	int err = gw_state_batch_new(&maker->inode_batch);

	return err ? err : gw_state_batch_new(&maker->name_batch);
}

void fs_maker_fini(struct fs_maker *maker)
{
	gw_state_batch_free(gw_take_ptr(maker->inode_batch));
	gw_state_batch_free(gw_take_ptr(maker->name_batch));
}

/*
 * Names.
 */

bool fs_unit_is_settled(const struct fs_inodes *inodes, uint32_t unit)
{
	return atomic_load_explicit(&inodes->tracking.settled[unit], memory_order_relaxed) ==
	       UINT64_MAX;
}

/* The slot, pinned, or NULL if nobody is there. */
static struct fs_inode *pin_at(struct fs_inodes *inodes, uint32_t slot)
{
	struct fs_inode *inode = fs_slot_at(&inodes->slots, slot);

	return inode && fs_slot_try_pin(&inode->slot) ? inode : NULL;
}

static int settle(struct fs_inodes *inodes, uint32_t slot, fs_settle_fn *fn, void *opaque)
{
	_Atomic uint64_t *settled = &inodes->tracking.settled[slot / FS_UNIT];
	uint64_t bit = UINT64_C(1) << slot % FS_UNIT;
	struct fs_inode *inode;
	int result;

	/* Set before looking: whoever changes it meanwhile takes it away again. */
	atomic_fetch_or(settled, bit);
	inode = pin_at(inodes, slot);
	result = inode ? fn(opaque, inode) : 0;
	if (result)
		atomic_fetch_and(settled, ~bit);
	fs_inode_put_ptr(&inode);
	return result < 0 ? result : 0;
}

int fs_unit_settle(struct fs_inodes *inodes, uint32_t unit, fs_settle_fn *fn, void *opaque)
{
	uint64_t settled = atomic_load(&inodes->tracking.settled[unit]);
	int err = 0;

	for (unsigned i = 0; i < FS_UNIT && !err; i++) {
		if (!(settled >> i & 1))
			err = settle(inodes, unit * FS_UNIT + i, fn, opaque);
	}
	return err;
}

/*
 * Records.
 */

/* Where there is no birth time, the handle has to tell one file from the next of its number; and
 * the operator may want it to be the way back to the file, wherever the host moves that meanwhile.
 */
static bool handle_needed(struct fs_inodes *inodes, struct fs_inode *inode,
			  struct fs_fhandle *handle)
{
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	bool wanted = inodes->fs->host->migration_mode == FS_MIGRATION_HANDLES;

	if ((inode->btime && !wanted) || !inodes->mounts[inode->mount].portable)
		return false;
	if (fs_fhandle_recall(inode, handle))
		return true;
	if (fs_inode_fd(inode, &fd) || fs_fhandle_of(fd.fd, handle))
		return false;
	fs_fhandle_remember(inode, handle); /* else it is asked for again next time */
	return true;
}

static int make_inode(struct fs_maker *maker, struct fs_inode *inode)
{
	struct fs_inodes *inodes = maker->inodes;
	struct fs_fhandle handle;
	struct gw_fs_inode_v1 record = {
		.id = fs_inode_id(inode),
		.type = inode->type,
		.mount = inode->mount,
		.ino = inode->ino,
		.btime = inode->btime,
		.lookups = fs_lookups_count(inodes, inode),
		.links = fs_inode_has(inode, FS_INODE_LINKS),
	};

	if (fs_inode_has(inode, FS_INODE_NUMBERED))
		record.number = fs_number_seen(inodes, inode);
	if (handle_needed(inodes, inode, &handle)) {
		record.handle_type = handle.type;
		record.handle = (struct gw_bytes){.data = handle.bytes, .len = handle.len};
	}
	return gw_state_batch_put(maker->inode_batch, &record);
}

static int make_name(void *opaque, const struct fs_name *name)
{
	struct fs_maker *maker = opaque;
	const struct fs_slots *slots = &maker->inodes->slots;
	const struct gw_fs_name_v1 record = {
		.parent = fs_slot_id(fs_slot_at(slots, name->parent)),
		.name = {.data = name->bytes, .len = name->len},
		.inode = fs_slot_id(fs_slot_at(slots, name->inode)),
	};

	return gw_state_batch_put(maker->name_batch, &record);
}

static int make_all(struct fs_maker *maker, uint32_t unit)
{
	int err = gw_state_batch_begin(maker->inode_batch, &gw_fs_inode_v1);

	if (!err)
		err = gw_state_batch_begin(maker->name_batch, &gw_fs_name_v1);
	for (uint32_t i = 0; i < FS_UNIT && !err; i++) {
		FS_AUTO_INODE struct fs_inode *inode = pin_at(maker->inodes, unit * FS_UNIT + i);

		if (!inode)
			continue;
		err = make_inode(maker, inode);
		if (!err)
			err = fs_names_walk(maker->inodes, inode, make_name, maker);
	}
	return err;
}

int fs_unit_measure(struct fs_maker *maker, uint32_t unit, uint64_t *bytes)
{
	int err = make_all(maker, unit);

	if (!err)
		*bytes += gw_state_batch_end(maker->inode_batch).len +
			  gw_state_batch_end(maker->name_batch).len;
	return err;
}

static int keep(struct fs_records *records, struct gw_bytes inodes, struct gw_bytes names)
{
	size_t len = inodes.len + names.len;

	free(records->bytes);
	/* Of an empty unit too: that there is something says that it is new. */
	*records = (struct fs_records){.bytes = malloc(len + 1)};
	if (!records->bytes)
		return gw_fail(ENOMEM, "save: no memory for %zu bytes of records", len);
	records->inodes_len = (uint32_t)inodes.len;
	records->names_len = (uint32_t)names.len;
	if (inodes.len)
		memcpy(records->bytes, inodes.data, inodes.len);
	if (names.len)
		memcpy(records->bytes + inodes.len, names.data, names.len);
	return 0;
}

/* What a unit is until somebody changes something of it. */
enum { CHANGED, MADE, TAKEN };

bool fs_unit_is_made(const struct fs_inodes *inodes, uint32_t unit)
{
	return atomic_load_explicit(&inodes->tracking.made[unit], memory_order_relaxed) != CHANGED;
}

bool fs_unit_is_taken(const struct fs_inodes *inodes, uint32_t unit)
{
	return atomic_load_explicit(&inodes->tracking.made[unit], memory_order_relaxed) == TAKEN;
}

struct fs_records fs_unit_take(struct fs_inodes *inodes, uint32_t unit)
{
	struct fs_records *records = &inodes->tracking.records[unit], taken = *records;
	uint8_t made = MADE;

	*records = (struct fs_records){0};
	atomic_compare_exchange_strong(&inodes->tracking.made[unit], &made, TAKEN);
	return taken;
}

struct fs_records fs_unit_copy(const struct fs_inodes *inodes, uint32_t unit)
{
	struct fs_records copy = inodes->tracking.records[unit];
	size_t len = (size_t)copy.inodes_len + copy.names_len;
	const uint8_t *from = copy.bytes;

	copy.bytes = malloc(len + 1);
	if (copy.bytes && len)
		memcpy(copy.bytes, from, len);
	return copy;
}

int fs_unit_make(struct fs_maker *maker, uint32_t unit)
{
	struct fs_tracking *tracking = &maker->inodes->tracking;
	uint8_t made = CHANGED;
	int err;

	if (!atomic_compare_exchange_strong(&tracking->made[unit], &made, MADE))
		return 0;
	err = make_all(maker, unit);
	if (!err)
		err = keep(&tracking->records[unit], gw_state_batch_end(maker->inode_batch),
			   gw_state_batch_end(maker->name_batch));
	if (err)
		atomic_store(&tracking->made[unit], CHANGED);
	return err;
}
