/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/memory-shrunk.c - guest memory whose file is cut: the ring breaks, the process does not.
 */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <unistd.h>

#include "echo.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"

#define MIB UINT64_C(0x100000)

/* In a child: cmocka has a handler for SIGBUS of its own. */
static void shrunk_file(void **state)
{
	struct gw_frontend *frontend;
	struct echo hot, echo;
	struct peer peer;
	void *base;
	int fd = -1;

	peer_start(&peer, &(struct peer_options){.fork = true, .reconnect = true});
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	ok(gw_frontend_add_region(frontend, MIB, &base));
	for (unsigned i = 0; i < GW_FRONTEND_REGIONS_MAX; i++)
		if (frontend->guest->regions[i].hot)
			fd = frontend->guest->regions[i].fd;
	hot = (struct echo){.out = base, .in = (char *)base + MIB / 2};
	echo_add(&hot, frontend, 0, 1, ECHO_MAX, 1);
	assert_int_equal(ftruncate(fd, 0), 0);
	ok(gw_driver_kick(frontend, 0));
	assert_int_equal(gw_driver_wait(frontend, 0, 5000), -EIO);
	gw_frontend_free(frontend);
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	echo_once(&echo, frontend, 0, 1);
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

/* The same with the dirty log: it is the front-end's loss. */
static void shrunk_log(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.fork = true});
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	ok(gw_frontend_log(frontend, true));
	echo_once(&echo, frontend, 0, 1);
	assert_int_equal(ftruncate(frontend->log_fd, 0), 0);
	for (unsigned i = 0; i < 5; i++)
		echo_once(&echo, frontend, 0, i);
	ok(gw_frontend_log(frontend, true)); /* a new one, as good as ever */
	echo_once(&echo, frontend, 0, 1);
	gw_frontend_free(frontend);
	assert_int_equal(peer_join(&peer), 0);
}

/* And the in-flight region. */
static void shrunk_inflight(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.fork = true, .reconnect = true});
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	echo_once(&echo, frontend, 0, 1);
	/* Sealed if the back-end made it; then it cannot be cut at all. */
	if (!ftruncate(frontend->inflight_fd, 0)) {
		echo_add(&echo, frontend, 0, 1, 100, 1);
		ok(gw_driver_kick(frontend, 0));
		gw_driver_wait(frontend, 0, 1000);
	}
	gw_frontend_free(frontend);
	gw_frontend_free(peer_frontend(&peer));
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shrunk_file),
		cmocka_unit_test(shrunk_log),
		cmocka_unit_test(shrunk_inflight),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
