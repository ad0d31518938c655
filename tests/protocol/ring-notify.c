/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/ring-notify.c - call descriptors may change at any time, and no notification is lost. */
#include "../unit/cmocka-all.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "echo.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"

/* Each new descriptor is in force when it is acknowledged: what comes later signals it. */
static void changed_under_load(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	for (unsigned i = 0; i < 200; i++) {
		struct gw_frontend_queue *queue = &frontend->queues[0];

		echo_add(&echo, frontend, 0, i, 64, 1);
		ok(gw_driver_kick(frontend, 0));
		if (i % 3 == 0) {
			close(queue->call);
			queue->call = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
			/* Signalled from the start, as a VMM does, for what came in between. */
			ok(gw_frontend_send_ring_fd(frontend, GW_VU_SET_VRING_CALL, 0,
						    queue->call));
		}
		echo_take(frontend, 0);
	}
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* Masked: no descriptor at all. Requests are served all the same. */
static void without_call(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;
	uint32_t len;
	void *token;

	peer_start(&peer, &(struct peer_options){0});
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	ok(gw_frontend_send_ring_fd(frontend, GW_VU_SET_VRING_CALL, 0, -1));
	echo_add(&echo, frontend, 0, 1, 64, 1);
	ok(gw_driver_kick(frontend, 0));
	for (unsigned i = 0; i < 5000 && !gw_driver_get(frontend, 0, &token, &len); i++)
		sleep_ms(1);
	assert_int_equal(gw_driver_in_flight(frontend, 0), 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* A suspended device tells the guest nothing. */
static void silent_when_stopped(void **state)
{
	struct gw_frontend *frontend;
	struct pollfd call;
	struct echo echo;
	struct peer peer;
	uint64_t count;

	peer_start(&peer, &(struct peer_options){0});
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	echo_once(&echo, frontend, 0, 1);
	ok(gw_frontend_stop(frontend));
	call = (struct pollfd){.fd = frontend->queues[0].call, .events = POLLIN};
	while (poll(&call, 1, 0) > 0 && read(call.fd, &count, sizeof(count)) > 0)
		;
	/* Also allowed while stopped: a VMM masks its interrupts then. */
	ok(gw_frontend_send_ring_fd(frontend, GW_VU_SET_VRING_CALL, 0, call.fd));
	echo_add(&echo, frontend, 0, 2, 64, 1);
	count = 1;
	assert_int_equal(write(frontend->queues[0].kick, &count, sizeof(count)), sizeof(count));
	assert_int_equal(poll(&call, 1, 20), 0);
	assert_int_equal(atomic_load(&peer.script->elements), 1);
	ok(gw_frontend_start(frontend));
	echo_take(frontend, 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changed_under_load),
		cmocka_unit_test(without_call),
		cmocka_unit_test(silent_when_stopped),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
