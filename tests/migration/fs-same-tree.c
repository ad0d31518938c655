/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-same-tree.c - the destination's share is a copy on another file system. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/socket.h"
#include "fs/dir.h"
#include "fs/handover.h"
#include "fs/open.h"
#include "fs/records.h"
#include "fs/table.h"
#include "move.h"
#include "reader.h"

static struct share from, to;
static const char *source_dir = "/tmp", *copy_dir = "/tmp";
static uint64_t d_id, file_id, other_id, link_id;

/* Where there is another file system than /tmp's. */
static bool find_another(void)
{
	static const char *const dirs[] = {"/dev/shm", "/var/tmp", "/run", "."};
	struct stat tmp, other;

	if (stat("/tmp", &tmp))
		return false;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		if (!stat(dirs[i], &other) && other.st_dev != tmp.st_dev &&
		    !access(dirs[i], W_OK | X_OK)) {
			copy_dir = dirs[i];
			return true;
		}
	}
	return false;
}

static int set_up(void **state)
{
	(void)state;
	share_open_in(&from, source_dir, 0);
	from.fs.session = (struct fs_session){.initialised = true, .minor = 39};
	share_mkdir(&from, "d");
	share_mkdir(&from, "d/deep");
	share_file(&from, "d/file", "content");
	share_file(&from, "d/deep/other", "other");
	assert_int_equal(symlink("d/file", share_path(&from, "link")), 0);
	d_id = share_lookup(&from, FS_ROOT_ID, "d");
	file_id = share_lookup(&from, d_id, "file");
	other_id = share_lookup(&from, share_lookup(&from, d_id, "deep"), "other");
	link_id = share_lookup(&from, FS_ROOT_ID, "link");
	share_open_in(&to, copy_dir, 0);
	to.host.same = FS_SAME_TREE;
	to.host.verify = FS_VERIFY_NONE;
	return 0;
}

static int set_up_proven(void **state)
{
	int err = set_up(state);

	to.host.verify = FS_VERIFY_ALL;
	return err;
}

static int tear_down(void **state)
{
	(void)state;
	share_close(&to);
	share_close(&from);
	return 0;
}

/* @how of cp(1). */
static void copy(const char *how)
{
	char command[256];

	snprintf(command, sizeof(command), "cp %s %s/. %s/", how, from.path, to.path);
	assert_int_equal(system(command), 0);
}

static int load_copy(const char *how)
{
	int stream = move_save(&from);

	copy(how);
	return move_load(&to, stream);
}

static void move_to_copy(void)
{
	if (load_copy("-a"))
		fail_msg("load: %s", gw_last_error());
}

static int statx_of(struct share *share, uint64_t id)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, id);
	struct statx stx;

	assert_non_null(inode);
	return fs_inode_statx(inode, &stx);
}

static struct fs_inode_stats stats_of(struct share *share)
{
	struct fs_inode_stats stats;

	fs_inode_stats(share->fs.inodes, &stats);
	return stats;
}

/* Whose file the inode really is. */
static uint64_t found_ino(struct share *share, uint64_t id)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, id);
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	struct statx stx;

	assert_int_equal(fs_inode_fd(inode, &fd), 0);
	assert_int_equal(fs_statx_fd(fd.fd, &stx), 0);
	return stx.stx_ino;
}

static void assert_all_here(struct share *share)
{
	assert_int_equal(found_ino(share, file_id), host_ino(share_path(share, "d/file")));
	assert_int_equal(found_ino(share, other_id), host_ino(share_path(share, "d/deep/other")));
	assert_int_equal(found_ino(share, link_id), host_ino(share_path(share, "link")));
	assert_int_equal(share_lookup(share, FS_ROOT_ID, "d"), d_id);
	assert_int_equal(share_lookup(share, d_id, "file"), file_id);
	assert_int_equal(share_lookup(share, FS_ROOT_ID, "link"), link_id);
	/* As the guest knows them. */
	assert_int_equal(share_ino(share, FS_ROOT_ID), host_ino(from.path));
	assert_int_equal(share_ino(share, d_id), host_ino(share_path(&from, "d")));
	assert_int_equal(share_ino(share, file_id), host_ino(share_path(&from, "d/file")));
	assert_int_equal(share_ino(share, other_id), host_ino(share_path(&from, "d/deep/other")));
}

