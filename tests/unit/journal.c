/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/journal.c - the journal: what was put is there in the next life, what was torn is not.
 */
#include "cmocka-all.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "state/journal.h"

struct thing_v1 {
	uint64_t id, value;
	struct gw_bytes name;
};

static const struct gw_field fields[] = {
	GW_KEY(struct thing_v1, id, GW_FIELD_DELTA),
	GW_FIELD(struct thing_v1, value, GW_FIELD_U64),
	GW_FIELD_SIZED(struct thing_v1, name, GW_FIELD_BYTES, 255),
	{.name = NULL},
};
static const struct gw_layout thing_v1 = {.name = "thing_v1",
					  .type = GW_RECORD_DEVICE,
					  .size = sizeof(struct thing_v1),
					  .fields = fields};
static const struct gw_layout *const layouts[] = {&thing_v1, NULL};

struct seen {
	unsigned count, since, deleted, unanswered;
	uint64_t last, sum;
	unsigned queue;
	uint64_t serial;
};

static int see(void *opaque, const struct gw_journal_record *record)
{
	const struct thing_v1 *thing = record->object;
	struct seen *seen = opaque;

	seen->count++;
	seen->since += record->since;
	seen->deleted += record->deleted;
	seen->unanswered += record->unanswered;
	seen->last = thing->id;
	seen->sum += thing->value;
	seen->queue = record->queue;
	seen->serial = record->serial;
	if (!record->deleted)
		assert_int_equal(thing->name.len, thing->id % 200);
	return 0;
}

static void put(struct gw_journal *journal, uint64_t id, bool deleted)
{
	static const char text[256];
	const struct thing_v1 thing = {.id = id, .value = id, .name = {text, id % 200}};

	gw_journal_put(journal, &thing_v1, deleted, &thing);
}

static struct seen walk(struct gw_journal *journal)
{
	struct seen seen = {0};

	assert_int_equal(gw_journal_walk(journal, &(struct gw_journal_walk){.layouts = layouts,
									    .fn = see,
									    .opaque = &seen}),
			 0);
	return seen;
}

static void close_all(int fds[1 + GW_JOURNAL_SLOTS])
{
	for (unsigned i = 0; i < 1 + GW_JOURNAL_SLOTS; i++)
		gw_close(&fds[i]);
}

static void test_next_life(void **state)
{
	int fds[1 + GW_JOURNAL_SLOTS], slot;
	struct gw_journal *journal;
	struct seen seen;

	assert_int_equal(gw_journal_new(&journal, fds), 0);
	for (uint64_t i = 1; i <= 300; i++) {
		gw_journal_for((unsigned)i % 3, i);
		put(journal, i, false);
	}
	put(journal, 7, true);
	assert_int_equal(gw_journal_slot(journal, &slot), -ENODATA);
	gw_journal_free(journal);
	assert_int_equal(gw_journal_open(&journal, fds), 0);
	seen = walk(journal);
	assert_int_equal(seen.count, 301);
	assert_int_equal(seen.since, 301);
	assert_int_equal(seen.deleted, 1);
	assert_int_equal(seen.last, 7);
	assert_int_equal(seen.sum, 300 * 301 / 2);
	assert_int_equal(seen.serial, 300);
	gw_journal_free(journal);
	close_all(fds);
	gw_journal_for(0, 0);
}

static bool is_two_of_queue_one(void *opaque, unsigned queue, uint64_t serial)
{
	return queue == 1 && serial == 2;
}

/* Of what a checkpoint has, only what may come again is of interest. */
static void test_unanswered(void **state)
{
	int fds[1 + GW_JOURNAL_SLOTS], fd;
	struct gw_journal *journal;
	struct seen seen = {0};
	const struct gw_journal_walk some = {
		.layouts = layouts, .unanswered = is_two_of_queue_one, .fn = see, .opaque = &seen};

	assert_int_equal(gw_journal_new(&journal, fds), 0);
	for (uint64_t i = 1; i <= 4; i++) {
		gw_journal_for((unsigned)i % 2 + 1, i);
		put(journal, i, false);
	}
	gw_journal_for(1, 2);
	put(journal, 50, false);
	assert_int_equal(gw_journal_begin(journal, &fd), 0);
	gw_journal_for(1, 7);
	put(journal, 60, true);
	assert_int_equal(gw_journal_end(journal), 0);
	assert_int_equal(gw_journal_walk(journal, &some), 0);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.unanswered, 2);
	assert_int_equal(seen.since, 1);
	assert_int_equal(seen.last, 60);
	assert_int_equal(walk(journal).count, 6);
	gw_journal_free(journal);
	close_all(fds);
	gw_journal_for(0, 0);
}

