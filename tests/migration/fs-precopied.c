/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-precopied.c - a state that came ahead of itself: what it was does not show in
 * what is loaded, whatever the guest did in between. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "changes.h"
#include "fs/fuse_wire.h"
#include "fs/handles.h"
#include "fs/precopied.h"
#include "fs/records.h"
#include "fs/session.h"
#include "fs/table.h"
#include "precopy.h"
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

static void leave(void)
{
	fs_precopied_free(atomic_exchange(&to.fs.precopied, NULL));
	move_twin_close(&to);
}

/* -- tests ---------------------------------------------------------------------------------- */

static void precopy_arrives(void)
{
	precopy_end(&from);
	move_twin(&to, &from);
	if (precopy_load(&to))
		fail_msg("precopy: %s", gw_last_error());
	assert_non_null(atomic_load(&to.fs.precopied));
}

static void precopy(void)
{
	precopy_begin(&from);
	precopy_arrives();
}

static void arrive(void)
{
	if (move_load(&to, move_save(&from)))
		fail_msg("load: %s", gw_last_error());
	assert_null(atomic_load(&to.fs.precopied));
	assert_same_tables();
}

/* Of what is as it was nothing is staged again. */
static void little_is_done_again(void **state)
{
	guest_gather_crowd();
	precopy();
	guest_rename(FS_ROOT_ID, "crowd-7", "crowd-7", FS_ROOT_ID, "other", "other");
	guest_forget(guest_crowd[9]);
	arrive();
	assert_true(to.fs.loaded.same > 2 * CROWD / FS_UNIT - 4);
	assert_int_equal(to.fs.loaded.different, 2); /* both are in one unit */
	leave();
}

static void try_change(unsigned i, bool collects)
{
	void *none = NULL;

	set_up(&none);
	guest_gather(70); /* more than a unit */
	guest_prepare_few();
	if (collects)
		fs_prepare(&from.fs, true);
	precopy();
	print_message("%s%s\n", guest_changes[i].name, collects ? ", made ready meanwhile" : "");
	guest_changes[i].happens();
	arrive();
	leave();
	tear_down(&none);
}

static void every_change(void **state)
{
	for (unsigned i = 0; i < guest_change_count; i++) {
		try_change(i, false);
		try_change(i, true);
	}
}

/* The first units of the precopy are of before, the last of after. */
static void every_change_in_it(void **state)
{
	for (unsigned i = 0; i < guest_change_count; i++) {
		for (unsigned steps = 1; steps < 8; steps++) {
			void *none = NULL;

			set_up(&none);
			guest_prepare_few();
			guest_gather(70);
			precopy_begin(&from);
			for (unsigned n = 0; n < steps; n++)
				precopy_step(&from);
			print_message("%s, after %u steps\n", guest_changes[i].name, steps);
			guest_changes[i].happens();
			precopy_arrives();
			arrive();
			leave();
			tear_down(&none);
		}
	}
}

static void slots_used_again(void **state)
{
	char name[16];

	guest_gather_crowd();
	precopy();
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = round; i < CROWD; i += 3)
			guest_forget(guest_crowd[i]);
		for (unsigned i = round; i < CROWD; i += 3) {
			snprintf(name, sizeof(name), "crowd-%u", (i * 7 + round) % CROWD);
			guest_crowd[i] = share_lookup(&from, FS_ROOT_ID, name);
		}
	}
	arrive();
	leave();
}

static void handles(void **state)
{
	uint64_t file = guest_make(FS_ROOT_ID, "", "file"), closed, kept, later;

	closed = guest_open(&from, file, O_RDONLY);
	kept = guest_open(&from, file, O_RDWR);
	precopy();
	assert_int_equal(fs_handle_release(from.fs.handles, closed), 0);
	later = guest_open(&from, file, O_WRONLY);
	guest_append(&from, kept, "more");
	arrive();
	assert_string_equal(guest_read(&to, kept), "filemore");
	guest_append(&to, later, "!");
	assert_string_equal(guest_read(&to, kept), "filemore!");
	assert_null(fs_handle_get(to.fs.handles, closed));
	leave();
}

/* Whoever has the slot of a handle by the time of the state. */
static void handle_is_anothers(void **state)
{
	uint64_t a = guest_make(FS_ROOT_ID, "", "a"), b = guest_make(FS_ROOT_ID, "", "b"), handle;

	handle = guest_open(&from, a, O_RDONLY);
	precopy();
	assert_int_equal(fs_handle_release(from.fs.handles, handle), 0);
	handle = guest_open(&from, b, O_RDONLY);
	arrive();
	assert_string_equal(guest_read(&to, handle), "b");
	leave();
}

