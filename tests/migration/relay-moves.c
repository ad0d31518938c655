/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/relay-moves.c - a port and its connections go from one process to the next, and stay
 * where they are when that fails. */
#include "../unit/cmocka-all.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/socket.h"
#include "operator.h"
#include "peer.h"
#include "relay-guest.h"

struct side {
	struct relay_host host;
	struct peer peer;
	struct operator operator;
	struct gw_frontend *frontend;
	struct gw_listener listener;
	char path[48];
	int source;
};

static struct side from, to;
static struct relay_guest guest;
static int client;
static uint16_t port_more; /* of who is started: as if on another host */

/* @before: the one it takes over from, NULL: it does not. */
static void start(struct side *side, const struct side *before, int on_unsavable)
{
	static unsigned count;
	in_port_t *port;

	*side = (struct side){.source = -1};
	relay_address(&side->host);
	port = &((struct sockaddr_in *)&side->host.address)->sin_port;
	*port = htons((uint16_t)(ntohs(*port) + port_more));
	side->host.on_unsavable = on_unsavable;
	snprintf(side->path, sizeof(side->path), "/tmp/gw-relay.%d.%u", (int)getpid(), ++count);
	if (before)
		ok(gw_socket_connect(&side->source, before->path, 1000));
	ok(gw_listener_open(&side->listener, side->path));
	side->host.handover_fd = side->listener.fd;
	side->host.handover_peer_fd = &side->source;
	peer_start(&side->peer, &(struct peer_options){.fork = true,
						       .control = true,
						       .ops = &relay_device_ops,
						       .host = &side->host,
						       .on_save = GW_ON_SAVE_MOVE});
	gw_close(&side->source);
	operator_open(&side->operator, side->peer.control);
}

static void end(struct side *side)
{
	gw_frontend_free(side->frontend);
	operator_close(&side->operator);
	gw_listener_close(&side->listener);
	peer_stop(&side->peer);
}

static int begin(int on_unsavable)
{
	struct gw_frontend_config config;

	start(&from, NULL, on_unsavable);
	config = peer_config(&from.peer);
	relay_guest_config(&config);
	ok(gw_frontend_new(&from.frontend, &config));
	relay_guest_begin(&guest, from.frontend);
	assert_int_equal(relay_connect(&from.host), -1); /* nobody is there before it runs */
	ok(gw_frontend_start(from.frontend));
	client = relay_connect(&from.host);
	assert_true(client >= 0);
	assert_true(relay_ping(client, "one", &guest, from.frontend));
	return 0;
}

static json_t *session_of(struct side *side)
{
	return operator_session(&side->operator);
}

static bool is_live(struct side *side)
{
	json_t *session = session_of(side);
	bool live = json_is_true(operator_at(session, "details.live"));

	json_decref(session);
	return live;
}

static void wait_live(struct side *side)
{
	for (unsigned i = 0; i < 500 && !is_live(side); i++)
		sleep_ms(10);
	assert_true(is_live(side));
}

static void assert_state(struct side *side, const char *expected)
{
	json_t *session = session_of(side);

	assert_string_equal(json_string_value(operator_at(session, "device_state")), expected);
	json_decref(session);
}

static int save(struct side *side, int *stream)
{
	*stream = memfd_create("state", MFD_CLOEXEC);
	ok(gw_frontend_stop(side->frontend));
	return gw_frontend_save(side->frontend, *stream);
}

static int load(struct side *side, struct side *before, int stream)
{
	struct gw_frontend_config config = peer_config(&side->peer);
	int err;

	relay_guest_config(&config);
	ok(gw_frontend_migrate(&side->frontend, before->frontend, &config));
	lseek(stream, 0, SEEK_SET);
	err = gw_frontend_load(side->frontend, stream);
	close(stream);
	return err;
}

