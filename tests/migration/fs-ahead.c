/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-ahead.c - unnamed files go while the guest runs, and in the end only what
 * changed of them. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/ahead.h"
#include "fs/handles.h"
#include "fs/iterate.h"
#include "fs/records.h"
#include "fs/table.h"
#include "rounds.h"
#include "state/stream.h"

#define KIB    1024
#define MIB    (1024 * KIB)
#define LENGTH (1 * MIB)
#define LITTLE (32 * KIB) /* more than a state of few inodes has besides content */

static int file; /* the source's descriptor of the unnamed file */
static uint64_t id, handle;
static char *expected;

/* An unnamed file of 1 MiB without holes. */
static int set_up(void **state)
{
	(void)state;
	move_source(&from);
	handle = guest_tmpfile(&from, "", &id);
	file = guest_fd(&from, handle);
	expected = malloc(2 * LENGTH);
	for (size_t i = 0; i < 2 * LENGTH; i++)
		expected[i] = (char)(i * 31 + i / 4096 + 1);
	assert_int_equal(pwrite(file, expected, LENGTH, 0), LENGTH);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	share_close(&from);
	free(expected);
	return 0;
}

static void leave(void)
{
	move_twin_close(&to);
}

/* Byte for byte what the source has, and another file. */
static void assert_same_file(void)
{
	static char here[4 * LENGTH], there[4 * LENGTH];
	int fd = guest_fd(&to, handle);
	ssize_t len = pread(file, here, sizeof(here), 0);
	struct stat a, b;

	assert_int_equal(pread(fd, there, sizeof(there), 0), len);
	assert_memory_equal(here, there, (size_t)len);
	assert_int_equal(fstat(file, &a), 0);
	assert_int_equal(fstat(fd, &b), 0);
	assert_int_equal(a.st_size, b.st_size);
	assert_int_equal(a.st_mode, b.st_mode);
	assert_int_equal(a.st_mtim.tv_sec, b.st_mtim.tv_sec);
	assert_int_equal(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
	assert_true(a.st_ino != b.st_ino);
	assert_int_equal(b.st_nlink, 0);
}

/*
 * What happens to it between rounds. The rest is little; with a row's word it may be more.
 */
static void nothing(void)
{
}

static void a_byte(void)
{
	assert_int_equal(pwrite(file, "!", 1, 300 * KIB + 5), 1);
}

static void first_and_last(void)
{
	assert_int_equal(pwrite(file, "!", 1, 0), 1);
	assert_int_equal(pwrite(file, "!", 1, LENGTH - 1), 1);
}

static void appended(void)
{
	assert_int_equal(pwrite(file, "more", 4, LENGTH), 4);
}

static void truncated(void)
{
	assert_int_equal(ftruncate(file, 1000), 0);
}

static void emptied(void)
{
	assert_int_equal(ftruncate(file, 0), 0);
}

/* Where there was something there is nothing, though the file is as long as before. */
static void emptied_and_long_again(void)
{
	assert_int_equal(ftruncate(file, LENGTH - 10000), 0);
	assert_int_equal(ftruncate(file, LENGTH), 0);
}

static void longer_by_a_hole(void)
{
	assert_int_equal(ftruncate(file, 2 * LENGTH), 0);
	assert_int_equal(pwrite(file, "end", 3, 2 * LENGTH - 3), 3);
}

static void punched(void)
{
	assert_int_equal(
		fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 7 * KIB, 12 * KIB), 0);
}

static void zeroed(void)
{
	char zeros[4096] = "";

	assert_int_equal(pwrite(file, zeros, sizeof(zeros), 64 * KIB), sizeof(zeros));
}

/* No time tells of it. */
static void changed_in_secret(void)
{
	struct stat st;

	assert_int_equal(fstat(file, &st), 0);
	a_byte();
	assert_int_equal(futimens(file, (const struct timespec[]){st.st_atim, st.st_mtim}), 0);
}

static void other_mode(void)
{
	assert_int_equal(fchmod(file, 0640), 0);
}

static const struct {
	const char *name;
	void (*happens)(void);
} changes[] = {
	{"nothing", nothing},
	{"a byte is written", a_byte},
	{"the first byte and the last", first_and_last},
	{"appended", appended},
	{"truncated", truncated},
	{"emptied", emptied},
	{"shorter, and as long again", emptied_and_long_again},
	{"longer by a hole", longer_by_a_hole},
	{"a hole is punched", punched},
	{"zeros are written", zeroed},
	{"written, and its times set back", changed_in_secret},
	{"another mode", other_mode},
};