static void test_checkpoints(void **state)
{
	int fds[1 + GW_JOURNAL_SLOTS], fd, slot;
	struct gw_journal *journal;
	char text[8] = "";

	assert_int_equal(gw_journal_new(&journal, fds), 0);
	put(journal, 1, false);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(gw_journal_begin(journal, &fd), 0);
		put(journal, 2, false);
		assert_int_equal(write(fd, &"abcde"[i], 1), 1);
		/* Until it is whole, the one before counts. */
		assert_int_equal(gw_journal_slot(journal, &slot), i ? 0 : -ENODATA);
		if (i)
			assert_int_not_equal(slot, fd);
		assert_int_equal(lseek(fd, 0, SEEK_END), 1);
		assert_int_equal(gw_journal_end(journal), 0);
		assert_int_equal(gw_journal_slot(journal, &slot), 0);
		assert_int_equal(slot, fd);
		assert_int_equal(read(slot, text, sizeof(text)), 1);
		assert_int_equal(text[0], "abcde"[i]);
		assert_int_equal(walk(journal).since, 1);
	}
	gw_journal_free(journal);
	close_all(fds);
}

/* A slot whose checksum does not fit is none, however high its generation. */
static void test_slot_is_not_believed(void **state)
{
	int fds[1 + GW_JOURNAL_SLOTS], fd, slot, first;
	struct gw_journal *journal;
	uint8_t *bytes;

	assert_int_equal(gw_journal_new(&journal, fds), 0);
	assert_int_equal(gw_journal_begin(journal, &first), 0);
	assert_int_equal(gw_journal_end(journal), 0);
	assert_int_equal(gw_journal_begin(journal, &fd), 0);
	assert_int_equal(gw_journal_end(journal), 0);
	bytes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
	assert_true(bytes != MAP_FAILED);
	bytes[32 + 32 + 8] ^= 1; /* where the second slot's stream begins to count */
	assert_int_equal(gw_journal_slot(journal, &slot), 0);
	assert_int_equal(slot, first);
	munmap(bytes, 4096);
	gw_journal_free(journal);
	close_all(fds);
}

