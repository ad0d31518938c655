/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/suspend.c - SUSPEND and RESUME: silent in between, and nothing is set up again. */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "echo.h"
#include "provoke.h"
#include "vhost-user/frontend_internal.h"

static struct gw_frontend *make(const struct peer *peer, bool packed)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	config.queues = SCRIPTED_QUEUES;
	config.packed = packed;
	config.experimental = GW_EXPERIMENTAL_SUSPEND;
	ok(gw_frontend_new(&frontend, &config));
	return frontend;
}

static struct gw_frontend *start(struct peer *peer, bool packed)
{
	struct gw_frontend *frontend;

	peer_start(peer, &(struct peer_options){.experimental = GW_EXPERIMENTAL_SUSPEND});
	frontend = make(peer, packed);
	ok(gw_frontend_start(frontend));
	return frontend;
}

static void end(struct peer *peer, struct gw_frontend *frontend)
{
	gw_frontend_free(frontend);
	assert_int_equal(peer_join(peer), 0);
}

static uint64_t seed_of(struct gw_frontend *frontend)
{
	struct scripted_config config;

	ok(gw_frontend_get_config(frontend, 0, &config, sizeof(config)));
	return config.seed;
}

static void set_seed(struct gw_frontend *frontend, uint64_t seed)
{
	ok(gw_frontend_set_config(frontend, offsetof(struct scripted_config, seed), &seed,
				  sizeof(seed), false));
}

static void assert_unknown(struct gw_frontend *frontend)
{
	for (uint32_t request = GW_VU_EXPERIMENTAL; request <= GW_VU_EXPERIMENTAL_END; request++) {
		struct provoked provoked =
			provoke(frontend, &(struct provocation){.request = request,
								.flags = GW_VU_NEED_REPLY});

		assert_int_equal(provoked.answer, ANSWER_GIVEN);
		assert_int_equal(provoked.payload.u64, 1);
		/* As of any number that nobody knows: silence. */
		provoked = provoke(frontend, &(struct provocation){.request = request});
		assert_int_equal(provoked.answer, ANSWER_NONE);
	}
}

/* Nothing shows to who does not ask, nor where it is not offered. */
static void only_where_both_ask(void **state)
{
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	frontend = make(&peer, false);
	assert_int_equal(frontend->protocol_offered >> GW_VU_PROTOCOL_FEATURES, 0);
	assert_int_equal(gw_frontend_suspend(frontend), -EOPNOTSUPP);
	assert_unknown(frontend);
	gw_frontend_free(frontend);
	peer_stop(&peer);

	peer_start(&peer, &(struct peer_options){.reconnect = true,
						 .experimental = GW_EXPERIMENTAL_SUSPEND});
	frontend = peer_frontend(&peer);
	assert_true(frontend->protocol_offered & GW_VU_PF(SUSPEND));
	assert_false(gw_frontend_has(frontend, GW_VU_PF(SUSPEND)));
	assert_unknown(frontend);
	gw_frontend_free(frontend);
	/* A caller that was built before the member was. */
	config = peer_config(&peer);
	config.experimental = GW_EXPERIMENTAL_SUSPEND;
	config.size = offsetof(struct gw_frontend_config, experimental);
	ok(gw_frontend_new(&frontend, &config));
	assert_false(gw_frontend_has(frontend, GW_VU_PF(SUSPEND)));
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

/* The answer waits for what is in flight; then guest memory is still and nobody is notified. */
static void silent_until_resumed(bool packed)
{
	struct gw_frontend *frontend;
	struct echo echoes[8];
	struct peer peer;
	static char before[4u << 20];
	void *memory, *token;
	size_t size;
	eventfd_t count;

	frontend = start(&peer, packed);
	for (unsigned i = 0; i < 8; i++)
		echo_init(&echoes[i], frontend);
	atomic_store(&peer.script->hold_ms, 30);
	for (unsigned i = 0; i < 4; i++)
		echo_add(&echoes[i], frontend, 0, i, 100, 1);
	ok(gw_driver_kick(frontend, 0));
	wait_until(&peer.script->elements, 4);
	ok(gw_frontend_suspend(frontend));
	assert_int_equal(atomic_load(&peer.script->suspends), 1);
	atomic_store(&peer.script->hold_ms, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_true(gw_driver_get(frontend, 0, &token, NULL));
	while (!eventfd_read(frontend->queues[0].call, &count))
		;
	for (unsigned i = 4; i < 8; i++)
		echo_add(&echoes[i], frontend, 0, i, 100, 1);
	memory = gw_frontend_memory(frontend, &size);
	assert_int_equal(size, sizeof(before));
	memcpy(before, memory, size);
	assert_int_equal(eventfd_write(frontend->queues[0].kick, 1), 0);
	set_seed(frontend, 3);
	assert_int_equal(seed_of(frontend), 3);
	sleep_ms(30);
	assert_memory_equal(before, memory, size);
	assert_int_equal(eventfd_read(frontend->queues[0].call, &count), -1);
	assert_int_equal(atomic_load(&peer.script->elements), 4);

	ok(gw_frontend_resume(frontend));
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_RESUMED]), 1);
	for (unsigned i = 4; i < 8; i++)
		echo_take(frontend, 0);
	/* To each ring its own: that they take turns ThreadSanitizer does not see, as what orders
	 * them is in guest memory, which both sides have mapped elsewhere. */
	for (unsigned i = 0; i < 300; i++)
		echo_once(&echoes[i % SCRIPTED_QUEUES], frontend, i % SCRIPTED_QUEUES, i);
	end(&peer, frontend);
}

