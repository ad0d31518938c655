/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/ledger.c - the ledger: the newest slot that is whole counts, and no other. */
#include "cmocka-all.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/ledger.h"

static void put(struct gw_ledger *ledger, uint32_t request, uint32_t ring, uint64_t value)
{
	const struct gw_ledger_entry entry = {
		.request = request, .ring = ring, .size = 8, .payload.u64 = value};

	assert_int_equal(gw_ledger_put(ledger, &entry), 0);
}

static uint64_t value_of(const struct gw_ledger *ledger, uint32_t request, uint32_t ring)
{
	const struct gw_ledger_entry *entry = gw_ledger_find(ledger, request, ring);

	return entry ? entry->payload.u64 : 0;
}

static void commit(struct gw_ledger *ledger, uint64_t sequence)
{
	const struct gw_ledger_answer answer = {.sequence = sequence, .message_len = 20};

	gw_ledger_commit(ledger, &answer);
}

static void test_the_last_of_each(void **state)
{
	struct gw_ledger *ledger, *next;
	GW_AUTO_FD int fd = -1;

	assert_int_equal(gw_ledger_new(&ledger, &fd), 0);
	assert_int_equal(gw_ledger_open(&next, fd), -ENODATA);
	put(ledger, 8, 0, 1);
	put(ledger, 8, 1, 2);
	put(ledger, 8, 0, 3);
	put(ledger, 9, 0, 4);
	gw_ledger_remove(ledger, 9, 0);
	commit(ledger, 7);
	put(ledger, 8, 1, 99); /* not committed */
	assert_int_equal(gw_ledger_open(&next, fd), 0);
	assert_int_equal(gw_ledger_count(next), 2);
	assert_int_equal(value_of(next, 8, 0), 3);
	assert_int_equal(value_of(next, 8, 1), 2);
	assert_int_equal(gw_ledger_answer(next)->sequence, 7);
	assert_false(gw_ledger_is_done(next));
	gw_ledger_done(next);
	assert_true(gw_ledger_is_done(ledger));
	assert_false(gw_ledger_has_ended(ledger));
	gw_ledger_end(next);
	assert_true(gw_ledger_has_ended(ledger));
	gw_ledger_free(next);
	gw_ledger_free(ledger);
}

/* Any byte of the newest that is another one: then the one before it counts. */
static void test_torn(void **state)
{
	struct gw_ledger *ledger, *next;
	GW_AUTO_FD int fd = -1;
	struct stat st;
	uint8_t *bytes;
	unsigned fell_back = 0;

	assert_int_equal(gw_ledger_new(&ledger, &fd), 0);
	put(ledger, 8, 0, 1);
	commit(ledger, 1);
	put(ledger, 8, 0, 2);
	commit(ledger, 2);
	assert_int_equal(fstat(fd, &st), 0);
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(bytes != MAP_FAILED);
	for (size_t at = 24; at < 24 + 512; at++) { /* the slot of even generations lies first */
		bytes[at] ^= 0x10;
		assert_int_equal(gw_ledger_open(&next, fd), 0);
		fell_back += value_of(next, 8, 0) == 1;
		assert_in_range(value_of(next, 8, 0), 1, 2);
		assert_int_equal(gw_ledger_answer(next)->sequence, value_of(next, 8, 0));
		gw_ledger_free(next);
		bytes[at] ^= 0x10;
	}
	assert_int_equal(fell_back, 512);
	bytes[0] ^= 1;
	assert_int_equal(gw_ledger_open(&next, fd), -EINVAL);
	munmap(bytes, (size_t)st.st_size);
	gw_ledger_free(ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_of_each),
		cmocka_unit_test(test_torn),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
