/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/status-transfer.c - what the control socket tells of a transfer, phase by phase. */
#include "../unit/cmocka-all.h"

#include <sys/mman.h>
#include <unistd.h>

#include "echo.h"
#include "operator.h"
#include "peer.h"

#define DRAIN_MS 40
#define IDLE_MS	 20
#define SAVE_MS	 30
#define START_MS 25

static json_int_t phase(const json_t *session, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "last_transfer.phases.%s", name);
	return json_integer_value(operator_at(session, path));
}

/* What each phase is made to last is what it is said to have lasted, at least. */
static void save(const struct peer *peer, struct operator* operator, int fd)
{
	struct gw_frontend *frontend = peer_frontend(peer);
	struct echo echo;
	json_t *session;

	atomic_store(&peer->script->hold_ms, DRAIN_MS);
	atomic_store(&peer->script->bulk_bytes, 1);
	atomic_store(&peer->script->save_pause_ms, SAVE_MS);
	echo_init(&echo, frontend);
	echo_add(&echo, frontend, 0, 1, 100, 1);
	ok(gw_driver_kick(frontend, 0));
	wait_until(&peer->script->elements, 1);
	ok(gw_frontend_stop(frontend));
	sleep_ms(IDLE_MS);
	ok(gw_frontend_save(frontend, fd));
	session = operator_session(operator);
	assert_string_equal(json_string_value(operator_at(session, "last_transfer.direction")),
			    "save");
	assert_string_equal(json_string_value(operator_at(session, "last_transfer.result")), "ok");
	assert_true(phase(session, "stop_us") >= (DRAIN_MS - 10) * 1000);
	assert_true(phase(session, "idle_us") >= IDLE_MS * 1000);
	assert_true(phase(session, "save_us") >= SAVE_MS * 1000);
	assert_true(phase(session, "open_us") >= 0);
	assert_true(json_integer_value(operator_at(session, "last_transfer.ms")) >= SAVE_MS);
	assert_true(json_integer_value(operator_at(session, "last_transfer.bytes")) > 0);
	json_decref(session);
	gw_frontend_free(frontend);
}

static void load(const struct peer *peer, struct operator* operator, int fd)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;
	json_t *session;

	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_load(frontend, fd));
	session = operator_session(operator);
	assert_string_equal(json_string_value(operator_at(session, "last_transfer.direction")),
			    "load");
	assert_int_equal(phase(session, "start_us"), 0);
	assert_true(phase(session, "load_us") > 0);
	assert_true(phase(session, "open_us") > 0);
	json_decref(session);
	sleep_ms(START_MS);
	ok(gw_frontend_start(frontend));
	session = operator_session(operator);
	assert_true(phase(session, "start_us") >= START_MS * 1000);
	json_decref(session);
	gw_frontend_free(frontend);
}

static void phases(void **state)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	struct operator operator;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.control = true});
	operator_open(&operator, peer.control);
	save(&peer, &operator, fd);
	operator_close(&operator);
	peer_join(&peer);

	lseek(fd, 0, SEEK_SET);
	peer_start(&peer, &(struct peer_options){.control = true});
	operator_open(&operator, peer.control);
	load(&peer, &operator, fd);
	operator_close(&operator);
	peer_join(&peer);
	close(fd);
}

/* A device that never ran was not stopped either. */
static void fresh(void **state)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct operator operator;
	struct peer peer;
	json_t *session;

	peer_start(&peer, &(struct peer_options){.control = true});
	operator_open(&operator, peer.control);
	config = peer_config(&peer);
	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_save(frontend, fd));
	session = operator_session(&operator);
	assert_int_equal(phase(session, "stop_us"), 0);
	assert_int_equal(phase(session, "idle_us"), 0);
	json_decref(session);
	gw_frontend_free(frontend);
	operator_close(&operator);
	peer_join(&peer);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(phases),
		cmocka_unit_test(fresh),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
