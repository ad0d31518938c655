/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/state-order.c - when a transfer may come: never started, twice, before features, and so
 * on. */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "echo.h"
#include "provoke.h"
#include "vhost-user/frontend_internal.h"

static int new_stream(void)
{
	int fd = memfd_create("stream", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void set_seed(struct gw_frontend *frontend, uint64_t seed)
{
	ok(gw_frontend_set_config(frontend, offsetof(struct scripted_config, seed), &seed,
				  sizeof(seed), false));
}

static uint64_t seed_of(struct gw_frontend *frontend)
{
	struct scripted_config config;

	ok(gw_frontend_get_config(frontend, 0, &config, sizeof(config)));
	return config.seed;
}

static struct gw_frontend *make(const struct peer *peer)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	ok(gw_frontend_new(&frontend, &config));
	return frontend;
}

/* A device that never started has a state, and one that never started takes it: before features,
 * memory or rings were set. */
static void never_started(void **state)
{
	struct gw_frontend *from, *to;
	struct echo echo;
	struct peer a, b;
	int stream = new_stream();

	peer_start(&a, &(struct peer_options){0});
	peer_start(&b, &(struct peer_options){0});
	from = make(&a);
	to = make(&b);
	set_seed(from, 5);
	ok(gw_frontend_save(from, stream));
	lseek(stream, 0, SEEK_SET);
	ok(gw_frontend_load(to, stream));
	assert_int_equal(seed_of(to), 5);
	assert_int_equal(atomic_load(&b.script->features), 0);
	echo_init(&echo, to);
	ok(gw_frontend_start(to));
	echo_once(&echo, to, 0, 1);
	assert_int_equal(atomic_load(&b.script->runs[GW_RUN_LOADED]), 1);
	gw_frontend_free(from);
	gw_frontend_free(to);
	close(stream);
	peer_join(&a);
	peer_join(&b);
}

/* Features first, as another VMM does it. */
static void after_features(void **state)
{
	struct gw_frontend *from, *to;
	struct peer a, b;
	int stream = new_stream();

	peer_start(&a, &(struct peer_options){0});
	peer_start(&b, &(struct peer_options){0});
	from = make(&a);
	to = make(&b);
	ok(gw_frontend_save(from, stream));
	lseek(stream, 0, SEEK_SET);
	ok(gw_frontend_send_features(to, GW_VU_ACKED));
	ok(gw_frontend_tell_memory(to));
	ok(gw_frontend_load(to, stream));
	ok(gw_frontend_start(to));
	gw_frontend_free(from);
	gw_frontend_free(to);
	close(stream);
	peer_join(&a);
	peer_join(&b);
}

/* Saved twice, the same both times, and it goes on as if nothing had been. */
static void save_twice_and_go_on(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;
	int first = new_stream(), second = new_stream();

	peer_start(&peer, &(struct peer_options){0});
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	for (unsigned round = 0; round < 3; round++) {
		echo_once(&echo, frontend, 0, round);
		ok(gw_frontend_stop(frontend));
		ok(gw_frontend_save(frontend, first));
		ok(gw_frontend_save(frontend, second));
		assert_int_equal(lseek(first, 0, SEEK_CUR), lseek(second, 0, SEEK_CUR));
		ok(gw_frontend_start(frontend));
	}
	echo_once(&echo, frontend, 0, 9);
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_FRESH]), 1);
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_RESUMED]), 3);
	assert_int_equal(atomic_load(&peer.script->saves), 6);
	gw_frontend_free(frontend);
	close(first);
	close(second);
	peer_join(&peer);
}

/* Failed after the stop: it starts again with logging still on, which is turned off only then. */
static void log_on_at_restart(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;
	int stream = new_stream();

	peer_start(&peer, &(struct peer_options){0});
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	for (unsigned round = 0; round < 3; round++) {
		ok(gw_frontend_log(frontend, true));
		echo_once(&echo, frontend, 0, 1);
		ok(gw_frontend_stop(frontend));
		ok(gw_frontend_save(frontend, stream));
		ok(gw_frontend_start(frontend));
		echo_once(&echo, frontend, 0, 2);
		ok(gw_frontend_log(frontend, false));
		echo_once(&echo, frontend, 0, 3);
	}
	gw_frontend_free(frontend);
	close(stream);
	peer_join(&peer);
}

