/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/frozen.c - a back-end whose exclusive device was saved to move: it waits for the outcome
 * as long as it was told, and then does what it was told. */
#include "../unit/cmocka-all.h"

#include <sys/mman.h>
#include <unistd.h>

#include "echo.h"
#include "peer.h"

static struct gw_device_ops exclusive;

static void save(const struct peer *peer)
{
	struct gw_frontend *frontend = peer_frontend(peer);
	int fd = memfd_create("state", MFD_CLOEXEC);

	ok(gw_frontend_stop(frontend));
	ok(gw_frontend_save(frontend, fd));
	gw_frontend_free(frontend);
	close(fd);
}

/* The last front-end left: it ends only when it knows, or is told to know, that it moved. */
static void ends_when_dropped(void **state)
{
	struct peer peer;

	(void)state;
	peer_start(&peer, &(struct peer_options){.ops = &exclusive,
						 .on_save = GW_ON_SAVE_MOVE,
						 .on_lost_outcome = GW_LOST_DROP,
						 .frozen_timeout_ms = 50});
	save(&peer);
	assert_int_equal(peer_join(&peer), 0);
}

static void stays_when_kept(void **state)
{
	struct peer peer;

	(void)state;
	peer_start(&peer, &(struct peer_options){.ops = &exclusive,
						 .on_save = GW_ON_SAVE_MOVE,
						 .on_lost_outcome = GW_LOST_KEEP,
						 .frozen_timeout_ms = 50});
	save(&peer);
	sleep_ms(800); /* longer than it takes to look whether it may end */
	assert_int_equal(atomic_load(&peer.script->destroyed), 0);
	/* Still there: who comes takes it back. */
	gw_frontend_free(peer_frontend(&peer));
	assert_int_equal(peer_join(&peer), 0);
}

/* A copy freezes nothing. */
static void ends_after_a_copy(void **state)
{
	struct peer peer;

	(void)state;
	peer_start(&peer, &(struct peer_options){.ops = &exclusive, .on_save = GW_ON_SAVE_COPY});
	save(&peer);
	assert_int_equal(peer_join(&peer), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_when_dropped),
		cmocka_unit_test(stays_when_kept),
		cmocka_unit_test(ends_after_a_copy),
	};

	gw_log_set_level(GW_LOG_OFF);
	exclusive = scripted_ops;
	exclusive.ownership = GW_EXCLUSIVE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
