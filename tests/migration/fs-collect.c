/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-collect.c - what is collected beside the guest is what is there when it stops.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "fs/collector.h"
#include "fs/records.h"
#include "fs/table.h"
#include "move.h"

#define FILES (10 * FS_UNIT)
#define STEPS 4000

static struct share from, to;

static int set_up(void **state)
{
	(void)state;
	share_open(&from, 200); /* most have no descriptor */
	from.fs.session = (struct fs_session){.initialised = true, .minor = 39};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fs_collector_release(from.fs.collector); /* where a test failed in between */
	share_close(&from);
	return 0;
}

/* Until all that was there when this was called has been looked at. */
static void wait_for_round(void)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	uint64_t target = fs_collector_rounds(from.fs.collector) + 2;

	while (fs_collector_rounds(from.fs.collector) < target)
		nanosleep(&pause, NULL);
}

static void collect(void)
{
	assert_int_equal(fs_prepare(&from.fs, true), 0);
	wait_for_round();
}

static void wait_until_off(void)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	fs_prepare(&from.fs, false);
	while (fs_tracking_is_on(&from.fs.inodes->tracking))
		nanosleep(&pause, NULL);
}

/* Two streams of the same table are the same bytes. */
static void assert_same_streams(int a, int b)
{
	off_t len = lseek(a, 0, SEEK_END);
	char *bytes_a, *bytes_b;

	assert_int_equal(lseek(b, 0, SEEK_END), len);
	bytes_a = mmap(NULL, (size_t)len, PROT_READ, MAP_SHARED, a, 0);
	bytes_b = mmap(NULL, (size_t)len, PROT_READ, MAP_SHARED, b, 0);
	assert_memory_equal(bytes_a, bytes_b, len);
	munmap(bytes_a, (size_t)len);
	munmap(bytes_b, (size_t)len);
	close(a);
	close(b);
}

/* What was collected says the same as what is looked at now, from the beginning. */
static void assert_collected_is_true(void)
{
	int collected = move_save(&from);

	wait_until_off();
	assert_same_streams(collected, move_save(&from));
}

static void make_files(uint64_t *ids)
{
	char name[16];

	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		share_file(&from, name, name);
		ids[i] = share_lookup(&from, FS_ROOT_ID, name);
	}
}

static unsigned records_made(void)
{
	const struct fs_inodes *inodes = from.fs.inodes;
	unsigned n = 0;

	for (uint32_t unit = 0; fs_unit_next(&inodes->slots, &unit); unit++)
		n += inodes->tracking.made[unit] && inodes->tracking.settled[unit] == UINT64_MAX;
	return n;
}

static void test_all_is_ready(void **state)
{
	uint64_t ids[FILES];
	unsigned units = 0;

	(void)state;
	make_files(ids);
	collect();
	for (uint32_t unit = 0; fs_unit_next(&from.fs.inodes->slots, &unit); unit++)
		units++;
	assert_int_equal(records_made(), units);
	/* One look-up more is one unit's records. */
	fs_collector_hold(from.fs.collector);
	share_lookup(&from, FS_ROOT_ID, "f0");
	assert_int_equal(records_made(), units - 1);
	fs_collector_release(from.fs.collector);
	assert_collected_is_true();
}

/* Each kind of change, after everything had been looked at and with nobody to look again. */
static void move(uint64_t dir, const char *name, uint64_t to_dir, const char *to_name,
		 const char *path, const char *to_path)
{
	FS_AUTO_INODE struct fs_inode *a = fs_inode_get(from.fs.inodes, dir);
	FS_AUTO_INODE struct fs_inode *b = fs_inode_get(from.fs.inodes, to_dir);
	struct fs_victim victim;

	fs_name_removing(from.fs.inodes, b, to_name, &victim);
	assert_int_equal(rename(path, to_path), 0);
	fs_name_removed(&victim, true);
	fs_name_moved(from.fs.inodes, a, name, b, to_name, false);
}

