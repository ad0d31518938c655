/* SPDX-License-Identifier: BSD-3-Clause */
/* state/journal_checkpoint.c - checkpoints, and the walk through what came after the newest. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "state/checksum.h"
#include "state/codec.h"
#include "state/journal_internal.h"

static uint64_t slot_checksum(const struct gw_journal_checkpoint *slot)
{
	return XXH3_64bits(slot, offsetof(struct gw_journal_checkpoint, checksum));
}

/* NULL: there is none yet. */
static const struct gw_journal_checkpoint *newest(const struct gw_journal *journal)
{
	const struct gw_journal_checkpoint *found = NULL;

	for (unsigned i = 0; i < GW_JOURNAL_SLOTS; i++) {
		const struct gw_journal_checkpoint *slot = &journal->head->slots[i];

		if (slot->generation && slot->checksum == slot_checksum(slot) &&
		    (!found || slot->generation > found->generation))
			found = slot;
	}
	return found;
}

int gw_journal_begin(struct gw_journal *journal, int *fd)
{
	const struct gw_journal_checkpoint *last = newest(journal);

	journal->writing = last ? 1 - (unsigned)(last - journal->head->slots) : 0;
	*fd = journal->slots[journal->writing];
	if (ftruncate(*fd, 0) < 0 || lseek(*fd, 0, SEEK_SET) < 0)
		return gw_fail(errno, "journal: %s", strerror(errno));
	atomic_store(&journal->woken, false);
	atomic_store(&journal->checkpointer, pthread_self());
	/* What is dropped from here on it may not have seen. */
	journal->covers = atomic_load(&journal->head->numbers[GW_JOURNAL_DROPPED]);
	journal->from = atomic_load(&journal->head->next);
	return 0;
}

/* The first cell, up to @end, that somebody has not written yet. */
static uint64_t first_unwritten(const struct gw_journal *journal, uint64_t end)
{
	for (unsigned i = 0; i < GW_JOURNAL_PLACES; i++) {
		uint64_t cell = atomic_load(&journal->places[i].cell);

		if (cell && cell - 1 < end)
			end = cell - 1;
	}
	return end;
}

/* Of a request that is under way, after an intent. */
static bool is_under_way(struct gw_journal *journal, const struct gw_journal_raw *record)
{
	for (unsigned i = 0; i < GW_JOURNAL_INTENTS_MAX; i++) {
		struct gw_journal_intent *intent = &journal->intents[i];

		if (atomic_load(&intent->cell) && atomic_load(&intent->serial) == record->serial &&
		    atomic_load(&intent->queue) == record->queue)
			return true;
	}
	return false;
}

/* The first cell that an intent may be in; @end: there is none. */
static uint64_t first_intent(struct gw_journal *journal, uint64_t end)
{
	for (unsigned i = 0; i < GW_JOURNAL_INTENTS_MAX; i++) {
		uint64_t cell = atomic_load(&journal->intents[i].cell);

		if (cell && cell - 1 < end)
			end = cell - 1;
	}
	return end;
}

/* They are looked for from @tail on the next time. */
static void carried(struct gw_journal *journal, uint64_t tail)
{
	for (unsigned i = 0; i < GW_JOURNAL_INTENTS_MAX; i++) {
		uint64_t cell = atomic_load(&journal->intents[i].cell);

		if (cell && cell - 1 < tail)
			atomic_compare_exchange_strong(&journal->intents[i].cell, &cell, tail + 1);
	}
}

/* Intents before @tail that are in use go to the end of the ring, where there is room for that. */
static void carry_on(struct gw_journal *journal, uint64_t tail)
{
	uint64_t cell = first_intent(journal, tail);
	union gw_journal_bytes to;
	size_t len;

	while (cell < tail) {
		if (!gw_journal_read(journal, cell, to.bytes, &len)) {
			cell++;
			continue;
		}
		cell += gw_journal_cells_of(len);
		if (to.record.intent && is_under_way(journal, &to.record))
			gw_journal_write_at(
				journal,
				atomic_fetch_add(&journal->head->next, gw_journal_cells_of(len)),
				&to, len);
	}
	carried(journal, tail);
}

/* Is there a request that nobody could tell afterwards whether it was carried out? */
static bool any_intent_is_lost(struct gw_journal *journal)
{
	for (unsigned i = 0; i < GW_JOURNAL_INTENTS_MAX; i++)
		if (atomic_load(&journal->intents[i].cell) == GW_JOURNAL_INTENT_LOST)
			return true;
	return false;
}

