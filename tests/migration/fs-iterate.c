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
#include "changes.h"
#include "rounds.h"
#include "state/stream.h"

static void arrive(void)
{
	rounds_arrive();
	assert_same_tables();
}

static void leave(void)
{
	move_twin_close(&to);
}

static void little_is_sent_again(void **state)
{
	uint64_t first, second, third, rest;

	guest_gather_crowd();
	rounds_begin(3);
	first = rounds_send();
	second = rounds_send();
	guest_rename(FS_ROOT_ID, "crowd-7", "crowd-7", FS_ROOT_ID, "other", "other");
	guest_make(FS_ROOT_ID, "", "new");
	third = rounds_send();
	guest_forget(guest_crowd[9]);
	rest = rounds_rest();
	assert_true(first > 10000);
	assert_true(second < 500); /* a mark, the session */
	assert_true(third < 1000);
	assert_true(rest < 1000);
	arrive();
	leave();
}

/* Before the rest, or between two rounds, or one part of it before and the rest after. */
static void try_change(unsigned i, unsigned rounds_before, unsigned rounds_after)
{
	void *none = NULL;

	rounds_set_up(&none);
	guest_gather(70); /* more than a unit */
	guest_prepare_few();
	rounds_begin(3);
	for (unsigned n = 0; n < rounds_before; n++)
		rounds_send();
	guest_changes[i].happens();
	for (unsigned n = 0; n < rounds_after; n++)
		rounds_send();
	print_message("%s, after %u rounds, before %u\n", guest_changes[i].name, rounds_before,
		      rounds_after);
	rounds_rest();
	arrive();
	leave();
	rounds_tear_down(&none);
}

static void every_change(void **state)
{
	for (unsigned i = 0; i < guest_change_count; i++) {
		for (unsigned before = 0; before < 2; before++) {
			for (unsigned after = 0; after < 3 - before; after++)
				try_change(i, before, after);
		}
	}
}

/* In the middle of a round: the first units of it are of before, the last of after. */
static void every_change_in_a_round(void **state)
{
	for (unsigned i = 0; i < guest_change_count; i++) {
		for (unsigned calls = 1; calls < 8; calls++) {
			void *none = NULL;

			rounds_set_up(&none);
			guest_prepare_few();
			guest_gather(70);
			rounds_begin(3);
			assert_int_equal(gw_state_writer_phase(rounds_writer, GW_PHASE_RUNNING), 0);
			for (unsigned n = 0; n < calls; n++)
				assert_true(fs_save(&from.fs, rounds_writer, GW_PHASE_RUNNING,
						    100) >= 0);
			print_message("%s, after %u calls\n", guest_changes[i].name, calls);
			guest_changes[i].happens();
			if (calls % 2)
				rounds_send();
			rounds_rest();
			arrive();
			leave();
			rounds_tear_down(&none);
		}
	}
}

/* Slots that are used again and again, by other inodes, between all rounds. */
static void slots_used_again(void **state)
{
	char name[16];

	guest_gather_crowd();
	rounds_begin(3);
	for (unsigned round = 0; round < 12; round++) {
		for (unsigned i = round % 3; i < CROWD; i += 3)
			guest_forget(guest_crowd[i]);
		if (round % 2)
			rounds_send();
		for (unsigned i = round % 3; i < CROWD; i += 3) {
			snprintf(name, sizeof(name), "crowd-%u", (i * 7 + round) % CROWD);
			guest_crowd[i] = share_lookup(&from, FS_ROOT_ID, name);
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

	file = guest_make(FS_ROOT_ID, "", "file");
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
	uint64_t file = guest_make(FS_ROOT_ID, "", "file"), handle;

	rounds_begin(3);
	handle = guest_open(&from, file, O_RDWR);
	rounds_send();
	guest_unlink_in(FS_ROOT_ID, "file", "file");
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
	uint64_t file = guest_make(FS_ROOT_ID, "", "file"), handle;

	from.host.verify = FS_VERIFY_NONE;
	rounds_begin(3);
	rounds_send();
	rounds_send();
	handle = guest_open(&from, file, O_RDWR);
	rounds_send();
	guest_unlink_in(FS_ROOT_ID, "file", "file");
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
	uint64_t file = guest_make(FS_ROOT_ID, "", "file"), id, handle;

	rounds_begin(3);
	rounds_send();
	guest_forget(file);
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

	guest_gather_crowd();
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

	guest_gather(3);
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

	guest_prepare_few();
	name.parent = guest_sub;
	name.inode = guest_dir;
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
	guest_gather_crowd();
	guest_prepare_few();
	for (unsigned calls = 0; calls < 20; calls++) {
		rounds_begin(3);
		assert_int_equal(gw_state_writer_phase(rounds_writer, GW_PHASE_RUNNING), 0);
		for (unsigned n = 0; n < calls; n++)
			assert_true(fs_save(&from.fs, rounds_writer, GW_PHASE_RUNNING, 500) >= 0);
		assert_int_equal(fs_iterate(&from.fs, false), 0);
		gw_state_writer_free(rounds_writer);
		close(rounds_stream);
		guest_look_again();
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

	guest_gather_crowd();
	rounds_begin(3);
	rounds_send();
	assert_int_equal(fs_pending(&from.fs, &left), 0);
	assert_int_equal(left.initial + left.dirty, 0);
	guest_forget(guest_crowd[0]);
	guest_forget(guest_crowd[400]);
	assert_int_equal(fs_pending(&from.fs, &left), 0);
	assert_true(left.dirty > 0);
	/* That it was made ready to be sent, beside the guest, does not mean that it was. */
	assert_int_equal(fs_maker_init(&maker), 0);
	assert_int_equal(fs_unit_make(&maker, (uint32_t)guest_crowd[0] / FS_UNIT), 0);
	assert_int_equal(fs_unit_make(&maker, (uint32_t)guest_crowd[400] / FS_UNIT), 0);
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
#define WITH_SHARE(test) cmocka_unit_test_setup_teardown(test, rounds_set_up, rounds_tear_down)
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
