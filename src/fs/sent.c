/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/sent.c - what a stream in phases says of the inode table so far, and what it lacks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"
#include "fs/sent.h"
#include "godwit/error.h"

#define UNITS (FS_SLOTS_MAX / FS_UNIT)

/* Flags of a unit: it is of this round; something of it was left out of the last one, or of this;
 * it was sent once. */
enum { LISTED = 1, AGAIN = 2, PARTLY = 4, SENT_ONCE = 8 };

/* What the stream has in a slot: a generation, and whether it still has it. 0: nothing ever. */
enum { THERE = 1, GONE_NOW = 2, GONE = 3 };

static uint64_t as(uint64_t id, unsigned state)
{
	return ((id >> 32) + 1) << 2 | state;
}

static uint64_t *known_at(const struct fs_sent *sent, uint64_t id)
{
	return &sent->known[(uint32_t)id % FS_SLOTS_MAX];
}

bool fs_sent_has(const struct fs_sent *sent, uint64_t id)
{
	return *known_at(sent, id) == as(id, THERE);
}

/* Now or before. */
static bool had(const struct fs_sent *sent, uint64_t id)
{
	return *known_at(sent, id) >> 2 == (id >> 32) + 1;
}

static int note(struct fs_sent_list *list, uint32_t number)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 1024;
		uint32_t *at = realloc(list->at, room * sizeof(*at));

		if (!at)
			return gw_fail(ENOMEM, "save: no memory for what changed");
		list->at = at;
		list->room = room;
	}
	list->at[list->count++] = number;
	return 0;
}

#define MAP_BYTES (UNITS * (2 * sizeof(struct fs_records) + 1) + FS_SLOTS_MAX * sizeof(uint64_t))

int fs_sent_init(struct fs_sent *sent, struct fs_inodes *inodes)
{
	/* Untouched pages cost nothing, and are zero. */
	char *map = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*sent = (struct fs_sent){.inodes = inodes};
	if (map == MAP_FAILED)
		return gw_fail(errno, "save: no memory for what is sent: %s", strerror(errno));
	sent->map = map;
	sent->known = (void *)map;
	sent->before = (void *)(map + FS_SLOTS_MAX * sizeof(uint64_t));
	sent->now = sent->before + UNITS;
	sent->flags = (void *)(sent->now + UNITS);
	return 0;
}

void fs_sent_fini(struct fs_sent *sent)
{
	const struct fs_slots *slots = &sent->inodes->slots;

	for (uint32_t unit = 0; sent->map && fs_unit_next(slots, &unit); unit++) {
		free(sent->before[unit].bytes);
		free(sent->now[unit].bytes);
		/* Its records were taken away, so that it is not ready for others. */
		if (sent->flags[unit] && !sent->copies)
			fs_tracking_changed(&sent->inodes->tracking, unit * FS_UNIT);
	}
	if (sent->map)
		munmap(sent->map, MAP_BYTES);
	sent->map = NULL;
	free(sent->changed.at);
	free(sent->taken_back.at);
	free(sent->names_before.at);
	free(sent->names_now.at);
}

static bool is_as_sent(const struct fs_sent *sent, uint32_t unit)
{
	uint8_t flags = sent->flags[unit];

	return flags & (LISTED | SENT_ONCE) && !(flags & PARTLY) &&
	       fs_unit_is_taken(sent->inodes, unit);
}

int fs_sent_look(struct fs_sent *sent, struct fs_maker *maker, uint32_t unit)
{
	uint8_t *flags = &sent->flags[unit];
	int err;

	if (is_as_sent(sent, unit))
		return 0;
	if (*flags & PARTLY) { /* it may not have changed, but has to be made to be sent */
		*flags = (uint8_t)((*flags & ~PARTLY) | AGAIN);
		fs_tracking_changed(&sent->inodes->tracking, unit * FS_UNIT);
	}
	err = fs_unit_make(maker, unit);
	if (err)
		return err;
	free(sent->now[unit].bytes);
	sent->now[unit] =
		sent->copies ? fs_unit_copy(sent->inodes, unit) : fs_unit_take(sent->inodes, unit);
	if (!sent->now[unit].bytes)
		return gw_fail(ENOMEM, "save: no memory for records");
	if (*flags & LISTED)
		return 0;
	*flags |= LISTED;
	return note(&sent->changed, unit);
}

/*
 * Records into arrays. What they point to stays in the records.
 */

static struct gw_bytes inodes_of(const struct fs_records *records)
{
	return (struct gw_bytes){.data = records->bytes, .len = records->inodes_len};
}

static struct gw_bytes names_of(const struct fs_records *records)
{
	return (struct gw_bytes){.data = records->bytes + records->inodes_len,
				 .len = records->names_len};
}