static void unlinked_while_open(void **state)
{
	uint64_t file = guest_make(FS_ROOT_ID, "", "file"), handle, other, id;

	handle = guest_open(&from, file, O_RDWR);
	other = guest_tmpfile(&from, "nameless", &id);
	precopy();
	guest_unlink_in(FS_ROOT_ID, "file", "file");
	guest_append(&from, handle, " and more");
	guest_append(&from, other, " and more");
	arrive();
	assert_string_equal(guest_read(&to, handle), "file and more");
	assert_string_equal(guest_read(&to, other), "nameless and more");
	leave();
}

/* What is made anew is what its number says, or the next file of that number would be taken for it.
 */
static void unlinked_is_made_anew(void **state)
{
	uint64_t file = guest_make(FS_ROOT_ID, "", "file"), handle;
	struct fs_inode *inode;
	struct stat st;

	handle = guest_open(&from, file, O_RDWR);
	precopy();
	guest_unlink_in(FS_ROOT_ID, "file", "file");
	arrive();
	inode = fs_inode_get(to.fs.inodes, file);
	assert_int_equal(fstat(guest_fd(&to, handle), &st), 0);
	assert_int_equal(inode->ino, st.st_ino);
	fs_inode_put(inode);
	leave();
}

/* What the host removed in between is missed by who loads, and not by the precopy. */
static void gone_in_between(void **state)
{
	uint64_t file = guest_make(FS_ROOT_ID, "", "file"), handle;

	guest_open(&from, file, O_RDONLY);
	precopy();
	assert_int_equal(unlink(share_path(&from, "file")), 0);
	handle = guest_open(&from, file, O_RDONLY);
	arrive();
	assert_string_equal(guest_read(&to, handle), "file");
	leave();
}

/* It is of another guest, of whom everything is another thing. */
static void of_another_guest(void **state)
{
	struct share one;

	guest_gather_crowd();
	guest_prepare_few();
	precopy_begin(&from);
	precopy_end(&from);
	one = from;
	move_twin(&from, &one);
	from.fs.session = one.fs.session;
	share_lookup(&from, FS_ROOT_ID, "crowd-3");
	share_lookup(&from, share_lookup(&from, FS_ROOT_ID, "dir"), "b");
	move_twin(&to, &from);
	assert_int_equal(precopy_load(&to), 0);
	arrive();
	assert_int_equal(count_inodes(&to), 4);
	leave();
	move_twin_close(&from);
	from = one;
}

/* Under the same ids there are other files. */
static void of_another_guest_with_the_same_ids(void **state)
{
	struct share one;
	uint64_t file, handle;

	(void)state;
	guest_make(FS_ROOT_ID, "", "a");
	guest_make(FS_ROOT_ID, "", "b");
	precopy_begin(&from);
	precopy_end(&from);
	one = from;
	move_twin(&from, &one);
	from.fs.session = one.fs.session;
	file = share_lookup(&from, FS_ROOT_ID, "b");
	share_lookup(&from, FS_ROOT_ID, "a");
	handle = guest_open(&from, file, O_RDONLY);
	move_twin(&to, &from);
	assert_int_equal(precopy_load(&to), 0);
	arrive();
	assert_string_equal(guest_read(&to, handle), "b");
	handle = guest_open(&to, file, O_RDONLY);
	assert_string_equal(guest_read(&to, handle), "b");
	leave();
	move_twin_close(&from);
	from = one;
}

static void of_another_share(void **state)
{
	struct share other;

	guest_gather_crowd();
	move_source(&other);
	move_twin(&to, &other);
	precopy_begin(&from);
	precopy_end(&from);
	assert_int_equal(precopy_load(&to), -ENOENT);
	assert_null(atomic_load(&to.fs.precopied));
	assert_int_equal(move_load(&to, move_save(&other)), 0);
	leave();
	share_close(&other);
}

/* Nothing is kept of it, and the state comes as if it had not been. */
static void damaged(void **state)
{
	uint8_t byte;
	off_t end;

	guest_gather_crowd();
	precopy_begin(&from);
	precopy_end(&from);
	end = lseek(precopy_stream, 0, SEEK_END);
	assert_int_equal(pread(precopy_stream, &byte, 1, end / 2), 1);
	byte ^= 1;
	assert_int_equal(pwrite(precopy_stream, &byte, 1, end / 2), 1);
	lseek(precopy_stream, 0, SEEK_SET);
	move_twin(&to, &from);
	assert_int_equal(precopy_load(&to), -EBADMSG);
	assert_null(atomic_load(&to.fs.precopied));
	arrive();
	leave();
}

/* A state that is none of the precopy's is no worse. */
static void state_is_damaged(void **state)
{
	uint8_t byte;
	int fd;

	guest_gather_crowd();
	precopy();
	guest_forget(guest_crowd[3]);
	fd = move_save(&from);
	assert_int_equal(pread(fd, &byte, 1, 2000), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 2000), 1);
	assert_int_equal(move_load(&to, fd), -EBADMSG);
	assert_null(atomic_load(&to.fs.precopied));
	arrive();
	leave();
}

