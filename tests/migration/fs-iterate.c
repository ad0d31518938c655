/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-iterate.c - a state that is sent while the guest changes everything: each kind
 * of change, between rounds and before the rest. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/handles.h"
#include "fs/iterate.h"
#include "fs/ready.h"
#include "fs/records.h"
#include "fs/table.h"
#include "rounds.h"
#include "state/stream.h"

static int set_up(void **state)
{
	(void)state;
	move_source(&from);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	share_close(&from);
	return 0;
}

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

static unsigned count_inodes(struct share *share)
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
static void assert_same_tables(void)
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

static void arrive(void)
{
	rounds_arrive();
	assert_same_tables();
}

static void leave(void)
{
	move_twin_close(&to);
}

/*
 * What a guest does.
 */
static uint64_t make(uint64_t parent, const char *dir, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s%s", dir, name);
	share_file(&from, path, path);
	return share_lookup(&from, parent, name);
}

static uint64_t make_dir(uint64_t parent, const char *path, const char *name)
{
	share_mkdir(&from, path);
	return share_lookup(&from, parent, name);
}

static void rename_in(uint64_t old_parent, const char *old_name, const char *old_path,
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

static void forget(uint64_t id)
{
	fs_inode_forget(from.fs.inodes, id, 1);
}

static void unlink_in(uint64_t parent, const char *name, const char *path)
{
	guest_unlink(&from, parent, name, share_path(&from, "%s", path));
}

static void link_in(uint64_t id, const char *old_path, const char *name)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(from.fs.inodes, id);
	FS_AUTO_INODE struct fs_inode *root = fs_inode_get(from.fs.inodes, FS_ROOT_ID);
	char old_full[128];

	snprintf(old_full, sizeof(old_full), "%s", share_path(&from, "%s", old_path));
	assert_int_equal(link(old_full, share_path(&from, "%s", name)), 0);
	fs_name_added(from.fs.inodes, inode, root, name);
}

/* Many, so that there are several units, and rounds have something to leave alone. */
#define CROWD 500
static uint64_t crowd[CROWD];

static void gather(unsigned count)
{
	char name[16];

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "crowd-%u", i);
		crowd[i] = make(FS_ROOT_ID, "", name);
	}
}

static void gather_crowd(void)
{
	gather(CROWD);
}

static void little_is_sent_again(void **state)
{
	uint64_t first, second, third, rest;

	gather_crowd();
	rounds_begin(3);
	first = rounds_send();
	second = rounds_send();
	rename_in(FS_ROOT_ID, "crowd-7", "crowd-7", FS_ROOT_ID, "other", "other");
	make(FS_ROOT_ID, "", "new");
	third = rounds_send();
	forget(crowd[9]);
	rest = rounds_rest();
	assert_true(first > 10000);
	assert_true(second < 500); /* a mark, the session */
	assert_true(third < 1000);
	assert_true(rest < 1000);
	arrive();
	leave();
}

/* What is sent first may be another thing by the time the rest is: nothing of it may stay. */
static uint64_t dir, sub, a, b, c;

static void prepare_few(void)
{
	dir = make_dir(FS_ROOT_ID, "dir", "dir");
	sub = make_dir(dir, "dir/sub", "sub");
	a = make(FS_ROOT_ID, "", "a");
	b = make(dir, "dir/", "b");
	c = make(sub, "dir/sub/", "c");
}

static void new_file(void)
{
	make(dir, "dir/", "new");
}

static void forgotten_file(void)
{
	forget(a);
}

static void forgotten_dir_stays_a_parent(void)
{
	forget(sub);
}

static void forgotten_way(void)
{
	forget(c);
	forget(sub);
	forget(b);
	forget(dir);
}

static void known_again_under_another_id(void)
{
	forget(a);
	a = share_lookup(&from, FS_ROOT_ID, "a");
}

static void looked_up_again(void)
{
	share_lookup(&from, FS_ROOT_ID, "a");
	share_lookup(&from, dir, "b");
}

static void renamed_file(void)
{
	rename_in(FS_ROOT_ID, "a", "a", dir, "a2", "dir/a2");
}

static void renamed_over(void)
{
	rename_in(FS_ROOT_ID, "a", "a", dir, "b", "dir/b");
	forget(b);
}

