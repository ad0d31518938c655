/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-mounts-rounds.c - mounts inside the share, in a state that is sent in rounds:
 * what is on them is found and opened while the next round is on its way, and which is which may
 * change. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/records.h"
#include "fs/table.h"
#include "fs/tracking.h"
#include "precopy.h"
#include "rounds.h"
#include "state/stream.h"

static uint64_t top, file, handle;

static void mount_at(const char *name, const char *file_in_it)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/f", name);
	if (access(share_path(&from, "%s", name), F_OK))
		share_mkdir(&from, name);
	assert_int_equal(mount(name, share_path(&from, "%s", name), "tmpfs", 0, "size=1m"), 0);
	share_file(&from, path, file_in_it);
}

static void know(const char *name)
{
	top = share_lookup(&from, FS_ROOT_ID, name);
	file = share_lookup(&from, top, "f");
	handle = guest_open(&from, file, O_RDONLY);
}

/* As a guest does before it unmounts. */
static void forget(void)
{
	assert_int_equal(fs_handle_release(from.fs.handles, handle), 0);
	fs_inode_forget(from.fs.inodes, file, 1);
	fs_inode_forget(from.fs.inodes, top, 1);
}

static unsigned mount_of(struct share *share, uint64_t id)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, id);

	assert_non_null(inode);
	return inode->mount;
}

static int set_up(void **state)
{
	(void)state;
	move_source(&from);
	mount_at("a", "of a");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	umount2(share_path(&from, "a"), MNT_DETACH);
	umount2(share_path(&from, "b"), MNT_DETACH);
	share_close(&from);
	return 0;
}

/*
 * A destination that reads while the source still sends.
 */
static int ends[2];
static off_t sent;
static _Atomic bool waits;
static int result;

static void *load(void *unused)
{
	const struct gw_state_channel channel = {.fd = ends[0], .cancel = -1, .waiting = &waits};
	struct gw_state_reader *reader;

	(void)unused;
	result = gw_state_reader_new(&reader, &channel);
	if (!result)
		result = fs_load(&to.fs, reader);
	gw_state_reader_free(reader);
	return NULL;
}

static void pass_on(void)
{
	char buf[4096];
	ssize_t len;

	while ((len = pread(rounds_stream, buf, sizeof(buf), sent)) > 0) {
		assert_int_equal(write(ends[1], buf, (size_t)len), len);
		sent += len;
	}
}

static void wait_until_it_waits(void)
{
	int left = 1;

	while (left || !atomic_load(&waits)) {
		assert_int_equal(ioctl(ends[0], FIONREAD, &left), 0);
		usleep(1000);
	}
}