static int take_inode(void *opaque, const void *object)
{
	struct fs_sent_inodes *inodes = opaque;

	if (inodes->count == FS_UNIT)
		return gw_fail(EIO, "save: a unit of more than %u inodes", FS_UNIT);
	inodes->at[inodes->count++] = *(const struct gw_fs_inode_v1 *)object;
	return 0;
}

static int read_inodes(const struct fs_records *records, struct fs_sent_inodes *inodes)
{
	const struct gw_bytes bytes = inodes_of(records);
	struct gw_fs_inode_v1 record;

	inodes->count = 0;
	return records->bytes
		       ? gw_state_records_each(&bytes, &gw_fs_inode_v1, &record, take_inode, inodes)
		       : 0;
}

static int take_name(void *opaque, const void *object)
{
	struct fs_sent_names *names = opaque;

	if (names->count == names->room) {
		size_t room = names->room ? names->room * 2 : 2 * FS_UNIT;
		struct gw_fs_name_v1 *at = realloc(names->at, room * sizeof(*at));

		if (!at)
			return gw_fail(ENOMEM, "save: no memory for names");
		names->at = at;
		names->room = room;
	}
	names->at[names->count++] = *(const struct gw_fs_name_v1 *)object;
	return 0;
}

static int read_names(const struct fs_records *records, struct fs_sent_names *names)
{
	const struct gw_bytes bytes = names_of(records);
	struct gw_fs_name_v1 record;

	names->count = 0;
	return records->bytes
		       ? gw_state_records_each(&bytes, &gw_fs_name_v1, &record, take_name, names)
		       : 0;
}

/* Of two lists of one unit most is in the same order: @hint is where it should be. */
static const struct gw_fs_name_v1 *find_name(const struct fs_sent_names *names,
					     const struct gw_fs_name_v1 *name, size_t hint)
{
	for (size_t i = 0; i < names->count; i++) {
		const struct gw_fs_name_v1 *at = &names->at[(hint + i) % names->count];

		if (at->parent == name->parent && at->name.len == name->name.len &&
		    !memcmp(at->name.data, name->name.data, at->name.len))
			return at;
	}
	return NULL;
}

static const struct gw_fs_inode_v1 *find_inode(const struct fs_sent_inodes *inodes, uint64_t id,
					       size_t hint)
{
	for (size_t i = 0; i < inodes->count; i++) {
		const struct gw_fs_inode_v1 *at = &inodes->at[(hint + i) % inodes->count];

		if (at->id == id)
			return at;
	}
	return NULL;
}

static bool same_inode(const struct gw_fs_inode_v1 *a, const struct gw_fs_inode_v1 *b)
{
	return a->id == b->id && a->type == b->type && a->mount == b->mount && a->ino == b->ino &&
	       a->btime == b->btime && a->lookups == b->lookups && a->number == b->number &&
	       a->links == b->links && a->handle_type == b->handle_type &&
	       a->handle.len == b->handle.len &&
	       (!a->handle.len || !memcmp(a->handle.data, b->handle.data, a->handle.len));
}

/*
 * Steps.
 */

int fs_sent_names_gone(struct fs_sent *sent, size_t i)
{
	uint32_t unit = sent->changed.at[i];
	int err = read_names(&sent->before[unit], &sent->names_before);

	if (!err && sent->names_before.count)
		err = read_names(&sent->now[unit], &sent->names_now);
	for (size_t n = 0; !err && n < sent->names_before.count; n++) {
		const struct gw_fs_name_v1 *name = &sent->names_before.at[n];

		/* One that was left out may be in a directory that the stream never had. */
		if (!find_name(&sent->names_now, name, n) && had(sent, name->parent))
			err = gw_state_delete(sent->writer, &gw_fs_name_v1, name);
	}
	return err;
}

static int take_back(struct fs_sent *sent, const struct gw_fs_inode_v1 *inode)
{
	int err = gw_state_delete(sent->writer, &gw_fs_inode_v1, inode);

	*known_at(sent, inode->id) = as(inode->id, GONE_NOW);
	return err ? err : note(&sent->taken_back, (uint32_t)inode->id);
}

int fs_sent_inodes_gone(struct fs_sent *sent, size_t i)
{
	uint32_t unit = sent->changed.at[i];
	int err = read_inodes(&sent->before[unit], &sent->inodes_before);

	if (!err && sent->inodes_before.count)
		err = read_inodes(&sent->now[unit], &sent->inodes_now);
	for (size_t n = 0; !err && n < sent->inodes_before.count; n++) {
		const struct gw_fs_inode_v1 *inode = &sent->inodes_before.at[n];

		if (!find_inode(&sent->inodes_now, inode->id, n) && fs_sent_has(sent, inode->id))
			err = take_back(sent, inode);
	}
	return err;
}

