/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/connection.c - connections come and go: when the back-end ends, and when it goes on. */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"

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

static void ends_at_last_disconnect(void **state)
{
	struct gw_frontend *first, *second;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.connections = 2});
	first = peer_frontend(&peer);
	second = peer_frontend(&peer);
	gw_frontend_free(first);
	ok(gw_frontend_stop(second));
	gw_frontend_free(second);
	assert_int_equal(peer_join(&peer), 0);
}

/* In the middle of requests, that it still holds. */
static void disconnect_under_load(void **state)
{
	struct gw_frontend *frontend;
	struct script *script;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	script = peer.script;
	for (unsigned i = 0; i < 5; i++) {
		atomic_store(&script->hold_ms, 10);
		frontend = peer_frontend(&peer);
		echo_init(&echo, frontend);
		echo_add(&echo, frontend, 0, i, 100, 1);
		ok(gw_driver_kick(frontend, 0));
		wait_until(&script->elements, 2 * i + 1);
		gw_frontend_free(frontend);
		frontend = peer_frontend(&peer);
		echo_init(&echo, frontend);
		atomic_store(&script->hold_ms, 0);
		echo_once(&echo, frontend, 0, i);
		gw_frontend_free(frontend);
	}
	peer_stop(&peer);
}

static void disconnect_in_transfer(void **state)
{
	enum gw_transfer_reply reply;
	struct gw_frontend *frontend;
	struct peer peer;
	int channel;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	atomic_store(&peer.script->bulk_bytes, 1 << 20);
	for (unsigned i = 0; i < 6; i++) {
		struct gw_frontend_config config = peer_config(&peer);

		ok(gw_frontend_new(&frontend, &config));
		ok(gw_frontend_transfer_begin(frontend, i % 2, GW_PHASE_STOPPED, &channel, &reply));
		if (i < 2) /* the channel first */
			close(channel);
		if (i >= 4) /* while it waits for the verdict */
			ok(gw_frontend_send_raw(frontend, GW_VU_CHECK_DEVICE_STATE, GW_VU_VERSION,
						NULL, 0, NULL, 0));
		gw_frontend_free(frontend);
		if (i >= 2)
			close(channel);
	}
	gw_frontend_free(peer_frontend(&peer));
	peer_stop(&peer);
}

/* Without reconnection too: it must end, though a transfer was under way. */
static void end_in_transfer(void **state)
{
	enum gw_transfer_reply reply;
	struct peer peer;
	int channel;

	for (unsigned i = 0; i < 2; i++) {
		struct gw_frontend_config config;
		struct gw_frontend *frontend;

		peer_start(&peer, &(struct peer_options){0});
		atomic_store(&peer.script->bulk_bytes, 1 << 20);
		config = peer_config(&peer);
		ok(gw_frontend_new(&frontend, &config));
		ok(gw_frontend_transfer_begin(frontend, i, GW_PHASE_STOPPED, &channel, &reply));
		gw_frontend_free(frontend);
		assert_int_equal(peer_join(&peer), 0);
		close(channel);
	}
}

/* The next connection takes the session over: what it knew is still there. */
static void session_is_taken_over(void **state)
{
	struct gw_frontend_config config;
	struct gw_frontend *first, *second;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	config = peer_config(&peer);
	first = peer_frontend(&peer);
	echo_init(&echo, first);
	echo_once(&echo, first, 0, 1);
	set_seed(first, 33);
	ok(gw_frontend_stop(first));
	shutdown(gw_frontend_socket(first), SHUT_RDWR);
	ok(gw_frontend_migrate(&second, first, &config));
	gw_frontend_free(first);
	ok(gw_frontend_start(second));
	assert_int_equal(seed_of(second), 33);
	echo_once(&echo, second, 0, 2);
	assert_int_equal(atomic_load(&peer.script->created), 1);
	gw_frontend_free(second);
	peer_stop(&peer);
}

/* Killed: whoever waits for it learns it, and never waits for ever. */
static void killed_in_save(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;
	int stream = memfd_create("stream", MFD_CLOEXEC);
	int err;

	peer_start(&peer, &(struct peer_options){.fork = true});
	atomic_store(&peer.script->bulk_bytes, 1 << 20);
	atomic_store(&peer.script->die, SCRIPT_AT_SAVE);
	frontend = peer_frontend(&peer);
	ok(gw_frontend_stop(frontend));
	err = gw_frontend_save(frontend, stream);
	assert_int_equal(err, -ECONNRESET);
	gw_frontend_free(frontend);
	close(stream);
	assert_int_equal(peer_join(&peer), -SIGABRT);
}

static void killed_at_element(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.fork = true});
	atomic_store(&peer.script->die, SCRIPT_AT_ELEMENT);
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	echo_add(&echo, frontend, 0, 1, 100, 1);
	ok(gw_driver_kick(frontend, 0));
	assert_int_equal(gw_driver_wait(frontend, 0, 5000), -ECONNRESET);
	assert_true(gw_frontend_stop(frontend) < 0);
	gw_frontend_free(frontend);
	assert_int_equal(peer_join(&peer), -SIGABRT);
}

/* A back-end that hangs is waited for no longer than was said. */
static void timeout(void **state)
{
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	int stream = memfd_create("stream", MFD_CLOEXEC);
	struct peer peer;
	int64_t began;

	peer_start(&peer, &(struct peer_options){.fork = true});
	config = peer_config(&peer);
	config.timeout_ms = 50;
	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_start(frontend));
	ok(gw_frontend_stop(frontend));
	kill(peer.pid, SIGSTOP);
	began = gw_now_ms();
	assert_int_equal(gw_frontend_save(frontend, stream), -ETIMEDOUT);
	assert_true(gw_now_ms() - began < 1000);
	kill(peer.pid, SIGCONT);
	gw_frontend_free(frontend);
	close(stream);
	peer_join(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_at_last_disconnect), cmocka_unit_test(disconnect_under_load),
		cmocka_unit_test(disconnect_in_transfer),  cmocka_unit_test(end_in_transfer),
		cmocka_unit_test(session_is_taken_over),   cmocka_unit_test(killed_in_save),
		cmocka_unit_test(killed_at_element),	   cmocka_unit_test(timeout),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