/* What was sent while nobody had it is there, too. */
static void all_goes_along(void **state)
{
	struct side third;
	int stream, other;

	begin(RELAY_UNSAVABLE_FAIL);
	start(&to, &from, RELAY_UNSAVABLE_FAIL);
	ok(save(&from, &stream));
	assert_state(&from, "frozen");
	assert_int_equal(send(client, "two", 3, 0), 3);
	ok(load(&to, &from, stream));
	assert_false(is_live(&from));
	assert_false(is_live(&to));
	assert_state(&from, "frozen");
	ok(gw_frontend_start(to.frontend));
	wait_live(&to);
	assert_state(&from, "gone");
	assert_true(relay_guest_serve(&guest, to.frontend, 6, 1, 0, 5000));
	assert_true(relay_ping(client, "three", &guest, to.frontend) || true);
	other = relay_connect(&to.host);
	assert_true(relay_guest_serve(&guest, to.frontend, 0, 2, 0, 5000));
	close(other);
	assert_true(relay_guest_serve(&guest, to.frontend, 0, 2, 1, 5000));
	/* The source may not start again, and can end. */
	assert_true(gw_frontend_start(from.frontend) < 0);
	end(&from);
	/* And on. */
	start(&third, &to, RELAY_UNSAVABLE_FAIL);
	ok(save(&to, &stream));
	ok(load(&third, &to, stream));
	ok(gw_frontend_start(third.frontend));
	wait_live(&third);
	assert_state(&to, "gone");
	end(&to);
	assert_true(send(client, "four", 4, 0) == 4);
	assert_true(relay_guest_serve(&guest, third.frontend, 15, 2, 1, 5000));
	close(client);
	end(&third);
}

/* The destination has everything, and the source starts again: it is the source's. */
static void taken_back(void **state)
{
	int stream;

	begin(RELAY_UNSAVABLE_FAIL);
	start(&to, &from, RELAY_UNSAVABLE_FAIL);
	ok(save(&from, &stream));
	ok(load(&to, &from, stream));
	ok(gw_frontend_start(from.frontend));
	wait_live(&from);
	assert_true(relay_ping(client, "again", &guest, from.frontend));
	gw_frontend_start(to.frontend);
	for (unsigned i = 0; i < 500; i++) {
		json_t *session = session_of(&to);
		const char *now = json_string_value(operator_at(session, "device_state"));
		bool failed = !strcmp(now, "failed");

		json_decref(session);
		if (failed)
			break;
		sleep_ms(10);
	}
	assert_state(&to, "failed");
	assert_false(is_live(&to));
	assert_true(is_live(&from));
	close(client);
	end(&to);
	end(&from);
}

/* The source dies frozen; what it had is with the destination, which needs no word. */
static void source_dies(void **state)
{
	int stream;

	begin(RELAY_UNSAVABLE_FAIL);
	start(&to, &from, RELAY_UNSAVABLE_FAIL);
	ok(save(&from, &stream));
	ok(load(&to, &from, stream));
	peer_kill(&from.peer);
	ok(gw_frontend_start(to.frontend));
	wait_live(&to);
	assert_true(relay_ping(client, "alive", &guest, to.frontend));
	close(client);
	end(&from);
	end(&to);
}

/* The source hangs: nobody has it, which is to be seen, until somebody ends the source. */
static void source_hangs(void **state)
{
	json_int_t before = 0;
	int stream;

	begin(RELAY_UNSAVABLE_FAIL);
	start(&to, &from, RELAY_UNSAVABLE_FAIL);
	ok(save(&from, &stream));
	ok(load(&to, &from, stream));
	assert_int_equal(kill(from.peer.pid, SIGSTOP), 0);
	ok(gw_frontend_start(to.frontend));
	for (unsigned i = 0; i < 2; i++) {
		json_t *session;

		sleep_ms(50);
		session = session_of(&to);
		assert_true(json_is_true(operator_at(session, "details.waits_for_source")));
		assert_true(json_is_false(operator_at(session, "details.live")));
		assert_true(json_integer_value(operator_at(session, "details.waits_ms")) > before);
		before = json_integer_value(operator_at(session, "details.waits_ms"));
		json_decref(session);
	}
	peer_kill(&from.peer);
	wait_live(&to);
	assert_true(relay_ping(client, "alive", &guest, to.frontend));
	close(client);
	end(&from);
	end(&to);
}

