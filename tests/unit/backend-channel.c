/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/backend-channel.c - CONFIG_CHANGE_MSG: held back, merged, never waited for. */
#include "base/cleanup.h"
#include "cmocka-all.h"
#include "godwit/error.h"
#include "vhost-client.h"
#include "vhost-user/backend_req.h"

static struct gw_loop *loop;
static struct gw_backend_req *req;
static int peer;

static int begin(bool ack)
{
	int pair[2];

	gw_log_set_level(GW_LOG_OFF);
	if (gw_loop_new(&loop) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	peer = pair[0];
	return gw_backend_req_new(&req, loop, pair[1], ack);
}

static int set_up(void **state)
{
	return begin(true);
}

static int set_up_without_ack(void **state)
{
	return begin(false);
}

static int tear_down(void **state)
{
	gw_backend_req_free(req);
	gw_close(&peer);
	gw_loop_free(loop);
	return 0;
}

static void on_time(void *opaque)
{
	gw_loop_quit(loop, 0);
}

static void run_shortly(void)
{
	struct gw_source *timer;

	assert_int_equal(gw_loop_add_timer(loop, 5, on_time, NULL, &timer), 0);
	gw_loop_run(loop);
	gw_source_remove(timer);
}

/* How many whole messages came. */
static unsigned arrived(uint32_t flags)
{
	struct gw_vu_header header;
	unsigned count = 0;

	run_shortly();
	while (recv(peer, &header, sizeof(header), MSG_DONTWAIT) == sizeof(header)) {
		assert_int_equal(header.request, GW_VU_BACKEND_CONFIG_CHANGE_MSG);
		assert_int_equal(header.flags, flags);
		assert_int_equal(header.size, 0);
		count++;
	}
	return count;
}

static void answer(uint32_t flags, uint64_t value)
{
	assert_true(client_send(peer, GW_VU_BACKEND_CONFIG_CHANGE_MSG, flags, &value, 8, NULL, 0));
	run_shortly();
}

static void test_nothing_while_suspended(void **state)
{
	gw_backend_req_config_changed(req);
	gw_backend_req_config_changed(req);
	assert_int_equal(arrived(9), 0);
	gw_backend_req_allow(req, true);
	assert_int_equal(arrived(9), 1);
}

static void test_merged_until_answered(void **state)
{
	gw_backend_req_allow(req, true);
	for (int i = 0; i < 5; i++)
		gw_backend_req_config_changed(req);
	assert_int_equal(arrived(9), 1);
	answer(GW_VU_REPLY, 0);
	assert_int_equal(arrived(9), 1);
	answer(GW_VU_REPLY, 0);
	assert_int_equal(arrived(9), 0);
}

static void test_a_refusal_changes_nothing(void **state)
{
	gw_backend_req_allow(req, true);
	gw_backend_req_config_changed(req);
	assert_int_equal(arrived(9), 1);
	answer(GW_VU_REPLY, 1);
	gw_backend_req_config_changed(req);
	assert_int_equal(arrived(9), 1);
}

static void test_what_is_no_answer_ends_the_channel(void **state)
{
	char byte;

	gw_backend_req_allow(req, true);
	answer(0, 0);
	assert_int_equal(recv(peer, &byte, 1, MSG_DONTWAIT), 0);
	gw_backend_req_config_changed(req);
}

static void test_the_end_of_the_channel_is_survived(void **state)
{
	gw_backend_req_allow(req, true);
	gw_close(&peer);
	gw_backend_req_config_changed(req);
	run_shortly();
	gw_backend_req_config_changed(req);
}

static void test_a_full_socket_is_not_waited_for(void **state)
{
	unsigned count = 0;

	gw_backend_req_allow(req, true);
	/* More than any socket holds; that this returns is the test. */
	for (int i = 0; i < 100000; i++)
		gw_backend_req_config_changed(req);
	for (unsigned n; (n = arrived(GW_VU_VERSION)) > 0;)
		count += n;
	assert_true(count > 0 && count < 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_while_suspended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_merged_until_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_refusal_changes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_answer_ends_the_channel, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_the_end_of_the_channel_is_survived, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_full_socket_is_not_waited_for,
						set_up_without_ack, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
