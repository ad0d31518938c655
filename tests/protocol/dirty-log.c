/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/dirty-log.c - whatever the device writes to guest memory is marked, while logging is on.
 */
#include "../unit/cmocka-all.h"

#include <stdlib.h>
#include <string.h>

#include "echo.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"
#include "vhost-user/wire.h"

#define PAGE  4096u
#define DEPTH 16

struct variant {
	bool packed, event_idx, indirect, other_thread;
};

static const struct variant variants[] = {
	{false, false, false, false}, {false, true, true, false}, {true, false, false, false},
	{true, true, true, false},    {false, true, false, true}, {true, true, false, true},
};

static bool is_marked(const struct gw_frontend *frontend, uint64_t gpa)
{
	size_t bytes;
	const uint8_t *log = gw_frontend_log_table(frontend, &bytes);
	uint64_t page = gpa / PAGE;

	return page / 8 < bytes && (log[page / 8] >> (page % 8) & 1);
}

/* Pages that differ from @before, and which of them the device cannot have written: none. */
static unsigned changed_and_marked(struct gw_frontend *frontend, const char *before,
				   unsigned *unmarked)
{
	size_t size;
	const char *memory = gw_frontend_memory(frontend, &size);
	unsigned changed = 0;

	*unmarked = 0;
	for (size_t at = 0; at < size; at += PAGE) {
		if (!memcmp(memory + at, before + at, PAGE))
			continue;
		changed++;
		*unmarked += !is_marked(frontend, GW_FRONTEND_GPA + at);
	}
	return changed;
}

static struct gw_frontend *start(const struct peer *peer, const struct variant *variant)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	config.packed = variant->packed;
	config.indirect = variant->indirect;
	config.memory_regions = 3;
	config.want_features = GW_VIRTIO_F_VERSION_1 |
			       (variant->event_idx ? GW_VIRTIO_F_EVENT_IDX : 0) |
			       GW_VIRTIO_F_INDIRECT_DESC;
	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_start(frontend));
	return frontend;
}

/* A copy of guest memory taken when the requests are in place: what changes later the device did.
 * The driver writes to the ring's descriptor and available part only while it adds. */
static char *copy_memory(const struct gw_frontend *frontend)
{
	size_t size;
	const char *memory = gw_frontend_memory(frontend, &size);
	char *copy = malloc(size);

	assert_non_null(copy);
	memcpy(copy, memory, size);
	return copy;
}

