/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/iterate.c - a save in phases: what is sent while the guest runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/ahead.h"
#include "fs/collect.h"
#include "fs/collector.h"
#include "fs/handles.h"
#include "fs/handover.h"
#include "fs/iterate.h"
#include "fs/sent.h"
#include "godwit/error.h"

/* Units looked at in one call; a cancel and the end of the phase wait for so many. */
#define UNITS_A_CALL 16u
/* What a unit that changed is taken for until a round has shown what it takes. */
#define UNIT_BYTES_FIRST 4096u
#define UNIT_BYTES_LATER 256u

/* The steps of a round. In all but the first something is sent. */
enum step {
	LOOK,
	HANDLES_GONE,
	UNNAMED_GONE,
	NAMES_GONE,
	INODES_GONE,
	FEW,
	INODES,
	NAMES,
	UNNAMED,
	HANDLES,
	STEPS
};

struct handles {
	struct gw_fs_handle_v1 *at;
	size_t count, room;
};

struct fs_iterating {
	struct fs *fs;
	struct fs_maker maker;
	struct fs_sent sent;
	struct handles open; /* as the stream has them, in the order of slots */
	struct handles now;  /* as this round has found them */
	struct fs_ahead ahead;
	struct fs_inode_list orphans; /* as this round has found them */
	struct fs_unnamed_list unnamed;
	bool hands_over; /* the files themselves, in the end */
	enum step step;
	uint32_t unit; /* LOOK: where it is */
	size_t i;      /* later: of sent.changed */
	uint64_t written;
	bool begun;
	_Atomic uint64_t unit_bytes; /* what a changed unit took in the last round */
};

static int note_handle(struct handles *handles, const struct gw_fs_handle_v1 *handle)
{
	if (handles->count == handles->room) {
		size_t room = handles->room ? handles->room * 2 : 64;
		struct gw_fs_handle_v1 *at = realloc(handles->at, room * sizeof(*at));

		if (!at)
			return gw_fail(ENOMEM, "save: no memory for open files");
		handles->at = at;
		handles->room = room;
	}
	handles->at[handles->count++] = *handle;
	return 0;
}

static int find_slot(const void *key, const void *at)
{
	uint32_t a = (uint32_t)((const struct gw_fs_handle_v1 *)key)->id;
	uint32_t b = (uint32_t)((const struct gw_fs_handle_v1 *)at)->id;

	return a < b ? -1 : a > b;
}

static const struct gw_fs_handle_v1 *find_handle(const struct handles *handles,
						 const struct gw_fs_handle_v1 *handle)
{
	const struct gw_fs_handle_v1 *found =
		handles->count
			? bsearch(handle, handles->at, handles->count, sizeof(*handle), find_slot)
			: NULL;

	return found && found->id == handle->id && found->inode == handle->inode &&
			       found->flags == handle->flags
		       ? found
		       : NULL;
}

bool fs_iterating_has(const struct fs_iterating *it, const struct gw_fs_handle_v1 *handle)
{
	return !handle->directory && find_handle(&it->open, handle);
}

/* Where a directory is being read changes with every request: they go when the guest is at rest. */
static int list_handle(struct fs_iterating *it, const struct fs_open *open)
{
	const struct gw_fs_handle_v1 record = {
		.id = fs_slot_id(&open->slot),
		.inode = fs_inode_id(open->handle.inode),
		.flags = open->handle.flags,
	};

	return open->handle.dir ? 0 : note_handle(&it->now, &record);
}

