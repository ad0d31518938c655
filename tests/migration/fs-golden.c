/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-golden.c - a state that the first release wrote is loaded for ever.
 *
 * The streams were made once, by `fs-golden make FILE` (of states with the number 1) and
 * `fs-golden make-locks FILE` (2), and are never made again: a test that fails
 * here says that an old source can not come to this build any more. The share that it was made on
 * is gone: the root's evidence is put in anew on the way, what had names is not found
 * (guest-error), and what travels whole must be there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/fuse_wire.h"
#include "fs/locks.h"
#include "fs/records.h"
#include "move.h"
#include "old-stream.h"

#define GOLDEN_FLAGS (FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_INIT_EXT)
#define GOLDEN_MINOR 39

/* Ids are the table's own, in the order in which the maker looked things up. */
struct golden {
	uint64_t dir, file, gone, tmpfile, dead;
	uint64_t file_handle, gone_handle, tmpfile_handle, dir_handle, dead_handle;
};

static struct share share;
static const char *golden_path;
static bool golden_locks;

static void make_share(struct golden *g)
{
	share_open(&share, 0);
	share.fs.session = (struct fs_session){.initialised = true,
					       .flags = GOLDEN_FLAGS,
					       .minor = GOLDEN_MINOR,
					       .max_write = 1 << 20,
					       .max_readahead = 1 << 17,
					       .max_pages = 256};
	share_mkdir(&share, "dir");
	share_file(&share, "dir/file", "named");
	share_file(&share, "dir/gone", "content of a file without a name");
	share_mkdir(&share, "dir/dead");
	g->dir = share_lookup(&share, FS_ROOT_ID, "dir");
	g->file = share_lookup(&share, g->dir, "file");
	g->gone = share_lookup(&share, g->dir, "gone");
	g->dead = share_lookup(&share, g->dir, "dead");
	g->file_handle = guest_open(&share, g->file, O_RDWR);
	g->gone_handle = guest_open(&share, g->gone, O_RDWR);
	g->dir_handle = guest_opendir(&share, g->dir);
	g->dead_handle = guest_opendir(&share, g->dead);
	g->tmpfile_handle = guest_tmpfile(&share, "content of a temporary file", &g->tmpfile);
	guest_unlink(&share, g->dir, "gone", share_path(&share, "dir/gone"));
	guest_unlink(&share, g->dir, "dead", share_path(&share, "dir/dead"));
}

/* The ids above as they are in the stream that is kept. */
static struct golden known(void)
{
	struct golden g;

	make_share(&g);
	share_close(&share);
	return g;
}

static int lock(uint64_t node, uint64_t owner, uint64_t handle, struct fs_range range)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share.fs.inodes, node);

	assert_non_null(inode);
	return fs_lock_set(&share.fs, inode, owner, handle, &range);
}

#define OWNER UINT64_C(0xfedcba9876543210)
static void make_locks(const struct golden *g)
{
	FS_AUTO_HANDLE struct fs_handle *gone = fs_handle_get(share.fs.handles, g->gone_handle);
	FS_AUTO_HANDLE struct fs_handle *file = fs_handle_get(share.fs.handles, g->file_handle);

	move_number = 2;
	lock(g->tmpfile, OWNER, g->tmpfile_handle, (struct fs_range){5, 9, F_WRLCK});
	lock(g->tmpfile, OWNER, g->tmpfile_handle, (struct fs_range){20, INT64_MAX, F_RDLCK});
	lock(g->tmpfile, 1, g->tmpfile_handle, (struct fs_range){30, 30, F_RDLCK});
	fs_flock_set(gone, F_WRLCK);
	file->lost = true;
}

static int make(const char *path, bool locks)
{
	GW_AUTO_FD int out = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	GW_AUTO_FD int stream = -1;
	struct golden g;
	char buf[65536];
	ssize_t len;

	if (out < 0) {
		perror(path);
		return 1;
	}
	make_share(&g);
	move_number = 1;
	if (locks)
		make_locks(&g);
	stream = move_save(&share);
	len = read(stream, buf, sizeof(buf));
	share_close(&share);
	return len > 0 && len < (ssize_t)sizeof(buf) && write(out, buf, (size_t)len) == len ? 0 : 1;
}

/* The root, five inodes, their names, two contents, five handles and what belongs to them. */
#define RECORDS_LEAST 18

/* The second one has them, on the files that travel whole. */
static void assert_locks(const struct golden *g)
{
	FS_AUTO_HANDLE struct fs_handle *gone = fs_handle_get(share.fs.handles, g->gone_handle);
	FS_AUTO_HANDLE struct fs_handle *file = fs_handle_get(share.fs.handles, g->file_handle);

	assert_int_equal(gone->flock, golden_locks ? LOCK_EX : 0);
	assert_int_equal(file->lost, golden_locks);
	assert_int_equal(lock(g->tmpfile, 7, 0, (struct fs_range){9, 9, F_RDLCK}),
			 golden_locks ? -EAGAIN : 0);
	assert_int_equal(lock(g->tmpfile, 7, 0, (struct fs_range){30, 30, F_WRLCK}),
			 golden_locks ? -EAGAIN : 0);
	assert_int_equal(lock(g->tmpfile, 7, 0, (struct fs_range){10, 19, F_WRLCK}), 0);
}

static void test_golden(void **state)
{
	static const struct standin root_only[] = {{FS_ROOT_ID, ""}, {0}};
	const struct golden g = known();
	struct fs_inode *file;
	unsigned records;
	struct statx stx;
	struct stat st;

	(void)state;
	share_open(&share, 0);
	share.host.on_error = FS_ON_ERROR_GUEST;
	if (move_load(&share, old_stream(golden_path, &share, root_only, &records)))
		fail_msg("%s", gw_last_error());
	assert_true(records >= RECORDS_LEAST);

	assert_true(share.fs.session.initialised);
	assert_int_equal(share.fs.session.minor, GOLDEN_MINOR);
	assert_true(share.fs.session.flags == GOLDEN_FLAGS);
	assert_int_equal(share.fs.session.max_write, 1 << 20);
	assert_string_equal(guest_read(&share, g.gone_handle), "content of a file without a name");
	assert_string_equal(guest_read(&share, g.tmpfile_handle), "content of a temporary file");
	assert_int_equal(fstat(guest_fd(&share, g.dead_handle), &st), 0);
	assert_true(S_ISDIR(st.st_mode) && !st.st_nlink);
	assert_int_equal(guest_fd(&share, g.file_handle), -1);
	file = fs_inode_get(share.fs.inodes, g.file);
	assert_non_null(file);
	assert_int_equal(fs_inode_statx(file, &stx), -ESTALE);
	fs_inode_put(file);
	assert_int_equal(fs_handles_count(share.fs.handles), 5);
	assert_locks(&g);
	share_close(&share);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};

	if (argc == 3 && !strcmp(argv[1], "make"))
		return make(argv[2], false);
	if (argc == 3 && !strcmp(argv[1], "make-locks"))
		return make(argv[2], true);
	if (argc != 2) {
		fprintf(stderr, "usage: fs-golden FILE | make FILE | make-locks FILE\n");
		return 2;
	}
	golden_path = argv[1];
	golden_locks = strstr(golden_path, "-locks.stream");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
