/* SPDX-License-Identifier: BSD-3-Clause */
/* state/journal.c - what changed since the last checkpoint, in memory that outlives the process. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "state/checksum.h"
#include "state/codec.h"
#include "state/journal.h"

#define MAGIC	   "GWJRNAL1"
#define MAGIC_LEN  8
#define PAGE	   4096
#define CELL	   64u
#define CELLS	   (GW_JOURNAL_BYTES / CELL)
#define RECORD_MAX (sizeof(struct record) + GW_JOURNAL_OBJECT_MAX)
/* What is left free: records that threads have reserved and are about to write. */
#define MARGIN	(CELLS / 8)
#define WAIT_MS 1

/* As it lies in the ring, from the beginning of a cell on; host byte order. The ring may end in it.
 */
struct record {
	uint64_t checksum; /* of all that follows, the object with it */
	uint64_t sequence; /* the cell that it begins at, counted from the beginning of time */
	uint64_t serial;
	uint16_t type, len; /* of the object */
	uint8_t queue, deleted, padding[2];
};
_Static_assert(sizeof(struct record) == 32, "journal record");

struct slot {
	uint64_t generation; /* 0: never written */
	uint64_t from;	     /* the first cell that it may not have seen */
	uint64_t len;	     /* of its stream, which has checksums of its own */
	uint64_t checksum;   /* of these three */
};

struct head {
	char magic[MAGIC_LEN];
	uint64_t size;
	_Atomic uint64_t next; /* the first cell that nobody has reserved */
	_Atomic uint64_t tail; /* cells before it are not needed any more */
	struct slot slots[GW_JOURNAL_SLOTS];
	_Atomic uint64_t numbers[GW_JOURNAL_NUMBERS];
};
_Static_assert(sizeof(struct head) <= PAGE, "journal page");

/*
 * Where threads of this process put records just now: each in a place of its own, a cell that is
 * not beyond the one that it puts to, and 1; 0: nobody. A checkpoint that ends does not declare
 * free what they have not written yet: who has been kept waiting would write into a record of the
 * next time round.
 */
#define PLACES 64
struct place {
	_Alignas(64) _Atomic uint64_t cell;
};

struct gw_journal {
	struct place places[PLACES];
	struct head *head;
	uint8_t *ring;
	int slots[GW_JOURNAL_SLOTS]; /* borrowed */
	int wake;
	_Atomic bool woken;
	unsigned writing; /* which slot */
	uint64_t from;
};

static _Thread_local struct {
	unsigned queue;
	uint64_t serial;
} request;

void gw_journal_for(unsigned queue, uint64_t serial)
{
	request.queue = queue;
	request.serial = serial;
}

uint64_t gw_journal_serial(unsigned *queue)
{
	*queue = request.queue;
	return request.serial;
}

