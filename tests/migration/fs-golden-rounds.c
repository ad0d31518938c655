/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-golden-rounds.c - a state that an earlier build sent in rounds is loaded for
 * ever.
 *
 * The streams were made once, by `fs-golden-rounds make FILE NUMBER`, and are never made again: a
 * test that fails here says that an old source can not come to this build any more. (`make FILE
 * NUMBER OTHER` writes the same state as it is sent at once, too, for who compares the two.) In
 * each of two rounds and in the rest something is new, something is not as it was, and something is
 * taken back. What unnamed files have in them goes in the rounds from state 3 on, and in the rest
 * before.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/locks.h"
#include "fs/records.h"
#include "old-stream.h"
#include "rounds.h"

#define OWNER	UINT64_C(0xfedcba9876543210)
#define FAR	100000 /* behind a hole */
#define CONTENT "content of a temporary file"
/* Of the long file, and where it was cut. */
#define BLOCK 4096
#define LONG  (3 * BLOCK)
#define CUT   5000

/* What the guest knows, and what it has open of that. */
enum {
	DIR_ID,
	FILE_ID,  /* named, and renamed between rounds */
	BRIEF_ID, /* closed and forgotten after the first round */
	GONE_ID,  /* loses its name after the first round */
	DEAD_ID,  /* a directory, removed after it */
	TEMP_ID,  /* never had a name */
	LONG_ID,  /* without a name; a piece of it changes, then it is shorter for a moment */
	LATE_ID,  /* new in the second round */
	SHORT_ID, /* without a name, and gone after the second round */
	LAST_ID,  /* without a name, new in the rest */
	IDS
};

struct known {
	uint64_t id, handle;
};

/* As they are in the streams: printed by the maker. */
static const struct known known[IDS] = {
	[DIR_ID] = {0x2, 0x1},
	[FILE_ID] = {0x3, 0x2},
	[BRIEF_ID] = {0x4, 0x3},
	[GONE_ID] = {0x5, 0x4},
	[DEAD_ID] = {0x6, 0x5},
	[TEMP_ID] = {0x7, 0x6},
	[LONG_ID] = {0x8, 0x7},
	[LATE_ID] = {0x100000004, 0x100000003}, /* in the slots of what was brief */
	[SHORT_ID] = {0x9, 0x8},
	[LAST_ID] = {0x100000009, 0x100000008},
};

static const char *golden_path;

/*
 * The maker.
 */
static void rename_file(const struct known *k)
{
	FS_AUTO_INODE struct fs_inode *dir = fs_inode_get(from.fs.inodes, k[DIR_ID].id);
	struct fs_victim victim;

	fs_name_removing(from.fs.inodes, dir, "moved", &victim);
	assert_int_equal(rename(share_path(&from, "dir/file"), share_path(&from, "dir/moved")), 0);
	fs_name_removed(&victim, true);
	fs_name_moved(from.fs.inodes, dir, "file", dir, "moved", false);
}

static void forget(const struct known *k)
{
	assert_int_equal(fs_handle_release(from.fs.handles, k->handle), 0);
	fs_inode_forget(from.fs.inodes, k->id, 1);
}

static struct known find(uint64_t parent, const char *name, int flags)
{
	uint64_t id = share_lookup(&from, parent, name);

	return (struct known){id, flags & O_DIRECTORY ? guest_opendir(&from, id)
						      : guest_open(&from, id, flags)};
}

/* As it is in the end. */
static void fill(char text[LONG])
{
	for (unsigned i = 0; i < LONG; i++)
		text[i] = i < CUT ? (char)('a' + i % 23) : 0;
}

static void make_long(struct known *k)
{
	char text[LONG];

	k->handle = guest_tmpfile(&from, "", &k->id);
	memset(text, 'x', sizeof(text));
	assert_int_equal(pwrite(guest_fd(&from, k->handle), text, LONG, 0), LONG);
	fill(text);
	assert_int_equal(pwrite(guest_fd(&from, k->handle), text, BLOCK, 0), BLOCK);
}

