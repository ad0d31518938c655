/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-lazy.c - cached inodes move as records: who they are shows when they are met.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/open.h"
#include "fs/records.h"
#include "fs/resolver.h"
#include "fs/table.h"
#include "move.h"

static struct share from, to;
static uint64_t dir_id, file_id, other_id;

static int set_up(void **state)
{
	(void)state;
	move_source(&from);
	share_mkdir(&from, "d");
	share_file(&from, "d/file", "right");
	share_file(&from, "d/other", "other");
	dir_id = share_lookup(&from, FS_ROOT_ID, "d");
	file_id = share_lookup(&from, dir_id, "file");
	other_id = share_lookup(&from, dir_id, "other");
	move_twin(&to, &from);
	to.host.verify = FS_VERIFY_NONE;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	move_twin_close(&to);
	share_close(&from);
	return 0;
}

static struct fs_inode_stats stats_of(struct share *share)
{
	struct fs_inode_stats stats;

	fs_inode_stats(share->fs.inodes, &stats);
	return stats;
}

static int statx_of(struct share *share, uint64_t id)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, id);
	struct statx stx;

	assert_non_null(inode);
	return fs_inode_statx(inode, &stx);
}

static void load(void)
{
	if (move_load(&to, move_save(&from)))
		fail_msg("load: %s", gw_last_error());
}

static void test_nothing_is_touched(void **state)
{
	(void)state;
	load();
	assert_int_equal(stats_of(&to).inodes, 4);
	assert_int_equal(stats_of(&to).unresolved, 3);
	assert_int_equal(stats_of(&to).resolved, 0);
	assert_int_equal(stats_of(&to).descriptors, 1); /* the root's */
}

static void test_resolved_at_first_use(void **state)
{
	(void)state;
	load();
	assert_int_equal(share_ino(&to, file_id), host_ino(share_path(&from, "d/file")));
	assert_int_equal(stats_of(&to).unresolved, 2);
	assert_int_equal(stats_of(&to).resolved, 1);
	assert_int_equal(share_ino(&to, file_id), host_ino(share_path(&from, "d/file")));
	assert_int_equal(stats_of(&to).resolved, 1);
}

static void test_a_lookup_finds_the_record(void **state)
{
	(void)state;
	load();
	assert_int_equal(share_lookup(&to, FS_ROOT_ID, "d"), dir_id);
	assert_int_equal(share_lookup(&to, dir_id, "file"), file_id);
	assert_int_equal(stats_of(&to).inodes, 4);
	assert_int_equal(stats_of(&to).unresolved, 1);
}

/* CREATE, LINK and the rest tell by the descriptor that they have. */
static void test_a_descriptor_finds_the_record(void **state)
{
	FS_AUTO_INODE struct fs_inode *dir = NULL;
	int fd = open(share_path(&from, "d/file"), O_RDONLY);
	struct statx stx;
	uint64_t id;

	(void)state;
	load();
	dir = fs_inode_get(to.fs.inodes, dir_id);
	assert_int_equal(fs_inode_lookup_fd(to.fs.inodes, dir, "file", fd, &id, &stx), 0);
	assert_int_equal(id, file_id);
	close(fd);
	fs_inode_put_ptr(&dir);
	dir = NULL;
}

/* By a name that the guest has not seen before. */
static void test_another_link(void **state)
{
	(void)state;
	assert_int_equal(link(share_path(&from, "d/file"), share_path(&from, "link")), 0);
	load();
	assert_int_equal(share_lookup(&to, FS_ROOT_ID, "link"), file_id);
	assert_int_equal(stats_of(&to).inodes, 4);
	assert_int_equal(unlink(share_path(&from, "d/file")), 0);
	assert_int_equal(statx_of(&to, file_id), 0);
}

/* Who holds a descriptor learns it again. */
static void forget_births(struct share *share)
{
	struct fs_inode *inode;
	uint32_t at = 0;

	while (fs_fdcache_evict(share->fs.inodes, 16))
		;

	while ((inode = fs_slots_next(&share->fs.inodes->slots, &at)))
		inode->btime = 0;
}

/* Without a birth time a number alone does not tell; where the record says it is, it is looked for
 * before anybody else gets its number. */
static void test_another_link_without_births(void **state)
{
	(void)state;
	forget_births(&from);
	from.fs.inodes->mounts[0].portable = false; /* so no handle is sent in its place */
	assert_int_equal(link(share_path(&from, "d/file"), share_path(&from, "link")), 0);
	load();
	assert_int_equal(share_lookup(&to, FS_ROOT_ID, "link"), file_id);
	assert_int_equal(stats_of(&to).inodes, 4);
}

/* As from a file system without birth times whose number 5 was given to another file since. */
static uint64_t stranger_ino;

static void put_gone(struct gw_state_writer *writer)
{
	const struct gw_fs_session_v1 session = {.initialised = false};
	const struct gw_fs_inode_v1 root = {.id = FS_ROOT_ID, .type = DT_DIR};
	const struct gw_fs_inode_v1 gone = {
		.id = 5, .type = DT_REG, .ino = stranger_ino, .lookups = 1};
	const struct gw_fs_name_v1 name = {
		.parent = FS_ROOT_ID, .name = {.data = "gone", .len = 4}, .inode = 5};

	assert_int_equal(gw_state_put(writer, &gw_fs_session_v1, &session), 0);
	assert_int_equal(gw_state_put(writer, &gw_fs_inode_v1, &root), 0);
	assert_int_equal(gw_state_put(writer, &gw_fs_inode_v1, &gone), 0);
	assert_int_equal(gw_state_put(writer, &gw_fs_name_v1, &name), 0);
}