/* Its slot is somebody else's in the stream until the next round. */
static bool has_to_wait(const struct fs_sent *sent, const struct gw_fs_inode_v1 *inode)
{
	return !sent->last && (*known_at(sent, inode->id) & 3) == GONE_NOW;
}

static int put_inode(struct fs_sent *sent, uint32_t unit, size_t n)
{
	const struct gw_fs_inode_v1 *inode = &sent->inodes_now.at[n];
	const struct gw_fs_inode_v1 *before = find_inode(&sent->inodes_before, inode->id, n);

	if (has_to_wait(sent, inode)) {
		sent->flags[unit] |= PARTLY;
		return 0;
	}
	if (before && fs_sent_has(sent, inode->id) && same_inode(before, inode))
		return 0;
	*known_at(sent, inode->id) = as(inode->id, THERE);
	return gw_state_put(sent->writer, &gw_fs_inode_v1, inode);
}

/* The first time all of it goes, as it was made. */
static int put_all_inodes(struct fs_sent *sent, const struct fs_records *now)
{
	const struct gw_bytes piece = inodes_of(now);

	for (size_t n = 0; n < sent->inodes_now.count; n++)
		*known_at(sent, sent->inodes_now.at[n].id) = as(sent->inodes_now.at[n].id, THERE);
	return gw_state_put_records(sent->writer, &gw_fs_inode_v1, &piece, piece.len ? 1 : 0);
}

int fs_sent_inodes_put(struct fs_sent *sent, size_t i)
{
	uint32_t unit = sent->changed.at[i];
	bool first = !(sent->flags[unit] & SENT_ONCE);
	int err = read_inodes(&sent->now[unit], &sent->inodes_now);

	if (!err)
		err = read_inodes(&sent->before[unit], &sent->inodes_before);
	if (!err && first)
		return put_all_inodes(sent, &sent->now[unit]);
	for (size_t n = 0; !err && n < sent->inodes_now.count; n++)
		err = put_inode(sent, unit, n);
	return err;
}

static bool can_be_named(const struct fs_sent *sent, const struct gw_fs_name_v1 *name)
{
	return sent->last || (fs_sent_has(sent, name->parent) && fs_sent_has(sent, name->inode));
}

static bool all_can(const struct fs_sent *sent)
{
	for (size_t n = 0; n < sent->names_now.count; n++) {
		if (!can_be_named(sent, &sent->names_now.at[n]))
			return false;
	}
	return true;
}

static int put_name(struct fs_sent *sent, uint32_t unit, size_t n, bool all)
{
	const struct gw_fs_name_v1 *name = &sent->names_now.at[n];
	const struct gw_fs_name_v1 *before = find_name(&sent->names_before, name, n);

	if (!can_be_named(sent, name)) {
		sent->flags[unit] |= PARTLY;
		return 0;
	}
	if (before && before->inode == name->inode && !all)
		return 0;
	return gw_state_put(sent->writer, &gw_fs_name_v1, name);
}

int fs_sent_names_put(struct fs_sent *sent, size_t i)
{
	uint32_t unit = sent->changed.at[i];
	bool first = !(sent->flags[unit] & SENT_ONCE), all = sent->flags[unit] & AGAIN;
	int err = read_names(&sent->now[unit], &sent->names_now);

	if (!err)
		err = read_names(&sent->before[unit], &sent->names_before);
	if (!err && first && all_can(sent)) {
		const struct gw_bytes piece = names_of(&sent->now[unit]);

		return gw_state_put_records(sent->writer, &gw_fs_name_v1, &piece,
					    piece.len ? 1 : 0);
	}
	for (size_t n = 0; !err && n < sent->names_now.count; n++)
		err = put_name(sent, unit, n, all);
	return err;
}

void fs_sent_end_round(struct fs_sent *sent)
{
	for (size_t i = 0; i < sent->changed.count; i++) {
		uint32_t unit = sent->changed.at[i];

		free(sent->before[unit].bytes);
		sent->before[unit] = sent->now[unit];
		sent->now[unit] = (struct fs_records){0};
		if (!(sent->flags[unit] & SENT_ONCE))
			sent->units++;
		sent->flags[unit] = (uint8_t)((sent->flags[unit] & ~(LISTED | AGAIN)) | SENT_ONCE);
	}
	sent->changed.count = 0;
	for (size_t i = 0; i < sent->taken_back.count; i++) {
		uint64_t *known = &sent->known[sent->taken_back.at[i] % FS_SLOTS_MAX];

		/* The last round may have filled it. */
		if ((*known & 3) == GONE_NOW)
			*known |= GONE;
	}
	sent->taken_back.count = 0;
}