/* How often this process has the file open. */
static unsigned times_open(const char *path)
{
	DIR *dir = opendir("/proc/self/fd");
	char target[4096];
	struct dirent *entry;
	unsigned times = 0;

	while ((entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		target[len < 0 ? 0 : len] = 0;
		times += !strcmp(target, path);
	}
	closedir(dir);
	return times;
}

static void opened_while_the_source_runs(void **state)
{
	unsigned before;
	pthread_t thread;

	(void)state;
	know("a");
	sent = 0;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	move_twin(&to, &from);
	rounds_begin(3);
	rounds_send();
	before = times_open(share_path(&from, "a/f"));
	assert_int_equal(pthread_create(&thread, NULL, load, NULL), 0);
	rounds_send();
	assert_int_equal(gw_state_flush(rounds_writer), 0);
	pass_on();
	wait_until_it_waits();
	assert_true(times_open(share_path(&from, "a/f")) > before);
	rounds_rest();
	pass_on();
	close(ends[1]);
	pthread_join(thread, NULL);
	assert_int_equal(result, 0);
	assert_string_equal(guest_read(&to, handle), "of a");
	assert_int_equal(share_ino(&to, file), share_ino(&from, file));
	move_twin_close(&to);
	close(ends[0]);
}

/* The number of a mount that nobody is on any more is another one's: in a round, or in the end. */
static void another_mount_of_the_same_number(void **state)
{
	for (unsigned rounds = 0; rounds < 3; rounds++) {
		unsigned was;

		know("a");
		was = mount_of(&from, file);
		rounds_begin(3);
		rounds_send();
		rounds_send();
		forget();
		mount_at("b", "of b");
		know("b");
		assert_int_equal(mount_of(&from, file), was);
		for (unsigned i = 0; i < rounds; i++)
			rounds_send();
		rounds_rest();
		rounds_arrive();
		assert_string_equal(guest_read(&to, handle), "of b");
		assert_int_equal(share_lookup(&to, top, "f"), file);
		move_twin_close(&to);
		forget();
		umount2(share_path(&from, "b"), MNT_DETACH);
	}
	(void)state;
}

static void go_ahead(void)
{
	know("a");
	precopy_begin(&from);
	precopy_end(&from);
	move_twin(&to, &from);
	if (precopy_load(&to))
		fail_msg("precopy: %s", gw_last_error());
	forget();
}

static void load_state(void)
{
	if (move_load(&to, move_save(&from)))
		fail_msg("load: %s", gw_last_error());
}

/* Between what came ahead of a state and the state, too. */
static void another_mount_after_a_precopy(void **state)
{
	(void)state;
	go_ahead();
	mount_at("b", "of b");
	know("b");
	assert_int_equal(mount_of(&from, file), 1);
	load_state();
	assert_string_equal(guest_read(&to, handle), "of b");
	assert_int_equal(share_lookup(&to, top, "f"), file);
	move_twin_close(&to);
}

static void no_mount_after_a_precopy(void **state)
{
	(void)state;
	go_ahead();
	load_state();
	assert_false(to.fs.inodes->mounts[1].used);
	move_twin_close(&to);
}

/* Looked at, and forgotten before its mount was told of. */
static void gone_within_a_round(void **state)
{
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 20 * FS_UNIT; i++) {
		snprintf(name, sizeof(name), "crowd-%u", i);
		if (i == FS_UNIT)
			know("a");
		share_file(&from, name, "");
		share_lookup(&from, FS_ROOT_ID, name);
	}
	rounds_begin(3);
	assert_int_equal(gw_state_writer_phase(rounds_writer, GW_PHASE_RUNNING), 0);
	assert_true(fs_save(&from.fs, rounds_writer, GW_PHASE_RUNNING, 1000) > 0);
	forget();
	while (fs_save(&from.fs, rounds_writer, GW_PHASE_RUNNING, 1000) > 0)
		;
	rounds_send();
	rounds_rest();
	rounds_arrive();
	assert_null(fs_inode_get(to.fs.inodes, file));
	move_twin_close(&to);
}

/* What is on a mount that is not there is missing in the end, and not before. */
static void mount_is_not_there(void **state)
{
	(void)state;
	know("a");
	rounds_begin(3);
	rounds_send();
	rounds_send();
	rounds_rest();
	umount2(share_path(&from, "a"), MNT_DETACH);
	move_twin(&to, &from);
	lseek(rounds_stream, 0, SEEK_SET);
	assert_int_equal(move_load(&to, rounds_stream), -ENODEV);
	assert_non_null(strstr(gw_last_error(), "is on a mount that is not to be found"));
	move_twin_close(&to);
}

int main(void)
{
#define WITH_MOUNT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_MOUNT(opened_while_the_source_runs),
		WITH_MOUNT(another_mount_of_the_same_number),
		WITH_MOUNT(another_mount_after_a_precopy),
		WITH_MOUNT(no_mount_after_a_precopy),
		WITH_MOUNT(gone_within_a_round),
		WITH_MOUNT(mount_is_not_there),
	};

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		printf("no mount namespace of its own here: %m; as root it would run\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
