/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-locks.c - locks on their way: which side has them, at every point of a stream.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/locks.h"
#include "fs/records.h"
#include "fs/slots.h"
#include "move.h"

static struct share from, to;
static uint64_t node, handle, other;

static int lock(struct share *share, uint64_t owner, int type, int64_t start, int64_t end)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, node);

	assert_non_null(inode);
	return fs_lock_set(&share->fs, inode, owner, handle,
			   &(struct fs_range){start, end, (short)type});
}

static void drop(struct share *share, uint64_t owner)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, node);

	fs_lock_drop(&share->fs, inode, owner);
}

static int lock_whole(struct share *share, uint64_t id, int type)
{
	FS_AUTO_HANDLE struct fs_handle *found = fs_handle_get(share->fs.handles, id);

	assert_non_null(found);
	return fs_flock_set(found, type);
}

static bool is_lost(struct share *share, uint64_t id)
{
	FS_AUTO_HANDLE struct fs_handle *found = fs_handle_get(share->fs.handles, id);

	assert_non_null(found);
	return found->lost;
}

/* Somebody else on this host, who tries. The descriptor keeps what it got. */
static int rival(int type, int64_t start, int64_t len)
{
	struct flock wanted = {.l_type = (short)type, .l_start = start, .l_len = len};
	int fd = open(share_path(&from, "file"), O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	if (!fcntl(fd, F_OFD_SETLK, &wanted))
		return fd;
	close(fd);
	return -1;
}

static bool is_free(int64_t start, int64_t len)
{
	int fd = rival(F_WRLCK, start, len);

	close(fd);
	return fd >= 0;
}

static bool flock_is_free(void)
{
	int fd = open(share_path(&from, "file"), O_RDWR | O_CLOEXEC);
	bool is = flock(fd, LOCK_EX | LOCK_NB) == 0;

	close(fd);
	return is;
}

static void begin(void)
{
	share_open(&from, 0);
	share_file(&from, "file", "content");
	node = share_lookup(&from, FS_ROOT_ID, "file");
	handle = guest_open(&from, node, O_RDWR);
	other = guest_open(&from, node, O_RDWR);
}

static void hold_some(void)
{
	assert_int_equal(lock(&from, 1, F_WRLCK, 0, 9), 0);
	assert_int_equal(lock(&from, 1, F_RDLCK, 20, INT64_MAX), 0);
	assert_int_equal(lock(&from, 2, F_WRLCK, 10, 14), 0);
	assert_int_equal(lock_whole(&from, other, F_WRLCK), 0);
}

static void assert_held(bool held)
{
	assert_int_equal(is_free(0, 10), !held);
	assert_int_equal(is_free(10, 5), !held);
	assert_int_equal(is_free(20, 0), !held);
	assert_true(is_free(15, 5));
	assert_int_equal(flock_is_free(), !held);
}

static void end(void)
{
	share_close(&from);
}

static void fail_source(void)
{
	fs_device_ops.outcome(&from.fs, GW_OUTCOME_FAILED);
}

/* What each owner has there is what it had here, and no more. */
static void test_they_move(void **state)
{
	int stream;

	(void)state;
	begin();
	hold_some();
	stream = move_save(&from);
	assert_held(false);
	move_twin(&to, &from);
	if (move_load(&to, stream))
		fail_msg("%s", gw_last_error());
	assert_held(true);
	fs_device_ops.run(&to.fs, GW_RUN_LOADED);
	assert_int_equal(lock(&to, 2, F_WRLCK, 9, 9), -EAGAIN);
	assert_int_equal(lock(&to, 2, F_RDLCK, 25, 25), 0);
	assert_int_equal(lock(&to, 2, F_WRLCK, 25, 25), -EAGAIN);
	assert_int_equal(lock(&to, 1, F_UNLCK, 5, 9), 0);
	assert_true(is_free(5, 5));
	assert_false(is_free(0, 5));
	assert_int_equal(lock_whole(&to, handle, F_RDLCK), -EAGAIN);
	assert_int_equal(lock_whole(&to, other, F_UNLCK), 0);
	assert_true(flock_is_free());
	move_twin_close(&to);
	assert_true(is_free(0, 0));
	end();
}

/* Somebody else was faster: the load says which file and which bytes, and holds nothing. */
static void test_contention(void **state)
{
	int stream, fd;

	(void)state;
	begin();
	hold_some();
	stream = move_save(&from);
	fd = rival(F_WRLCK, 12, 1);
	assert_true(fd >= 0);
	move_twin(&to, &from);
	assert_int_equal(move_load(&to, dup(stream)), -EAGAIN);
	assert_non_null(strstr(gw_last_error(), "file"));
	assert_non_null(strstr(gw_last_error(), "10 to 14"));
	assert_true(is_free(0, 10));
	assert_true(flock_is_free());
	close(fd);
	fail_source();
	assert_held(true);
	/* Not even the source lets a second one have them while it goes on. */
	lseek(stream, 0, SEEK_SET);
	assert_int_equal(move_load(&to, stream), -EAGAIN);
	assert_held(true);
	move_twin_close(&to);
	end();
}

static void test_contention_of_flock(void **state)
{
	int stream, fd;

	(void)state;
	begin();
	hold_some();
	stream = move_save(&from);
	fd = open(share_path(&from, "file"), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	move_twin(&to, &from);
	assert_int_equal(move_load(&to, stream), -EAGAIN);
	assert_non_null(strstr(gw_last_error(), "flock"));
	assert_true(is_free(0, 0));
	close(fd);
	fs_device_ops.run(&from.fs, GW_RUN_RESUMED);
	assert_held(true);
	move_twin_close(&to);
	end();
}

/* Whoever lost a lock hears of it; the others do not. */
static void test_lost(void **state)
{
	int fd;

	(void)state;
	begin();
	hold_some();
	close(move_save(&from));
	fd = rival(F_WRLCK, 9, 1);
	assert_true(fd >= 0);
	fs_device_ops.run(&from.fs, GW_RUN_RESUMED);
	assert_int_equal(lock(&from, 1, F_WRLCK, 0, 0), -EIO);
	assert_int_equal(lock(&from, 1, F_UNLCK, 0, INT64_MAX), -EIO);
	assert_true(is_lost(&from, handle));
	assert_false(is_lost(&from, other));
	/* Nothing is left of the lost one's. */
	assert_true(is_free(20, 0));
	assert_int_equal(lock(&from, 2, F_WRLCK, 10, 15), 0);
	assert_false(flock_is_free());
	/* It stays lost on the way, until it is closed. */
	close(fd);
	move_twin(&to, &from);
	if (move_load(&to, move_save(&from)))
		fail_msg("%s", gw_last_error());
	assert_int_equal(lock(&to, 1, F_WRLCK, 0, 0), -EIO);
	assert_true(is_lost(&to, handle));
	assert_false(is_lost(&to, other));
	drop(&to, 1);
	assert_int_equal(lock(&to, 1, F_WRLCK, 0, 0), 0);
	move_twin_close(&to);
	end();
}

static void test_lost_flock(void **state)
{
	int fd;

	(void)state;
	begin();
	hold_some();
	close(move_save(&from));
	fd = open(share_path(&from, "file"), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	fail_source();
	assert_true(is_lost(&from, other));
	assert_false(is_lost(&from, handle));
	assert_int_equal(lock_whole(&from, other, F_WRLCK), -EIO);
	close(fd);
	assert_true(flock_is_free());
	end();
}

/* Saved again, loaded nowhere: as often as one likes. */
static void test_snapshots(void **state)
{
	(void)state;
	begin();
	hold_some();
	for (int i = 0; i < 3; i++) {
		close(move_save(&from));
		assert_held(false);
	}
	fs_device_ops.outcome(&from.fs, GW_OUTCOME_COPIED);
	assert_held(true);
	close(move_save(&from));
	fs_device_ops.outcome(&from.fs, GW_OUTCOME_UNKNOWN);
	fs_device_ops.outcome(&from.fs, GW_OUTCOME_MOVED);
	assert_held(false);
	end();
}

static size_t size_of(int fd)
{
	return (size_t)lseek(fd, 0, SEEK_END);
}

/* Nobody has anything while a stream is not whole, wherever it ends. */
static void test_cut_anywhere(void **state)
{
	int stream;
	size_t size;

	(void)state;
	begin();
	hold_some();
	stream = move_save(&from);
	size = size_of(stream);
	for (size_t len = 0; len < size; len++) {
		int part = memfd_create("part", MFD_CLOEXEC);
		off_t zero = 0;

		assert_int_equal(copy_file_range(stream, &zero, part, NULL, len, 0), len);
		lseek(part, 0, SEEK_SET);
		move_twin(&to, &from);
		assert_true(move_load(&to, part) < 0);
		assert_held(false);
		move_twin_close(&to);
	}
	close(stream);
	fail_source();
	assert_held(true);
	end();
}

/* A format that has no word for them is no way out. */
static void test_old_format(void **state)
{
	int stream;

	(void)state;
	begin();
	move_number = 1;
	close(move_save(&from));
	assert_int_equal(lock(&from, 1, F_WRLCK, 0, 9), 0);
	assert_int_equal(move_save_result(&from, &stream), -EBUSY);
	assert_non_null(strstr(gw_last_error(), "file"));
	close(stream);
	assert_false(is_free(0, 10));
	assert_int_equal(lock(&from, 1, F_UNLCK, 0, 9), 0);
	assert_int_equal(lock_whole(&from, handle, F_RDLCK), 0);
	assert_int_equal(move_save_result(&from, &stream), -EBUSY);
	close(stream);
	assert_false(flock_is_free());
	move_number = 3;
	end();
}

/* Of a file that is made anew at the other end. */
static void test_unnamed(void **state)
{
	(void)state;
	begin();
	hold_some();
	guest_unlink(&from, FS_ROOT_ID, "file", share_path(&from, "file"));
	move_over(&to, &from);
	assert_int_equal(lock(&to, 3, F_WRLCK, 0, 0), -EAGAIN);
	assert_int_equal(lock_whole(&to, handle, F_RDLCK), -EAGAIN);
	move_twin_close(&to);
	end();
}

/* Where the operator lets a file be missing, its locks are missing. */
static void test_missing(void **state)
{
	int stream;

	(void)state;
	begin();
	hold_some();
	stream = move_save(&from);
	assert_int_equal(rename(share_path(&from, "file"), share_path(&from, "away")), 0);
	from.host.on_error = FS_ON_ERROR_GUEST;
	move_twin(&to, &from);
	if (move_load(&to, stream))
		fail_msg("%s", gw_last_error());
	assert_int_equal(lock(&to, 1, F_WRLCK, 0, 0), -EIO);
	move_twin_close(&to);
	end();
}

static int note(void *opaque, const struct fs_lock_info *info)
{
	unsigned *seen = opaque;

	if (info->flock)
		*seen |= info->owner == other && info->range.type == F_WRLCK ? 1 : 0x80;
	else if (info->owner == 1)
		*seen |= info->range.start ? 2 : 4;
	else
		*seen |= info->range.end == 14 ? 8 : 0x80;
	return 0;
}

static void test_each(void **state)
{
	unsigned seen = 0;

	(void)state;
	begin();
	assert_int_equal(fs_locks_each(&from.fs, note, &seen), 0);
	assert_int_equal(seen, 0);
	hold_some();
	assert_int_equal(fs_locks_each(&from.fs, note, &seen), 0);
	assert_int_equal(seen, 15);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_they_move),
		cmocka_unit_test(test_contention),
		cmocka_unit_test(test_contention_of_flock),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_lost_flock),
		cmocka_unit_test(test_snapshots),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_old_format),
		cmocka_unit_test(test_unnamed),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