static int map(struct gw_journal **out, const int fds[1 + GW_JOURNAL_SLOTS])
{
	struct gw_journal *journal = aligned_alloc(_Alignof(struct gw_journal), sizeof(*journal));
	void *start;

	if (!journal)
		return gw_fail(ENOMEM, "journal: no memory");
	memset(journal, 0, sizeof(*journal));
	journal->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	start = mmap(NULL, PAGE + GW_JOURNAL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
	if (start == MAP_FAILED || journal->wake < 0) {
		gw_journal_free(journal);
		return gw_fail(errno, "journal: %s", strerror(errno));
	}
	journal->head = start;
	journal->ring = (uint8_t *)start + PAGE;
	for (unsigned i = 0; i < GW_JOURNAL_SLOTS; i++)
		journal->slots[i] = fds[1 + i];
	*out = journal;
	return 0;
}

static int make_memory(int fds[1 + GW_JOURNAL_SLOTS])
{
	for (unsigned i = 0; i < 1 + GW_JOURNAL_SLOTS; i++) {
		fds[i] = memfd_create(i ? "godwit-state" : "godwit-journal",
				      MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (fds[i] < 0)
			return -errno;
	}
	if (ftruncate(fds[0], PAGE + GW_JOURNAL_BYTES) < 0 ||
	    fcntl(fds[0], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return 0;
}

int gw_journal_new(struct gw_journal **journal, int fds[1 + GW_JOURNAL_SLOTS])
{
	int err;

	for (unsigned i = 0; i < 1 + GW_JOURNAL_SLOTS; i++)
		fds[i] = -1;
	err = make_memory(fds);
	err = err ? gw_fail(-err, "journal: %s", strerror(-err)) : map(journal, fds);
	if (err) {
		for (unsigned i = 0; i < 1 + GW_JOURNAL_SLOTS; i++)
			gw_close(&fds[i]);
		return err;
	}
	memcpy((*journal)->head->magic, MAGIC, MAGIC_LEN);
	(*journal)->head->size = GW_JOURNAL_BYTES;
	return 0;
}

int gw_journal_open(struct gw_journal **journal, const int fds[1 + GW_JOURNAL_SLOTS])
{
	struct stat st;
	int err;

	if (fstat(fds[0], &st) < 0 || st.st_size != PAGE + GW_JOURNAL_BYTES)
		return gw_fail(EINVAL, "journal: of another build");
	err = map(journal, fds);
	if (!err && (memcmp((*journal)->head->magic, MAGIC, MAGIC_LEN) != 0 ||
		     (*journal)->head->size != GW_JOURNAL_BYTES)) {
		gw_journal_free(*journal);
		*journal = NULL;
		err = gw_fail(EINVAL, "journal: of another build");
	}
	return err;
}

void gw_journal_free(struct gw_journal *journal)
{
	if (!journal)
		return;
	if (journal->head)
		munmap(journal->head, PAGE + GW_JOURNAL_BYTES);
	gw_close(&journal->wake);
	free(journal);
}

/*
 * Put.
 */
static void copy_in(struct gw_journal *journal, uint64_t cell, const uint8_t *bytes, size_t len)
{
	size_t at = cell % CELLS * CELL;
	size_t first = GW_MIN(len, GW_JOURNAL_BYTES - at);

	memcpy(journal->ring + at, bytes, first);
	memcpy(journal->ring, bytes + first, len - first);
}

static void copy_out(const struct gw_journal *journal, uint64_t cell, uint8_t *bytes, size_t len)
{
	size_t at = cell % CELLS * CELL;
	size_t first = GW_MIN(len, GW_JOURNAL_BYTES - at);

	memcpy(bytes, journal->ring + at, first);
	memcpy(bytes + first, journal->ring, len - first);
}

void gw_journal_wake(struct gw_journal *journal)
{
	uint64_t one = 1;

	if (atomic_exchange(&journal->woken, true))
		return;
	if (write(journal->wake, &one, sizeof(one)) < 0)
		gw_error("journal: a checkpoint is due and nobody hears of it");
}

/* The place where this thread was last is nearly always free. */
static struct place *take_place(struct gw_journal *journal)
{
	static _Atomic unsigned threads;
	static _Thread_local unsigned last;
	uint64_t nobody, cell;

	if (!last)
		last = PLACES + atomic_fetch_add(&threads, 1) % PLACES;
	for (;; last = PLACES + (last + 1) % PLACES) {
		struct place *place = &journal->places[last % PLACES];

		nobody = 0;
		cell = atomic_load(&journal->head->next);
		if (atomic_compare_exchange_strong(&place->cell, &nobody, cell + 1))
			return place;
	}
}

static void leave_place(struct place *place)
{
	atomic_store_explicit(&place->cell, 0, memory_order_release);
}

/* The first cell, up to @end, that somebody has not written yet. */
static uint64_t first_unwritten(const struct gw_journal *journal, uint64_t end)
{
	for (unsigned i = 0; i < PLACES; i++) {
		uint64_t cell = atomic_load(&journal->places[i].cell);

		if (cell && cell - 1 < end)
			end = cell - 1;
	}
	return end;
}

/* Negative: a checkpoint was begun after the cell was reserved. */
static int64_t beyond_tail(const struct head *head, uint64_t cell)
{
	return (int64_t)(cell - atomic_load_explicit(&head->tail, memory_order_acquire));
}

/* The cells are ours at once; that nobody needs what is there may take a while. */
static uint64_t reserve(struct gw_journal *journal, unsigned cells)
{
	struct head *head = journal->head;
	uint64_t at = atomic_fetch_add(&head->next, cells);

	while (beyond_tail(head, at + cells + MARGIN) > (int64_t)CELLS) {
		gw_journal_wake(journal);
		poll(NULL, 0, WAIT_MS);
	}
	if (beyond_tail(head, at) > (int64_t)CELLS / 2 &&
	    !atomic_load_explicit(&journal->woken, memory_order_relaxed))
		gw_journal_wake(journal);
	return at;
}

static uint64_t checksum_of(const uint8_t *bytes, size_t len)
{
	return XXH3_64bits(bytes + sizeof(uint64_t), len - sizeof(uint64_t));
}

void gw_journal_put(struct gw_journal *journal, const struct gw_layout *layout, bool deleted,
		    const void *object)
{
	uint64_t previous[GW_WIRE_FIELDS_MAX] = {0};
	union {
		uint8_t bytes[RECORD_MAX];
		struct record record;
	} to;
	struct gw_sink sink = {.buf = to.bytes + sizeof(to.record)};
	struct place *place;
	size_t bound, len;

	if (gw_object_bound(layout, object, &bound) || bound > GW_JOURNAL_OBJECT_MAX ||
	    gw_object_encode(&sink, layout, object, deleted ? GW_WIRE_DELETE : GW_WIRE_PUT,
			     previous) ||
	    sink.cut_count) {
		gw_error("journal: an object of %s does not fit", layout->name);
		return;
	}
	len = sizeof(to.record) + sink.len;
	to.record = (struct record){.serial = request.serial,
				    .type = layout->type,
				    .len = (uint16_t)sink.len,
				    .queue = (uint8_t)request.queue,
				    .deleted = deleted};
	place = take_place(journal);
	to.record.sequence = reserve(journal, (unsigned)((len + CELL - 1) / CELL));
	to.record.checksum = checksum_of(to.bytes, len);
	copy_in(journal, to.record.sequence, to.bytes, len);
	leave_place(place);
	/* Before anything that the caller does next, an answer above all. No store that was made is
	 * lost with the process; the compiler is to make it here. */
	atomic_signal_fence(memory_order_seq_cst);
}

uint64_t gw_journal_number(struct gw_journal *journal, enum gw_journal_number number, uint64_t more)
{
	return atomic_fetch_add(&journal->head->numbers[number], more) + more;
}

/*
 * Checkpoints.
 */
int gw_journal_wake_fd(const struct gw_journal *journal)
{
	return journal->wake;
}

static uint64_t slot_checksum(const struct slot *slot)
{
	return XXH3_64bits(slot, offsetof(struct slot, checksum));
}

/* NULL: there is none yet. */
static const struct slot *newest(const struct gw_journal *journal)
{
	const struct slot *found = NULL;

	for (unsigned i = 0; i < GW_JOURNAL_SLOTS; i++) {
		const struct slot *slot = &journal->head->slots[i];

		if (slot->generation && slot->checksum == slot_checksum(slot) &&
		    (!found || slot->generation > found->generation))
			found = slot;
	}
	return found;
}

int gw_journal_begin(struct gw_journal *journal, int *fd)
{
	const struct slot *last = newest(journal);

	journal->writing = last ? 1 - (unsigned)(last - journal->head->slots) : 0;
	*fd = journal->slots[journal->writing];
	if (ftruncate(*fd, 0) < 0 || lseek(*fd, 0, SEEK_SET) < 0)
		return gw_fail(errno, "journal: %s", strerror(errno));
	atomic_store(&journal->woken, false);
	journal->from = atomic_load(&journal->head->next);
	return 0;
}

int gw_journal_end(struct gw_journal *journal)
{
	const struct slot *last = newest(journal);
	struct slot slot = {.generation = last ? last->generation + 1 : 1, .from = journal->from};
	off_t len = lseek(journal->slots[journal->writing], 0, SEEK_CUR);

	if (len < 0)
		return gw_fail(errno, "journal: %s", strerror(errno));
	slot.len = (uint64_t)len;
	slot.checksum = slot_checksum(&slot);
	journal->head->slots[journal->writing] = slot;
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store(&journal->head->tail, first_unwritten(journal, journal->from));
	return 0;
}

int gw_journal_newest(const struct gw_journal *journal, int *fd)
{
	const struct slot *slot = newest(journal);

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

/* The record at @cell; its length in *@len. False: there is none, whole. */
static bool read_record(const struct gw_journal *journal, uint64_t cell, uint8_t bytes[RECORD_MAX],
			size_t *len)
{
	struct record record;

	copy_out(journal, cell, (uint8_t *)&record, sizeof(record));
	*len = sizeof(record) + record.len;
	if (record.sequence != cell || record.len > GW_JOURNAL_OBJECT_MAX)
		return false;
	copy_out(journal, cell, bytes, *len);
	return record.checksum == checksum_of(bytes, *len);
}

static int hand_out(const struct gw_journal_walk *walk, const uint8_t *bytes, size_t len,
		    const struct gw_journal_record *told)
{
	uint64_t previous[GW_WIRE_FIELDS_MAX] = {0}, space[GW_JOURNAL_OBJECT_MAX / 8];
	struct gw_cursor in = {.at = bytes + sizeof(struct record), .end = bytes + len};
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
	const struct record *record = (const void *)bytes;
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
	const struct slot *slot = newest(journal);
	uint64_t end = atomic_load(&journal->head->next);
	uint64_t cell = end > CELLS ? end - CELLS : 0;
	int err = 0;

	while (cell < end && err >= 0) {
		_Alignas(struct record) uint8_t bytes[RECORD_MAX];
		size_t len;

		if (!read_record(journal, cell, bytes, &len)) {
			cell++; /* reserved by somebody who died, or the rest of an old one */
			continue;
		}
		err = maybe_hand_out(walk, bytes, len, !slot || cell >= slot->from);
		cell += (len + CELL - 1) / CELL;
	}
	return err < 0 ? err : 0;
}