static uint64_t lookups_of(struct share *share, uint64_t id)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, id);

	return inode ? fs_lookups_count(share->fs.inodes, inode) : 0;
}

/* Each in a unit of its own. */
static void test_every_kind_of_change(void **state)
{
	uint64_t ids[FILES], dir, parent, child, tmp, handle;
	const unsigned at = FS_UNIT;
	char path[64];

	(void)state;
	share_mkdir(&from, "d");
	share_mkdir(&from, "p");
	share_file(&from, "p/c", "child");
	dir = share_lookup(&from, FS_ROOT_ID, "d");
	parent = share_lookup(&from, FS_ROOT_ID, "p");
	make_files(ids);
	child = share_lookup(&from, parent, "c");
	fs_inode_forget(from.fs.inodes, parent, 1);
	share_lookup(&from, FS_ROOT_ID, "f64");
	guest_open(&from, ids[2 * at], O_RDWR);
	collect();
	fs_collector_hold(from.fs.collector);
	share_lookup(&from, FS_ROOT_ID, "f0");
	fs_inode_forget(from.fs.inodes, ids[at], 1);
	guest_unlink(&from, FS_ROOT_ID, "f128", share_path(&from, "f128"));
	fs_inode_forget(from.fs.inodes, ids[3 * at], 1);
	move(FS_ROOT_ID, "f256", dir, "moved", share_path(&from, "f256"),
	     share_path(&from, "d/moved"));
	move(FS_ROOT_ID, "f320", FS_ROOT_ID, "f384", share_path(&from, "f320"),
	     share_path(&from, "f384"));
	assert_int_equal(link(share_path(&from, "f448"), share_path(&from, "d/link")), 0);
	share_lookup(&from, dir, "link");
	fs_inode_forget(from.fs.inodes, child, 1);
	share_file(&from, "new", "new");
	share_lookup(&from, FS_ROOT_ID, "new");
	handle = guest_tmpfile(&from, "unnamed", &tmp);
	fs_collector_release(from.fs.collector);

	move_over(&to, &from);
	assert_int_equal(lookups_of(&to, ids[0]), 2);
	assert_int_equal(lookups_of(&to, ids[at]), 1);
	assert_int_equal(lookups_of(&to, ids[3 * at]), 0);
	assert_int_equal(lookups_of(&to, ids[7 * at]), 2);
	assert_null(fs_inode_get(to.fs.inodes, parent));
	assert_string_equal(guest_read(&to, handle), "unnamed");
	assert_int_equal(share_ino(&to, ids[2 * at]), share_ino(&from, ids[2 * at]));
	assert_int_equal(share_ino(&to, ids[4 * at]), host_ino(share_path(&from, "d/moved")));
	assert_int_equal(share_ino(&to, ids[5 * at]), host_ino(share_path(&from, "f384")));
	snprintf(path, sizeof(path), "%s", share_path(&from, "f448"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(share_ino(&to, ids[7 * at]), host_ino(share_path(&from, "d/link")));
	move_twin_close(&to);
	assert_int_equal(link(share_path(&from, "d/link"), path), 0);
	assert_collected_is_true();
}

/*
 * A guest that does all of that at random while everything is being collected.
 */
struct guest {
	unsigned seed;
	uint64_t dirs[2];
	uint64_t ids[FILES];
};

static void path_of(char path[32], unsigned dir, unsigned file)
{
	snprintf(path, 32, "d%u/f%u", dir, file);
}

static void step(struct guest *guest)
{
	unsigned file = (unsigned)rand_r(&guest->seed) % FILES;
	unsigned dir = (unsigned)rand_r(&guest->seed) % 2;
	FS_AUTO_INODE struct fs_inode *parent = fs_inode_get(from.fs.inodes, guest->dirs[dir]);
	char path[32], other[32];
	struct statx stx;
	uint64_t id;

	path_of(path, dir, file);
	path_of(other, !dir, file);
	switch (rand_r(&guest->seed) % 6) {
	case 0:
		close(open(share_path(&from, "%s", path), O_CREAT | O_WRONLY, 0600));
		/* fall through */
	case 1:
	case 2:
		fs_inode_lookup(from.fs.inodes, parent, path + 3, &id, &stx);
		break;
	case 3:
		if (!fs_inode_lookup(from.fs.inodes, parent, path + 3, &id, &stx))
			fs_inode_forget(from.fs.inodes, id, 1 + (uint64_t)rand_r(&guest->seed) % 4);
		break;
	case 4:
		if (!access(share_path(&from, "%s", path), F_OK))
			guest_unlink(&from, guest->dirs[dir], path + 3,
				     share_path(&from, "%s", path));
		break;
	case 5:
		if (!access(share_path(&from, "%s", path), F_OK))
			move(guest->dirs[dir], path + 3, guest->dirs[!dir], other + 3,
			     share_path(&from, "%s", path), share_path(&from, "%s", other));
		break;
	}
}

static void *run_guest(void *opaque)
{
	for (unsigned i = 0; i < STEPS; i++)
		step(opaque);
	return NULL;
}

static void test_beside_a_busy_guest(void **state)
{
	struct guest guest = {.seed = 1};
	pthread_t thread;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		char name[8];

		snprintf(name, sizeof(name), "d%u", i);
		share_mkdir(&from, name);
		guest.dirs[i] = share_lookup(&from, FS_ROOT_ID, name);
	}
	assert_int_equal(fs_prepare(&from.fs, true), 0);
	assert_int_equal(pthread_create(&thread, NULL, run_guest, &guest), 0);
	pthread_join(thread, NULL);
	assert_collected_is_true();
}

/* The source goes on after a save, and is saved again. */
static void test_saved_twice(void **state)
{
	uint64_t ids[FILES];

	(void)state;
	make_files(ids);
	collect();
	close(move_save(&from));
	guest_unlink(&from, FS_ROOT_ID, "f9", share_path(&from, "f9"));
	fs_inode_forget(from.fs.inodes, ids[9], 1);
	wait_for_round();
	move(FS_ROOT_ID, "f8", FS_ROOT_ID, "f9", share_path(&from, "f8"), share_path(&from, "f9"));
	assert_collected_is_true();
}

/*
 * What the host does.
 */

/* Before anything was collected, and with most inodes' descriptors let go. */
static void test_renamed_by_the_host_before(void **state)
{
	uint64_t ids[FILES];

	(void)state;
	make_files(ids);
	for (unsigned i = 0; i < FILES; i += 3)
		assert_int_equal(rename(share_path(&from, "f%u", i), share_path(&from, "g%u", i)),
				 0);
	collect();
	assert_collected_is_true();
	move_over(&to, &from);
	for (unsigned i = 0; i < FILES; i++)
		assert_int_equal(share_ino(&to, ids[i]),
				 host_ino(share_path(&from, "%c%u", i % 3 ? 'f' : 'g', i)));
	move_twin_close(&to);
}

/* After it was looked at nobody knows: the destination does not take another file for it. */
static void test_renamed_by_the_host_after(void **state)
{
	uint64_t ids[FILES];

	(void)state;
	make_files(ids);
	collect();
	fs_collector_hold(from.fs.collector);
	assert_int_equal(rename(share_path(&from, "f1"), share_path(&from, "f2")), 0);
	fs_collector_release(from.fs.collector);
	move_twin(&to, &from);
	assert_true(move_load(&to, move_save(&from)) < 0);
	assert_non_null(strstr(gw_last_error(), "f1"));
	move_twin_close(&to);
	/* Without what was collected it is found. */
	wait_until_off();
	move_over(&to, &from);
	assert_int_equal(share_ino(&to, ids[1]), host_ino(share_path(&from, "f2")));
	move_twin_close(&to);
}

/* -- what no known name leads to ------------------------------------------------------------ */

/* Of an open file the one name that the guest knew is gone, and no descriptor knows another. */
static uint64_t lose_name(const char *name, const char *other, uint64_t *handle)
{
	uint64_t id;

	share_file(&from, name, name);
	assert_int_equal(link(share_path(&from, "%s", name), share_path(&from, "%s", other)), 0);
	id = share_lookup(&from, FS_ROOT_ID, name);
	*handle = guest_open(&from, id, O_RDWR);
	assert_int_equal(unlink(share_path(&from, "%s", name)), 0);
	return id;
}

static uint64_t searched(void)
{
	return atomic_load(&from.fs.inodes->searched);
}

static void wait_until_searched(uint64_t before)
{
	unsigned rounds = 0;

	do {
		wait_for_round();
		assert_true(rounds++ < 20);
	} while (searched() == before);
	wait_for_round();
}

/* The guest's stop does not wait for a search: what is missing was found before. */
static void test_searched_beside_the_guest(void **state)
{
	uint64_t handle, other, before;
	int stream;

	(void)state;
	share_mkdir(&from, "d");
	lose_name("f", "d/other", &handle);
	fs_prepare(&from.fs, true);
	wait_until_searched(0);
	before = searched();
	stream = move_save(&from);
	assert_int_equal(searched(), before);
	move_twin(&to, &from);
	assert_int_equal(move_load(&to, stream), 0);
	assert_string_equal(guest_read(&to, handle), "f");
	move_twin_close(&to);

	/* What is missing since is all that is searched for. */
	fs_collector_hold(from.fs.collector);
	lose_name("g", "d/last", &other);
	close(move_save(&from));
	assert_true(searched() > before);
	wait_until_off();
}

/* In vain, and once: not in every round, nor at the save, which says so; and anew the next time. */
static void test_sought_once(void **state)
{
	char outside[80];
	uint64_t handle, before;
	int stream;

	(void)state;
	snprintf(outside, sizeof(outside), "%s-outside", from.path);
	share_file(&from, "f", "f");
	handle = guest_open(&from, share_lookup(&from, FS_ROOT_ID, "f"), O_RDWR);
	assert_int_equal(rename(share_path(&from, "f"), outside), 0);
	fs_prepare(&from.fs, true);
	wait_until_searched(0);
	before = searched();
	wait_for_round();
	assert_int_equal(searched(), before);
	assert_int_equal(move_save_result(&from, &stream), -ENOENT);
	close(stream);
	assert_non_null(strstr(gw_last_error(), "/f: inode"));
	assert_int_equal(searched(), before);
	assert_string_equal(guest_read(&from, handle), "f");

	wait_until_off();
	assert_int_equal(rename(outside, share_path(&from, "found")), 0);
	fs_prepare(&from.fs, true);
	wait_for_round();
	close(move_save(&from));
	wait_until_off();
}

/* Who wants the collector to rest does not wait for the end of a search. */
static void test_search_is_given_up(void **state)
{
	uint64_t handle;

	(void)state;
	share_mkdir(&from, "d");
	lose_name("f", "d/other", &handle);
	for (unsigned i = 0; i < 40; i++) {
		const struct timespec pause = {.tv_nsec = 20000 * i};

		fs_prepare(&from.fs, true);
		nanosleep(&pause, NULL);
		fs_collector_hold(from.fs.collector);
		close(move_save(&from));
		fs_collector_release(from.fs.collector);
		wait_until_off();
		assert_int_equal(rename(share_path(&from, "d/other"), share_path(&from, "d/o")), 0);
		assert_int_equal(rename(share_path(&from, "d/o"), share_path(&from, "d/other")), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_is_ready, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_kind_of_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_beside_a_busy_guest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_saved_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renamed_by_the_host_before, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renamed_by_the_host_after, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_searched_beside_the_guest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sought_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_search_is_given_up, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
