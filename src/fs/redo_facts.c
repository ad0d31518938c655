/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/redo_facts.c - what the journal says of requests that were not answered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/handles.h"
#include "fs/locks_kept.h"
#include "fs/records.h"
#include "fs/redo_internal.h"
#include "fs/table.h"
#include "godwit/error.h"

static const struct gw_field gw_fs_intent_v1_fields[] = {
	GW_FIELD(struct gw_fs_intent_v1, op, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_intent_v1, ino, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_intent_v1, btime, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_intent_v1, size, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_intent_v1, ns, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_intent_v1, from, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_intent_v1, to, GW_FIELD_U64),
	GW_FIELD_SIZED(struct gw_fs_intent_v1, name, GW_FIELD_BYTES, FS_NAME_MAX),
	GW_FIELD_SIZED(struct gw_fs_intent_v1, name2, GW_FIELD_BYTES, FS_NAME_MAX),
	{.name = NULL},
};
const struct gw_layout gw_fs_intent_v1 = {
	.name = "gw_fs_intent_v1",
	.type = GW_RECORD_DEVICE + 0x80,
	.size = sizeof(struct gw_fs_intent_v1),
	.fields = gw_fs_intent_v1_fields,
};

static const struct gw_field gw_fs_exchange_v1_fields[] = {
	GW_FIELD(struct gw_fs_exchange_v1, inode, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_exchange_v1, other, GW_FIELD_U64),
	{.name = NULL},
};
const struct gw_layout gw_fs_exchange_v1 = {
	.name = "gw_fs_exchange_v1",
	.type = GW_RECORD_DEVICE + 0x83,
	.size = sizeof(struct gw_fs_exchange_v1),
	.fields = gw_fs_exchange_v1_fields,
};

const struct gw_layout *const fs_journal_layouts[] = {
	&gw_fs_session_v1,  &gw_fs_inode_v1,	&gw_fs_name_v1,
	&gw_fs_handle_v1,   &gw_fs_intent_v1,	&gw_fs_locking_v1,
	&gw_fs_flocking_v1, &gw_fs_exchange_v1, NULL,
};

/*
 * Reading.
 */
static struct fs_fact *add(struct fs_redo *redo)
{
	if (redo->count == redo->room) {
		size_t room = GW_MAX(2 * redo->room, (size_t)256);
		struct fs_fact *facts = realloc(redo->facts, room * sizeof(*facts));

		if (!facts)
			return NULL;
		redo->facts = facts;
		redo->room = room;
	}
	memset(&redo->facts[redo->count], 0, sizeof(*redo->facts));
	return &redo->facts[redo->count++];
}

static int copy_names(struct fs_fact *fact)
{
	const struct gw_fs_intent_v1 *intent = &fact->intent;

	if (!intent->from)
		return 0;
	fact->names = calloc(1, intent->name.len + intent->name2.len + 2);
	if (!fact->names)
		return gw_fail(ENOMEM, "recovery: no memory");
	memcpy(fact->names, intent->name.data, intent->name.len);
	memcpy(fact->names + intent->name.len + 1, intent->name2.data, intent->name2.len);
	return 0;
}

static int note_intent(struct fs_fact *fact, const void *object, bool deleted)
{
	fact->intent = *(const struct gw_fs_intent_v1 *)object;
	return copy_names(fact);
}

static int note_exchange(struct fs_fact *fact, const void *object, bool deleted)
{
	const struct gw_fs_exchange_v1 *exchange = object;

	fact->id = exchange->inode;
	fact->inode = exchange->other;
	return 0;
}

static int note_inode(struct fs_fact *fact, const void *object, bool deleted)
{
	fact->id = ((const struct gw_fs_inode_v1 *)object)->id;
	return 0;
}

static int note_handle(struct fs_fact *fact, const void *object, bool deleted)
{
	const struct gw_fs_handle_v1 *handle = object;

	fact->id = handle->id;
	if (deleted)
		fact->kind = FS_FACT_HANDLE_GONE;
	else
		fact->inode = handle->inode;
	return 0;
}

static const struct {
	const struct gw_layout *layout;
	enum fs_fact_kind kind;
	int (*note)(struct fs_fact *fact, const void *object, bool deleted);
} notes[] = {
	{&gw_fs_intent_v1, FS_FACT_INTENT, note_intent},
	{&gw_fs_exchange_v1, FS_FACT_EXCHANGE, note_exchange},
	{&gw_fs_inode_v1, FS_FACT_INODE, note_inode},
	{&gw_fs_handle_v1, FS_FACT_HANDLE, note_handle},
};

