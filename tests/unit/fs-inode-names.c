/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-inode-names.c - names follow what the guest does; the last one leaves a descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs-share.h"
#include "fs/records.h"
#include "fs/table.h"
#include "state/journal.h"

static struct share share;
static struct fs_inode *root;

static int set_up(void **state)
{
	(void)state;
	share_open(&share, 0);
	root = fs_inode_get(share.fs.inodes, FS_ROOT_ID);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fs_inode_put(root);
	share_close(&share);
	return 0;
}

/* "parent-id/name" of each name, latest first. */
static const char *names_of(uint64_t id)
{
	static char text[1024];
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share.fs.inodes, id);
	struct fs_name_copy *copies;
	unsigned count;

	assert_int_equal(fs_names_copy(share.fs.inodes, inode, &copies, &count), 0);
	text[0] = 0;
	for (unsigned i = 0; i < count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u/%s", i ? " " : "",
			 fs_slot_index(&copies[i].parent->slot), copies[i].name);
	fs_names_copy_free(copies, count);
	return text;
}

static void guest_unlink(struct fs_inode *dir, const char *name)
{
	struct fs_victim victim;

	fs_name_removing(share.fs.inodes, dir, name, &victim);
	fs_name_removed(&victim, unlink(share_path(&share, "%s", name)) == 0);
}

static void test_links(void **state)
{
	uint64_t id;

	(void)state;
	share_file(&share, "a", "x");
	assert_int_equal(link(share_path(&share, "a"), share_path(&share, "b")), 0);
	id = share_lookup(&share, FS_ROOT_ID, "a");
	assert_string_equal(names_of(id), "1/a");
	share_lookup(&share, FS_ROOT_ID, "b");
	assert_string_equal(names_of(id), "1/b 1/a");
	guest_unlink(root, "a");
	assert_string_equal(names_of(id), "1/b");
	guest_unlink(root, "b");
	assert_string_equal(names_of(id), "");
	/* It is still there for who has it. */
	fs_fdcache_evict(share.fs.inodes, 16);
	fs_fdcache_evict(share.fs.inodes, 16);
	assert_true(share_ino(&share, id) != 0);
}

static void test_rename(void **state)
{
	FS_AUTO_INODE struct fs_inode *dir = NULL;
	uint64_t id, dir_id;

	(void)state;
	share_mkdir(&share, "d");
	share_file(&share, "a", "x");
	id = share_lookup(&share, FS_ROOT_ID, "a");
	dir_id = share_lookup(&share, FS_ROOT_ID, "d");
	dir = fs_inode_get(share.fs.inodes, dir_id);
	assert_int_equal(rename(share_path(&share, "a"), share_path(&share, "d/b")), 0);
	fs_name_moved(share.fs.inodes, root, "a", dir, "b", false);
	assert_string_equal(names_of(id), "3/b");
	fs_fdcache_evict(share.fs.inodes, 16);
	assert_int_equal(share_ino(&share, id), host_ino(share_path(&share, "d/b")));
}

static void test_exchange(void **state)
{
	uint64_t a, b;

	(void)state;
	share_file(&share, "a", "x");
	share_file(&share, "b", "x");
	a = share_lookup(&share, FS_ROOT_ID, "a");
	b = share_lookup(&share, FS_ROOT_ID, "b");
	assert_int_equal(renameat2(AT_FDCWD, share_path(&share, "a"), AT_FDCWD,
				   share_path(&share, "b"), RENAME_EXCHANGE),
			 0);
	fs_name_moved(share.fs.inodes, root, "a", root, "b", true);
	assert_string_equal(names_of(a), "1/b");
	assert_string_equal(names_of(b), "1/a");
}

static void test_rename_over(void **state)
{
	struct fs_victim victim;
	uint64_t a, b;

	(void)state;
	share_file(&share, "a", "x");
	share_file(&share, "b", "y");
	a = share_lookup(&share, FS_ROOT_ID, "a");
	b = share_lookup(&share, FS_ROOT_ID, "b");
	fs_name_removing(share.fs.inodes, root, "b", &victim);
	assert_int_equal(rename(share_path(&share, "a"), share_path(&share, "b")), 0);
	fs_name_removed(&victim, true);
	fs_name_moved(share.fs.inodes, root, "a", root, "b", false);
	assert_string_equal(names_of(a), "1/b");
	assert_string_equal(names_of(b), "");
	assert_int_not_equal(share_ino(&share, b), share_ino(&share, a));
}

static void test_failed_unlink_changes_nothing(void **state)
{
	struct fs_victim victim;
	uint64_t id;

	(void)state;
	share_file(&share, "a", "x");
	id = share_lookup(&share, FS_ROOT_ID, "a");
	fs_name_removing(share.fs.inodes, root, "a", &victim);
	fs_name_removed(&victim, false);
	assert_string_equal(names_of(id), "1/a");
	fs_name_removing(share.fs.inodes, root, "nobody", &victim);
	assert_null(victim.inode);
	fs_name_removed(&victim, true);
}