static void every_change(void **state)
{
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		for (unsigned later = 0; later < 3; later++) {
			uint64_t rest;

			set_up(state);
			print_message("%s, %u rounds before the rest\n", changes[i].name, later);
			rounds_begin(3);
			rounds_send();
			rounds_send();
			changes[i].happens();
			for (unsigned n = 0; n < later; n++)
				rounds_send();
			rest = rounds_rest();
			assert_in_range(rest, 1, LITTLE);
			rounds_arrive();
			assert_same_file();
			leave();
			tear_down(state);
		}
	}
}

/* One change after the other, a round after each. */
static void all_changes(void **state)
{
	rounds_begin(3);
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		rounds_send();
		changes[i].happens();
	}
	rounds_rest();
	rounds_arrive();
	assert_same_file();
	leave();
}

static void goes_while_the_guest_runs(void **state)
{
	uint64_t sent;

	rounds_begin(3);
	sent = rounds_send();
	sent += rounds_send();
	assert_in_range(sent, LENGTH, LENGTH + 4 * LITTLE);
	assert_in_range(rounds_send(), 1, LITTLE);
	assert_in_range(rounds_rest(), 1, LITTLE);
	rounds_arrive();
	assert_same_file();
	leave();
}

/* Destinations before it take an unnamed file once. */
static void not_in_older_states(void **state)
{
	rounds_begin(2);
	assert_in_range(rounds_send() + rounds_send(), 1, LITTLE);
	a_byte();
	assert_true(rounds_rest() > LENGTH);
	rounds_arrive();
	assert_same_file();
	leave();
}

static void closed_and_forgotten(void **state)
{
	rounds_begin(3);
	rounds_send();
	rounds_send();
	assert_int_equal(fs_handle_release(from.fs.handles, handle), 0);
	fs_inode_forget(from.fs.inodes, id, 1);
	rounds_send();
	rounds_rest();
	rounds_arrive();
	assert_null(fs_inode_get(to.fs.inodes, id));
	assert_null(fs_handle_get(to.fs.handles, handle));
	leave();
}

/* Without a round between: all that the stream says of it is taken back in the rest. */
static void forgotten_in_the_end(void **state)
{
	rounds_begin(3);
	rounds_send();
	rounds_send();
	assert_int_equal(fs_handle_release(from.fs.handles, handle), 0);
	fs_inode_forget(from.fs.inodes, id, 1);
	rounds_rest();
	rounds_arrive();
	assert_null(fs_inode_get(to.fs.inodes, id));
	leave();
}

/* link(2): it is the host's own file from then on, with all that was written to it. */
static void gets_a_name(void **state)
{
	for (unsigned later = 0; later < 3; later++) {
		char path[64], target[128];
		struct stat a, b;

		set_up(state);
		rounds_begin(3);
		rounds_send();
		rounds_send();
		a_byte();
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
		snprintf(target, sizeof(target), "%s", share_path(&from, "name"));
		if (linkat(AT_FDCWD, path, AT_FDCWD, target, AT_SYMLINK_FOLLOW)) {
			print_message("skipped: linkat: %s\n", strerror(errno));
		} else {
			FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(from.fs.inodes, id);
			FS_AUTO_INODE struct fs_inode *root =
				fs_inode_get(from.fs.inodes, FS_ROOT_ID);

			fs_name_added(from.fs.inodes, inode, root, "name");
		}
		for (unsigned n = 0; n < later; n++)
			rounds_send();
		rounds_rest();
		rounds_arrive();
		assert_int_equal(fstat(file, &a), 0);
		assert_int_equal(fstat(guest_fd(&to, handle), &b), 0);
		assert_int_equal(a.st_ino == b.st_ino, a.st_nlink > 0);
		leave();
		tear_down(state);
	}
}

/* It loses its name when the rounds have begun. */
static void loses_its_name(void **state)
{
	uint64_t named;

	share_file(&from, "named", "");
	named = share_lookup(&from, FS_ROOT_ID, "named");
	handle = guest_open(&from, named, O_RDWR);
	file = guest_fd(&from, handle);
	assert_int_equal(pwrite(file, expected, LENGTH, 0), LENGTH);
	rounds_begin(3);
	rounds_send();
	guest_unlink(&from, FS_ROOT_ID, "named", share_path(&from, "named"));
	rounds_send();
	rounds_send();
	a_byte();
	assert_in_range(rounds_rest(), 1, LITTLE);
	rounds_arrive();
	assert_same_file();
	leave();
}

