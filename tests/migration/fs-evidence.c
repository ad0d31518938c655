/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-evidence.c - who an inode is: number, birth time, and where there is none,
 * handle. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/open.h"
#include "fs/records.h"
#include "fs/table.h"
#include "move.h"

static struct share share;
static struct statx stx;
static struct fs_fhandle handle; /* len 0: there is none */

/* What the stream says of the share's one file. */
static struct gw_fs_inode_v1 claim;

static void put_claim(struct gw_state_writer *writer)
{
	const struct gw_fs_session_v1 session = {.initialised = false};
	const struct gw_fs_inode_v1 root = {.id = FS_ROOT_ID, .type = DT_DIR};
	const struct gw_fs_name_v1 name = {
		.parent = FS_ROOT_ID, .name = {.data = "file", .len = 4}, .inode = claim.id};

	assert_int_equal(gw_state_put(writer, &gw_fs_session_v1, &session), 0);
	assert_int_equal(gw_state_put(writer, &gw_fs_inode_v1, &root), 0);
	assert_int_equal(gw_state_put(writer, &gw_fs_inode_v1, &claim), 0);
	assert_int_equal(gw_state_put(writer, &gw_fs_name_v1, &name), 0);
}

static int set_up(void **state)
{
	int fd;

	(void)state;
	share_open(&share, 0);
	share_file(&share, "file", "content");
	fd = open(share_path(&share, "file"), O_PATH);
	assert_int_equal(fs_statx_fd(fd, &stx), 0);
	if (fs_fhandle_of(fd, &handle))
		handle.len = 0;
	close(fd);
	claim = (struct gw_fs_inode_v1){
		.id = 5,
		.type = DT_REG,
		.ino = stx.stx_ino,
		.btime = fs_btime(&stx),
		.lookups = 1,
	};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	share_close(&share);
	return 0;
}

static void test_number_and_birth(void **state)
{
	(void)state;
	assert_int_equal(move_load(&share, move_stream(put_claim)), 0);
	assert_int_equal(share_lookup(&share, FS_ROOT_ID, "file"), 5);
}

static void test_another_number(void **state)
{
	(void)state;
	claim.ino++;
	assert_int_equal(move_load(&share, move_stream(put_claim)), -ESTALE);
}

/* The number was given to another file since. */
static void test_another_birth(void **state)
{
	(void)state;
	if (!claim.btime)
		skip();
	claim.btime++;
	assert_int_equal(move_load(&share, move_stream(put_claim)), -ESTALE);
}

static void test_another_type(void **state)
{
	(void)state;
	claim.type = DT_DIR;
	assert_int_equal(move_load(&share, move_stream(put_claim)), -ESTALE);
}

/* As from a host that knows of no birth times. */
static void claim_handle(void)
{
	claim.btime = 0;
	claim.handle_type = handle.type;
	claim.handle = (struct gw_bytes){.data = handle.bytes, .len = handle.len};
}

static void test_the_same_handle(void **state)
{
	(void)state;
	if (!handle.len)
		skip();
	claim_handle();
	assert_int_equal(move_load(&share, move_stream(put_claim)), 0);
	assert_int_equal(share_lookup(&share, FS_ROOT_ID, "file"), 5);
}

static void test_another_handle(void **state)
{
	(void)state;
	/* Where handles promise nothing across hosts they count for nothing. */
	if (!handle.len || !share.fs.inodes->mounts[0].portable)
		skip();
	claim_handle();
	handle.bytes[handle.len - 1] ^= 1;
	assert_int_equal(move_load(&share, move_stream(put_claim)), -ESTALE);
}

/* A handle is evidence, and no way to anywhere: what has no name in the share is not found by it.
 */
static void test_a_handle_opens_nothing(void **state)
{
	(void)state;
	if (!handle.len)
		skip();
	claim_handle();
	assert_int_equal(rename(share_path(&share, "file"), share_path(&share, "moved")), 0);
	assert_int_equal(move_load(&share, move_stream(put_claim)), -ENOENT);
}

static void put_claim_twice(struct gw_state_writer *writer)
{
	struct gw_fs_inode_v1 other = claim;
	const struct gw_fs_name_v1 name = {
		.parent = FS_ROOT_ID, .name = {.data = "link", .len = 4}, .inode = ++other.id};

	put_claim(writer);
	assert_int_equal(gw_state_put(writer, &gw_fs_inode_v1, &other), 0);
	assert_int_equal(gw_state_put(writer, &gw_fs_name_v1, &name), 0);
}

/* No host inode has two node ids, whatever a state says. */
static void test_one_file_two_ids(void **state)
{
	(void)state;
	claim.links = true;
	assert_int_equal(link(share_path(&share, "file"), share_path(&share, "link")), 0);
	assert_int_equal(move_load(&share, move_stream(put_claim_twice)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_number_and_birth, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_number, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_birth, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_type, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_same_handle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_handle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_handle_opens_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_file_two_ids, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