static void change_long(const struct known *k)
{
	char text[LONG];

	fill(text);
	assert_int_equal(pwrite(guest_fd(&from, k->handle), text + BLOCK, CUT - BLOCK, BLOCK),
			 CUT - BLOCK);
}

static void cut_long(const struct known *k)
{
	assert_int_equal(ftruncate(guest_fd(&from, k->handle), CUT), 0);
	assert_int_equal(ftruncate(guest_fd(&from, k->handle), LONG), 0);
}

static void before_the_first(struct known *k)
{
	share_mkdir(&from, "dir");
	share_file(&from, "dir/file", "");
	share_file(&from, "dir/brief", "");
	share_file(&from, "dir/gone", "content of a file that had a name");
	share_mkdir(&from, "dir/dead");
	k[DIR_ID] = find(FS_ROOT_ID, "dir", O_DIRECTORY);
	k[FILE_ID] = find(k[DIR_ID].id, "file", O_RDWR);
	k[BRIEF_ID] = find(k[DIR_ID].id, "brief", O_RDONLY);
	k[GONE_ID] = find(k[DIR_ID].id, "gone", O_RDWR);
	k[DEAD_ID] = find(k[DIR_ID].id, "dead", O_DIRECTORY);
	k[TEMP_ID].handle = guest_tmpfile(&from, CONTENT, &k[TEMP_ID].id);
	make_long(&k[LONG_ID]);
}

static void before_the_second(struct known *k)
{
	rename_file(k);
	forget(&k[BRIEF_ID]);
	guest_unlink(&from, k[DIR_ID].id, "gone", share_path(&from, "dir/gone"));
	guest_unlink(&from, k[DIR_ID].id, "dead", share_path(&from, "dir/dead"));
	share_file(&from, "dir/late", "");
	k[LATE_ID] = find(k[DIR_ID].id, "late", O_RDWR);
	k[SHORT_ID].handle = guest_tmpfile(&from, "not for long", &k[SHORT_ID].id);
	assert_int_equal(pwrite(guest_fd(&from, k[TEMP_ID].handle), "CONTENT", 7, 0), 7);
	change_long(&k[LONG_ID]);
}

static void before_the_rest(struct known *k, unsigned number)
{
	FS_AUTO_INODE struct fs_inode *temp = fs_inode_get(from.fs.inodes, k[TEMP_ID].id);
	const struct fs_range locked = {5, 9, F_WRLCK};

	forget(&k[SHORT_ID]);
	k[LAST_ID].handle = guest_tmpfile(&from, "the last", &k[LAST_ID].id);
	assert_int_equal(ftruncate(guest_fd(&from, k[GONE_ID].handle), 7), 0);
	assert_int_equal(pwrite(guest_fd(&from, k[GONE_ID].handle), "end", 3, FAR), 3);
	guest_append(&from, k[TEMP_ID].handle, ", and more");
	cut_long(&k[LONG_ID]);
	if (number > 1)
		assert_int_equal(fs_lock_set(&from.fs, temp, OWNER, k[TEMP_ID].handle, &locked), 0);
}

static void print(const struct known *k)
{
	for (unsigned i = 0; i < IDS; i++)
		printf("	{0x%" PRIx64 ", 0x%" PRIx64 "},\n", k[i].id, k[i].handle);
}

static int write_file(const char *path, int stream)
{
	GW_AUTO_FD int out = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	char buf[65536];
	ssize_t len = pread(stream, buf, sizeof(buf), 0);

	if (out < 0) {
		perror(path);
		return 1;
	}
	return len > 0 && len < (ssize_t)sizeof(buf) && write(out, buf, (size_t)len) == len ? 0 : 1;
}

static int make(const char *path, unsigned number, const char *at_once)
{
	struct known k[IDS];
	int failed;

	move_source(&from);
	before_the_first(k);
	rounds_begin(number);
	rounds_send();
	before_the_second(k);
	rounds_send();
	before_the_rest(k, number);
	rounds_rest();
	failed = write_file(path, rounds_stream);
	move_number = number;
	if (at_once)
		failed |= write_file(at_once, move_save(&from));
	share_close(&from);
	print(k);
	return failed;
}