static void attributes(void **state)
{
	char value[16];

	if (fsetxattr(file, "user.one", "1", 1, 0)) {
		print_message("skipped: no extended attributes: %s\n", strerror(errno));
		return;
	}
	assert_int_equal(fsetxattr(file, "user.two", "2", 1, 0), 0);
	rounds_begin(3);
	rounds_send();
	rounds_send();
	assert_int_equal(fremovexattr(file, "user.one"), 0);
	assert_int_equal(fsetxattr(file, "user.two", "22", 2, 0), 0);
	rounds_rest();
	rounds_arrive();
	assert_same_file();
	assert_int_equal(fgetxattr(guest_fd(&to, handle), "user.one", value, sizeof(value)), -1);
	assert_int_equal(fgetxattr(guest_fd(&to, handle), "user.two", value, sizeof(value)), 2);
	leave();
}

/* A guest that writes all of it anew in each round does not make the stream endless. */
static void bounded(void **state)
{
	struct gw_pending left;
	uint64_t sent = 0;

	rounds_begin(3);
	for (unsigned round = 0; round < 40; round++) {
		for (size_t i = 0; i < LENGTH; i += 4096)
			assert_int_equal(pwrite(file, &round, sizeof(round), (off_t)i),
					 sizeof(round));
		sent += rounds_send();
		if (round == 3) {
			assert_int_equal(fs_pending(&from.fs, &left), 0);
			assert_true(left.dirty >= LENGTH);
		}
	}
	assert_in_range(sent, 4 * MIB, 9 * MIB); /* the limit is 4 MiB */
	rounds_rest();
	rounds_arrive();
	assert_same_file();
	leave();
}

/* What does not fit does not go, and what has gone by then is taken back: an error then and now. */
static void grows_beyond_the_limit(void **state)
{
	rounds_begin(3);
	rounds_send();
	rounds_send();
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(pwrite(file, expected, LENGTH, (off_t)i * LENGTH), LENGTH);
	rounds_send();
	assert_int_equal(gw_state_writer_phase(rounds_writer, GW_PHASE_STOPPED), 0);
	assert_int_equal(fs_save(&from.fs, rounds_writer, GW_PHASE_STOPPED, SIZE_MAX), -EFBIG);
	gw_state_writer_free(rounds_writer);
	assert_int_equal(fs_iterate(&from.fs, false), 0);
	close(rounds_stream);
	from.host.on_error = FS_ON_ERROR_GUEST;
	rounds_begin(3);
	assert_int_equal(ftruncate(file, LENGTH), 0);
	rounds_send();
	rounds_send();
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(pwrite(file, expected, LENGTH, (off_t)i * LENGTH), LENGTH);
	rounds_rest();
	rounds_arrive(); /* lost, and nothing of it is there */
	leave();
}

/* Cancelled at any moment: the source has what it had, and saves as ever. */
static void given_up(void **state)
{
	for (unsigned calls = 0; calls < 14; calls++) {
		rounds_begin(3);
		assert_int_equal(gw_state_writer_phase(rounds_writer, GW_PHASE_RUNNING), 0);
		for (unsigned n = 0; n < calls; n++)
			assert_true(fs_save(&from.fs, rounds_writer, GW_PHASE_RUNNING, 500) >= 0);
		assert_int_equal(fs_iterate(&from.fs, false), 0);
		gw_state_writer_free(rounds_writer);
		close(rounds_stream);
		a_byte();
		move_over(&to, &from);
		assert_same_file();
		leave();
	}
}