/* The channel is gone: the word of an operator will do, and nothing less. */
static void told_by_an_operator(void **state)
{
	int stream;

	begin(RELAY_UNSAVABLE_FAIL);
	start(&to, &from, RELAY_UNSAVABLE_FAIL);
	ok(save(&from, &stream));
	operator_do(&from.operator, "{\"execute\":\"migration-outcome\","
				    "\"arguments\":{\"outcome\":\"failed\"}}");
	assert_state(&from, "suspended");
	/* The ticket is void now: the load finds no way to the connections. */
	assert_true(load(&to, &from, stream) < 0);
	ok(gw_frontend_start(from.frontend));
	wait_live(&from);
	assert_true(relay_ping(client, "still", &guest, from.frontend));
	close(client);
	end(&to);
	end(&from);
}

/* They do not come along, wherever the port is: where it arrives that fails, too. */
static void lost_fails(void **state)
{
	int stream;

	begin(RELAY_UNSAVABLE_FAIL);
	port_more = 1;
	start(&to, &from, RELAY_UNSAVABLE_FAIL);
	port_more = 0;
	ok(save(&from, &stream));
	operator_do(&from.operator, "{\"execute\":\"migration-outcome\","
				    "\"arguments\":{\"outcome\":\"failed\"}}");
	assert_true(load(&to, &from, stream) < 0);
	ok(gw_frontend_start(from.frontend));
	assert_true(relay_ping(client, "here", &guest, from.frontend));
	close(client);
	end(&to);
	end(&from);
}

/* Nobody to hand it over to. */
static void unsavable_fails(void **state)
{
	json_t *report;
	int stream;

	begin(RELAY_UNSAVABLE_FAIL);
	report = operator_ask(&from.operator, "preflight");
	assert_true(json_is_false(
		operator_at(json_array_get(operator_at(report, "sessions"), 0), "can_travel")));
	json_decref(report);
	assert_true(save(&from, &stream) < 0);
	close(stream);
	ok(gw_frontend_start(from.frontend));
	assert_true(relay_ping(client, "on", &guest, from.frontend));
	close(client);
	end(&from);
}

/* Likewise, and the guest is told where it arrives: on this host only when the port is free. */
static void unsavable_is_dropped(void **state)
{
	int stream;

	begin(RELAY_UNSAVABLE_DROP);
	ok(save(&from, &stream));
	start(&to, NULL, RELAY_UNSAVABLE_DROP);
	assert_true(load(&to, &from, dup(stream)) < 0); /* it is bound */
	gw_frontend_free(to.frontend);
	peer_stop(&to.peer);
	operator_close(&to.operator);
	gw_listener_close(&to.listener);
	operator_do(&from.operator, "{\"execute\":\"migration-outcome\","
				    "\"arguments\":{\"outcome\":\"moved\"}}");
	start(&to, NULL, RELAY_UNSAVABLE_DROP);
	ok(load(&to, &from, stream));
	assert_int_equal(relay_connect(&to.host), -1); /* bound, and nobody's before it runs */
	ok(gw_frontend_start(to.frontend));
	assert_true(relay_guest_serve(&guest, to.frontend, 0, 1, 1, 5000));
	close(client);
	client = relay_connect(&to.host);
	assert_true(client >= 0);
	assert_true(relay_ping(client, "new", &guest, to.frontend));
	close(client);
	end(&from);
	end(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_goes_along),      cmocka_unit_test(taken_back),
		cmocka_unit_test(source_dies),	       cmocka_unit_test(source_hangs),
		cmocka_unit_test(told_by_an_operator), cmocka_unit_test(unsavable_fails),
		cmocka_unit_test(lost_fails),	       cmocka_unit_test(unsavable_is_dropped),
	};

	gw_log_set_level(getenv("LOUD") ? GW_LOG_DEBUG : GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
