/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/device-failed.c - a device that cannot go on: the front-end is told, all is refused, and
 * a reset makes it good again. */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "echo.h"
#include "peer.h"

static struct gw_frontend *make_two(const struct peer *peer)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	config.queues = 2;
	ok(gw_frontend_new(&frontend, &config));
	return frontend;
}

static struct gw_frontend *start_two(const struct peer *peer)
{
	struct gw_frontend *frontend = make_two(peer);

	ok(gw_frontend_start(frontend));
	return frontend;
}

/* Its err descriptors are signalled, those of rings that were idle as well. */
static void fail_device(const struct peer *peer, struct gw_frontend *frontend, struct echo *echo)
{
	atomic_store(&peer->script->fail, true);
	echo_add(echo, frontend, 0, 1, 100, 1);
	ok(gw_driver_kick(frontend, 0));
	assert_int_equal(gw_driver_wait(frontend, 1, 5000), -EIO);
	atomic_store(&peer->script->fail, false);
}

static void refuses_and_recovers(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo, after[2];
	struct peer peer;
	int fd = memfd_create("state", MFD_CLOEXEC);

	(void)state;
	peer_start(&peer, &(struct peer_options){0});
	frontend = start_two(&peer);
	echo_init(&echo, frontend);
	echo_once(&echo, frontend, 0, 1);
	fail_device(&peer, frontend, &echo);
	/* Its rings are stopped, or just stopping: both are answered. */
	ok(gw_frontend_stop(frontend));
	assert_true(gw_frontend_save(frontend, fd) < 0);
	assert_true(gw_frontend_start(frontend) < 0);
	assert_int_equal(atomic_load(&peer.script->saves), 0);
	ok(gw_frontend_reset_device(frontend));
	ok(gw_frontend_start(frontend));
	for (unsigned i = 0; i < 2; i++) {
		echo_init(&after[i], frontend);
		echo_once(&after[i], frontend, i, 2);
	}
	gw_frontend_free(frontend);
	peer_join(&peer);
	close(fd);
}

/* What is still out holds the stop up, and nothing else: elements come back, then it has failed. */
static void waits_for_elements(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	(void)state;
	peer_start(&peer, &(struct peer_options){0});
	frontend = start_two(&peer);
	echo_init(&echo, frontend);
	atomic_store(&peer.script->hold_ms, 100);
	fail_device(&peer, frontend, &echo);
	ok(gw_frontend_stop(frontend));
	assert_true(gw_frontend_start(frontend) < 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* The front-end goes at once: the failure is settled on the way out. */
static void nobody_looks(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	(void)state;
	peer_start(&peer, &(struct peer_options){.reconnect = true});
	frontend = start_two(&peer);
	echo_init(&echo, frontend);
	atomic_store(&peer.script->hold_ms, 50);
	fail_device(&peer, frontend, &echo);
	gw_frontend_free(frontend);
	frontend = make_two(&peer);
	assert_true(gw_frontend_start(frontend) < 0);
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_and_recovers),
		cmocka_unit_test(waits_for_elements),
		cmocka_unit_test(nobody_looks),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