/* Whoever dies while writing leaves a gap; a byte that is another one, too. */
static void test_torn(void **state)
{
	int fds[1 + GW_JOURNAL_SLOTS];
	struct gw_journal *journal;
	uint8_t *bytes;

	assert_int_equal(gw_journal_new(&journal, fds), 0);
	for (uint64_t i = 1; i <= 100; i++)
		put(journal, 10, false); /* a cell each */
	bytes = mmap(NULL, 4096 + 6400, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
	assert_true(bytes != MAP_FAILED);
	bytes[4096 + 64 * 10 + 40] ^= 1;
	memset(bytes + 4096 + 64 * 20, 0, 64);
	bytes[4096 + 64 * 30] ^= 0x80;
	assert_int_equal(walk(journal).count, 97);
	munmap(bytes, 4096 + 6400);
	gw_journal_free(journal);
	close_all(fds);
}

struct checkpointer {
	struct gw_journal *journal;
	_Atomic bool end;
};

static void *checkpoint(void *opaque)
{
	struct checkpointer *checkpointer = opaque;
	int fd;

	while (!checkpointer->end) {
		gw_journal_begin(checkpointer->journal, &fd);
		gw_journal_end(checkpointer->journal);
		usleep(1000);
	}
	return NULL;
}

static void *write_many(void *opaque)
{
	for (uint64_t i = 1; i <= 100000; i++)
		put(opaque, i, false);
	return NULL;
}

/* The ring goes round several times, under several threads; nobody writes over what is needed. */
static void test_round_and_round(void **state)
{
	int fds[1 + GW_JOURNAL_SLOTS];
	struct checkpointer checkpointer = {.end = false};
	pthread_t threads[4];
	struct seen seen;

	assert_int_equal(gw_journal_new(&checkpointer.journal, fds), 0);
	assert_int_equal(pthread_create(&threads[3], NULL, checkpoint, &checkpointer), 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, write_many, checkpointer.journal);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	checkpointer.end = true;
	pthread_join(threads[3], NULL);
	put(checkpointer.journal, 1, false);
	seen = walk(checkpointer.journal);
	assert_true(seen.count > 10000);
	assert_int_equal(seen.last, 1);
	gw_journal_free(checkpointer.journal);
	close_all(fds);
}

#define ROUND 150000 /* records that go round the ring more than once */

/* One after the other, of no request, with a checkpoint now and then. */
static void go_round(struct gw_journal *journal)
{
	int fd;

	for (uint64_t i = 1; i <= ROUND; i++) {
		put(journal, 190, false); /* of four cells */
		if (i % 10000)
			continue;
		assert_int_equal(gw_journal_begin(journal, &fd), 0);
		assert_int_equal(gw_journal_end(journal), 0);
	}
}

static void *go_round_aside(void *opaque)
{
	go_round(opaque);
	return NULL;
}

static struct seen walk_two(struct gw_journal *journal)
{
	struct seen seen = {0};
	const struct gw_journal_walk some = {
		.layouts = layouts, .unanswered = is_two_of_queue_one, .fn = see, .opaque = &seen};

	assert_int_equal(gw_journal_walk(journal, &some), 0);
	return seen;
}

static void intend(struct gw_journal *journal, uint64_t id)
{
	const struct thing_v1 thing = {.id = id, .value = id, .name = {"", 0}};

	gw_journal_intend(journal, &thing_v1, &thing);
}

/* What a request intended is there for as long as it is under way, and no longer. */
static void test_intent_stays(void **state)
{
	int fds[1 + GW_JOURNAL_SLOTS];
	struct gw_journal *journal;
	pthread_t thread;

	assert_int_equal(gw_journal_new(&journal, fds), 0);
	for (unsigned i = 0; i < 3; i++) {
		gw_journal_for(1, 2);
		put(journal, 5, false); /* of the state: where it was put, or nowhere */
		intend(journal, 200);
		intend(journal, 400);
		assert_int_equal(pthread_create(&thread, NULL, go_round_aside, journal), 0);
		pthread_join(thread, NULL);
		/* Each checkpoint carries both on. */
		assert_true(walk_two(journal).unanswered >= 2);
		assert_int_equal(walk_two(journal).unanswered % 2, 0);
		assert_int_equal(walk_two(journal).sum / walk_two(journal).unanswered, 300);
		assert_int_equal(walk_two(journal).last, 400);
		/* It is over. */
		gw_journal_for(0, 0);
		go_round(journal);
		assert_int_equal(walk_two(journal).unanswered, 0);
	}
	gw_journal_free(journal);
	close_all(fds);
}

static int walk_none(struct gw_journal *journal)
{
	struct seen seen = {0};

	return gw_journal_walk(
		journal, &(struct gw_journal_walk){.layouts = layouts, .fn = see, .opaque = &seen});
}

static void *fill(void *opaque)
{
	struct gw_journal *journal = opaque;

	for (uint64_t i = 1; i <= ROUND; i++)
		put(journal, 190, false);
	gw_journal_for(1, 2);
	intend(journal, 200);
	put(journal, 5, false);
	return NULL;
}

static void checkpoint_once(struct gw_journal *journal)
{
	int fd;

	assert_int_equal(gw_journal_begin(journal, &fd), 0);
	assert_int_equal(gw_journal_end(journal), 0);
}

static void *try_intent(void *opaque)
{
	struct gw_journal *journal = opaque;

	gw_journal_for(1, 2);
	intend(journal, 200);
	checkpoint_once(journal);
	assert_false(gw_journal_is_whole(journal));
	gw_journal_for(0, 0);
	return NULL;
}

/* Nobody waits for ever, nothing that is needed is written over, and nobody goes on with what is
 * left, until a checkpoint has what found no room. */
static void test_checkpoint_does_not_end(void **state)
{
	int fds[1 + GW_JOURNAL_SLOTS], fd;
	struct gw_journal *journal;
	pthread_t thread;
	uint64_t dropped;

	assert_int_equal(gw_journal_new(&journal, fds), 0);
	gw_journal_set_patience(journal, 50);
	put(journal, 1, false);
	assert_int_equal(gw_journal_begin(journal, &fd), 0);
	assert_int_equal(pthread_create(&thread, NULL, fill, journal), 0);
	pthread_join(thread, NULL);
	dropped = gw_journal_number(journal, GW_JOURNAL_DROPPED, 0);
	assert_in_range(dropped, ROUND / 3, ROUND);
	assert_int_equal(walk_none(journal), -EIO);
	/* It was begun before. */
	assert_int_equal(gw_journal_end(journal), 0);
	assert_int_equal(walk_none(journal), -EIO);
	checkpoint_once(journal);
	/* That thread has ended, but not its request, and what it intended was dropped. */
	assert_int_equal(walk_none(journal), -EIO);
	gw_journal_free(journal);
	assert_int_equal(gw_journal_open(&journal, fds), 0);
	assert_int_equal(walk_none(journal), -EIO);
	checkpoint_once(journal);
	assert_int_equal(walk_none(journal), 0);
	put(journal, 1, false);
	assert_int_equal(walk(journal).last, 1);
	assert_int_equal(gw_journal_number(journal, GW_JOURNAL_DROPPED, 0), dropped);
	gw_journal_free(journal);
	close_all(fds);
}

/* A request whose intent was dropped can be gone on with once it is over. */
static void test_intent_is_dropped(void **state)
{
	int fds[1 + GW_JOURNAL_SLOTS], fd;
	struct gw_journal *journal;
	pthread_t thread;

	assert_int_equal(gw_journal_new(&journal, fds), 0);
	gw_journal_set_patience(journal, 1);
	for (uint64_t i = 1; i <= ROUND; i++)
		put(journal, 190, false);
	assert_int_equal(pthread_create(&thread, NULL, try_intent, journal), 0);
	pthread_join(thread, NULL);
	assert_int_equal(
		poll(&(struct pollfd){.fd = gw_journal_wake_fd(journal), .events = POLLIN}, 1, 0),
		1);
	assert_int_equal(gw_journal_begin(journal, &fd), 0);
	assert_int_equal(gw_journal_end(journal), 0);
	assert_true(gw_journal_is_whole(journal));
	gw_journal_free(journal);
	close_all(fds);
}

/* Who writes checkpoints would wait for itself, and takes of what is left free for the others. */
static void test_checkpoint_puts(void **state)
{
	int fds[1 + GW_JOURNAL_SLOTS], fd;
	struct gw_journal *journal;
	unsigned puts = 0;

	assert_int_equal(gw_journal_new(&journal, fds), 0);
	gw_journal_set_patience(journal, 1000);
	assert_int_equal(gw_journal_begin(journal, &fd), 0);
	for (; puts < GW_JOURNAL_BYTES / 16 * 15 / 256; puts++) /* four cells each */
		put(journal, 190, false);
	assert_int_equal(gw_journal_number(journal, GW_JOURNAL_DROPPED, 0), 0);
	for (; puts < GW_JOURNAL_BYTES / 256; puts++)
		put(journal, 190, false);
	assert_true(gw_journal_number(journal, GW_JOURNAL_DROPPED, 0) > 0);
	assert_int_equal(gw_journal_end(journal), 0);
	checkpoint_once(journal);
	assert_true(gw_journal_is_whole(journal));
	gw_journal_free(journal);
	close_all(fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next_life),
		cmocka_unit_test(test_unanswered),
		cmocka_unit_test(test_checkpoints),
		cmocka_unit_test(test_slot_is_not_believed),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_round_and_round),
		cmocka_unit_test(test_intent_stays),
		cmocka_unit_test(test_checkpoint_does_not_end),
		cmocka_unit_test(test_intent_is_dropped),
		cmocka_unit_test(test_checkpoint_puts),
	};

	gw_log_set_level(GW_LOG_OFF);

	return cmocka_run_group_tests(tests, NULL, NULL);
}