/* Reset before LOAD, as every VMM does at its start; and after it: then nothing was loaded. */
static void reset_between(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;
	int stream = new_stream();

	peer_start(&peer, &(struct peer_options){0});
	frontend = peer_frontend(&peer);
	set_seed(frontend, 6);
	ok(gw_frontend_stop(frontend));
	ok(gw_frontend_save(frontend, stream));
	ok(gw_frontend_reset_device(frontend));
	assert_int_equal(seed_of(frontend), 1);
	lseek(stream, 0, SEEK_SET);
	ok(gw_frontend_load(frontend, stream));
	assert_int_equal(seed_of(frontend), 6);
	ok(gw_frontend_reset_device(frontend));
	assert_int_equal(seed_of(frontend), 1);
	ok(gw_frontend_start(frontend));
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_LOADED]), 0);
	gw_frontend_free(frontend);
	close(stream);
	peer_join(&peer);
}

/* Only a fresh device is loaded into: not one that was loaded, nor one that ran, without a reset.
 */
static void load_needs_fresh(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;
	int first = new_stream(), second = new_stream();

	peer_start(&peer, &(struct peer_options){0});
	frontend = make(&peer);
	set_seed(frontend, 10);
	ok(gw_frontend_save(frontend, first));
	set_seed(frontend, 20);
	ok(gw_frontend_save(frontend, second));
	lseek(second, 0, SEEK_SET);
	lseek(first, 0, SEEK_SET);
	ok(gw_frontend_load(frontend, second));
	assert_int_equal(gw_frontend_load(frontend, first), -EIO);
	assert_int_equal(seed_of(frontend), 20);
	ok(gw_frontend_start(frontend));
	ok(gw_frontend_stop(frontend));
	assert_int_equal(gw_frontend_load(frontend, first), -EIO);
	ok(gw_frontend_reset_device(frontend));
	ok(gw_frontend_load(frontend, first));
	assert_int_equal(seed_of(frontend), 10);
	gw_frontend_free(frontend);
	close(first);
	close(second);
	peer_join(&peer);
}

/* The reply comes before the first byte moves: nobody reads, and everything else is answered. */
static void served_meanwhile(void **state)
{
	enum gw_transfer_reply reply;
	struct gw_frontend *frontend;
	struct peer peer;
	uint64_t value;
	int channel;

	peer_start(&peer, &(struct peer_options){0});
	atomic_store(&peer.script->bulk_bytes, 1 << 20);
	frontend = make(&peer);
	ok(gw_frontend_transfer_begin(frontend, false, GW_PHASE_STOPPED, &channel, &reply));
	for (unsigned i = 0; i < 10; i++) {
		ok(gw_frontend_get_u64(frontend, GW_VU_GET_FEATURES, &value));
		assert_int_equal(seed_of(frontend), 1);
	}
	close(channel);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* CHECK waits for the device that still works on what it read. */
static void check_waits(void **state)
{
	enum gw_transfer_reply reply;
	struct gw_frontend *frontend;
	struct peer peer;
	char buf[65536];
	int channel;
	ssize_t got;

	peer_start(&peer, &(struct peer_options){0});
	atomic_store(&peer.script->bulk_bytes, 100000);
	atomic_store(&peer.script->save_pause_ms, 20);
	frontend = make(&peer);
	ok(gw_frontend_transfer_begin(frontend, false, GW_PHASE_STOPPED, &channel, &reply));
	ok(gw_frontend_send_raw(frontend, GW_VU_CHECK_DEVICE_STATE, GW_VU_VERSION, NULL, 0, NULL,
				0));
	while ((got = read(channel, buf, sizeof(buf))))
		if (got < 0)
			sleep_ms(1);
	{
		uint32_t request, flags;
		uint64_t verdict;
		int fd;

		assert_int_equal(gw_frontend_recv_raw(frontend, &request, &flags, &verdict,
						      sizeof(verdict), &fd),
				 8);
		assert_int_equal(request, GW_VU_CHECK_DEVICE_STATE);
		assert_int_equal(verdict, 0);
	}
	close(channel);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_started),	cmocka_unit_test(after_features),
		cmocka_unit_test(save_twice_and_go_on), cmocka_unit_test(log_on_at_restart),
		cmocka_unit_test(reset_between),	cmocka_unit_test(load_needs_fresh),
		cmocka_unit_test(served_meanwhile),	cmocka_unit_test(check_waits),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
