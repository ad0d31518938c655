/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-inode-race.c - LOOKUP and FORGET racing on four threads, with few descriptors. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs-share.h"

#define THREADS 4
#define ROUNDS	4000
#define FILES	24

static struct share share;
static _Atomic uint64_t last[FILES];

static void look_up_and_forget(struct fs_inode *root, unsigned i)
{
	struct statx stx;
	char name[32];
	uint64_t id;

	snprintf(name, sizeof(name), "f%u", i);
	if (fs_inode_lookup(share.fs.inodes, root, name, &id, &stx))
		abort();
	atomic_store(&last[i], id);
	fs_inode_forget(share.fs.inodes, id, 1);
}

/* An id that another thread got, and may have forgotten: either it is good or it is nobody's. */
static void use_anothers(unsigned i)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share.fs.inodes, atomic_load(&last[i]));
	struct statx stx;

	if (inode && (fs_inode_id(inode) == 0 || fs_inode_statx(inode, &stx)))
		abort();
}

static void rename_there_and_back(struct fs_inode *root, unsigned i)
{
	char from[32], to[32];
	struct fs_victim victim;

	snprintf(from, sizeof(from), "own%u", i);
	snprintf(to, sizeof(to), "moved%u", i);
	fs_name_removing(share.fs.inodes, root, to, &victim);
	fs_name_removed(&victim,
			rename(share_path(&share, "%s", from), share_path(&share, "%s", to)) == 0);
	fs_name_moved(share.fs.inodes, root, from, root, to, false);
	rename(share_path(&share, "%s", to), share_path(&share, "%s", from));
	fs_name_moved(share.fs.inodes, root, to, root, from, false);
}

static void *work(void *opaque)
{
	FS_AUTO_INODE struct fs_inode *root = fs_inode_get(share.fs.inodes, FS_ROOT_ID);
	unsigned seed = (unsigned)(uintptr_t)opaque, own = seed;

	for (unsigned n = 0; n < ROUNDS; n++) {
		unsigned i = (unsigned)rand_r(&seed) % FILES;

		look_up_and_forget(root, i);
		use_anothers(i);
		if (n % 16 == 0)
			rename_there_and_back(root, own);
	}
	return NULL;
}

static void test_race(void **state)
{
	struct fs_inode_stats stats;
	pthread_t threads[THREADS];
	char name[32];

	(void)state;
	share_open(&share, 16);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		share_file(&share, name, "x");
	}
	for (unsigned i = 0; i < THREADS; i++) {
		snprintf(name, sizeof(name), "own%u", i);
		share_file(&share, name, "x");
		share_lookup(&share, FS_ROOT_ID, name);
		assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	fs_inode_stats(share.fs.inodes, &stats);
	assert_int_equal(stats.inodes, 1 + THREADS);
	share_close(&share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_race)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