static void test_cached(void **state)
{
	bool proven = to.host.verify == FS_VERIFY_ALL;

	(void)state;
	move_to_copy();
	assert_int_equal(stats_of(&to).unresolved, proven ? 0 : 5);
	assert_all_here(&to);
	assert_int_equal(stats_of(&to).inodes, 6);
	/* "deep" was passed through, and not asked for. */
	assert_int_equal(stats_of(&to).resolved, proven ? 0 : 4);
	assert_int_equal(stats_of(&to).stale, 0);
}

/* Whoever does not say that it is a copy. */
static void test_another_share_is_refused(void **state)
{
	(void)state;
	to.host.same = FS_SAME_FS;
	assert_int_equal(load_copy("-a"), -ENOENT);
	assert_non_null(strstr(gw_last_error(), "is not the one of the source"));
}

static void test_open_files(void **state)
{
	uint64_t handle = guest_open(&from, file_id, O_RDWR), gone, tmp, ids[2];

	(void)state;
	share_file(&from, "gone", "without a name");
	ids[0] = share_lookup(&from, FS_ROOT_ID, "gone");
	gone = guest_open(&from, ids[0], O_RDWR);
	guest_unlink(&from, FS_ROOT_ID, "gone", share_path(&from, "gone"));
	tmp = guest_tmpfile(&from, "never named", &ids[1]);
	move_to_copy();
	guest_append(&to, handle, " here");
	assert_string_equal(guest_read(&to, handle), "content here");
	assert_string_equal(guest_read(&to, gone), "without a name");
	assert_string_equal(guest_read(&to, tmp), "never named");
	assert_int_equal(share_ino(&to, ids[1]), share_ino(&from, ids[1]));
	handle = guest_open(&from, file_id, O_RDONLY);
	assert_string_equal(guest_read(&from, handle), "content");
	assert_all_here(&to);
}

static void test_renamed_before(void **state)
{
	FS_AUTO_INODE struct fs_inode *root = fs_inode_get(from.fs.inodes, FS_ROOT_ID);
	uint64_t handle = guest_open(&from, file_id, O_RDWR);

	(void)state;
	assert_int_equal(rename(share_path(&from, "d"), share_path(&from, "e")), 0);
	fs_name_moved(from.fs.inodes, root, "d", root, "e", false);
	move_to_copy();
	assert_int_equal(found_ino(&to, file_id), host_ino(share_path(&to, "e/file")));
	assert_int_equal(found_ino(&to, other_id), host_ino(share_path(&to, "e/deep/other")));
	assert_string_equal(guest_read(&to, handle), "content");
}

/* Between the move and the first look. */
static void test_renamed_after(void **state)
{
	FS_AUTO_INODE struct fs_inode *root = NULL;

	(void)state;
	move_to_copy();
	root = fs_inode_get(to.fs.inodes, FS_ROOT_ID);
	fs_name_moving(to.fs.inodes, root, "d", root, "e");
	assert_int_equal(rename(share_path(&to, "d"), share_path(&to, "e")), 0);
	fs_name_moved(to.fs.inodes, root, "d", root, "e", false);
	fs_name_move_ended(to.fs.inodes);
	assert_int_equal(found_ino(&to, other_id), host_ino(share_path(&to, "e/deep/other")));
	assert_int_equal(share_lookup(&to, FS_ROOT_ID, "e"), d_id);
	fs_inode_put_ptr(&root);
	root = NULL;
}

/*
 * Directories that are being read.
 */

static void test_half_read_directory(void **state)
{
	struct reader reader = {0};
	uint64_t handle;

	(void)state;
	reader_files(&from, "d");
	handle = guest_opendir(&from, d_id);
	for (int i = 0; i < 6; i++)
		assert_true(reader_next(&reader, &from, handle, 50));
	move_to_copy();
	reader_rest(&reader, &to, handle);
	reader_has_all(&reader, 1);
}

/* Where it goes on only the source's file system knows. */
static void test_blind_directory(void **state)
{
	uint64_t handle = guest_opendir(&from, d_id);
	FS_AUTO_HANDLE struct fs_handle *found = fs_handle_get(from.fs.handles, handle);

	(void)state;
	found->dir->untracked = true;
	assert_true(load_copy("-a") < 0);
	assert_non_null(strstr(gw_last_error(), "/d: inode"));
	assert_non_null(strstr(gw_last_error(), "from a place in it"));
	to.host.on_error = FS_ON_ERROR_GUEST;
	assert_int_equal(move_load(&to, move_save(&from)), 0);
	assert_int_equal(guest_fd(&to, handle), -1);
}