/* Many of them, some of which change, end or begin at each round. */
#define MANY 60
static void many(void **state)
{
	uint64_t handles[MANY], ids[MANY];
	char text[32];

	for (unsigned i = 0; i < MANY; i++)
		handles[i] = guest_tmpfile(&from, "first", &ids[i]);
	rounds_begin(3);
	for (unsigned round = 0; round < 8; round++) {
		rounds_send();
		for (unsigned i = round % 5; i < MANY; i += 5) {
			snprintf(text, sizeof(text), " %u", round);
			guest_append(&from, handles[i], text);
		}
		for (unsigned i = round; i < MANY; i += 9) {
			assert_int_equal(fs_handle_release(from.fs.handles, handles[i]), 0);
			fs_inode_forget(from.fs.inodes, ids[i], 1);
			snprintf(text, sizeof(text), "again %u", round);
			handles[i] = guest_tmpfile(&from, text, &ids[i]);
		}
	}
	rounds_rest();
	rounds_arrive();
	for (unsigned i = 0; i < MANY; i++) {
		GW_AUTO_FREE char *here = strdup(guest_read(&from, handles[i]));

		assert_string_equal(guest_read(&to, handles[i]), here);
	}
	assert_int_equal(fs_handles_count(to.fs.handles), fs_handles_count(from.fs.handles));
	leave();
}

/* The guest does all of that at any moment of a round. */
static atomic_bool enough;

static void *busy_guest(void *unused)
{
	(void)unused;
	for (unsigned i = 0; !atomic_load(&enough); i++) {
		uint64_t other, opened = guest_tmpfile(&from, "again and", &other);

		guest_append(&from, opened, " again");
		assert_int_equal(pwrite(file, &i, sizeof(i), (off_t)(i * 4099 % LENGTH)),
				 sizeof(i));
		if (i % 64 == 63)
			assert_int_equal(ftruncate(file, (off_t)(i * 997 % LENGTH)), 0);
		assert_int_equal(fs_handle_release(from.fs.handles, opened), 0);
		fs_inode_forget(from.fs.inodes, other, 1);
	}
	return NULL;
}

static void at_any_moment(void **state)
{
	pthread_t thread;

	atomic_store(&enough, false);
	rounds_begin(3);
	assert_int_equal(pthread_create(&thread, NULL, busy_guest, NULL), 0);
	for (unsigned i = 0; i < 30; i++)
		rounds_send();
	atomic_store(&enough, true);
	pthread_join(thread, NULL);
	rounds_rest();
	rounds_arrive();
	assert_same_file();
	leave();
}

/*
 * What nobody honest says.
 */
static void refuse(const struct gw_layout *layout, const void *object, bool put,
		   const char *sentence)
{
	rounds_begin(3);
	rounds_send();
	rounds_send();
	assert_int_equal(gw_state_writer_phase(rounds_writer, GW_PHASE_RUNNING), 0);
	assert_int_equal((put ? gw_state_put : gw_state_delete)(rounds_writer, layout, object), 0);
	rounds_rest();
	move_twin(&to, &from);
	lseek(rounds_stream, 0, SEEK_SET);
	assert_int_equal(move_load(&to, rounds_stream), -EINVAL);
	if (!strstr(gw_last_error(), sentence))
		fail_msg("%s", gw_last_error());
	move_twin_close(&to);
}

static void hostile(void **state)
{
	const struct gw_fs_orphan_v1 longer = {
		.inode = id, .mode = S_IFREG | 0600, .size = UINT64_MAX};
	const struct gw_fs_orphan_v1 other = {.inode = id, .mode = S_IFDIR | 0600};
	const struct gw_fs_orphan_v1 nobody = {.inode = FS_ROOT_ID};
	const struct gw_fs_inode_v1 inode = {.id = id};
	const struct gw_fs_content_v1 content = {
		.inode = id, .offset = LENGTH, .data = {.data = "x", .len = 1}};

	refuse(&gw_fs_orphan_v1, &longer, true, "its size");
	refuse(&gw_fs_orphan_v1, &other, true, "with mode");
	refuse(&gw_fs_orphan_v1, &nobody, false, "but was not there");
	refuse(&gw_fs_inode_v1, &inode, false, "but not the file that it is");
	refuse(&gw_fs_content_v1, &content, true, "content beyond its end");
}

int main(void)
{
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_FILE(goes_while_the_guest_runs),
		cmocka_unit_test(every_change),
		WITH_FILE(all_changes),
		WITH_FILE(not_in_older_states),
		WITH_FILE(closed_and_forgotten),
		WITH_FILE(forgotten_in_the_end),
		cmocka_unit_test(gets_a_name),
		WITH_FILE(loses_its_name),
		WITH_FILE(attributes),
		WITH_FILE(bounded),
		WITH_FILE(grows_beyond_the_limit),
		WITH_FILE(given_up),
		WITH_FILE(many),
		WITH_FILE(at_any_moment),
		WITH_FILE(hostile),
	};

	gw_log_set_level(GW_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
