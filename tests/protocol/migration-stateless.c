/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/migration-stateless.c - a device stays in its process while its guest goes from one
 * connection to the next: the stream has a ticket, the ring's start decides whose it is. */
#include "../unit/cmocka-all.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "echo.h"
#include "operator.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"
#include "vhost-user/wire.h"

#define SEED UINT64_C(42)

static struct peer peer;
static struct gw_frontend *source;
static struct echo echo;

/* A device that has a state, and a guest that uses it. */
static void start_with(struct peer_options options)
{
	struct gw_frontend_config config;
	uint64_t seed = SEED;

	options.migration = options.control ? GW_MIGRATION_STATEFUL : GW_MIGRATION_STATELESS;
	peer_start(&peer, &options);
	config = peer_config(&peer);
	ok(gw_frontend_new(&source, &config));
	ok(gw_frontend_start(source));
	ok(gw_frontend_set_config(source, offsetof(struct scripted_config, seed), &seed,
				  sizeof(seed), false));
	echo_init(&echo, source);
	for (unsigned i = 0; i < 3; i++)
		echo_once(&echo, source, 0, i);
}

static void start(void)
{
	start_with((struct peer_options){0});
}

/* Stopped and saved; the stream, at its start. */
static int saved(struct gw_frontend *frontend)
{
	int stream = memfd_create("stream", MFD_CLOEXEC);

	assert_true(stream >= 0);
	ok(gw_frontend_stop(frontend));
	ok(gw_frontend_save(frontend, stream));
	lseek(stream, 0, SEEK_SET);
	return stream;
}

/* Of the device alone: the guest's rings are as they were. */
static void reset(struct gw_frontend *frontend)
{
	ok(gw_frontend_tell(frontend, GW_VU_ACKED,
			    &(struct gw_vu_out){.request = GW_VU_RESET_DEVICE}));
}

/* As QEMU comes: beside the source, and with a reset of what it finds. */
static struct gw_frontend *arrive(const struct peer *at, struct gw_frontend *from)
{
	struct gw_frontend_config config = peer_config(at);
	struct gw_frontend *to;

	ok(gw_frontend_stop(from)); /* the test's front-ends share the guest's rings */
	ok(gw_frontend_migrate(&to, from, &config));
	reset(to);
	return to;
}

static void load(struct gw_frontend *to, int stream)
{
	ok(gw_frontend_load(to, stream));
	close(stream);
}

static void assert_config(struct gw_frontend *frontend, uint64_t answered, uint64_t seed)
{
	struct scripted_config config;

	ok(gw_frontend_get_config(frontend, 0, &config, sizeof(config)));
	assert_int_equal(config.answered, answered);
	assert_int_equal(config.seed, seed);
}

static void ends(struct gw_frontend *last)
{
	gw_frontend_free(last);
	assert_int_equal(peer_join(&peer), 0);
}

/* It is the same device, which has not noticed. */
static void moves(void **state)
{
	struct gw_frontend *to;
	int stream;

	start();
	stream = saved(source);
	assert_true(lseek(stream, 0, SEEK_END) < 1024);
	lseek(stream, 0, SEEK_SET);
	to = arrive(&peer, source);
	load(to, stream);
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_RESUMED]), 0);
	ok(gw_frontend_start(to));
	echo_once(&echo, to, 0, 9);
	assert_config(to, 4, SEED);
	assert_int_equal(atomic_load(&peer.script->saves), 0);
	assert_int_equal(atomic_load(&peer.script->loads), 0);
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_RESUMED]), 1);
	/* What the source's connection is left with does not run. */
	assert_true(gw_frontend_start(source) < 0);
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_FRESH]), 1);
	gw_frontend_free(source);
	echo_once(&echo, to, 0, 10);
	ends(to);
}

/* The source starts again: it is its own, and nobody else's any more. */
static void fails(void **state)
{
	struct gw_frontend *to;

	start();
	to = arrive(&peer, source);
	load(to, saved(source));
	ok(gw_frontend_start(source));
	echo_once(&echo, source, 0, 9);
	assert_true(gw_frontend_start(to) < 0);
	gw_frontend_free(to);
	echo_once(&echo, source, 0, 10);
	assert_config(source, 5, SEED);
	ends(source);
}