/*
 * Links.
 */

static uint64_t x_id, y_id;

static void make_links(void)
{
	share_file(&from, "x", "linked");
	assert_int_equal(link(share_path(&from, "x"), share_path(&from, "d/y")), 0);
	x_id = share_lookup(&from, FS_ROOT_ID, "x");
}

static void test_links(void **state)
{
	(void)state;
	make_links();
	assert_int_equal(share_lookup(&from, d_id, "y"), x_id);
	move_to_copy();
	assert_int_equal(share_lookup(&to, d_id, "y"), x_id);
	assert_int_equal(share_lookup(&to, FS_ROOT_ID, "x"), x_id);
	assert_int_equal(found_ino(&to, x_id), host_ino(share_path(&to, "d/y")));
}

/* By the name that the guest has not seen, before anything else. */
static void test_the_other_link_first(void **state)
{
	(void)state;
	make_links();
	move_to_copy();
	assert_int_equal(share_lookup(&to, d_id, "y"), x_id);
	assert_int_equal(share_lookup(&to, FS_ROOT_ID, "x"), x_id);
}

/* Whoever copied did not care for links. */
static void test_links_that_are_two_files(void **state)
{
	uint64_t handle;

	(void)state;
	make_links();
	assert_int_equal(share_lookup(&from, d_id, "y"), x_id);
	handle = guest_open(&from, x_id, O_RDONLY);
	assert_true(load_copy("-r") < 0);
	assert_non_null(strstr(gw_last_error(), "lead to different files here"));
	to.host.on_error = FS_ON_ERROR_GUEST;
	assert_int_equal(move_load(&to, move_save(&from)), 0);
	assert_int_equal(statx_of(&to, x_id), -ESTALE);
	assert_int_equal(guest_fd(&to, handle), -1);
	assert_int_not_equal(share_lookup(&to, FS_ROOT_ID, "x"), x_id);
	assert_int_not_equal(share_lookup(&to, d_id, "y"), share_lookup(&to, FS_ROOT_ID, "x"));
	assert_int_equal(found_ino(&to, file_id), host_ino(share_path(&to, "d/file")));
}

static void test_links_that_are_two_files_later(void **state)
{
	(void)state;
	make_links();
	assert_int_equal(share_lookup(&from, d_id, "y"), x_id);
	assert_int_equal(load_copy("-r"), 0);
	assert_int_equal(statx_of(&to, x_id), -ESTALE);
	assert_int_equal(stats_of(&to).stale, 1);
	assert_int_not_equal(share_lookup(&to, FS_ROOT_ID, "x"), x_id);
}

/* Whoever copied made links of what is alike. */
static void make_alike(void)
{
	share_file(&from, "x", "alike");
	share_file(&from, "d/y", "alike");
	x_id = share_lookup(&from, FS_ROOT_ID, "x");
	y_id = share_lookup(&from, d_id, "y");
	copy("-a");
	assert_int_equal(unlink(share_path(&to, "x")), 0);
	assert_int_equal(link(share_path(&to, "d/y"), share_path(&to, "x")), 0);
}

static void test_files_that_are_one(void **state)
{
	(void)state;
	make_alike();
	assert_true(move_load(&to, move_save(&from)) < 0);
	assert_non_null(strstr(gw_last_error(), "are the same file here"));
}

static void test_files_that_are_one_later(void **state)
{
	(void)state;
	make_alike();
	assert_int_equal(move_load(&to, move_save(&from)), 0);
	assert_int_equal(found_ino(&to, x_id), host_ino(share_path(&to, "x")));
	assert_int_equal(statx_of(&to, y_id), -ESTALE);
	assert_int_equal(share_lookup(&to, d_id, "y"), x_id);
}

/*
 * What is not as it was.
 */

static void test_missing_in_the_copy(void **state)
{
	int stream = move_save(&from);

	(void)state;
	copy("-a");
	assert_int_equal(unlink(share_path(&to, "d/deep/other")), 0);
	assert_int_equal(move_load(&to, stream), -ENOENT);
	assert_non_null(strstr(gw_last_error(), "/d/deep/other: inode"));
}

static void test_another_type(void **state)
{
	int stream = move_save(&from);

	(void)state;
	copy("-a");
	assert_int_equal(unlink(share_path(&to, "d/file")), 0);
	assert_int_equal(mkdir(share_path(&to, "d/file"), 0755), 0);
	assert_int_equal(move_load(&to, stream), -ESTALE);
	assert_non_null(strstr(gw_last_error(), "/d/file: inode"));
}