static void silent_split(void **state)
{
	silent_until_resumed(false);
}

static void silent_packed(void **state)
{
	silent_until_resumed(true);
}

/* What is held may stay open, and is handed out again. */
static void parked(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	frontend = start(&peer, false);
	echo_init(&echo, frontend);
	atomic_store(&peer.script->hold, true);
	atomic_store(&peer.script->park, true);
	echo_add(&echo, frontend, 1, 5, 200, 2);
	ok(gw_driver_kick(frontend, 1));
	wait_until(&peer.script->elements, 1);
	ok(gw_frontend_suspend(frontend));
	assert_int_equal(atomic_load(&peer.script->parked), 1);
	atomic_store(&peer.script->hold, false);
	ok(gw_frontend_resume(frontend));
	echo_take(frontend, 1);
	assert_int_equal(atomic_load(&peer.script->again), 1);
	end(&peer, frontend);
}

static uint64_t ring_state(struct gw_frontend *frontend, uint32_t request, unsigned queue,
			   uint32_t num)
{
	const struct gw_vu_vring_state payload = {.index = queue, .num = num};
	struct provoked provoked = provoke(frontend, &(struct provocation){
							     .request = request,
							     .flags = GW_VU_NEED_REPLY,
							     .payload = &payload,
							     .len = sizeof(payload),
						     });

	assert_int_equal(provoked.answer, ANSWER_GIVEN);
	return provoked.payload.u64;
}

/* What a ring that runs refuses, one that is held refuses as well. */
static void rings_count_as_started(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	frontend = start(&peer, false);
	echo_init(&echo, frontend);
	echo_once(&echo, frontend, 0, 1);
	ok(gw_frontend_suspend(frontend));
	assert_int_equal(ring_state(frontend, GW_VU_SET_VRING_NUM, 0, 64), 1);
	assert_int_equal(ring_state(frontend, GW_VU_SET_VRING_BASE, 0, 7), 1);
	ok(gw_frontend_resume(frontend));
	echo_once(&echo, frontend, 0, 2);
	end(&peer, frontend);
}