/* A second attempt after that. */
static void fails_and_moves(void **state)
{
	struct gw_frontend *to;

	start();
	to = arrive(&peer, source);
	load(to, saved(source));
	ok(gw_frontend_start(source));
	gw_frontend_free(to);
	to = arrive(&peer, source);
	load(to, saved(source));
	ok(gw_frontend_start(to));
	echo_once(&echo, to, 0, 9);
	assert_config(to, 4, SEED);
	gw_frontend_free(source);
	ends(to);
}

/* The source's VMM is gone before the destination's runs. */
static void source_ends_first(void **state)
{
	struct gw_frontend *to;

	start();
	to = arrive(&peer, source);
	load(to, saved(source));
	gw_frontend_free(source);
	sleep_ms(700); /* longer than it takes to look who may end */
	ok(gw_frontend_start(to));
	echo_once(&echo, to, 0, 9);
	assert_config(to, 4, SEED);
	ends(to);
}

/* Nor has the destination come by then. */
static void source_ends_before(void **state)
{
	struct gw_frontend_config config;
	struct gw_frontend *to;
	int stream;

	start();
	stream = saved(source);
	/* It has the guest's memory from the source. */
	config = peer_config(&peer);
	to = arrive(&peer, source);
	gw_frontend_free(source);
	source = to;
	ok(gw_frontend_migrate(&to, source, &config));
	gw_frontend_free(source);
	load(to, stream);
	ok(gw_frontend_start(to));
	assert_config(to, 3, SEED);
	ends(to);
}

static void there_and_back(void **state)
{
	struct gw_frontend *to, *back;

	start();
	to = arrive(&peer, source);
	load(to, saved(source));
	ok(gw_frontend_start(to));
	gw_frontend_free(source);
	echo_once(&echo, to, 0, 9);
	back = arrive(&peer, to);
	load(back, saved(to));
	ok(gw_frontend_start(back));
	gw_frontend_free(to);
	echo_once(&echo, back, 0, 10);
	assert_config(back, 5, SEED);
	ends(back);
}

/* A reset is of the session that its own connection has, which is a fresh one. */
static void reset_at_the_destination(void **state)
{
	struct gw_frontend *to;

	start();
	to = arrive(&peer, source);
	load(to, saved(source));
	reset(to);
	ok(gw_frontend_start(source));
	echo_once(&echo, source, 0, 9);
	assert_config(source, 4, SEED);
	gw_frontend_free(to);
	ends(source);
}

/* And when it has it, of that one. */
static void reset_of_what_was_taken(void **state)
{
	struct gw_frontend *to;

	start();
	to = arrive(&peer, source);
	load(to, saved(source));
	ok(gw_frontend_start(to));
	ok(gw_frontend_stop(to));
	reset(to);
	assert_config(to, 0, 1); /* as it is made */
	gw_frontend_free(source);
	ends(to);
}

static void destination_dies(void **state)
{
	struct gw_frontend *to;

	start();
	to = arrive(&peer, source);
	load(to, saved(source));
	gw_frontend_free(to);
	ok(gw_frontend_start(source));
	echo_once(&echo, source, 0, 9);
	ends(source);
}

/* Both are gone: nothing is waited for longer than it was said. */
static void both_die(void **state)
{
	struct gw_frontend *to;

	start_with((struct peer_options){.frozen_timeout_ms = 50});
	to = arrive(&peer, source);
	load(to, saved(source));
	gw_frontend_free(source);
	ends(to);
}

/* A ticket is good until its device starts again, and in the process that gave it. */
static void wrong_tickets(void **state)
{
	struct gw_frontend *to;
	struct peer other;
	int stream, old;

	start();
	old = saved(source);
	ok(gw_frontend_start(source));
	stream = saved(source);
	to = arrive(&peer, source);
	assert_true(gw_frontend_load(to, old) < 0);
	close(old);
	/* A load that failed has left it as it was. */
	load(to, stream);
	ok(gw_frontend_start(to));
	stream = saved(to);
	peer_start(&other, &(struct peer_options){.migration = GW_MIGRATION_STATELESS});
	gw_frontend_free(source);
	source = arrive(&other, to);
	assert_true(gw_frontend_load(source, stream) < 0);
	close(stream);
	ok(gw_frontend_start(to));
	assert_config(to, 3, SEED);
	gw_frontend_free(source);
	assert_int_equal(peer_join(&other), 0);
	ends(to);
}