static void replaced(void **state)
{
	guest_gather_crowd();
	precopy();
	guest_forget(guest_crowd[3]);
	precopy_begin(&from);
	precopy_end(&from);
	assert_int_equal(precopy_load(&to), 0);
	arrive();
	assert_int_equal(to.fs.loaded.different, 0);
	leave();
}

static void dropped(void **state)
{
	guest_gather_crowd();
	precopy();
	assert_int_equal(fs_precopy_load(&to.fs, NULL), 0);
	assert_null(atomic_load(&to.fs.precopied));
	arrive();
	assert_int_equal(to.fs.loaded.same, 0);
	leave();
}

/* Which is a way of its own to be ahead. */
static void state_in_rounds(void **state)
{
	guest_gather_crowd();
	precopy();
	rounds_begin(3);
	rounds_send();
	guest_forget(guest_crowd[3]);
	rounds_rest();
	lseek(rounds_stream, 0, SEEK_SET);
	if (move_load(&to, rounds_stream))
		fail_msg("load: %s", gw_last_error());
	assert_same_tables();
	assert_int_equal(to.fs.loaded.same, 0);
	leave();
}

static void put_session(struct gw_state_writer *to_writer)
{
	const struct gw_fs_session_v1 session = {.initialised = true};

	assert_int_equal(gw_state_put(to_writer, &gw_fs_session_v1, &session), 0);
}

/* What only the precopy has is not in the state. */
static void nothing_is_lent(void **state)
{
	guest_gather_crowd();
	precopy();
	assert_int_equal(move_load(&to, move_stream(put_session)), -EINVAL);
	assert_non_null(strstr(gw_last_error(), "no root"));
	leave();
}

static void key(void **state)
{
	static const uint8_t secret[GW_STATE_KEY_LEN] = "a key of thirty-two bytes, or so";

	move_key = secret;
	guest_gather_crowd();
	precopy();
	guest_forget(guest_crowd[3]);
	arrive();
	assert_true(to.fs.loaded.same > 2);
	leave();
	move_key = NULL;
}

static void copies_come_whole(void **state)
{
	guest_gather_crowd();
	precopy_begin(&from);
	precopy_end(&from);
	move_twin(&to, &from);
	to.host.same = FS_SAME_TREE;
	assert_int_equal(precopy_load(&to), -EOPNOTSUPP);
	leave();
}

/* A destination takes parameters that it was not told from the state, and before that has those of
 * its defaults: what the guest was offered is compared then, and not earlier. */
static void parameters_come_with_the_state(void **state)
{
	struct fs_policy told;

	from.fs.session.flags = FUSE_SUBMOUNTS;
	from.fs.policy.submounts = true;
	guest_gather_crowd();
	precopy_begin(&from);
	precopy_end(&from);
	move_twin(&to, &from);
	told = to.fs.policy;
	to.fs.policy.submounts = false;
	to.fs.policy.fuse_minor = FS_MINOR_MIN;
	if (precopy_load(&to))
		fail_msg("precopy: %s", gw_last_error());
	to.fs.policy = told; /* adopt() */
	arrive();
	assert_int_equal(to.fs.loaded.different, 0);
	leave();
}

/* And then it is. */
static void parameters_of_the_state_are_compared(void **state)
{
	from.fs.session.flags = FUSE_SUBMOUNTS;
	from.fs.policy.submounts = true;
	guest_gather_crowd();
	precopy();
	to.fs.policy.submounts = false;
	assert_int_equal(move_load(&to, move_save(&from)), -EINVAL);
	assert_non_null(strstr(gw_last_error(), "parameter submounts"));
	leave();
}

int main(void)
{
#define WITH_SHARE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_SHARE(little_is_done_again),
		cmocka_unit_test(every_change),
		cmocka_unit_test(every_change_in_it),
		WITH_SHARE(slots_used_again),
		WITH_SHARE(handles),
		WITH_SHARE(handle_is_anothers),
		WITH_SHARE(unlinked_while_open),
		WITH_SHARE(unlinked_is_made_anew),
		WITH_SHARE(gone_in_between),
		WITH_SHARE(of_another_guest),
		WITH_SHARE(of_another_guest_with_the_same_ids),
		WITH_SHARE(of_another_share),
		WITH_SHARE(damaged),
		WITH_SHARE(state_is_damaged),
		WITH_SHARE(replaced),
		WITH_SHARE(dropped),
		WITH_SHARE(state_in_rounds),
		WITH_SHARE(nothing_is_lent),
		WITH_SHARE(key),
		WITH_SHARE(copies_come_whole),
		WITH_SHARE(parameters_come_with_the_state),
		WITH_SHARE(parameters_of_the_state_are_compared),
	};

	gw_log_set_level(GW_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