static void swapped_names(void)
{
	rename_in(FS_ROOT_ID, "a", "a", FS_ROOT_ID, "t", "t");
	rename_in(dir, "b", "dir/b", FS_ROOT_ID, "a", "a");
	rename_in(FS_ROOT_ID, "t", "t", dir, "b", "dir/b");
}

static void renamed_dir(void)
{
	rename_in(dir, "sub", "dir/sub", FS_ROOT_ID, "sub2", "sub2");
}

static void turned_around(void)
{
	/* The inner one becomes the outer one. */
	rename_in(dir, "sub", "dir/sub", FS_ROOT_ID, "sub", "sub");
	rename_in(FS_ROOT_ID, "dir", "dir", sub, "dir", "sub/dir");
}

static void second_name(void)
{
	link_in(a, "a", "a-too");
}

static void second_name_only(void)
{
	link_in(a, "a", "a-too");
	unlink_in(FS_ROOT_ID, "a", "a");
}

static void removed_and_made_again(void)
{
	unlink_in(FS_ROOT_ID, "a", "a");
	forget(a);
	a = make(FS_ROOT_ID, "", "a");
}

static void removed_tree(void)
{
	unlink_in(sub, "c", "dir/sub/c");
	forget(c);
	unlink_in(dir, "sub", "dir/sub");
	forget(sub);
}

static void moved_out_and_removed(void)
{
	rename_in(sub, "c", "dir/sub/c", FS_ROOT_ID, "c", "c");
	unlink_in(dir, "sub", "dir/sub");
	forget(sub);
	make_dir(dir, "dir/sub", "sub");
}

static void opened(void)
{
	guest_open(&from, b, O_RDWR);
	guest_opendir(&from, dir);
}

static const struct {
	const char *name;
	void (*happens)(void);
} changes[] = {
	{"a new file", new_file},
	{"a file is forgotten", forgotten_file},
	{"a directory is forgotten, not what is in it", forgotten_dir_stays_a_parent},
	{"all of a way is forgotten", forgotten_way},
	{"a file is known again, under another id", known_again_under_another_id},
	{"files are looked up again", looked_up_again},
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

/* Before the rest, or between two rounds, or one part of it before and the rest after. */
static void try_change(unsigned i, unsigned rounds_before, unsigned rounds_after)
{
	void *none = NULL;

	set_up(&none);
	gather(70); /* more than a unit */
	prepare_few();
	rounds_begin(3);
	for (unsigned n = 0; n < rounds_before; n++)
		rounds_send();
	changes[i].happens();
	for (unsigned n = 0; n < rounds_after; n++)
		rounds_send();
	print_message("%s, after %u rounds, before %u\n", changes[i].name, rounds_before,
		      rounds_after);
	rounds_rest();
	arrive();
	leave();
	tear_down(&none);
}

static void every_change(void **state)
{
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		for (unsigned before = 0; before < 2; before++) {
			for (unsigned after = 0; after < 3 - before; after++)
				try_change(i, before, after);
		}
	}
}

/* In the middle of a round: the first units of it are of before, the last of after. */
static void every_change_in_a_round(void **state)
{
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		for (unsigned calls = 1; calls < 8; calls++) {
			void *none = NULL;

			set_up(&none);
			prepare_few();
			gather(70);
			rounds_begin(3);
			assert_int_equal(gw_state_writer_phase(rounds_writer, GW_PHASE_RUNNING), 0);
			for (unsigned n = 0; n < calls; n++)
				assert_true(fs_save(&from.fs, rounds_writer, GW_PHASE_RUNNING,
						    100) >= 0);
			print_message("%s, after %u calls\n", changes[i].name, calls);
			changes[i].happens();
			if (calls % 2)
				rounds_send();
			rounds_rest();
			arrive();
			leave();
			tear_down(&none);
		}
	}
}

/* Slots that are used again and again, by other inodes, between all rounds. */
static void slots_used_again(void **state)
{
	char name[16];

	gather_crowd();
	rounds_begin(3);
	for (unsigned round = 0; round < 12; round++) {
		for (unsigned i = round % 3; i < CROWD; i += 3)
			forget(crowd[i]);
		if (round % 2)
			rounds_send();
		for (unsigned i = round % 3; i < CROWD; i += 3) {
			snprintf(name, sizeof(name), "crowd-%u", (i * 7 + round) % CROWD);
			crowd[i] = share_lookup(&from, FS_ROOT_ID, name);
		}
		if (round % 3)
			rounds_send();
	}
	rounds_rest();
	arrive();
	leave();
}

