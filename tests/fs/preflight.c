/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/preflight.c - what would not survive a move is named, with its path, and nothing else is. */
#include "../common/fuse_client.h"
#include "../common/operator.h"

#include <stdio.h>
#include <stdlib.h>

#define OK(call) assert_true((call) >= 0)

static struct fuse_client client;
static struct operator operator;
static json_t *result; /* of the last preflight */

static int begin(unsigned dir_limit)
{
	gw_log_set_level(GW_LOG_OFF);
	fuse_start(&client, &(struct fuse_options){.control = true, .dir_limit = dir_limit});
	operator_open(&operator, client.control);
	return 0;
}

static int setup(void **state)
{
	return begin(0);
}

static int setup_few_entries(void **state)
{
	return begin(4);
}

static int teardown(void **state)
{
	json_decref(result);
	result = NULL;
	operator_close(&operator);
	fuse_stop(&client);
	return 0;
}

static const json_t *preflight(void)
{
	json_decref(result);
	result = operator_ask(&operator, "preflight");
	return json_array_get(operator_at(result, "sessions"), 0);
}

static json_int_t number(const json_t *session, const char *name)
{
	return json_integer_value(operator_at(session, name));
}

static void expect_good(const json_t *session)
{
	char *text = json_dumps(operator_at(session, "cannot_travel"), JSON_COMPACT);

	assert_string_equal(text, "[]");
	free(text);
	assert_true(json_is_true(operator_at(session, "can_travel")));
}

/* The one obstacle there is. */
static void expect_obstacle(const json_t *session, const char *kind, const char *path,
			    const char *reason)
{
	const json_t *list = operator_at(session, "cannot_travel");
	const json_t *first = json_array_get(list, 0);

	assert_int_equal(json_array_size(list), 1);
	assert_true(json_is_false(operator_at(session, "can_travel")));
	assert_string_equal(json_string_value(operator_at(first, "kind")), kind);
	assert_non_null(strstr(json_string_value(operator_at(first, "path")), path));
	assert_non_null(strstr(json_string_value(operator_at(first, "reason")), reason));
}

static void test_all_is_well(void **state)
{
	struct fuse_open_out open;
	const json_t *session = preflight();
	json_int_t before = number(session, "state_bytes");

	expect_good(session);
	share_file(&client, "file", "content");
	OK(fuse_open(&client, fuse_node(&client, 1, "file"), O_RDWR, &open));
	session = preflight();
	expect_good(session);
	assert_int_equal(number(session, "handles"), 1);
	assert_true(number(session, "state_bytes") > before);
	assert_true(number(session, "blackout_us") >= number(session, "open_us"));
	assert_int_equal(number(session, "orphans"), 0);
	assert_true(json_is_false(operator_at(session, "collecting")));
}

/* The host moves it: its names are put right, as a save would. */
static void test_renamed_on_the_host(void **state)
{
	char to[128];

	share_file(&client, "old", "");
	fuse_node(&client, 1, "old");
	snprintf(to, sizeof(to), "%s", share_path(&client, "new"));
	assert_int_equal(rename(share_path(&client, "old"), to), 0);
	expect_good(preflight());
}

static void test_orphans(void **state)
{
	struct fuse_created created;
	static char data[20000];
	const json_t *session;

	OK(fuse_create(&client, 1, "temporary", O_RDWR, 0600, &created));
	assert_int_equal(fuse_write(&client, created.open.fh, 0, data, sizeof(data), 0),
			 sizeof(data));
	OK(fuse_name(&client, FUSE_UNLINK, 1, "temporary"));
	session = preflight();
	expect_good(session);
	assert_int_equal(number(session, "orphans"), 1);
	assert_true(number(session, "orphan_bytes") >= (json_int_t)sizeof(data));
	assert_true(number(session, "state_bytes") >= number(session, "orphan_bytes"));
}

/* More than may be moved while the guest stands still: with its size, and the option. */
static void test_too_big_an_orphan(void **state)
{
	struct fuse_created created;
	int fd;

	OK(fuse_create(&client, 1, "big", O_RDWR, 0600, &created));
	fd = open(share_path(&client, "big"), O_WRONLY);
	assert_int_equal(posix_fallocate(fd, 0, 5 << 20), 0);
	for (int i = 0; i < 5 << 20; i += 4096)
		assert_int_equal(pwrite(fd, "x", 1, i), 1);
	close(fd);
	OK(fuse_name(&client, FUSE_UNLINK, 1, "big"));
	expect_obstacle(preflight(), "inode", "/big", "--migration-orphan-limit");
	assert_int_equal(number(preflight(), "orphan_bytes"), 0);
}

/* More of a directory than is remembered; until it is read from its start again. */
static void test_directory_beyond_the_limit(void **state)
{
	struct fuse_read_in in = {.size = 4096};
	char answer[4096], name[16];
	struct fuse_call call = {.opcode = FUSE_READDIR,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .answer = answer,
				 .room = sizeof(answer)};
	uint64_t dir;

	OK(fuse_mkdir(&client, 1, "d", 0755, &(struct fuse_entry_out){.nodeid = 0}));
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "d/%d", i);
		share_file(&client, name, "");
	}
	dir = fuse_node(&client, 1, "d");
	call.nodeid = dir;
	OK(fuse_opendir(&client, dir, &in.fh));
	expect_good(preflight());
	OK(fuse_call(&client, &call));
	expect_obstacle(preflight(), "handle", "/d", "more entries than the 4");
	in.size = 100; /* three of them, from the start */
	OK(fuse_call(&client, &call));
	expect_good(preflight());
}

/* Moved out of the share, and held open by the guest: no name of it is there. */
static void test_moved_out(void **state)
{
	struct fuse_open_out open;
	char outside[128];
	uint64_t node;

	share_file(&client, "b\xff\\", "");
	node = fuse_node(&client, 1, "b\xff\\");
	OK(fuse_open(&client, node, O_RDONLY, &open));
	snprintf(outside, sizeof(outside), "%s.outside", client.share);
	assert_int_equal(rename(share_path(&client, "b\xff\\"), outside), 0);
	expect_obstacle(preflight(), "inode", "/b\\xff\\x5c", "not to be found");
	unlink(outside);
	/* Now it is one without a name, and travels by its content. */
	expect_good(preflight());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_is_well, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renamed_on_the_host, setup, teardown),
		cmocka_unit_test_setup_teardown(test_orphans, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_big_an_orphan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directory_beyond_the_limit, setup_few_entries,
						teardown),
		cmocka_unit_test_setup_teardown(test_moved_out, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