static void all_writes(void **state)
{
	const struct variant *variant = *state;
	struct gw_frontend *frontend;
	struct echo echoes[DEPTH];
	struct peer peer;
	unsigned unmarked;
	char *before;

	peer_start(&peer, &(struct peer_options){0});
	atomic_store(&peer.script->hold_ms, variant->other_thread ? 2 : 0);
	frontend = start(&peer, variant);
	ok(gw_frontend_log(frontend, true));
	/* Disabled, so that nothing is taken before the copy is. */
	ok(gw_frontend_enable(frontend, 0, false));
	for (unsigned i = 0; i < DEPTH; i++) {
		echo_init(&echoes[i], frontend);
		echo_add(&echoes[i], frontend, 0, i, ECHO_MAX, 2);
	}
	before = copy_memory(frontend);
	ok(gw_frontend_enable(frontend, 0, true));
	wait_until(&peer.script->elements, DEPTH);
	ok(gw_frontend_stop(frontend));
	/* Two pages of answer each, and at least one of ring. */
	assert_true(changed_and_marked(frontend, before, &unmarked) >= 2 * DEPTH + 1);
	assert_int_equal(unmarked, 0);
	for (unsigned i = 0; i < DEPTH; i++)
		echo_take(frontend, 0);
	free(before);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* What only the guest writes is not marked: else every round of pre-copy sends it again. */
static void only_writes(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;
	size_t bytes, marked = 0;
	const uint8_t *log;

	peer_start(&peer, &(struct peer_options){0});
	frontend = start(&peer, *state);
	echo_init(&echo, frontend);
	ok(gw_frontend_log(frontend, true));
	echo_add(&echo, frontend, 0, 1, 100, 1);
	ok(gw_driver_kick(frontend, 0));
	echo_take(frontend, 0);
	ok(gw_frontend_stop(frontend));
	log = gw_frontend_log_table(frontend, &bytes);
	for (size_t i = 0; i < bytes; i++)
		marked += (size_t)__builtin_popcount(log[i]);
	assert_true(marked >= 2 && marked <= 4);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

static void off_again(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;
	size_t bytes;
	const uint8_t *log;

	peer_start(&peer, &(struct peer_options){0});
	frontend = start(&peer, *state);
	echo_init(&echo, frontend);
	echo_once(&echo, frontend, 0, 0);
	ok(gw_frontend_log(frontend, true));
	assert_int_equal(atomic_load(&peer.script->prepare_on), 1);
	echo_once(&echo, frontend, 0, 1);
	ok(gw_frontend_log(frontend, false));
	/* Turning off is not acknowledged; what is asked next is answered after it. */
	ok(gw_frontend_enable(frontend, 0, true));
	assert_int_equal(atomic_load(&peer.script->prepare_off), 1);
	log = gw_frontend_log_table(frontend, &bytes);
	memset((void *)log, 0, bytes);
	echo_once(&echo, frontend, 0, 2);
	ok(gw_frontend_stop(frontend));
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(log[i], 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* A new table, again and again, under load: each is in force when it is acknowledged. */
static void switched_under_load(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = start(&peer, *state);
	echo_init(&echo, frontend);
	for (unsigned i = 0; i < 50; i++) {
		if (i)
			echo_add(&echo, frontend, 0, i, 100, 1);
		if (i)
			ok(gw_driver_kick(frontend, 0));
		ok(gw_frontend_log(frontend, true)); /* drops the old table when this is answered */
		if (i)
			echo_take(frontend, 0);
		echo_once(&echo, frontend, 0, i);
		assert_true(is_marked(frontend, gw_guest_gpa_of(frontend->guest, echo.in, 1)));
	}
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* Stopped when it is switched on: the start carries it, and the table comes before the enable. */
static void on_at_start(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = start(&peer, *state);
	echo_init(&echo, frontend);
	ok(gw_frontend_stop(frontend));
	ok(gw_frontend_log(frontend, true));
	ok(gw_frontend_start(frontend));
	echo_once(&echo, frontend, 0, 1);
	assert_true(is_marked(frontend, gw_guest_gpa_of(frontend->guest, echo.in, 1)));
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* A table that is too small: bits beyond it are dropped, no more. */
static void too_small(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.fork = true});
	frontend = start(&peer, *state);
	echo_init(&echo, frontend);
	ok(gw_frontend_log(frontend, true));
	frontend->log_bytes = 8;
	ok(gw_frontend_send_log_base(frontend));
	echo_once(&echo, frontend, 0, 1);
	gw_frontend_free(frontend);
	assert_int_equal(peer_join(&peer), 0);
}

/* Memory added while it runs is logged in a larger table, with the old marks kept. */
static void with_hot_memory(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo, hot;
	struct peer peer;
	void *base;

	peer_start(&peer, &(struct peer_options){0});
	frontend = start(&peer, *state);
	echo_init(&echo, frontend);
	ok(gw_frontend_log(frontend, true));
	echo_once(&echo, frontend, 0, 1);
	ok(gw_frontend_add_region(frontend, 4u << 20, &base));
	assert_true(is_marked(frontend, gw_guest_gpa_of(frontend->guest, echo.in, 1)));
	hot = (struct echo){.out = base, .in = (char *)base + (3u << 20)};
	echo_once(&hot, frontend, 0, 2);
	assert_true(is_marked(frontend, gw_guest_gpa_of(frontend->guest, hot.in, 1)));
	gw_frontend_free(frontend);
	peer_join(&peer);
}

int main(void)
{
	int failed = 0;

	gw_log_set_level(GW_LOG_OFF);
	for (unsigned i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		void *variant = (void *)&variants[i];
		const struct CMUnitTest tests[] = {
			cmocka_unit_test_prestate(all_writes, variant),
			cmocka_unit_test_prestate(only_writes, variant),
			cmocka_unit_test_prestate(off_again, variant),
			cmocka_unit_test_prestate(switched_under_load, variant),
			cmocka_unit_test_prestate(on_at_start, variant),
			cmocka_unit_test_prestate(too_small, variant),
			cmocka_unit_test_prestate(with_hot_memory, variant),
		};

		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return !!failed;
}
