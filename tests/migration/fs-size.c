/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-size.c - a state takes at most 24 bytes an inode, plus its name and handle. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "fs/records.h"
#include "move.h"
#include "state/stream.h"

#define DIRS	   20u
#define FILES	   500u /* in each */
#define NAME_LEN   16u
#define EACH	   24u
#define FIXED_SIZE 4096u /* header, session, end, and the framing of so few records */

static struct share share;
static uint64_t handle_bytes, inodes;

static void fill(void)
{
	for (unsigned d = 0; d < DIRS; d++) {
		char path[64], name[32];
		uint64_t dir;

		snprintf(path, sizeof(path), "directory-%06u", d);
		share_mkdir(&share, path);
		dir = share_lookup(&share, FS_ROOT_ID, path);
		for (unsigned i = 0; i < FILES; i++) {
			snprintf(name, sizeof(name), "file-%011u", i);
			snprintf(path, sizeof(path), "directory-%06u/%s", d, name);
			share_file(&share, path, "");
			share_lookup(&share, dir, name);
		}
	}
}

static int count_inode(void *opaque, const void *object)
{
	const struct gw_fs_inode_v1 *record = object;

	(void)opaque;
	inodes++;
	handle_bytes += record->handle.len;
	return 0;
}

static int pass_over(void *opaque, const void *object)
{
	(void)opaque;
	(void)object;
	return 0;
}

static void count_handles(int stream)
{
	static const struct gw_state_handler handlers[] = {
		{&gw_fs_session_v1, pass_over, NULL},
		{&gw_fs_inode_v1, count_inode, NULL},
		{&gw_fs_name_v1, pass_over, NULL},
		{.layout = NULL},
	};
	const struct gw_state_channel channel = {.fd = stream, .cancel = -1};
	struct gw_state_reader *reader;

	assert_int_equal(gw_state_reader_new(&reader, &channel), 0);
	assert_int_equal(gw_state_read(reader, handlers, NULL), 0);
	gw_state_reader_free(reader);
}

static void test_bytes_an_inode(void **state)
{
	const uint64_t count = DIRS * (FILES + 1);
	uint64_t size;
	int stream;

	(void)state;
	share_open(&share, 0);
	fill();
	stream = move_save(&share);
	size = (uint64_t)lseek(stream, 0, SEEK_END);
	lseek(stream, 0, SEEK_SET);
	count_handles(stream);
	close(stream);
	assert_int_equal(inodes, count + 1);
	size -= GW_MIN(size, count * NAME_LEN + handle_bytes);
	print_message("%.1f bytes an inode, names and handles apart\n",
		      (double)size / (double)count);
	assert_true(size <= count * EACH + FIXED_SIZE);
	share_close(&share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes_an_inode)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