/* Descriptors, enabling, memory, logging: in force when it goes on. */
static void setups_are_remembered(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo, hot, other;
	struct peer peer;
	eventfd_t count;
	void *base;
	int call;

	frontend = start(&peer, false);
	echo_init(&echo, frontend);
	ok(gw_frontend_suspend(frontend));
	call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ok(gw_frontend_send_ring_fd(frontend, GW_VU_SET_VRING_CALL, 0, call));
	ok(gw_frontend_enable(frontend, 1, false));
	ok(gw_frontend_add_region(frontend, 65536, &base));
	ok(gw_frontend_log(frontend, true));
	/* Logging starts with all rings as they are: nothing runs because of it. */
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_RESUMED]), 0);
	ok(gw_frontend_resume(frontend));
	hot = (struct echo){.out = base, .in = (char *)base + ECHO_MAX};
	other = (struct echo){.out = hot.in + ECHO_MAX, .in = hot.in + 2 * ECHO_MAX};
	echo_add(&hot, frontend, 0, 1, 100, 1);
	ok(gw_driver_kick(frontend, 0));
	for (unsigned i = 0; i < 5000 && eventfd_read(call, &count); i++)
		sleep_ms(1);
	echo_take(frontend, 0);
	echo_add(&echo, frontend, 1, 2, 100, 1);
	assert_int_equal(eventfd_write(frontend->queues[1].kick, 1), 0);
	echo_once(&other, frontend, 2, 3);
	assert_int_equal(atomic_load(&peer.script->elements), 2);
	ok(gw_frontend_enable(frontend, 1, true));
	echo_take(frontend, 1);
	close(call);
	end(&peer, frontend);
}

/* A start in between is one at RESUME; a stop ends what was held. */
static void starts_and_stops_are_remembered(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.experimental = GW_EXPERIMENTAL_SUSPEND});
	frontend = make(&peer, false);
	echo_init(&echo, frontend);
	ok(gw_frontend_suspend(frontend)); /* of a device that never ran */
	ok(gw_frontend_start(frontend));
	echo_add(&echo, frontend, 0, 1, 100, 1);
	ok(gw_driver_kick(frontend, 0));
	sleep_ms(20);
	assert_int_equal(atomic_load(&peer.script->elements), 0);
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_FRESH]), 0);
	ok(gw_frontend_resume(frontend));
	echo_take(frontend, 0);
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_FRESH]), 1);

	ok(gw_frontend_suspend(frontend));
	ok(gw_frontend_stop(frontend));
	assert_int_equal(gw_frontend_base(frontend, 0), 1);
	ok(gw_frontend_resume(frontend)); /* nothing is left to go on */
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_RESUMED]), 0);
	ok(gw_frontend_start(frontend));
	echo_once(&echo, frontend, 0, 2);
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_RESUMED]), 1);
	end(&peer, frontend);
}

static void twice_is_once(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	frontend = start(&peer, false);
	echo_init(&echo, frontend);
	ok(gw_frontend_resume(frontend)); /* it is not suspended: nothing happens */
	echo_once(&echo, frontend, 0, 1);
	ok(gw_frontend_suspend(frontend));
	ok(gw_frontend_suspend(frontend));
	assert_int_equal(atomic_load(&peer.script->suspends), 1);
	ok(gw_frontend_resume(frontend));
	ok(gw_frontend_resume(frontend));
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_RESUMED]), 1);
	echo_once(&echo, frontend, 0, 2);
	end(&peer, frontend);
}

/* Saved, and loaded where the rings are set up and held; then both could go on. */
static void moves(void **state)
{
	struct gw_frontend_config config;
	struct gw_frontend *from, *to;
	struct echo echo;
	struct peer a, b;
	int stream = memfd_create("stream", MFD_CLOEXEC);

	from = start(&a, false);
	echo_init(&echo, from);
	echo_once(&echo, from, 0, 1);
	set_seed(from, 9);
	ok(gw_frontend_suspend(from));
	ok(gw_frontend_save(from, stream));
	ok(gw_frontend_save(from, stream));
	ok(gw_frontend_resume(from)); /* it came to nothing: it goes on */
	echo_once(&echo, from, 0, 2);
	ok(gw_frontend_suspend(from));
	assert_int_equal(ftruncate(stream, 0), 0);
	lseek(stream, 0, SEEK_SET);
	ok(gw_frontend_save(from, stream));
	ok(gw_frontend_stop(from));
	lseek(stream, 0, SEEK_SET);

	peer_start(&b, &(struct peer_options){.experimental = GW_EXPERIMENTAL_SUSPEND});
	config = peer_config(&b);
	config.experimental = GW_EXPERIMENTAL_SUSPEND;
	ok(gw_frontend_migrate(&to, from, &config));
	ok(gw_frontend_suspend(to));
	ok(gw_frontend_start(to));
	ok(gw_frontend_load(to, stream));
	assert_int_equal(seed_of(to), 9);
	assert_int_equal(atomic_load(&b.script->runs[GW_RUN_LOADED]), 0);
	ok(gw_frontend_resume(to));
	assert_int_equal(atomic_load(&b.script->runs[GW_RUN_LOADED]), 1);
	echo_once(&echo, to, 0, 3);
	close(stream);
	end(&b, to);
	end(&a, from);
}