/*
 * The test.
 */
static int set_up(void **state)
{
	const struct standin standins[] = {{FS_ROOT_ID, ""},
					   {known[DIR_ID].id, "dir"},
					   {known[FILE_ID].id, "dir/moved"},
					   {known[LATE_ID].id, "dir/late"},
					   {0}};
	unsigned objects;

	(void)state;
	share_open(&to, 0);
	share_mkdir(&to, "dir");
	share_file(&to, "dir/moved", "the file");
	share_file(&to, "dir/late", "the late one");
	if (move_load(&to, old_stream(golden_path, &to, standins, &objects)))
		fail_msg("%s", gw_last_error());
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	share_close(&to);
	return 0;
}

static const char *content(unsigned which)
{
	return guest_read(&to, known[which].handle);
}

static void named_files_by_their_last_names(void **state)
{
	(void)state;
	assert_string_equal(content(FILE_ID), "the file");
	assert_string_equal(content(LATE_ID), "the late one");
	assert_int_equal(share_lookup(&to, known[DIR_ID].id, "moved"), known[FILE_ID].id);
	assert_int_equal(share_lookup(&to, known[DIR_ID].id, "late"), known[LATE_ID].id);
}

static void unnamed_files_as_they_were_last(void **state)
{
	char far[4] = "", want[LONG], got[LONG + 1];
	struct stat st;

	(void)state;
	assert_string_equal(content(TEMP_ID), "CONTENT of a temporary file, and more");
	assert_string_equal(content(LAST_ID), "the last");
	assert_string_equal(content(GONE_ID), "content");
	assert_int_equal(pread(guest_fd(&to, known[GONE_ID].handle), far, 4, FAR), 3);
	assert_string_equal(far, "end");
	fill(want);
	assert_int_equal(pread(guest_fd(&to, known[LONG_ID].handle), got, sizeof(got), 0), LONG);
	assert_memory_equal(got, want, LONG);
	assert_int_equal(fstat(guest_fd(&to, known[GONE_ID].handle), &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_size, FAR + 3);
	assert_int_equal(fstat(guest_fd(&to, known[DEAD_ID].handle), &st), 0);
	assert_true(S_ISDIR(st.st_mode) && !st.st_nlink);
}

static void what_was_taken_back_is_not_there(void **state)
{
	static const unsigned taken_back[] = {BRIEF_ID, SHORT_ID};

	(void)state;
	for (unsigned i = 0; i < GW_ARRAY_LEN(taken_back); i++) {
		assert_null(fs_inode_get(to.fs.inodes, known[taken_back[i]].id));
		assert_null(fs_handle_get(to.fs.handles, known[taken_back[i]].handle));
	}
	assert_int_equal(fs_handles_count(to.fs.handles), IDS - GW_ARRAY_LEN(taken_back));
}

static void locks_of_states_that_have_them(void **state)
{
	FS_AUTO_INODE struct fs_inode *temp = fs_inode_get(to.fs.inodes, known[TEMP_ID].id);
	const struct fs_range inside = {9, 9, F_RDLCK}, behind = {10, 19, F_WRLCK};
	bool has_locks = !strstr(golden_path, "godwit-fs-1-");

	(void)state;
	assert_int_equal(fs_lock_set(&to.fs, temp, 7, 0, &inside), has_locks ? -EAGAIN : 0);
	assert_int_equal(fs_lock_set(&to.fs, temp, 7, 0, &behind), 0);
}

int main(int argc, char **argv)
{
#define WITH_STREAM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_STREAM(named_files_by_their_last_names),
		WITH_STREAM(unnamed_files_as_they_were_last),
		WITH_STREAM(what_was_taken_back_is_not_there),
		WITH_STREAM(locks_of_states_that_have_them),
	};

	if (argc >= 4 && !strcmp(argv[1], "make"))
		return make(argv[2], (unsigned)atoi(argv[3]), argv[4]);
	if (argc != 2) {
		fprintf(stderr, "usage: fs-golden-rounds FILE | make FILE NUMBER [OTHER]\n");
		return 2;
	}
	golden_path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
