/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/accept-limit.c - no descriptor is left for a new connection: it waits, and the back-end
 * does not spin meanwhile. */
#include "../unit/cmocka-all.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "peer.h"
#include "provoke.h"

#define LOOK_MS 300

static atomic_uint complaints;

static void count(void *opaque, enum gw_log_level level, const char *line)
{
	atomic_fetch_add(&complaints, 1);
}

static void waits_for_a_descriptor(void **state)
{
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct rlimit before, none;
	struct peer peer;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	peer_start(&peer, &(struct peer_options){0});
	strcpy(address.sun_path, peer.socket);
	sleep_ms(20);
	assert_false(getrlimit(RLIMIT_NOFILE, &before));
	none = before;
	none.rlim_cur = 3;
	assert_false(setrlimit(RLIMIT_NOFILE, &none));
	assert_false(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	sleep_ms(LOOK_MS);
	assert_false(setrlimit(RLIMIT_NOFILE, &before));
	/* A line each time that it tries. */
	assert_in_range(atomic_load(&complaints), 1, 20);

	config = peer_config(&peer);
	config.socket_path = NULL;
	config.fd = fd;
	ok(gw_frontend_new(&frontend, &config));
	gw_frontend_free(frontend);
	peer_join(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(waits_for_a_descriptor)};

	gw_log_set_level(GW_LOG_WARN);
	gw_log_set_sink(count, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
