/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-lazy-race.c - requests, host-side renames and the resolver meet the same
 * records at the same time: one file, one node id. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/resolver.h"
#include "fs/table.h"
#include "move.h"

#define FILES	400u
#define THREADS 3u

static struct share from, to;
static uint64_t ids[FILES];
static bool births;

static void make_files(void)
{
	char name[16], link_name[16];

	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		snprintf(link_name, sizeof(link_name), "l%u", i);
		share_file(&from, name, "");
		assert_int_equal(
			link(share_path(&from, "%s", name), share_path(&from, "%s", link_name)), 0);
		ids[i] = share_lookup(&from, FS_ROOT_ID, name);
	}
}

/* By one of its names, or by what the guest has. */
static void meet(struct fs_inode *root, unsigned i, bool by_link)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(to.fs.inodes, ids[i]);
	struct statx stx;
	char name[16];
	uint64_t id;
	int err;

	snprintf(name, sizeof(name), by_link ? "l%u" : "f%u", i);
	err = fs_inode_lookup(to.fs.inodes, root, name, &id, &stx);
	/* Every fourth one is moved there and back all the time. */
	if (err == -ENOENT && i % 4 == 0)
		return;
	if (err || (births && id != ids[i])) {
		fprintf(stderr, "%s: error %d, node id %#llx, expected %#llx\n", name, err,
			(unsigned long long)id, (unsigned long long)ids[i]);
		abort();
	}
	fs_inode_forget(to.fs.inodes, id, 1);
	if (!inode || (fs_inode_statx(inode, &stx) && i % 4))
		abort();
}

static void *requests(void *opaque)
{
	FS_AUTO_INODE struct fs_inode *root = fs_inode_get(to.fs.inodes, FS_ROOT_ID);
	unsigned seed = (unsigned)(uintptr_t)opaque;

	for (unsigned n = 0; n < 3 * FILES; n++)
		meet(root, (unsigned)rand_r(&seed) % FILES, rand_r(&seed) & 1);
	return NULL;
}

static void *host(void *opaque)
{
	(void)opaque;
	for (unsigned i = 0; i < FILES; i += 4) {
		const char *name = share_path(&from, "f%u", i);
		const char *away = share_path(&from, "away%u", i);

		if (rename(name, away) || rename(away, name))
			abort();
	}
	return NULL;
}

static void run(void)
{
	struct fs_resolver *resolver;
	pthread_t threads[THREADS + 1];

	assert_int_equal(fs_resolver_new(&resolver), 0);
	fs_resolver_start(resolver, &to.fs);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, requests, (void *)i), 0);
	assert_int_equal(pthread_create(&threads[THREADS], NULL, host, NULL), 0);
	for (unsigned i = 0; i <= THREADS; i++)
		pthread_join(threads[i], NULL);
	fs_resolver_free(resolver);
}

/* The guest's own look-up of each is left, and is all that is left. */
static void forget_all(void)
{
	struct fs_inode_stats stats;

	for (unsigned i = 0; i < FILES; i++)
		fs_inode_forget(to.fs.inodes, ids[i], 1);
	fs_inode_stats(to.fs.inodes, &stats);
	assert_int_equal(stats.unresolved, 0);
	assert_int_equal(stats.inodes, 1);
}

static void test_race(void **state)
{
	(void)state;
	move_source(&from);
	make_files();
	births = from.fs.inodes->root->btime;
	for (unsigned round = 0; round < 3; round++) {
		move_twin(&to, &from);
		to.host.fd_limit = 64;
		to.host.verify = round == 1 ? FS_VERIFY_ALL : FS_VERIFY_NONE;
		to.host.verify_budget = 60000;
		move_helpers(&to, THREADS);
		assert_int_equal(move_load(&to, move_save(&from)), 0);
		run();
		forget_all();
		move_helpers_end(&to);
		move_twin_close(&to);
	}
	share_close(&from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_race)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