static void test_a_number_alone_is_nobody(void **state)
{
	(void)state;
	stranger_ino = host_ino(share_path(&from, "d/file"));
	assert_int_equal(move_load(&to, move_stream(put_gone)), 0);
	assert_int_not_equal(share_lookup(&to, share_lookup(&to, FS_ROOT_ID, "d"), "file"), 5);
	assert_int_equal(statx_of(&to, 5), -ESTALE);
	assert_int_equal(stats_of(&to).stale, 1);
}

/* The host puts another file there after the switch: never that one. */
static void test_replaced_after_the_switch(void **state)
{
	(void)state;
	load();
	assert_int_equal(rename(share_path(&from, "d/file"), share_path(&from, "away")), 0);
	share_file(&from, "d/file", "EVIL");
	assert_int_equal(statx_of(&to, file_id), -ESTALE);
	assert_int_equal(stats_of(&to).stale, 1);
	assert_int_equal(stats_of(&to).unresolved, 2);
	assert_int_not_equal(share_lookup(&to, dir_id, "file"), file_id);
	assert_int_equal(statx_of(&to, file_id), -ESTALE);
	assert_int_equal(stats_of(&to).stale, 1);
	/* And when the guest meets it elsewhere, it is who it was: one file, one node id. */
	if (to.fs.inodes->root->btime) {
		assert_int_equal(share_lookup(&to, FS_ROOT_ID, "away"), file_id);
		assert_int_equal(share_ino(&to, file_id), host_ino(share_path(&from, "away")));
	}
}

/* What does not say that a file is gone is no reason to give it up. */
static void test_an_error_is_not_an_answer(void **state)
{
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	struct statx stx;

	(void)state;
	if (geteuid())
		skip();
	load();
	assert_int_equal(chmod(from.path, 0), 0);
	inode = fs_inode_get(to.fs.inodes, file_id);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(fs_inode_statx(inode, &stx), -EACCES);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(from.path, 0700), 0);
	assert_int_equal(fs_inode_statx(inode, &stx), 0);
	assert_int_equal(stats_of(&to).stale, 0);
	fs_inode_put_ptr(&inode);
	inode = NULL;
}

static void test_forgotten_before_it_was_met(void **state)
{
	(void)state;
	load();
	fs_inode_forget(to.fs.inodes, file_id, 1);
	assert_null(fs_inode_get(to.fs.inodes, file_id));
	assert_int_equal(stats_of(&to).unresolved, 2);
	/* With its parent, which only its name kept. */
	fs_inode_forget(to.fs.inodes, dir_id, 1);
	assert_int_equal(stats_of(&to).unresolved, 2);
	fs_inode_forget(to.fs.inodes, other_id, 1);
	assert_int_equal(stats_of(&to).inodes, 1);
	assert_int_equal(stats_of(&to).unresolved, 0);
}

static void test_all_forgotten(void **state)
{
	(void)state;
	load();
	fs_inodes_clear(to.fs.inodes);
	assert_int_equal(stats_of(&to).inodes, 1);
	assert_int_equal(stats_of(&to).unresolved, 0);
}

/* On to a third place before anything was looked for at the second. */
static void test_chain(void **state)
{
	struct share third;

	(void)state;
	load();
	assert_int_equal(stats_of(&to).unresolved, 3);
	move_twin(&third, &to);
	assert_int_equal(move_load(&third, move_save(&to)), 0);
	assert_int_equal(share_ino(&third, file_id), host_ino(share_path(&from, "d/file")));
	assert_int_equal(share_lookup(&third, dir_id, "other"), other_id);
	assert_int_equal(stats_of(&third).inodes, 4);
	fs_inode_forget(third.fs.inodes, file_id, 1);
	assert_null(fs_inode_get(third.fs.inodes, file_id));
	move_twin_close(&third);
}

static void resolve_all(void)
{
	struct fs_resolver *resolver;

	assert_int_equal(fs_resolver_new(&resolver), 0);
	fs_resolver_start(resolver, &to.fs);
	for (unsigned i = 0; i < 5000 && stats_of(&to).unresolved; i++)
		usleep(1000);
	fs_resolver_free(resolver);
}

static void test_resolver(void **state)
{
	(void)state;
	load();
	assert_int_equal(unlink(share_path(&from, "d/other")), 0);
	resolve_all();
	assert_int_equal(stats_of(&to).unresolved, 0);
	assert_int_equal(stats_of(&to).resolved, 2);
	assert_int_equal(stats_of(&to).stale, 1);
	assert_int_equal(statx_of(&to, other_id), -ESTALE);
	assert_int_equal(share_ino(&to, file_id), host_ino(share_path(&from, "d/file")));
}

/* It ends when the table goes, wherever it is. */
static void test_resolver_is_stopped(void **state)
{
	struct fs_resolver *resolver;

	(void)state;
	load();
	assert_int_equal(fs_resolver_new(&resolver), 0);
	to.fs.resolver = resolver;
	fs_resolver_start(resolver, &to.fs);
	assert_int_equal(move_load(&to, move_save(&from)), 0);
	assert_int_equal(stats_of(&to).unresolved, 3);
	fs_resolver_start(resolver, &to.fs);
	close(move_save(&to));
	fs_resolver_free(resolver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_is_touched, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_resolved_at_first_use, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_lookup_finds_the_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_descriptor_finds_the_record, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_another_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_link_without_births, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_number_alone_is_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_replaced_after_the_switch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_error_is_not_an_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgotten_before_it_was_met, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_all_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_chain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_resolver, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_resolver_is_stopped, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