/* Open files are opened ahead, closed ones are not open there, slots change hands. */
static void handles(void **state)
{
	uint64_t file, closed, kept, later;

	file = make(FS_ROOT_ID, "", "file");
	rounds_begin(3);
	closed = guest_open(&from, file, O_RDONLY);
	kept = guest_open(&from, file, O_RDWR);
	rounds_send();
	assert_int_equal(fs_handle_release(from.fs.handles, closed), 0);
	later = guest_open(&from, file, O_WRONLY);
	rounds_send();
	guest_append(&from, kept, "more");
	rounds_rest();
	arrive();
	assert_string_equal(guest_read(&to, kept), "filemore");
	guest_append(&to, later, "!");
	assert_string_equal(guest_read(&to, kept), "filemore!");
	assert_null(fs_handle_get(to.fs.handles, closed));
	leave();
}

/* Opened ahead by its name, and unnamed in the end: what travels is its content. */
static void unlinked_while_open(void **state)
{
	uint64_t file = make(FS_ROOT_ID, "", "file"), handle;

	rounds_begin(3);
	handle = guest_open(&from, file, O_RDWR);
	rounds_send();
	unlink_in(FS_ROOT_ID, "file", "file");
	guest_append(&from, handle, " and more");
	rounds_send();
	guest_append(&from, handle, " and still more");
	rounds_rest();
	arrive();
	assert_string_equal(guest_read(&to, handle), "file and more and still more");
	leave();
}

/* Known since a round, not looked for, opened in the next, and gone in the one after: no file that
 * is missing, as long as the source has not said its last word. */
static void gone_between_rounds(void **state)
{
	uint64_t file = make(FS_ROOT_ID, "", "file"), handle;

	from.host.verify = FS_VERIFY_NONE;
	rounds_begin(3);
	rounds_send();
	rounds_send();
	handle = guest_open(&from, file, O_RDWR);
	rounds_send();
	unlink_in(FS_ROOT_ID, "file", "file");
	rounds_rest();
	arrive();
	assert_int_equal(atomic_load(&to.fs.inodes->lazy.stale), 0);
	assert_string_equal(guest_read(&to, handle), "file");
	leave();
}

/* What never had a name, and is written to all the time. */
static void unnamed(void **state)
{
	uint64_t id, handle;

	rounds_begin(3);
	handle = guest_tmpfile(&from, "nameless", &id);
	rounds_send();
	guest_append(&from, handle, " one");
	rounds_send();
	guest_append(&from, handle, " two");
	rounds_rest();
	arrive();
	assert_string_equal(guest_read(&to, handle), "nameless one two");
	leave();
}

/* In a slot whose last inode the same round takes back, and with no name that would have to wait.
 */
static void unnamed_in_a_used_slot(void **state)
{
	uint64_t file = make(FS_ROOT_ID, "", "file"), id, handle;

	rounds_begin(3);
	rounds_send();
	forget(file);
	handle = guest_tmpfile(&from, "nameless", &id);
	assert_int_equal((uint32_t)id, (uint32_t)file);
	rounds_send();
	rounds_rest();
	arrive();
	assert_string_equal(guest_read(&to, handle), "nameless");
	leave();
}

/* A destination of another share knows it from the first round on, and reads no further. */
static void refused_early(void **state)
{
	struct share other;
	struct gw_state_reader *reader;
	struct gw_state_channel channel = {.cancel = -1};

	gather_crowd();
	rounds_begin(3);
	rounds_send();
	rounds_send();
	share_open(&other, 0);
	channel.fd = rounds_stream;
	lseek(rounds_stream, 0, SEEK_SET);
	assert_int_equal(gw_state_reader_new(&reader, &channel), 0);
	assert_int_equal(fs_load(&other.fs, reader), -ENOENT); /* and not that it is cut */
	assert_non_null(strstr(gw_last_error(), "is not the one of the source"));
	gw_state_reader_free(reader);
	share_close(&other);
	rounds_rest();
	close(rounds_stream);
}