static int list_handles(struct fs_iterating *it)
{
	struct fs_open *open;
	uint32_t at = 0;
	int err = 0;

	it->now.count = 0;
	while (!err && (open = fs_slots_next(&it->fs->handles->slots, &at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		err = list_handle(it, open);
		fs_handle_put(&open->handle);
	}
	return err;
}

static int handles_gone(struct fs_iterating *it, struct gw_state_writer *writer)
{
	size_t kept = 0;
	int err = list_handles(it);

	for (size_t i = 0; !err && i < it->open.count; i++) {
		if (find_handle(&it->now, &it->open.at[i]))
			it->open.at[kept++] = it->open.at[i];
		else
			err = gw_state_delete(writer, &gw_fs_handle_v1, &it->open.at[i]);
	}
	if (!err)
		it->open.count = kept;
	return err;
}

/* Those whose inode the stream has. */
static int handles_put(struct fs_iterating *it, struct gw_state_writer *writer)
{
	size_t had = it->open.count;
	int err = 0;

	for (size_t i = 0; !err && i < it->now.count; i++) {
		const struct gw_fs_handle_v1 *handle = &it->now.at[i];
		const struct handles before = {.at = it->open.at, .count = had};

		if (find_handle(&before, handle) || !fs_sent_has(&it->sent, handle->inode))
			continue;
		err = gw_state_put(writer, &gw_fs_handle_v1, handle);
		if (!err)
			err = note_handle(&it->open, handle);
	}
	if (it->open.count > had)
		qsort(it->open.at, it->open.count, sizeof(*it->open.at), find_slot);
	return err;
}

/*
 * Rounds.
 */

static int settle(void *opaque, struct fs_inode *inode)
{
	struct fs_iterating *it = opaque;
	int found = fs_check(it->fs->inodes, inode);

	/* One that the host removed has names, until the guest is at rest. */
	if (found == FS_FOUND_ORPHAN && !atomic_load(&inode->names) &&
	    fs_list_note(&it->orphans, inode))
		return -ENOMEM;
	return found < 0 || found == FS_FOUND_NAMED ? found : 1;
}

/* Names are looked after as the collector does; who has none is looked at again at the end. */
static int look_at(struct fs_iterating *it, uint32_t unit)
{
	struct fs_inodes *inodes = it->fs->inodes;
	int err = 0;

	if (!it->sent.last && !fs_unit_is_settled(inodes, unit))
		err = fs_unit_settle(inodes, unit, settle, it);
	if (err)
		gw_debug("save: %s; it is tried again when the guest is at rest", strerror(-err));
	return fs_sent_look(&it->sent, &it->maker, unit);
}

/* > 0: there are more. */
static int look(struct fs_iterating *it)
{
	size_t before = it->sent.changed.count;
	int err = 0;

	while (!err && fs_unit_next(&it->fs->inodes->slots, &it->unit)) {
		err = look_at(it, it->unit++);
		if (!err && !it->sent.last && it->sent.changed.count - before >= UNITS_A_CALL)
			return 1;
	}
	return err;
}

/* In the beginning a destination has to know whether it can be one at all. Who was looked at before
 * may be on a mount that nobody is on any more. */
static int few(struct fs_iterating *it, struct gw_state_writer *writer)
{
	int err = it->sent.last ? 0 : fs_save_session(it->fs, writer);

	return err || it->sent.last ? err : fs_save_mounts(it->fs, writer, true);
}

/*
 * Unnamed files.
 */

struct fs_ahead *fs_iterating_ahead(struct fs_iterating *it)
{
	bool able = gw_state_number(it->sent.writer) >= FS_AHEAD_STATE && !it->hands_over;

	return able ? &it->ahead : NULL;
}

/* To whom the files themselves can be handed nobody sends what is in them. */
static int unnamed_gone(struct fs_iterating *it, struct gw_state_writer *writer)
{
	int err = 0;

	if (it->sent.last || !fs_iterating_ahead(it))
		return 0;
	if (!fs_handover_has_peer(it->fs->handover))
		err = fs_unnamed_weigh(&it->unnamed, it->fs, &it->orphans);
	if (err)
		return gw_fail(-err, "save: no memory for unnamed files");
	return fs_ahead_gone(&it->ahead, &it->unnamed, writer);
}

/* > 0: not all of them, for @until bytes. */
static int unnamed_put(struct fs_iterating *it, struct gw_state_writer *writer, uint64_t until)
{
	int err = 0;

	for (; !err && it->i < it->unnamed.count; it->i++) {
		const struct fs_unnamed *file = &it->unnamed.files[it->i];

		if (gw_state_written(writer) >= until)
			return 1;
		if (file->fate == FS_UNNAMED_GOES &&
		    fs_sent_has(&it->sent, fs_inode_id(file->inode)))
			err = fs_ahead_send(&it->ahead, it->fs, file, writer);
	}
	return err;
}

static void forget_unnamed(struct fs_iterating *it)
{
	fs_unnamed_free(&it->unnamed);
	fs_list_free(&it->orphans);
}

/* @fn for each unit that changed; > 0: not all of them, for @until bytes. */
static int each_changed(struct fs_iterating *it, fs_sent_step *fn, uint64_t until)
{
	int err = 0;

	for (; !err && it->i < it->sent.changed.count; it->i++) {
		if (gw_state_written(it->sent.writer) >= until)
			return 1;
		err = fn(&it->sent, it->i);
	}
	return err;
}

static int do_step(struct fs_iterating *it, uint64_t until)
{
	struct gw_state_writer *writer = it->sent.writer;

	switch (it->step) {
	case LOOK:
		return look(it);
	case HANDLES_GONE:
		return handles_gone(it, writer);
	case UNNAMED_GONE:
		return unnamed_gone(it, writer);
	case NAMES_GONE:
		return each_changed(it, fs_sent_names_gone, until);
	case INODES_GONE:
		return each_changed(it, fs_sent_inodes_gone, until);
	case FEW:
		return few(it, writer);
	case INODES:
		return each_changed(it, fs_sent_inodes_put, until);
	case NAMES:
		return each_changed(it, fs_sent_names_put, until);
	case UNNAMED:
		return unnamed_put(it, writer, until);
	case HANDLES:
		return it->sent.last ? 0 : handles_put(it, writer);
	case STEPS:
		break;
	}
	return 0;
}

static void begin_round(struct fs_iterating *it)
{
	it->step = LOOK;
	it->unit = 0;
	it->i = 0;
}

static void end_round(struct fs_iterating *it)
{
	uint64_t bytes = gw_state_written(it->sent.writer) - it->written;
	size_t units = it->sent.changed.count;

	if (units && it->begun)
		it->unit_bytes = GW_MAX(bytes / units, UINT64_C(64));
	else if (units)
		it->unit_bytes = UNIT_BYTES_LATER;
	it->written += bytes;
	it->begun = true;
	fs_sent_end_round(&it->sent);
	fs_ahead_end_round(&it->ahead);
	forget_unnamed(it);
	begin_round(it);
}

/* > 0: it is not over. */
static int go_on(struct fs_iterating *it, uint64_t until)
{
	int more = 0;

	while (!more && it->step < STEPS) {
		more = do_step(it, until);
		if (more)
			return more;
		it->step++;
		it->i = 0;
		if (gw_state_written(it->sent.writer) >= until)
			more = 1;
	}
	if (it->step == STEPS) {
		end_round(it);
		return 0;
	}
	return more;
}

/* Ids of another make's have no place in a stream that is put right later. */
static bool is_possible(const struct fs *fs)
{
	return !atomic_load(&fs->inodes->slots.foreign.count) &&
	       !atomic_load(&fs->handles->slots.foreign.count);
}

int fs_iterating_round(struct fs *fs, struct gw_state_writer *writer, size_t budget)
{
	struct fs_iterating *it = fs->iterating;
	int err;

	if (!it || !is_possible(fs))
		return 0;
	it->sent.writer = writer;
	fs_collector_hold(fs->collector);
	err = fs_tracking_start(&fs->inodes->tracking);
	if (err)
		err = gw_fail(-err, "save: no memory to collect in");
	else
		err = go_on(it, gw_state_written(writer) + budget);
	fs_collector_release(fs->collector);
	return err;
}

struct fs_iterating *fs_iterating_begun(struct fs *fs)
{
	struct fs_iterating *it = fs->iterating;

	/* What was looked at has no records any more but those that are to be sent. */
	return it && (it->begun || it->step > LOOK || it->sent.changed.count) ? it : NULL;
}

/* A round of which something is sent already comes to its end first. */
int fs_iterating_rest(struct fs_iterating *it, const struct fs_unnamed_list *unnamed,
		      struct gw_state_writer *writer)
{
	static const struct fs_unnamed_list none;
	bool hands_over = fs_handover_has_peer(it->fs->handover);
	int err = 0;

	it->sent.writer = writer;
	if (it->step > LOOK)
		err = go_on(it, UINT64_MAX);
	it->sent.last = true;
	begin_round(it);
	/* Before what they refer to is taken back. */
	if (!err && fs_iterating_ahead(it))
		err = fs_ahead_gone(&it->ahead, hands_over ? &none : unnamed, writer);
	it->hands_over = hands_over;
	return err ? err : go_on(it, UINT64_MAX);
}

/*
 * The device's operations.
 */

static void end(struct fs *fs)
{
	struct fs_iterating *it = gw_take_ptr(fs->iterating);

	if (!it)
		return;
	fs_sent_fini(&it->sent);
	fs_maker_fini(&it->maker);
	fs_ahead_fini(&it->ahead);
	forget_unnamed(it);
	free(it->open.at);
	free(it->now.at);
	free(it);
	if (!fs->announced)
		fs_collector_stop(fs->collector);
}

static int begin(struct fs *fs, bool copies)
{
	struct fs_iterating *it = calloc(1, sizeof(*it));
	int err;

	if (!it)
		return gw_fail(ENOMEM, "save: no memory");
	it->fs = fs;
	it->maker.inodes = fs->inodes;
	fs->iterating = it;
	err = fs_sent_init(&it->sent, fs->inodes);
	it->sent.copies = copies;
	it->hands_over = copies; /* what is in unnamed files comes with the state */
	if (!err)
		err = fs_maker_init(&it->maker);
	if (!err)
		err = fs_collector_start(fs->collector);
	if (err)
		end(fs);
	return err;
}

int fs_iterate(void *dev, bool on)
{
	end(dev);
	return on ? begin(dev, false) : 0;
}

int fs_precopy(void *dev, bool on)
{
	end(dev);
	return on ? begin(dev, true) : 0;
}

/* Of units that are not as they were sent. */
int fs_pending(void *dev, struct gw_pending *pending)
{
	struct fs *fs = dev;
	struct fs_iterating *it = fs->iterating;
	uint64_t changed = 0, all = 0, sent;

	*pending = (struct gw_pending){0};
	if (!it || !fs_tracking_is_on(&fs->inodes->tracking))
		return 0;
	for (uint32_t unit = 0; fs_unit_next(&fs->inodes->slots, &unit); unit++, all++)
		changed += !fs_unit_is_taken(fs->inodes, unit);
	sent = GW_MIN(atomic_load(&it->sent.units), all);
	pending->initial = (all - sent) * UNIT_BYTES_FIRST;
	pending->dirty = GW_MIN(changed, sent) * atomic_load(&it->unit_bytes) +
			 atomic_load(&it->ahead.changed);
	return 0;
}