/* A save under way is given up for it; a load is not. */
static void resume_and_transfers(void **state)
{
	enum gw_transfer_reply reply;
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;
	int channel;

	frontend = start(&peer, false);
	echo_init(&echo, frontend);
	atomic_store(&peer.script->bulk_bytes, 1 << 22);
	assert_int_equal(gw_frontend_save(frontend, -1), -EIO); /* it runs */
	ok(gw_frontend_suspend(frontend));
	ok(gw_frontend_transfer_begin(frontend, false, GW_PHASE_STOPPED, &channel, &reply));
	ok(gw_frontend_resume(frontend));
	echo_once(&echo, frontend, 0, 1);
	assert_int_equal(gw_frontend_transfer_check(frontend), -EIO);
	close(channel);

	ok(gw_frontend_reset_device(frontend));
	ok(gw_frontend_suspend(frontend));
	ok(gw_frontend_start(frontend));
	ok(gw_frontend_transfer_begin(frontend, true, GW_PHASE_STOPPED, &channel, &reply));
	assert_int_equal(gw_frontend_resume(frontend), -EIO);
	close(channel);
	assert_int_equal(gw_frontend_transfer_check(frontend), -EIO);
	echo_init(&echo, frontend);
	ok(gw_frontend_resume(frontend));
	echo_once(&echo, frontend, 0, 2);
	end(&peer, frontend);
}

/* The ring that cannot go on is told of, and stays stopped; the others go on. */
static void a_ring_that_cannot(void **state)
{
	struct gw_frontend *frontend;
	struct gw_vu_mem_table none = {.count = 0};
	struct peer peer;

	frontend = start(&peer, false);
	ok(gw_frontend_suspend(frontend));
	ok(gw_frontend_tell(frontend, GW_VU_ACKED,
			    &(struct gw_vu_out){.request = GW_VU_SET_MEM_TABLE,
						.payload = &none,
						.len = offsetof(struct gw_vu_mem_table, regions)}));
	assert_int_equal(gw_frontend_resume(frontend), -EIO);
	/* Not held any more either. */
	assert_int_equal(ring_state(frontend, GW_VU_SET_VRING_NUM, 0, 64), 0);
	end(&peer, frontend);
}

/* One that cannot be silent says so, and goes on as if it had never been asked. */
static void a_device_that_cannot(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	frontend = start(&peer, false);
	echo_init(&echo, frontend);
	atomic_store(&peer.script->fail_suspend, EBUSY);
	assert_int_equal(gw_frontend_suspend(frontend), -EIO);
	echo_once(&echo, frontend, 0, 1);
	assert_int_equal(ring_state(frontend, GW_VU_SET_VRING_NUM, 0, 64), 1); /* it runs */
	/* Nor can it without a ring. */
	ok(gw_frontend_stop(frontend));
	assert_int_equal(gw_frontend_suspend(frontend), -EIO);
	atomic_store(&peer.script->fail_suspend, 0);
	ok(gw_frontend_suspend(frontend));
	ok(gw_frontend_start(frontend));
	ok(gw_frontend_resume(frontend));
	echo_once(&echo, frontend, 0, 2);
	ok(gw_frontend_suspend(frontend));
	ok(gw_frontend_resume(frontend));
	echo_once(&echo, frontend, 0, 3);
	end(&peer, frontend);
}

