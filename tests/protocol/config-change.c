/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/config-change.c - a device tells that its configuration changed: only while it runs. */
#include "../unit/cmocka-all.h"

#include "echo.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"

static void *device; /* the last one made */
static struct gw_device_ops ops;

static int create(void **dev, const struct gw_params *params, const void *host)
{
	int err = scripted_ops.create(dev, params, host);

	device = *dev;
	return err;
}

static void start_peer(struct peer *peer)
{
	ops = scripted_ops;
	ops.create = create;
	peer_start(peer, &(struct peer_options){.ops = &ops, .reconnect = true});
}

static void told_while_it_runs(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;

	start_peer(&peer);
	frontend = peer_frontend(&peer);
	for (unsigned i = 1; i <= 3; i++) {
		gw_config_changed(device);
		wait_until(&frontend->config_changes, i);
	}
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

static void kept_while_suspended(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;
	char bytes[8];

	start_peer(&peer);
	frontend = peer_frontend(&peer);
	ok(gw_frontend_stop(frontend));
	for (unsigned i = 0; i < 5; i++)
		gw_config_changed(device);
	/* Answered after what was posted before it. */
	ok(gw_frontend_get_config(frontend, 0, bytes, sizeof(bytes)));
	sleep_ms(20);
	assert_int_equal(atomic_load(&frontend->config_changes), 0);
	ok(gw_frontend_start(frontend));
	wait_until(&frontend->config_changes, 1);
	sleep_ms(20);
	assert_int_equal(atomic_load(&frontend->config_changes), 1);
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

/* Nobody there, or a device that was never served: nothing happens. */
static void told_to_nobody(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;

	start_peer(&peer);
	gw_config_changed(device);
	frontend = peer_frontend(&peer);
	gw_frontend_free(frontend);
	gw_config_changed(device);
	gw_config_changed(&peer);
	peer_stop(&peer);
	gw_config_changed(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_while_it_runs),
		cmocka_unit_test(kept_while_suspended),
		cmocka_unit_test(told_to_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