/* Once it was found it is that very file, and none that comes after it. */
static void test_checked_from_then_on(void **state)
{
	uint64_t before;

	(void)state;
	move_to_copy();
	before = found_ino(&to, file_id);
	while (fs_fdcache_evict(to.fs.inodes, 100))
		;
	share_file(&to, "new", "another");
	assert_int_not_equal(host_ino(share_path(&to, "new")), before);
	assert_int_equal(rename(share_path(&to, "new"), share_path(&to, "d/file")), 0);
	assert_int_equal(statx_of(&to, file_id), -ESTALE);
	assert_int_not_equal(share_lookup(&to, d_id, "file"), file_id);
}

/* What came before the first look is not noticed where there is nothing but a path; a name that is
 * made anew by the guest is. */
static void test_made_anew(void **state)
{
	FS_AUTO_INODE struct fs_inode *dir = NULL;
	uint64_t id;
	struct statx stx;
	int fd;

	(void)state;
	move_to_copy();
	assert_int_equal(unlink(share_path(&to, "d/file")), 0);
	dir = fs_inode_get(to.fs.inodes, d_id);
	fs_name_settle(to.fs.inodes, dir, "file");
	fd = open(share_path(&to, "d/file"), O_CREAT | O_EXCL | O_RDWR, 0644);
	assert_int_equal(fs_inode_lookup_fd(to.fs.inodes, dir, "file", fd, &id, &stx), 0);
	close(fd);
	assert_int_not_equal(id, file_id);
	assert_int_equal(statx_of(&to, file_id), -ESTALE);
	fs_inode_put_ptr(&dir);
	dir = NULL;
}

/*
 * Numbers.
 */

static struct gw_fs_inode_v1 claim;

static void put_claim(struct gw_state_writer *writer)
{
	const struct gw_fs_session_v1 session = {.initialised = true, .minor = 39};
	const struct gw_fs_mount_v1 mount = {.index = 3};
	const struct gw_fs_inode_v1 root = {.id = FS_ROOT_ID, .type = DT_DIR, .ino = 7};
	const struct gw_fs_name_v1 name = {
		.parent = FS_ROOT_ID, .name = {.data = "file", .len = 4}, .inode = claim.id};

	assert_int_equal(gw_state_put(writer, &gw_fs_session_v1, &session), 0);
	assert_int_equal(gw_state_put(writer, &gw_fs_mount_v1, &mount), 0);
	assert_int_equal(gw_state_put(writer, &gw_fs_inode_v1, &root), 0);
	assert_int_equal(gw_state_put(writer, &gw_fs_inode_v1, &claim), 0);
	assert_int_equal(gw_state_put(writer, &gw_fs_name_v1, &name), 0);
}

/* The guest's number is the number of another file here. */
static void test_numbers_are_unique(void **state)
{
	uint64_t stranger, number;

	(void)state;
	share_file(&to, "file", "");
	share_file(&to, "stranger", "");
	number = host_ino(share_path(&to, "stranger"));
	claim = (struct gw_fs_inode_v1){.id = 5, .type = DT_REG, .ino = number, .lookups = 1};
	assert_int_equal(move_load(&to, move_stream(put_claim)), 0);
	stranger = share_lookup(&to, FS_ROOT_ID, "stranger");
	assert_int_equal(share_lookup(&to, FS_ROOT_ID, "file"), 5);
	assert_int_equal(share_ino(&to, 5), number);
	assert_int_not_equal(share_ino(&to, stranger), number);
	assert_int_equal(share_ino(&to, FS_ROOT_ID), 7);
	{
		/* What READDIR says of what is known. */
		FS_AUTO_INODE struct fs_inode *root = fs_inode_get(to.fs.inodes, FS_ROOT_ID);

		assert_int_equal(fs_inode_number(root, "file", 99), number);
		assert_int_equal(fs_inode_number(root, "stranger", number),
				 share_ino(&to, stranger));
		assert_int_equal(fs_inode_number(root, "unknown", 99), 99);
	}
}

/* A mount of the source's is a plain directory, or part of one, in the copy. */
static void test_mounts_are_no_matter(void **state)
{
	(void)state;
	share_file(&to, "file", "");
	claim = (struct gw_fs_inode_v1){
		.id = 5, .type = DT_REG, .ino = 11, .mount = 3, .lookups = 1};
	assert_int_equal(move_load(&to, move_stream(put_claim)), 0);
	assert_int_equal(found_ino(&to, 5), host_ino(share_path(&to, "file")));
	assert_int_equal(share_ino(&to, 5), fs_number_of(3, 11));
	assert_int_equal(share_lookup(&to, FS_ROOT_ID, "file"), 5);
}

