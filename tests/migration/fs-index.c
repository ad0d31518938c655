/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-index.c - who asks before all that was loaded is in the hashes gets the same
 * answers, and whatever ends the table waits for them. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/index.h"
#include "fs/open.h"
#include "fs/records.h"
#include "fs/table.h"
#include "move.h"
#include "state/stream.h"

/* So many that filling the hashes takes some milliseconds; some of them are really there, the last
 * among them. */
#define INODES	40000u
#define STEP	5000u
#define REAL	(INODES / STEP)
#define THREADS 3u
#define NOWHERE UINT64_C(1000000000000)
#define FIRST	2u /* slot */

static struct share from, to;
static struct statx real[REAL];

static bool is_real(unsigned i)
{
	return i % STEP == STEP - 1;
}

static void put_inode(struct gw_state_batch *batch, unsigned i)
{
	struct gw_fs_inode_v1 record = {
		.id = FIRST + i, .type = DT_REG, .lookups = 1, .ino = NOWHERE + i};

	if (is_real(i)) {
		record.ino = real[i / STEP].stx_ino;
		record.btime = fs_btime(&real[i / STEP]);
	}
	/* Only its handle held it at the source. */
	if (i == 1)
		record.lookups = 0;
	assert_int_equal(gw_state_batch_put(batch, &record), 0);
}

static void put_name(struct gw_state_batch *batch, unsigned i)
{
	char name[16];
	const struct gw_fs_name_v1 record = {
		.parent = FS_ROOT_ID,
		.name = {.data = name, .len = (size_t)snprintf(name, sizeof(name), "file-%u", i)},
		.inode = FIRST + i};

	assert_int_equal(gw_state_batch_put(batch, &record), 0);
}

static void put_all(struct gw_state_writer *writer, const struct gw_layout *layout,
		    void (*put)(struct gw_state_batch *batch, unsigned i))
{
	struct gw_state_batch *batch;

	assert_int_equal(gw_state_batch_new(&batch), 0);
	for (unsigned i = 0; i < INODES;) {
		struct gw_bytes record;

		assert_int_equal(gw_state_batch_begin(batch, layout), 0);
		for (unsigned end = i + 64; i < end && i < INODES; i++)
			put(batch, i);
		record = gw_state_batch_end(batch);
		assert_int_equal(gw_state_put_records(writer, layout, &record, 1), 0);
	}
	gw_state_batch_free(batch);
}

static void put_state(struct gw_state_writer *writer)
{
	const struct gw_fs_session_v1 session = {.initialised = false};
	const struct gw_fs_inode_v1 root = {.id = FS_ROOT_ID, .type = DT_DIR};

	assert_int_equal(gw_state_put(writer, &gw_fs_session_v1, &session), 0);
	assert_int_equal(gw_state_put(writer, &gw_fs_inode_v1, &root), 0);
	put_all(writer, &gw_fs_inode_v1, put_inode);
	put_all(writer, &gw_fs_name_v1, put_name);
}

static void make_file(unsigned i)
{
	char name[16];

	snprintf(name, sizeof(name), "file-%u", i * STEP + STEP - 1);
	share_file(&from, name, "");
	assert_int_equal(statx(AT_FDCWD, share_path(&from, "%s", name), 0,
			       STATX_BASIC_STATS | STATX_BTIME, &real[i]),
			 0);
}

static void load(void)
{
	move_twin(&to, &from);
	to.host.verify = FS_VERIFY_NONE;
	move_helpers(&to, THREADS);
	assert_int_equal(move_load(&to, move_stream(put_state)), 0);
}

static void end(void)
{
	move_helpers_end(&to);
	move_twin_close(&to);
}

static void look_up(unsigned i)
{
	FS_AUTO_INODE struct fs_inode *root = fs_inode_get(to.fs.inodes, FS_ROOT_ID);
	struct statx stx;
	char name[16];
	uint64_t id;

	snprintf(name, sizeof(name), "file-%u", i * STEP + STEP - 1);
	if (fs_inode_lookup(to.fs.inodes, root, name, &id, &stx) ||
	    id != FIRST + i * STEP + STEP - 1) {
		fprintf(stderr, "%s is another one\n", name);
		abort();
	}
}

static void *look_up_all(void *opaque)
{
	(void)opaque;
	for (unsigned i = REAL; i; i--)
		look_up(i - 1);
	return NULL;
}

static void test_one_file_one_id(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		pthread_t threads[THREADS];

		load();
		for (unsigned i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, look_up_all, NULL), 0);
		for (unsigned i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		end();
	}
}

static uint64_t alive(void)
{
	struct fs_inode_stats stats;

	fs_inode_stats(to.fs.inodes, &stats);
	return stats.inodes;
}

static void test_forgotten_at_once(void **state)
{
	(void)state;
	load();
	for (unsigned i = 0; i < INODES; i++)
		fs_inode_forget(to.fs.inodes, FIRST + i, 1);
	/* One that nobody wants goes by itself. */
	fs_index_settle(to.fs.inodes);
	assert_int_equal(alive(), 1);
	end();
}

static void test_known_at_once(void **state)
{
	struct fs_inode_stats stats;

	(void)state;
	load();
	fs_inode_stats(to.fs.inodes, &stats);
	assert_in_range(stats.unresolved, INODES - 1, INODES);
	fs_index_settle(to.fs.inodes);
	fs_inode_stats(to.fs.inodes, &stats);
	assert_int_equal(stats.unresolved, INODES - 1);
	assert_int_equal(stats.inodes, INODES);
	end();
}

static void test_reset_at_once(void **state)
{
	(void)state;
	load();
	fs_inodes_clear(to.fs.inodes);
	fs_index_settle(to.fs.inodes);
	assert_int_equal(alive(), 1);
	end();
}

static void test_ended_at_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		load();
		/* The second state takes the place of the first. */
		if (i == 1)
			assert_int_equal(move_load(&to, move_stream(put_state)), 0);
		end();
	}
}

static int open_share(void **state)
{
	(void)state;
	share_open(&from, 0);
	for (unsigned i = 0; i < REAL; i++)
		make_file(i);
	return 0;
}

static int close_share(void **state)
{
	(void)state;
	share_close(&from);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_file_one_id), cmocka_unit_test(test_forgotten_at_once),
		cmocka_unit_test(test_known_at_once),	cmocka_unit_test(test_reset_at_once),
		cmocka_unit_test(test_ended_at_once),
	};

	return cmocka_run_group_tests(tests, open_share, close_share);
}