/* What the host moves is found by the descriptor, and the next look-up puts the name right. */
static void test_host_side_rename(void **state)
{
	uint64_t id;

	(void)state;
	share_file(&share, "a", "x");
	id = share_lookup(&share, FS_ROOT_ID, "a");
	assert_int_equal(rename(share_path(&share, "a"), share_path(&share, "z")), 0);
	assert_int_equal(share_lookup(&share, FS_ROOT_ID, "z"), id);
	assert_string_equal(names_of(id), "1/z");
}

/* Deeper than PATH_MAX, with nothing cached on the way. */
static void test_deep_tree(void **state)
{
	char name[201];
	uint64_t at = FS_ROOT_ID;
	int fd = open(share.path, O_PATH | O_DIRECTORY);

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	for (int i = 0; i < 40; i++) {
		int next;

		assert_int_equal(mkdirat(fd, name, 0755), 0);
		next = openat(fd, name, O_PATH | O_DIRECTORY);
		close(fd);
		fd = next;
		at = share_lookup(&share, at, name);
	}
	close(fd);
	/* By path, as where handles cannot be opened. */
	share.fs.inodes->mounts[0].fd = -1 - (close(share.fs.inodes->mounts[0].fd), 0);
	while (fs_fdcache_evict(share.fs.inodes, 16))
		;
	assert_true(share_ino(&share, at) != 0);
	/* Deepest first, in one go. */
	fs_inodes_clear(share.fs.inodes);
}

/* -- the journal ---------------------------------------------------------------------------- */

struct told {
	uint64_t id;
	unsigned records, names;
	char name[2][8];
};

/* At no moment is it without a name. */
static int see(void *opaque, const struct gw_journal_record *record)
{
	const struct gw_fs_name_v1 *object = record->object;
	struct told *told = opaque;
	char name[8];
	unsigned i = 0;

	snprintf(name, sizeof(name), "%.*s", (int)object->name.len,
		 (const char *)object->name.data);
	while (i < told->names && strcmp(told->name[i], name) != 0)
		i++;
	if (record->deleted && i < told->names)
		strcpy(told->name[i], told->name[--told->names]);
	else if (!record->deleted && i == told->names)
		strcpy(told->name[told->names++], name);
	assert_in_range(told->names, 1, 2);
	told->records++;
	return 0;
}

static void test_rename_is_told(void **state)
{
	static const struct gw_layout *const layouts[] = {&gw_fs_name_v1, NULL};
	int fds[1 + GW_JOURNAL_SLOTS];
	struct gw_journal *journal;
	struct told told = {.records = 0};
	const struct gw_journal_walk walk = {.layouts = layouts, .fn = see, .opaque = &told};

	(void)state;
	assert_int_equal(gw_journal_new(&journal, fds), 0);
	share.fs.inodes->journal = journal;
	share_file(&share, "a", "");
	told.id = share_lookup(&share, FS_ROOT_ID, "a");
	assert_int_equal(rename(share_path(&share, "a"), share_path(&share, "b")), 0);
	fs_name_moved(share.fs.inodes, root, "a", root, "b", false);
	share.fs.inodes->journal = NULL;
	assert_int_equal(gw_journal_walk(journal, &walk), 0);
	assert_true(told.records >= 3);
	assert_int_equal(told.names, 1);
	assert_string_equal(told.name[0], "b");
	gw_journal_free(journal);
	for (unsigned i = 0; i < 1 + GW_JOURNAL_SLOTS; i++)
		close(fds[i]);
}

/* Of both names each leads to somebody at any moment:
 * nothing says that one does not. */
struct swapped {
	uint64_t at[2];
	unsigned records;
};

static int see_swapped(void *opaque, const struct gw_journal_record *record)
{
	const struct gw_fs_name_v1 *object = record->object;
	struct swapped *swapped = opaque;

	assert_false(record->deleted);
	swapped->at[*(const char *)object->name.data - 'a'] = object->inode;
	swapped->records++;
	return 0;
}

static void test_exchange_is_told(void **state)
{
	static const struct gw_layout *const layouts[] = {&gw_fs_name_v1, NULL};
	int fds[1 + GW_JOURNAL_SLOTS];
	struct gw_journal *journal;
	struct swapped swapped = {.records = 0};
	const struct gw_journal_walk walk = {
		.layouts = layouts, .fn = see_swapped, .opaque = &swapped};
	uint64_t a, b;

	(void)state;
	assert_int_equal(gw_journal_new(&journal, fds), 0);
	share.fs.inodes->journal = journal;
	share_file(&share, "a", "");
	share_file(&share, "b", "");
	a = share_lookup(&share, FS_ROOT_ID, "a");
	b = share_lookup(&share, FS_ROOT_ID, "b");
	fs_name_moved(share.fs.inodes, root, "a", root, "b", true);
	share.fs.inodes->journal = NULL;
	assert_int_equal(gw_journal_walk(journal, &walk), 0);
	assert_int_equal(swapped.records, 4);
	assert_int_equal(swapped.at[0], b);
	assert_int_equal(swapped.at[1], a);
	gw_journal_free(journal);
	for (unsigned i = 0; i < 1 + GW_JOURNAL_SLOTS; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_links, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rename, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rename_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exchange, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exchange_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rename_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed_unlink_changes_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_host_side_rename, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deep_tree, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
