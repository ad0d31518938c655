/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/changes.c - what a guest does while its state is on its way. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "changes.h"
#include "fs/handles.h"
#include "fs/table.h"
#include "rounds.h"

static uint64_t names_in(struct share *share, struct fs_inode *inode)
{
	struct fs_name_copy *copies;
	uint64_t sum = 0;
	unsigned count;

	assert_int_equal(fs_names_copy(share->fs.inodes, inode, &copies, &count), 0);
	for (unsigned i = 0; i < count; i++) {
		uint64_t hash = fs_inode_id(copies[i].parent);

		for (unsigned c = 0; c < copies[i].len; c++)
			hash = fs_mix(hash ^ (uint8_t)copies[i].name[c]);
		sum += hash;
	}
	fs_names_copy_free(copies, count);
	return sum;
}

unsigned count_inodes(struct share *share)
{
	struct fs_inode *inode;
	uint32_t at = 0;
	unsigned n = 0;

	while ((inode = fs_slots_next(&share->fs.inodes->slots, &at)))
		n += (uint32_t)atomic_load(&inode->slot.life) > 0;
	return n;
}

/* Whoever the guest knows at the source it knows at the destination, by the same names, and nobody
 * else. */
void assert_same_tables(void)
{
	struct fs_inode *inode;
	uint32_t at = 0;

	while ((inode = fs_slots_next(&from.fs.inodes->slots, &at))) {
		struct fs_inode *there;

		if (!fs_slot_try_pin(&inode->slot))
			continue;
		there = fs_inode_get(to.fs.inodes, fs_inode_id(inode));
		assert_non_null(there);
		assert_int_equal(there->lookups, inode->lookups);
		assert_int_equal(names_in(&to, there), names_in(&from, inode));
		fs_inode_put(there);
		fs_inode_put(inode);
	}
	assert_int_equal(count_inodes(&to), count_inodes(&from));
	assert_int_equal(fs_handles_count(to.fs.handles), fs_handles_count(from.fs.handles));
}

/*
 * What a guest does.
 */
uint64_t guest_make(uint64_t parent, const char *dir, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s%s", dir, name);
	share_file(&from, path, path);
	return share_lookup(&from, parent, name);
}

uint64_t guest_make_dir(uint64_t parent, const char *path, const char *name)
{
	share_mkdir(&from, path);
	return share_lookup(&from, parent, name);
}

void guest_rename(uint64_t old_parent, const char *old_name, const char *old_path,
		  uint64_t new_parent, const char *new_name, const char *new_path)
{
	FS_AUTO_INODE struct fs_inode *a = fs_inode_get(from.fs.inodes, old_parent);
	FS_AUTO_INODE struct fs_inode *b = fs_inode_get(from.fs.inodes, new_parent);
	struct fs_victim victim;
	char old_full[128], new_full[128];

	snprintf(old_full, sizeof(old_full), "%s", share_path(&from, "%s", old_path));
	snprintf(new_full, sizeof(new_full), "%s", share_path(&from, "%s", new_path));
	fs_name_removing(from.fs.inodes, b, new_name, &victim);
	assert_int_equal(rename(old_full, new_full), 0);
	fs_name_removed(&victim, true);
	fs_name_moved(from.fs.inodes, a, old_name, b, new_name, false);
}

void guest_forget(uint64_t id)
{
	fs_inode_forget(from.fs.inodes, id, 1);
}

void guest_unlink_in(uint64_t parent, const char *name, const char *path)
{
	guest_unlink(&from, parent, name, share_path(&from, "%s", path));
}

void guest_link(uint64_t id, const char *old_path, const char *name)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(from.fs.inodes, id);
	FS_AUTO_INODE struct fs_inode *root = fs_inode_get(from.fs.inodes, FS_ROOT_ID);
	char old_full[128];

	snprintf(old_full, sizeof(old_full), "%s", share_path(&from, "%s", old_path));
	assert_int_equal(link(old_full, share_path(&from, "%s", name)), 0);
	fs_name_added(from.fs.inodes, inode, root, name);
}

uint64_t guest_crowd[CROWD];

void guest_gather(unsigned count)
{
	char name[16];

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "crowd-%u", i % CROWD);
		guest_crowd[i] = guest_make(FS_ROOT_ID, "", name);
	}
}

void guest_gather_crowd(void)
{
	guest_gather(CROWD);
}