int gw_journal_end(struct gw_journal *journal)
{
	const struct gw_journal_checkpoint *last = newest(journal);
	struct gw_journal_checkpoint slot = {.generation = last ? last->generation + 1 : 1,
					     .from = journal->from};
	off_t len = lseek(journal->slots[journal->writing], 0, SEEK_CUR);
	uint64_t tail;

	if (len < 0)
		return gw_fail(errno, "journal: %s", strerror(errno));
	slot.len = (uint64_t)len;
	slot.checksum = slot_checksum(&slot);
	journal->head->slots[journal->writing] = slot;
	if (!any_intent_is_lost(journal))
		atomic_store(&journal->head->covered, journal->covers);
	atomic_signal_fence(memory_order_seq_cst);
	tail = first_unwritten(journal, journal->from);
	carry_on(journal, tail);
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store(&journal->head->tail, tail);
	if (atomic_exchange(&journal->stalled, false))
		gw_info("journal: there is a checkpoint again");
	return 0;
}

bool gw_journal_is_whole(const struct gw_journal *journal)
{
	return atomic_load(&journal->head->covered) ==
	       atomic_load(&journal->head->numbers[GW_JOURNAL_DROPPED]);
}

int gw_journal_newest(const struct gw_journal *journal, int *fd)
{
	const struct gw_journal_checkpoint *slot = newest(journal);

	if (!slot)
		return -ENODATA;
	*fd = journal->slots[slot - journal->head->slots];
	return 0;
}

int gw_journal_slot(struct gw_journal *journal, int *fd)
{
	int err = gw_journal_newest(journal, fd);

	if (err)
		return err;
	return lseek(*fd, 0, SEEK_SET) < 0 ? gw_fail(errno, "journal: %s", strerror(errno)) : 0;
}

/*
 * Walk.
 */
static const struct gw_layout *layout_of(const struct gw_layout *const *layouts, uint16_t type)
{
	while (*layouts && (*layouts)->type != type)
		layouts++;
	return *layouts;
}

static int hand_out(const struct gw_journal_walk *walk, const uint8_t *bytes, size_t len,
		    const struct gw_journal_record *told)
{
	uint64_t previous[GW_WIRE_FIELDS_MAX] = {0}, space[GW_JOURNAL_OBJECT_MAX / 8];
	struct gw_cursor in = {.at = bytes + sizeof(struct gw_journal_raw), .end = bytes + len};
	struct gw_journal_record out = *told;
	enum gw_wire_op op;
	int err = out.layout->size > sizeof(space) ? -E2BIG : gw_op_decode(&in, &op);

	out.object = space;
	if (!err)
		err = gw_object_decode(&in, out.layout, space, op, previous);
	return err ? gw_fail_in(err, "journal: %s", out.layout->name)
		   : walk->fn(walk->opaque, &out);
}

/* A ring that is full of what was answered long ago is gone through quickly. */
static int maybe_hand_out(const struct gw_journal_walk *walk, const uint8_t *bytes, size_t len,
			  bool since)
{
	const struct gw_journal_raw *record = (const void *)bytes;
	struct gw_journal_record out = {
		.since = since,
		.deleted = record->deleted,
		.queue = record->queue,
		.serial = record->serial,
		.unanswered = record->serial && (!walk->unanswered ||
						 walk->unanswered(walk->unanswered_opaque,
								  record->queue, record->serial)),
	};

	if (!since && walk->unanswered && !out.unanswered)
		return 0;
	out.layout = layout_of(walk->layouts, record->type);
	return out.layout ? hand_out(walk, bytes, len, &out) : 0;
}

int gw_journal_walk(struct gw_journal *journal, const struct gw_journal_walk *walk)
{
	const struct gw_journal_checkpoint *slot = newest(journal);
	uint64_t end = atomic_load(&journal->head->next);
	uint64_t cell = end > GW_JOURNAL_CELLS ? end - GW_JOURNAL_CELLS : 0;
	int err = 0;

	if (!gw_journal_is_whole(journal))
		return gw_fail(
			EIO,
			"journal: %llu records found no room, and no checkpoint has come since",
			(unsigned long long)atomic_load(
				&journal->head->numbers[GW_JOURNAL_DROPPED]));
	while (cell < end && err >= 0) {
		_Alignas(struct gw_journal_raw) uint8_t bytes[GW_JOURNAL_RECORD_MAX];
		size_t len;

		if (!gw_journal_read(journal, cell, bytes, &len)) {
			cell++; /* reserved by somebody who died, or the rest of an old one */
			continue;
		}
		err = maybe_hand_out(walk, bytes, len, !slot || cell >= slot->from);
		cell += gw_journal_cells_of(len);
	}
	return err < 0 ? err : 0;
}
