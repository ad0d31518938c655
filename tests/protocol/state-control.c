/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/state-control.c - a stopped device's state over the control socket. */
#include "../unit/cmocka-all.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "echo.h"
#include "operator.h"
#include "peer.h"

#define SAVE "{\"execute\":\"device-state-save\"}\n"
#define LOAD "{\"execute\":\"device-state-load\"}\n"

static int new_stream(void)
{
	int fd = memfd_create("stream", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* @line with @fd; the answer. */
static json_t *ask_with(struct operator* operator, const char * line, int fd)
{
	assert_int_equal(gw_fdpass_send(fileno(operator->lines), line, strlen(line), &fd, 1, 0),
			 strlen(line));
	return operator_reply(operator);
}

static void expect_bytes(json_t *reply, int stream)
{
	assert_int_equal(json_integer_value(operator_at(reply, "return.bytes")),
			 lseek(stream, 0, SEEK_END));
	assert_int_equal(strlen(json_string_value(operator_at(reply, "return.id"))), 32);
	json_decref(reply);
	lseek(stream, 0, SEEK_SET);
}

/* Out of a device whose front-end has stopped it and is still there, into one that nobody has. */
static void out_and_in(void **state)
{
	int stream = new_stream();
	struct gw_frontend_config config;
	struct gw_frontend *from, *to;
	struct scripted_config now;
	struct operator operator;
	struct peer a, b;
	struct echo echo;

	peer_start(&a, &(struct peer_options){.control = true});
	peer_start(&b, &(struct peer_options){.control = true});
	atomic_store(&a.script->bulk_bytes, 100000);
	from = peer_frontend(&a);
	echo_init(&echo, from);
	echo_once(&echo, from, 0, 1);
	ok(gw_frontend_stop(from));
	operator_open(&operator, a.control);
	expect_bytes(ask_with(&operator, SAVE, stream), stream);
	operator_close(&operator);
	ok(gw_frontend_start(from)); /* as if nothing had been */
	echo_once(&echo, from, 0, 2);

	operator_open(&operator, b.control);
	expect_bytes(ask_with(&operator, LOAD, stream), stream);
	operator_is_refusal(ask_with(&operator, LOAD, stream), "has a state already");
	operator_close(&operator);
	config = peer_config(&b);
	ok(gw_frontend_new(&to, &config));
	ok(gw_frontend_get_config(to, 0, &now, sizeof(now)));
	assert_int_equal(now.answered, 1);
	assert_int_equal(atomic_load(&b.script->bulk_loaded), 100000);
	gw_frontend_free(to);
	gw_frontend_free(from);
	assert_int_equal(peer_join(&a), 0);
	assert_int_equal(peer_join(&b), 0);
	close(stream);
}

static void refusals(void **state)
{
	int stream = new_stream();
	struct gw_frontend *frontend;
	struct operator operator;
	struct peer peer;
	struct echo echo;

	peer_start(&peer, &(struct peer_options){.control = true});
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	echo_once(&echo, frontend, 0, 1);
	operator_open(&operator, peer.control);
	operator_is_refusal(ask_with(&operator, SAVE, stream), "runs");
	operator_is_refusal(ask_with(&operator, LOAD, stream), "runs");
	ok(gw_frontend_stop(frontend));
	operator_say(&operator, SAVE);
	operator_is_refusal(operator_reply(&operator), "no descriptor");
	operator_is_refusal(
		ask_with(&operator,
			 "{\"execute\":\"device-state-save\",\"arguments\":{\"session\":1}}\n",
			 stream),
		"no session 1");
	operator_is_refusal(
		ask_with(&operator,
			 "{\"execute\":\"device-state-save\",\"arguments\":{\"session\":\"\"}}\n",
			 stream),
		"expected a number");
	atomic_store(&peer.script->fail_save, ENOSPC);
	operator_is_refusal(ask_with(&operator, SAVE, stream), "");
	atomic_store(&peer.script->fail_save, 0);
	/* The verdict is the operator's, and told. */
	assert_int_equal(gw_frontend_transfer_check(frontend), -EIO);
	ok(gw_frontend_start(frontend));
	echo_once(&echo, frontend, 0, 2);
	gw_frontend_free(frontend);
	operator_close(&operator);
	assert_int_equal(peer_join(&peer), 0);
	close(stream);
}

/* The front-end has begun one: it is left alone, also until it has asked for its verdict. */
static void front_end_first(void **state)
{
	int stream = new_stream(), channel;
	enum gw_transfer_reply reply;
	struct gw_frontend *frontend;
	struct operator operator;
	struct peer peer;
	struct echo echo;

	peer_start(&peer, &(struct peer_options){.control = true});
	atomic_store(&peer.script->bulk_bytes, 1 << 20);
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	echo_once(&echo, frontend, 0, 1);
	ok(gw_frontend_stop(frontend));
	operator_open(&operator, peer.control);
	ok(gw_frontend_transfer_begin(frontend, false, GW_PHASE_STOPPED, &channel, &reply));
	operator_is_refusal(ask_with(&operator, SAVE, stream), "front-end");
	close(channel);
	assert_int_equal(gw_frontend_transfer_check(frontend), -EIO);
	json_decref(ask_with(&operator, SAVE, stream));
	gw_frontend_free(frontend);
	operator_close(&operator);
	assert_int_equal(peer_join(&peer), 0);
	close(stream);
}

/* The front-end starts the device, or leaves it, while it is being saved: it has the word. */
static void front_end_goes_on(bool leaves)
{
	struct gw_frontend *frontend;
	struct operator operator;
	struct peer peer;
	struct echo echo;
	int ends[2];

	peer_start(&peer, &(struct peer_options){.control = true, .reconnect = true});
	atomic_store(&peer.script->bulk_bytes, 1 << 20);
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	echo_once(&echo, frontend, 0, 1);
	ok(gw_frontend_stop(frontend));
	operator_open(&operator, peer.control);
	assert_int_equal(pipe(ends), 0);
	/* Nobody reads. */
	assert_int_equal(gw_fdpass_send(fileno(operator.lines), SAVE, strlen(SAVE), &ends[1], 1, 0),
			 strlen(SAVE));
	close(ends[1]);
	wait_until(&peer.script->saves, 1);
	if (leaves)
		gw_frontend_free(frontend);
	else
		ok(gw_frontend_start(frontend));
	operator_is_refusal(operator_reply(&operator), "cancelled");
	if (!leaves) {
		echo_once(&echo, frontend, 0, 2);
		gw_frontend_free(frontend);
	}
	close(ends[0]);
	operator_close(&operator);
	peer_stop(&peer);
}

static void started_meanwhile(void **state)
{
	front_end_goes_on(false);
}

static void left_meanwhile(void **state)
{
	front_end_goes_on(true);
}

/* Descriptors that no command takes are closed. */
static void strays(void **state)
{
	unsigned before;
	struct operator operator;
	struct peer peer;
	int stream = new_stream();

	peer_start(&peer, &(struct peer_options){.control = true, .reconnect = true});
	operator_open(&operator, peer.control);
	before = open_descriptors();
	for (unsigned i = 0; i < 20; i++)
		json_decref(ask_with(&operator, "{\"execute\":\"query-status\"}\n", stream));
	assert_true(open_descriptors() <= before + 1);
	operator_close(&operator);
	peer_stop(&peer);
	close(stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out_and_in),	   cmocka_unit_test(refusals),
		cmocka_unit_test(front_end_first), cmocka_unit_test(started_meanwhile),
		cmocka_unit_test(left_meanwhile),  cmocka_unit_test(strays),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