/* What is sent first may be another thing by the time the rest is: nothing of it may stay. */
uint64_t guest_dir, guest_sub;
static uint64_t a, b, c;

void guest_prepare_few(void)
{
	guest_dir = guest_make_dir(FS_ROOT_ID, "dir", "dir");
	guest_sub = guest_make_dir(guest_dir, "dir/sub", "sub");
	a = guest_make(FS_ROOT_ID, "", "a");
	b = guest_make(guest_dir, "dir/", "b");
	c = guest_make(guest_sub, "dir/sub/", "c");
}

static void new_file(void)
{
	guest_make(guest_dir, "dir/", "new");
}

static void forgotten_file(void)
{
	guest_forget(a);
}

static void forgotten_dir_stays_a_parent(void)
{
	guest_forget(guest_sub);
}

static void forgotten_way(void)
{
	guest_forget(c);
	guest_forget(guest_sub);
	guest_forget(b);
	guest_forget(guest_dir);
}

static void known_again_under_another_id(void)
{
	guest_forget(a);
	a = share_lookup(&from, FS_ROOT_ID, "a");
}

void guest_look_again(void)
{
	share_lookup(&from, FS_ROOT_ID, "a");
	share_lookup(&from, guest_dir, "b");
}

static void renamed_file(void)
{
	guest_rename(FS_ROOT_ID, "a", "a", guest_dir, "a2", "dir/a2");
}

static void renamed_over(void)
{
	guest_rename(FS_ROOT_ID, "a", "a", guest_dir, "b", "dir/b");
	guest_forget(b);
}

static void swapped_names(void)
{
	guest_rename(FS_ROOT_ID, "a", "a", FS_ROOT_ID, "t", "t");
	guest_rename(guest_dir, "b", "dir/b", FS_ROOT_ID, "a", "a");
	guest_rename(FS_ROOT_ID, "t", "t", guest_dir, "b", "dir/b");
}

static void renamed_dir(void)
{
	guest_rename(guest_dir, "sub", "dir/sub", FS_ROOT_ID, "sub2", "sub2");
}

static void turned_around(void)
{
	/* The inner one becomes the outer one. */
	guest_rename(guest_dir, "sub", "dir/sub", FS_ROOT_ID, "sub", "sub");
	guest_rename(FS_ROOT_ID, "dir", "dir", guest_sub, "dir", "sub/dir");
}

static void second_name(void)
{
	guest_link(a, "a", "a-too");
}

static void second_name_only(void)
{
	guest_link(a, "a", "a-too");
	guest_unlink_in(FS_ROOT_ID, "a", "a");
}

static void removed_and_made_again(void)
{
	guest_unlink_in(FS_ROOT_ID, "a", "a");
	guest_forget(a);
	a = guest_make(FS_ROOT_ID, "", "a");
}

static void removed_tree(void)
{
	guest_unlink_in(guest_sub, "c", "dir/sub/c");
	guest_forget(c);
	guest_unlink_in(guest_dir, "sub", "dir/sub");
	guest_forget(guest_sub);
}

static void moved_out_and_removed(void)
{
	guest_rename(guest_sub, "c", "dir/sub/c", FS_ROOT_ID, "c", "c");
	guest_unlink_in(guest_dir, "sub", "dir/sub");
	guest_forget(guest_sub);
	guest_make_dir(guest_dir, "dir/sub", "sub");
}

static void opened(void)
{
	guest_open(&from, b, O_RDWR);
	guest_opendir(&from, guest_dir);
}

const struct guest_change guest_changes[] = {
	{"a new file", new_file},
	{"a file is forgotten", forgotten_file},
	{"a directory is forgotten, not what is in it", forgotten_dir_stays_a_parent},
	{"all of a way is forgotten", forgotten_way},
	{"a file is known again, under another id", known_again_under_another_id},
	{"files are looked up again", guest_look_again},
	{"a file is renamed", renamed_file},
	{"a file is renamed over another", renamed_over},
	{"two files swap their names", swapped_names},
	{"a directory is renamed", renamed_dir},
	{"a directory goes into what was in it", turned_around},
	{"a second name", second_name},
	{"a second name, and not the first", second_name_only},
	{"removed, and made again", removed_and_made_again},
	{"a tree is removed", removed_tree},
	{"moved out of a directory that is removed and made again", moved_out_and_removed},
	{"opened", opened},
};
const unsigned guest_change_count = sizeof(guest_changes) / sizeof(guest_changes[0]);