int fs_redo_note(struct fs *fs, const struct gw_journal_record *record)
{
	struct fs_fact *fact;
	unsigned i = 0;

	while (i < GW_ARRAY_LEN(notes) && notes[i].layout != record->layout)
		i++;
	if (!record->unanswered || i == GW_ARRAY_LEN(notes))
		return 0;
	fact = add(fs->redo);
	if (!fact)
		return gw_fail(ENOMEM, "recovery: no memory");
	fact->serial = record->serial;
	fact->queue = (uint8_t)record->queue;
	fact->kind = notes[i].kind;
	return notes[i].note(fact, record->object, record->deleted);
}

static int compare(const void *a, const void *b)
{
	const struct fs_fact *x = a, *y = b;

	if (x->queue != y->queue)
		return x->queue < y->queue ? -1 : 1;
	if (x->serial != y->serial)
		return x->serial < y->serial ? -1 : 1;
	return (x > y) - (x < y);
}

int fs_redo_begin(struct fs *fs)
{
	fs->redo = calloc(1, sizeof(*fs->redo));
	return fs->redo ? 0 : gw_fail(ENOMEM, "recovery: no memory");
}

void fs_redo_end(struct fs *fs)
{
	struct fs_redo *redo = fs->redo;

	if (redo->count)
		qsort(redo->facts, redo->count, sizeof(*redo->facts), compare);
}

void fs_redo_free(struct fs_redo *redo)
{
	if (!redo)
		return;
	for (size_t i = 0; i < redo->count; i++)
		free(redo->facts[i].names);
	free(redo->facts);
	free(redo);
}

/*
 * Finding.
 */

/* The first of the request's, or NULL; the others follow. */
static struct fs_fact *facts_of(const struct fs_redo *redo, unsigned queue, uint64_t serial)
{
	size_t low = 0, high = redo->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct fs_fact *fact = &redo->facts[middle];

		if (fact->queue < queue || (fact->queue == queue && fact->serial < serial))
			low = middle + 1;
		else
			high = middle;
	}
	return low < redo->count ? &redo->facts[low] : NULL;
}

static bool is_of(const struct fs_redo *redo, const struct fs_fact *fact, unsigned queue,
		  uint64_t serial)
{
	return fact && fact < redo->facts + redo->count && fact->queue == queue &&
	       fact->serial == serial;
}

static bool comes_again(const struct fs_request *req)
{
	return req->fs->redo && req->elem->flags & GW_ELEM_AGAIN && req->elem->serial;
}

const struct fs_fact *fs_fact_of(const struct fs_redo *redo, unsigned queue, uint64_t serial,
				 enum fs_fact_kind kind)
{
	const struct fs_fact *fact = facts_of(redo, queue, serial);

	for (; is_of(redo, fact, queue, serial); fact++)
		if (fact->kind == kind)
			return fact;
	return NULL;
}

const struct fs_fact *fs_fact_find(const struct fs_request *req, enum fs_fact_kind kind)
{
	return comes_again(req) ? fs_fact_of(req->fs->redo, gw_queue_index(req->elem->queue),
					     req->elem->serial, kind)
				: NULL;
}

const struct gw_fs_intent_v1 *fs_fact_intent(const struct fs_request *req)
{
	const struct fs_fact *fact = fs_fact_find(req, FS_FACT_INTENT);

	return fact ? &fact->intent : NULL;
}

/*
 * Facts.
 */
bool fs_redo_counted(struct fs *fs, uint64_t id)
{
	struct fs_redo *redo = fs->redo;
	struct fs_fact *fact;
	uint64_t serial;
	unsigned queue;

	if (!redo)
		return false;
	serial = gw_journal_serial(&queue);
	if (!serial)
		return false;
	fact = facts_of(redo, queue, serial);
	for (; is_of(redo, fact, queue, serial); fact++)
		if (fact->kind == FS_FACT_INODE && fact->id == id &&
		    !atomic_exchange(&fact->used, true))
			return true;
	return false;
}

uint64_t fs_redo_opened(const struct fs_request *req, const struct fs_inode *inode)
{
	const struct fs_fact *fact = fs_fact_find(req, FS_FACT_HANDLE);
	FS_AUTO_HANDLE struct fs_handle *handle =
		fact ? fs_handle_get(req->fs->handles, fact->id) : NULL;

	return handle && handle->inode == inode ? fact->id : 0;
}

bool fs_redo_released(const struct fs_request *req)
{
	return fs_fact_find(req, FS_FACT_HANDLE_GONE);
}