/* So does one to which the tree is copied when the guest is at rest, of what needs no tree. */
static void copy_refused_early(void **state)
{
	struct share other;

	gather(3);
	rounds_begin(3);
	rounds_send();
	rounds_send();
	share_open(&other, 0);
	other.host.same = FS_SAME_TREE;
	other.fs.policy.fuse_minor = 36;
	lseek(rounds_stream, 0, SEEK_SET);
	assert_int_equal(move_load(&other, dup(rounds_stream)), -EINVAL);
	assert_non_null(strstr(gw_last_error(), "fuse-minor"));
	/* Nothing is looked for yet: the tree is empty. */
	other.fs.policy.fuse_minor = 39;
	lseek(rounds_stream, 0, SEEK_SET);
	assert_int_equal(move_load(&other, dup(rounds_stream)), -EBADMSG);
	share_close(&other);
	rounds_rest();
	close(rounds_stream);
}

/* Two rounds settle both directories; then the outer one is said to be in the inner one. */
static void its_own_ancestor(void **state)
{
	struct gw_fs_name_v1 name = {.name = {.data = "dir", .len = 3}};

	prepare_few();
	name.parent = sub;
	name.inode = dir;
	rounds_begin(3);
	rounds_send();
	rounds_send();
	assert_int_equal(gw_state_writer_phase(rounds_writer, GW_PHASE_RUNNING), 0);
	assert_int_equal(gw_state_put(rounds_writer, &gw_fs_name_v1, &name), 0);
	rounds_rest();
	move_twin(&to, &from);
	lseek(rounds_stream, 0, SEEK_SET);
	assert_int_equal(move_load(&to, rounds_stream), -EINVAL);
	assert_non_null(strstr(gw_last_error(), "is its own ancestor"));
	move_twin_close(&to);
}

/* Given up at any moment: the source is as it was, for an ordinary save too. */
static void given_up(void **state)
{
	gather_crowd();
	prepare_few();
	for (unsigned calls = 0; calls < 20; calls++) {
		rounds_begin(3);
		assert_int_equal(gw_state_writer_phase(rounds_writer, GW_PHASE_RUNNING), 0);
		for (unsigned n = 0; n < calls; n++)
			assert_true(fs_save(&from.fs, rounds_writer, GW_PHASE_RUNNING, 500) >= 0);
		assert_int_equal(fs_iterate(&from.fs, false), 0);
		gw_state_writer_free(rounds_writer);
		close(rounds_stream);
		looked_up_again();
		move_over(&to, &from);
		assert_same_tables();
		leave();
	}
}

/* What is left is told, and gets less. */
static void pending(void **state)
{
	struct fs_maker maker = {.inodes = from.fs.inodes};
	struct gw_pending left;

	gather_crowd();
	rounds_begin(3);
	rounds_send();
	assert_int_equal(fs_pending(&from.fs, &left), 0);
	assert_int_equal(left.initial + left.dirty, 0);
	forget(crowd[0]);
	forget(crowd[400]);
	assert_int_equal(fs_pending(&from.fs, &left), 0);
	assert_true(left.dirty > 0);
	/* That it was made ready to be sent, beside the guest, does not mean that it was. */
	assert_int_equal(fs_maker_init(&maker), 0);
	assert_int_equal(fs_unit_make(&maker, (uint32_t)crowd[0] / FS_UNIT), 0);
	assert_int_equal(fs_unit_make(&maker, (uint32_t)crowd[400] / FS_UNIT), 0);
	fs_maker_fini(&maker);
	assert_int_equal(fs_pending(&from.fs, &left), 0);
	assert_true(left.dirty > 0);
	rounds_send();
	assert_int_equal(fs_pending(&from.fs, &left), 0);
	assert_int_equal(left.initial + left.dirty, 0);
	rounds_rest();
	close(rounds_stream);
}

int main(void)
{
#define WITH_SHARE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_SHARE(little_is_sent_again),
		cmocka_unit_test(every_change),
		cmocka_unit_test(every_change_in_a_round),
		WITH_SHARE(slots_used_again),
		WITH_SHARE(handles),
		WITH_SHARE(unlinked_while_open),
		WITH_SHARE(gone_between_rounds),
		WITH_SHARE(unnamed),
		WITH_SHARE(unnamed_in_a_used_slot),
		WITH_SHARE(refused_early),
		WITH_SHARE(copy_refused_early),
		WITH_SHARE(its_own_ancestor),
		WITH_SHARE(given_up),
		WITH_SHARE(pending),
	};

	gw_log_set_level(GW_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