static void test_handles_say_nothing(void **state)
{
	(void)state;
	share_file(&to, "file", "");
	claim = (struct gw_fs_inode_v1){.id = 5,
					.type = DT_REG,
					.ino = 11,
					.lookups = 1,
					.handle_type = 1,
					.handle = {.data = "nonsense", .len = 8}};
	assert_int_equal(move_load(&to, move_stream(put_claim)), 0);
	assert_int_equal(found_ino(&to, 5), host_ino(share_path(&to, "file")));
}

/* What the source would hand over is a file of its own tree, and here one of another, which on the
 * same file system has the very number that the state says. */
static void test_nothing_is_handed_over(void **state)
{
	struct gw_listener listener;
	uint64_t handle;
	char path[96];
	int peer;

	(void)state;
	share_close(&to);
	share_open_in(&to, source_dir, 0);
	to.host.same = FS_SAME_TREE;
	to.host.verify = FS_VERIFY_NONE;
	handle = guest_open(&from, file_id, O_RDWR);
	snprintf(path, sizeof(path), "%s.handover", from.path);
	assert_int_equal(gw_listener_open(&listener, path), 0);
	assert_int_equal(fs_handover_new(&from.fs.handover, &from.fs, listener.fd), 0);
	assert_int_equal(gw_socket_connect(&peer, path, 0), 0);
	for (int i = 0; i < 2000 && !fs_handover_is_offered(from.fs.handover); i++) {
		close(move_save(&from));
		usleep(5000);
	}
	assert_true(fs_handover_is_offered(from.fs.handover));
	to.fs.handover_peer = peer;
	move_to_copy();
	guest_append(&to, handle, " here");
	assert_string_equal(guest_read(&to, handle), "content here");
	assert_string_equal(guest_read(&from, handle), "content");
	gw_close(&to.fs.handover_peer);
	fs_handover_free(from.fs.handover);
	from.fs.handover = NULL;
	gw_listener_close(&listener);
}

/*
 * And on, to who shares the copy.
 */

static void test_onward(void **state)
{
	struct share third;
	uint64_t handle = guest_open(&from, file_id, O_RDWR);

	(void)state;
	make_links();
	move_to_copy();
	move_twin(&third, &to);
	third.host.same = FS_SAME_FS;
	third.host.verify = FS_VERIFY_ALL;
	if (move_load(&third, move_save(&to)))
		fail_msg("load: %s", gw_last_error());
	assert_all_here(&third);
	assert_string_equal(guest_read(&third, handle), "content");
	assert_int_equal(share_lookup(&third, d_id, "y"), x_id);
	move_twin_close(&third);
}

/* What is not in the copy is lost for good, and no hindrance. */
static void test_onward_without(void **state)
{
	struct share third;
	int stream = move_save(&from);

	(void)state;
	copy("-a");
	assert_int_equal(unlink(share_path(&to, "d/deep/other")), 0);
	assert_int_equal(move_load(&to, stream), 0);
	move_twin(&third, &to);
	third.host.same = FS_SAME_FS;
	third.host.verify = FS_VERIFY_ALL;
	if (move_load(&third, move_save(&to)))
		fail_msg("load: %s", gw_last_error());
	assert_int_equal(statx_of(&third, other_id), -ESTALE);
	assert_int_equal(found_ino(&third, file_id), host_ino(share_path(&to, "d/file")));
	move_twin_close(&third);
}

/*
 * The guest renames what is above while it is looked for.
 */

#define DIRS   8u
#define A_DIR  64u
#define ROUNDS 200u

static uint64_t ids[DIRS * A_DIR];
static _Atomic bool done;

static void *rename_again_and_again(void *opaque)
{
	struct fs_inodes *inodes = to.fs.inodes;
	FS_AUTO_INODE struct fs_inode *root = fs_inode_get(inodes, FS_ROOT_ID);

	(void)opaque;
	for (unsigned i = 0; i < ROUNDS && !atomic_load(&done); i++) {
		for (unsigned d = 0; d < DIRS; d++) {
			char names[2][16];

			snprintf(names[i & 1], 16, "d%u", d);
			snprintf(names[!(i & 1)], 16, "e%u", d);
			fs_name_moving(inodes, root, names[0], root, names[1]);
			assert_int_equal(rename(share_path(&to, "%s", names[0]),
						share_path(&to, "%s", names[1])),
					 0);
			fs_name_moved(inodes, root, names[0], root, names[1], false);
			fs_name_move_ended(inodes);
		}
	}
	return NULL;
}