/* A device that has failed, and one that has moved away. */
static void who_is_not_there(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	frontend = start(&peer, false);
	echo_init(&echo, frontend);
	atomic_store(&peer.script->fail, true);
	echo_add(&echo, frontend, 0, 1, 100, 1);
	ok(gw_driver_kick(frontend, 0));
	assert_int_equal(gw_driver_wait(frontend, 1, 5000), -EIO);
	atomic_store(&peer.script->fail, false);
	assert_int_equal(gw_frontend_suspend(frontend), -EIO);
	ok(gw_frontend_reset_device(frontend));
	ok(gw_frontend_suspend(frontend));
	end(&peer, frontend);
}

/* A reset forgets it, and so does the next front-end. */
static void ends_with_reset_and_connection(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true,
						 .experimental = GW_EXPERIMENTAL_SUSPEND});
	frontend = make(&peer, false);
	ok(gw_frontend_start(frontend));
	ok(gw_frontend_suspend(frontend));
	ok(gw_frontend_tell(frontend, GW_VU_ACKED,
			    &(struct gw_vu_out){.request = GW_VU_RESET_DEVICE}));
	assert_int_equal(ring_state(frontend, GW_VU_SET_VRING_NUM, 0, 128), 0);
	assert_int_equal(atomic_load(&peer.script->resets), 1);
	gw_frontend_free(frontend);

	frontend = make(&peer, false);
	ok(gw_frontend_start(frontend));
	ok(gw_frontend_suspend(frontend));
	gw_frontend_free(frontend);
	frontend = make(&peer, false);
	echo_init(&echo, frontend);
	ok(gw_frontend_start(frontend));
	echo_once(&echo, frontend, 0, 1);
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

/* What a front-end that suspends and stops never says is what resets: SET_STATUS, RESET_DEVICE. */
static void no_status_is_ever_written(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;

	frontend = start(&peer, false);
	set_seed(frontend, 4);
	assert_false(gw_frontend_has(frontend, GW_VU_PF(STATUS)));
	ok(gw_frontend_suspend(frontend));
	ok(gw_frontend_stop(frontend));
	assert_int_equal(seed_of(frontend), 4);
	/* Who writes it all the same is refused, and loses nothing by it. */
	assert_int_equal(ring_state(frontend, GW_VU_SET_STATUS, 0, 0), 1);
	assert_int_equal(seed_of(frontend), 4);
	assert_int_equal(atomic_load(&peer.script->resets), 0);
	end(&peer, frontend);
}

/* Over and over, with requests in flight all the time. */
static void under_load(void **state)
{
	struct gw_frontend *frontend;
	struct echo echoes[16];
	struct peer peer;

	frontend = start(&peer, false);
	for (unsigned i = 0; i < 16; i++)
		echo_init(&echoes[i], frontend);
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 16; i++)
			echo_add(&echoes[i], frontend, i % SCRIPTED_QUEUES, i + round, 300, 2);
		for (unsigned i = 0; i < SCRIPTED_QUEUES; i++)
			ok(gw_driver_kick(frontend, i));
		ok(gw_frontend_suspend(frontend));
		ok(gw_frontend_resume(frontend));
		for (unsigned i = 0; i < 16; i++)
			echo_take(frontend, i % SCRIPTED_QUEUES);
	}
	end(&peer, frontend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_where_both_ask),
		cmocka_unit_test(silent_split),
		cmocka_unit_test(silent_packed),
		cmocka_unit_test(parked),
		cmocka_unit_test(rings_count_as_started),
		cmocka_unit_test(setups_are_remembered),
		cmocka_unit_test(starts_and_stops_are_remembered),
		cmocka_unit_test(twice_is_once),
		cmocka_unit_test(moves),
		cmocka_unit_test(resume_and_transfers),
		cmocka_unit_test(a_ring_that_cannot),
		cmocka_unit_test(a_device_that_cannot),
		cmocka_unit_test(who_is_not_there),
		cmocka_unit_test(ends_with_reset_and_connection),
		cmocka_unit_test(no_status_is_ever_written),
		cmocka_unit_test(under_load),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
