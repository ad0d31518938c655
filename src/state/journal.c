/* SPDX-License-Identifier: BSD-3-Clause */
/* state/journal.c - what changed since the last checkpoint, in memory that outlives the process. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdstore.h"
#include "godwit/error.h"
#include "state/checksum.h"
#include "state/codec.h"
#include "state/journal_internal.h"

#define MAGIC	    "GWJRNAL1"
#define PAGE	    4096
#define WAIT_MS	    1
#define PATIENCE_MS 10000
_Static_assert(sizeof(struct gw_journal_head) <= PAGE, "journal page");

static _Thread_local struct {
	unsigned queue;
	uint64_t serial;
	struct gw_journal *journal; /* of the intent */
	struct gw_journal_intent *intent;
} request;

static void end_request(void)
{
	uint64_t cell = atomic_exchange(&request.intent->cell, 0);

	request.intent = NULL;
	if (cell == GW_JOURNAL_INTENT_LOST)
		gw_journal_wake(request.journal);
}

void gw_journal_for(unsigned queue, uint64_t serial)
{
	if (request.intent)
		end_request();
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
	journal->patience_ms = PATIENCE_MS;
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
	static const char *const names[1 + GW_JOURNAL_SLOTS] = {"journal", "state-0", "state-1"};
	char name[32];

	for (unsigned i = 0; i < 1 + GW_JOURNAL_SLOTS; i++) {
		snprintf(name, sizeof(name), GW_FDSTORE_MEMORY "%s", names[i]);
		fds[i] = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
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
	memcpy((*journal)->head->magic, MAGIC, GW_JOURNAL_MAGIC_LEN);
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
	if (!err && (memcmp((*journal)->head->magic, MAGIC, GW_JOURNAL_MAGIC_LEN) != 0 ||
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
	size_t at = cell % GW_JOURNAL_CELLS * GW_JOURNAL_CELL;
	size_t first = GW_MIN(len, GW_JOURNAL_BYTES - at);

	memcpy(journal->ring + at, bytes, first);
	memcpy(journal->ring, bytes + first, len - first);
}

static void copy_out(const struct gw_journal *journal, uint64_t cell, uint8_t *bytes, size_t len)
{
	size_t at = cell % GW_JOURNAL_CELLS * GW_JOURNAL_CELL;
	size_t first = GW_MIN(len, GW_JOURNAL_BYTES - at);

	memcpy(bytes, journal->ring + at, first);
	memcpy(bytes + first, journal->ring, len - first);
}

static uint64_t checksum_of(const uint8_t *bytes, size_t len)
{
	return XXH3_64bits(bytes + sizeof(uint64_t), len - sizeof(uint64_t));
}

void gw_journal_write_at(struct gw_journal *journal, uint64_t cell, union gw_journal_bytes *to,
			 size_t len)
{
	to->record.sequence = cell;
	to->record.checksum = checksum_of(to->bytes, len);
	copy_in(journal, cell, to->bytes, len);
}

bool gw_journal_read(const struct gw_journal *journal, uint64_t cell,
		     uint8_t bytes[GW_JOURNAL_RECORD_MAX], size_t *len)
{
	struct gw_journal_raw record;

	copy_out(journal, cell, (uint8_t *)&record, sizeof(record));
	*len = sizeof(record) + record.len;
	if (record.sequence != cell || record.len > GW_JOURNAL_OBJECT_MAX)
		return false;
	copy_out(journal, cell, bytes, *len);
	return record.checksum == checksum_of(bytes, *len);
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
static struct gw_journal_place *take_place(struct gw_journal *journal)
{
	static _Atomic unsigned threads;
	static _Thread_local unsigned last;
	uint64_t nobody, cell;

	if (!last)
		last = GW_JOURNAL_PLACES + atomic_fetch_add(&threads, 1) % GW_JOURNAL_PLACES;
	for (;; last = GW_JOURNAL_PLACES + (last + 1) % GW_JOURNAL_PLACES) {
		struct gw_journal_place *place = &journal->places[last % GW_JOURNAL_PLACES];

		nobody = 0;
		cell = atomic_load(&journal->head->next);
		if (atomic_compare_exchange_strong(&place->cell, &nobody, cell + 1))
			return place;
	}
}

static void leave_place(struct gw_journal_place *place)
{
	atomic_store_explicit(&place->cell, 0, memory_order_release);
}

/* Negative: a checkpoint was begun after the cell was reserved. */
static int64_t beyond_tail(const struct gw_journal_head *head, uint64_t cell)
{
	return (int64_t)(cell - atomic_load_explicit(&head->tail, memory_order_acquire));
}

/* False: it has been waited for long enough. */
static bool wait_for_room(struct gw_journal *journal, uint64_t since_ns)
{
	gw_journal_wake(journal);
	poll(NULL, 0, WAIT_MS);
	if (gw_clock_ns() - since_ns > journal->patience_ms * GW_NS_PER_MS &&
	    !atomic_exchange(&journal->stalled, true))
		gw_error("journal: no checkpoint for %llu ms; requests go on without it, and until "
			 "there is one a process that dies is not followed by one that goes on",
			 (unsigned long long)journal->patience_ms);
	return !atomic_load(&journal->stalled);
}

/* The cells are ours at once; that nobody needs what is there may take a while. Who writes
 * checkpoints would wait for itself, and takes of what is left for that. */
static bool wait_until_free(struct gw_journal *journal, uint64_t end)
{
	uint64_t since_ns = gw_clock_ns();

	do {
		if (pthread_equal(pthread_self(), atomic_load(&journal->checkpointer)))
			return beyond_tail(journal->head, end + GW_JOURNAL_CARRIED_MAX) <=
			       (int64_t)GW_JOURNAL_CELLS;
		if (!wait_for_room(journal, since_ns))
			return false;
	} while (beyond_tail(journal->head, end + GW_JOURNAL_MARGIN) > (int64_t)GW_JOURNAL_CELLS);
	return true;
}

/* False: there is no room, and nobody to make any. */
static bool reserve(struct gw_journal *journal, unsigned cells, uint64_t *at)
{
	struct gw_journal_head *head = journal->head;

	if (atomic_load_explicit(&journal->stalled, memory_order_relaxed)) {
		gw_journal_wake(journal);
		return false;
	}
	*at = atomic_fetch_add(&head->next, cells);
	if (beyond_tail(head, *at + cells + GW_JOURNAL_MARGIN) > (int64_t)GW_JOURNAL_CELLS &&
	    !wait_until_free(journal, *at + cells))
		return false;
	if (beyond_tail(head, *at) > (int64_t)GW_JOURNAL_CELLS / 2 &&
	    !atomic_load_explicit(&journal->woken, memory_order_relaxed))
		gw_journal_wake(journal);
	return true;
}

/* Its length, with the header; 0: it cannot be. */
static size_t encode(union gw_journal_bytes *to, const struct gw_layout *layout, bool deleted,
		     const void *object)
{
	uint64_t previous[GW_WIRE_FIELDS_MAX] = {0};
	struct gw_sink sink = {.buf = to->bytes + sizeof(to->record)};
	size_t bound;

	if (gw_object_bound(layout, object, &bound) || bound > GW_JOURNAL_OBJECT_MAX ||
	    gw_object_encode(&sink, layout, object, deleted ? GW_WIRE_DELETE : GW_WIRE_PUT,
			     previous) ||
	    sink.cut_count) {
		gw_error("journal: an object of %s does not fit", layout->name);
		return 0;
	}
	to->record = (struct gw_journal_raw){.serial = request.serial,
					     .type = layout->type,
					     .len = (uint16_t)sink.len,
					     .queue = (uint8_t)request.queue,
					     .deleted = deleted};
	return sizeof(to->record) + sink.len;
}

static bool put(struct gw_journal *journal, union gw_journal_bytes *to, size_t len)
{
	struct gw_journal_place *place = take_place(journal);
	uint64_t cell;
	bool fits = reserve(journal, gw_journal_cells_of(len), &cell);

	if (fits)
		gw_journal_write_at(journal, cell, to, len);
	else
		gw_journal_number(journal, GW_JOURNAL_DROPPED, 1);
	leave_place(place);
	/* Before anything that the caller does next, an answer above all. No store that was made is
	 * lost with the process; the compiler is to make it here. */
	atomic_signal_fence(memory_order_seq_cst);
	return fits;
}

void gw_journal_put(struct gw_journal *journal, const struct gw_layout *layout, bool deleted,
		    const void *object)
{
	union gw_journal_bytes to;
	size_t len = encode(&to, layout, deleted, object);

	if (len)
		put(journal, &to, len);
}

/* From before its first intent is put. Where there are more than ever come together, it lasts as
 * long as the ring takes to go round. */
static void begin_intent(struct gw_journal *journal)
{
	uint64_t cell = atomic_load(&journal->head->next);

	for (unsigned i = 0; i < GW_JOURNAL_INTENTS_MAX && !request.intent; i++) {
		struct gw_journal_intent *intent = &journal->intents[i];
		uint64_t nobody = 0;

		if (!atomic_compare_exchange_strong(&intent->cell, &nobody, cell + 1))
			continue;
		atomic_store(&intent->queue, request.queue);
		atomic_store(&intent->serial, request.serial);
		request.intent = intent;
		request.journal = journal;
	}
}

void gw_journal_intend(struct gw_journal *journal, const struct gw_layout *layout,
		       const void *object)
{
	union gw_journal_bytes to;
	size_t len = encode(&to, layout, false, object);

	if (!len)
		return;
	to.record.intent = true;
	if (!request.intent)
		begin_intent(journal);
	if (!put(journal, &to, len) && request.intent)
		atomic_store(&request.intent->cell, GW_JOURNAL_INTENT_LOST);
}

void gw_journal_set_patience(struct gw_journal *journal, unsigned ms)
{
	journal->patience_ms = ms;
}

uint64_t gw_journal_number(struct gw_journal *journal, enum gw_journal_number number, uint64_t more)
{
	return atomic_fetch_add(&journal->head->numbers[number], more) + more;
}

int gw_journal_wake_fd(const struct gw_journal *journal)
{
	return journal->wake;
}