static void test_renames_beside(void **state)
{
	pthread_t thread;
	char name[32];

	(void)state;
	for (unsigned d = 0; d < DIRS; d++) {
		uint64_t dir;

		snprintf(name, sizeof(name), "d%u", d);
		share_mkdir(&from, name);
		dir = share_lookup(&from, FS_ROOT_ID, name);
		for (unsigned i = 0; i < A_DIR; i++) {
			snprintf(name, sizeof(name), "d%u/f%u", d, i);
			share_file(&from, name, "");
			ids[d * A_DIR + i] = share_lookup(&from, dir, strchr(name, '/') + 1);
		}
	}
	move_to_copy();
	atomic_store(&done, false);
	assert_int_equal(pthread_create(&thread, NULL, rename_again_and_again, NULL), 0);
	for (unsigned i = 0; i < DIRS * A_DIR; i++) {
		int err;

		while ((err = statx_of(&to, ids[i])) == -ESTALE && !stats_of(&to).stale)
			;
		assert_int_equal(err, 0);
	}
	atomic_store(&done, true);
	pthread_join(thread, NULL);
	assert_int_equal(stats_of(&to).stale, 0);
}

/* Just when the host has renamed it and nothing here knows yet. */
static void test_amid_a_rename(void **state)
{
	FS_AUTO_INODE struct fs_inode *root = NULL;
	struct fs_inodes *inodes;

	(void)state;
	move_to_copy();
	inodes = to.fs.inodes;
	root = fs_inode_get(inodes, FS_ROOT_ID);
	fs_name_moving(inodes, root, "d", root, "e");
	assert_int_equal(rename(share_path(&to, "d"), share_path(&to, "e")), 0);
	while (fs_fdcache_evict(inodes, 100))
		;
	assert_int_equal(statx_of(&to, other_id), -ESTALE);
	assert_int_equal(stats_of(&to).stale, 0);
	fs_name_moved(inodes, root, "d", root, "e", false);
	fs_name_move_ended(inodes);
	assert_int_equal(found_ino(&to, other_id), host_ino(share_path(&to, "e/deep/other")));
	fs_inode_put_ptr(&root);
	root = NULL;
}

#define LAZY(test)   cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define PROVEN(test) cmocka_unit_test_setup_teardown(test, set_up_proven, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAZY(test_cached),
		PROVEN(test_cached),
		LAZY(test_another_share_is_refused),
		LAZY(test_open_files),
		PROVEN(test_open_files),
		LAZY(test_renamed_before),
		PROVEN(test_renamed_before),
		LAZY(test_renamed_after),
		LAZY(test_half_read_directory),
		PROVEN(test_half_read_directory),
		LAZY(test_blind_directory),
		LAZY(test_links),
		PROVEN(test_links),
		LAZY(test_the_other_link_first),
		PROVEN(test_links_that_are_two_files),
		LAZY(test_links_that_are_two_files),
		LAZY(test_links_that_are_two_files_later),
		PROVEN(test_files_that_are_one),
		LAZY(test_files_that_are_one_later),
		PROVEN(test_missing_in_the_copy),
		PROVEN(test_another_type),
		LAZY(test_checked_from_then_on),
		PROVEN(test_checked_from_then_on),
		LAZY(test_made_anew),
		LAZY(test_numbers_are_unique),
		PROVEN(test_numbers_are_unique),
		LAZY(test_mounts_are_no_matter),
		PROVEN(test_handles_say_nothing),
		LAZY(test_nothing_is_handed_over),
		LAZY(test_onward),
		PROVEN(test_onward),
		LAZY(test_onward_without),
		LAZY(test_amid_a_rename),
		LAZY(test_renames_beside),
	};
	int failed;

	if (!find_another())
		printf("all is one file system here: a copy has other numbers all the same\n");
	failed = cmocka_run_group_tests_name("from /tmp", tests, NULL, NULL);
	source_dir = copy_dir;
	copy_dir = "/tmp";
	return failed + cmocka_run_group_tests_name("to /tmp", tests, NULL, NULL) ? 1 : 0;
}
