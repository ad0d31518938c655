/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/status.c - what the device tells of itself: counts, requests, and what takes long. */
#include "../common/fuse_client.h"
#include "../common/operator.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct fuse_client client;
static struct operator operator;

static int setup(void **state)
{
	gw_log_set_level(GW_LOG_OFF);
	fuse_start(&client, &(struct fuse_options){.control = true});
	operator_open(&operator, client.control);
	return 0;
}

static int teardown(void **state)
{
	operator_close(&operator);
	fuse_stop(&client);
	return 0;
}

static json_int_t detail(const char *name)
{
	json_t *session = operator_session(&operator);
	json_int_t value = json_integer_value(operator_at(operator_at(session, "details"), name));

	json_decref(session);
	return value;
}

/* The sample's value; -1: there is none. */
static long long sample(const char *name)
{
	json_t *stats = operator_ask(&operator, "query-stats");
	const char *at = json_string_value(operator_at(stats, "text"));
	size_t len = strlen(name);
	long long value = -1;

	for (; at && *at; at = strchr(at, '\n') + 1) {
		if (!strncmp(at, name, len) && at[len] == ' ')
			value = strtoll(at + len, NULL, 10);
	}
	json_decref(stats);
	return value;
}

static void test_counts(void **state)
{
	struct fuse_open_out open;
	json_int_t inodes = detail("inodes");
	uint64_t node;

	share_file(&client, "a", "content");
	node = fuse_node(&client, 1, "a");
	assert_int_equal(detail("inodes"), inodes + 1);
	assert_int_equal(detail("handles"), 0);
	assert_true(fuse_open(&client, node, O_RDONLY, &open) > 0);
	assert_int_equal(detail("handles"), 1);
	assert_true(detail("descriptors") >= 2);
	assert_true(detail("descriptor_limit") > detail("descriptors"));
	assert_int_equal(detail("inode_limit"), 0);
	assert_int_equal(detail("inode_bytes_limit"), 0);
	assert_int_equal(sample("godwit_fs_inodes"), inodes + 1);
	fuse_release(&client, FUSE_RELEASE, open.fh);
	fuse_forget(&client, node, 1);
	assert_int_equal(detail("handles"), 0);
	assert_int_equal(detail("inodes"), inodes);
}

#define SECONDS(op) "godwit_fs_request_seconds_count{op=\"" op "\"}"
#define BELOW(op)   "godwit_fs_request_seconds_bucket{op=\"" op "\",le=\"+Inf\"}"
#define ERRORS(op)  "godwit_fs_request_errors_total{op=\"" op "\"}"

static void test_requests(void **state)
{
	struct fuse_entry_out entry;
	struct fuse_attr attr;

	assert_int_equal(sample(SECONDS("GETATTR")), -1); /* not used yet: not shown */
	for (int i = 0; i < 5; i++)
		assert_true(fuse_getattr(&client, 1, &attr) > 0);
	assert_int_equal(sample(SECONDS("GETATTR")), 5);
	assert_int_equal(sample(BELOW("GETATTR")), 5);
	assert_int_equal(sample(ERRORS("GETATTR")), 0);
	assert_int_equal(fuse_lookup(&client, 1, "missing", &entry), -ENOENT);
	assert_int_equal(sample(SECONDS("LOOKUP")), 1);
	assert_int_equal(sample(ERRORS("LOOKUP")), 1);
}

static void test_content(void **state)
{
	struct fuse_created created;
	char data[100] = {0};

	assert_true(fuse_create(&client, 1, "f", O_RDWR, 0600, &created) > 0);
	fuse_write(&client, created.open.fh, 0, data, 100, 0);
	fuse_read(&client, created.open.fh, 40, data, 100);
	assert_int_equal(sample("godwit_fs_content_bytes_total{direction=\"write\"}"), 100);
	assert_int_equal(sample("godwit_fs_content_bytes_total{direction=\"read\"}"), 60);
}

/* What belongs to no operation of ours is counted too, and does not grow the list. */
static void test_unknown(void **state)
{
	for (uint32_t opcode = 1000; opcode < 1003; opcode++)
		assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = opcode}),
				 -ENOSYS);
	assert_int_equal(sample(SECONDS("unknown")), 3);
	assert_int_equal(sample(ERRORS("unknown")), 3);
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* The one request that takes long; the session is the caller's to release. */
static json_t *slow_request(json_t **session)
{
	json_t *list;

	for (int i = 0; i < 1000; i++) {
		*session = operator_session(&operator);
		list = operator_at(*session, "details.slow_requests");
		if (json_array_size(list))
			return json_array_get(list, 0);
		json_decref(*session);
		sleep_ms(10);
	}
	fail_msg("no request takes long");
	return NULL;
}

/* Somebody on the host has a lease on the file: who opens it waits until that is given up. */
static void test_what_takes_long_is_named(void **state)
{
	struct fuse_open_in open_in = {.flags = O_RDWR};
	struct fuse_open_out open_out;
	struct fuse_call call = {.opcode = FUSE_OPEN,
				 .arg = &open_in,
				 .arg_len = sizeof(open_in),
				 .answer = &open_out,
				 .room = sizeof(open_out)};
	json_t *session, *slow;
	int fd;

	share_file(&client, "leased", "");
	call.nodeid = fuse_node(&client, 1, "leased");
	fd = open(share_path(&client, "leased"), O_RDWR);
	signal(SIGIO, SIG_IGN);
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0) {
		print_message("no leases here: %s; another file system under /tmp would do\n",
			      strerror(errno));
		close(fd);
		skip();
	}
	fuse_begin(&client, 1, &call);
	slow = slow_request(&session);
	assert_string_equal(json_string_value(operator_at(slow, "op")), "OPEN");
	assert_string_equal(json_string_value(operator_at(slow, "path")), "/leased");
	assert_int_equal(json_integer_value(operator_at(slow, "inode")), call.nodeid);
	assert_true(json_integer_value(operator_at(slow, "ms")) >= 10);
	assert_true(json_is_false(operator_at(slow, "waiting")));
	json_decref(session);
	assert_int_equal(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
	fuse_wait(&client, 1, &call);
	assert_int_equal(call.result, sizeof(open_out));
	session = operator_session(&operator);
	assert_int_equal(json_array_size(operator_at(session, "details.slow_requests")), 0);
	json_decref(session);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_content, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_takes_long_is_named, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