/* One can have it. */
static void claimed_twice(void **state)
{
	struct gw_frontend *first, *second;
	int stream;

	start_with((struct peer_options){.connections = 2});
	stream = saved(source);
	first = arrive(&peer, source);
	second = arrive(&peer, source);
	ok(gw_frontend_load(first, stream));
	lseek(stream, 0, SEEK_SET);
	assert_true(gw_frontend_load(second, stream) < 0);
	/* But for the other if the first lets go. */
	gw_frontend_free(first);
	lseek(stream, 0, SEEK_SET);
	load(second, stream);
	ok(gw_frontend_start(second));
	echo_once(&echo, second, 0, 9);
	gw_frontend_free(source);
	ends(second);
}

/* Requests that stay open across a stop are answered to who has the rings. */
static void parked(void **state)
{
	struct gw_frontend *to;
	struct echo held;

	start();
	echo_init(&held, source);
	atomic_store(&peer.script->hold, true);
	atomic_store(&peer.script->park, true);
	echo_add(&held, source, 0, 7, 100, 1);
	ok(gw_driver_kick(source, 0));
	wait_until(&peer.script->elements, 4);
	to = arrive(&peer, source);
	load(to, saved(source));
	atomic_store(&peer.script->hold, false);
	ok(gw_frontend_start(to));
	assert_ptr_equal(echo_take(to, 0), &held);
	gw_frontend_free(source);
	ends(to);
}

/* From the control socket, while a guest runs. */
static void at_run_time(void **state)
{
	struct operator operator;
	struct gw_frontend *to;
	json_t *session;

	start_with((struct peer_options){.control = true});
	operator_open(&operator, peer.control);
	operator_do(&operator,
		    "{\"execute\":\"migration-set\",\"arguments\":{\"migration\":\"stateless\"}}");
	json_decref(operator_ask(&operator, "preflight"));
	assert_int_equal(atomic_load(&peer.script->preflights), 0);
	int stream = saved(source);
	session = operator_session(&operator);
	assert_string_equal(json_string_value(operator_at(session, "migration.waits.for")),
			    "claim");
	json_decref(session);
	/* It is told where it goes, and has no use for it. */
	operator_do(&operator, "{\"execute\":\"migration-outcome\","
			       "\"arguments\":{\"outcome\":\"moved\"}}");
	to = arrive(&peer, source);
	load(to, stream);
	ok(gw_frontend_start(to));
	gw_frontend_free(source);
	echo_once(&echo, to, 0, 9);
	/* The source's session has ended with its connection, and the number is the device's. */
	session = NULL;
	while (!session) {
		json_t *status = operator_ask(&operator, "query-status");

		if (json_array_size(operator_at(status, "sessions")) == 1)
			session = json_incref(json_array_get(operator_at(status, "sessions"), 0));
		json_decref(status);
	}
	assert_int_equal(json_integer_value(operator_at(session, "session")), 0);
	assert_string_equal(json_string_value(operator_at(session, "device_state")), "running");
	assert_string_equal(json_string_value(operator_at(session, "migration.outcome")), "moved");
	json_decref(session);
	operator_close(&operator);
	ends(to);
}

/* The outcome may be told, too: the source has it back. */
static void told_that_it_failed(void **state)
{
	struct operator operator;
	struct gw_frontend *to;

	start_with((struct peer_options){.control = true});
	operator_open(&operator, peer.control);
	operator_do(&operator,
		    "{\"execute\":\"migration-set\",\"arguments\":{\"migration\":\"stateless\"}}");
	to = arrive(&peer, source);
	load(to, saved(source));
	operator_do(&operator, "{\"execute\":\"migration-outcome\","
			       "\"arguments\":{\"outcome\":\"failed\",\"session\":0}}");
	assert_true(gw_frontend_start(to) < 0);
	ok(gw_frontend_start(source));
	echo_once(&echo, source, 0, 9);
	operator_close(&operator);
	gw_frontend_free(to);
	ends(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves),
		cmocka_unit_test(fails),
		cmocka_unit_test(fails_and_moves),
		cmocka_unit_test(source_ends_first),
		cmocka_unit_test(source_ends_before),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(reset_at_the_destination),
		cmocka_unit_test(reset_of_what_was_taken),
		cmocka_unit_test(destination_dies),
		cmocka_unit_test(both_die),
		cmocka_unit_test(wrong_tickets),
		cmocka_unit_test(claimed_twice),
		cmocka_unit_test(parked),
		cmocka_unit_test(at_run_time),
		cmocka_unit_test(told_that_it_failed),
	};

	gw_log_set_level(getenv("LOUD") ? GW_LOG_DEBUG : GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
