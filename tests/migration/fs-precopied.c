/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-precopied.c - a state that came ahead of itself: what it was does not show in
 * what is loaded, whatever the guest did in between. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
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
#include "migration/parked.h"
#include "precopy.h"
#include "rounds.h"
#include "state/stream.h"

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

	rounds_set_up(&none);
	guest_gather(70); /* more than a unit */
	guest_prepare_few();
	if (collects)
		fs_prepare(&from.fs, true);
	precopy();
	print_message("%s%s\n", guest_changes[i].name, collects ? ", made ready meanwhile" : "");
	guest_changes[i].happens();
	arrive();
	leave();
	rounds_tear_down(&none);
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

			rounds_set_up(&none);
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
			rounds_tear_down(&none);
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

static struct share another; /* guest of the same share */

static void another_begins(void)
{
	move_twin(&another, &from);
	another.fs.session = from.fs.session;
}

/* What goes ahead is of that one. */
static void another_ends(void)
{
	precopy_begin(&another);
	precopy_end(&another);
	move_twin(&to, &from);
	if (precopy_load(&to))
		fail_msg("precopy: %s", gw_last_error());
	move_twin_close(&another);
}

/* It is of another guest, of whom everything is another thing. */
static void of_another_guest(void **state)
{
	char name[16];

	guest_gather_crowd();
	guest_prepare_few();
	another_begins();
	for (unsigned i = CROWD; i; i--) {
		snprintf(name, sizeof(name), "crowd-%u", i - 1);
		share_lookup(&another, FS_ROOT_ID, name);
	}
	another_ends();
	arrive();
	leave();
}

static void of_another_guest_that_knows_more(void **state)
{
	guest_gather_crowd();
	another_begins();
	share_lookup(&another, FS_ROOT_ID, "crowd-3");
	precopy();
	assert_int_equal(move_load(&to, move_save(&another)), 0);
	assert_int_equal(count_inodes(&to), 2);
	leave();
	move_twin_close(&another);
}

/* Under the same ids there are other files. */
static void of_another_guest_with_the_same_ids(void **state)
{
	uint64_t file, handle;

	guest_make(FS_ROOT_ID, "", "a");
	file = guest_make(FS_ROOT_ID, "", "b");
	handle = guest_open(&from, file, O_RDONLY);
	another_begins();
	share_lookup(&another, FS_ROOT_ID, "b");
	assert_int_equal(share_lookup(&another, FS_ROOT_ID, "a"), file);
	assert_int_equal(guest_open(&another, file, O_RDONLY), handle);
	another_ends();
	arrive();
	assert_string_equal(guest_read(&to, handle), "b");
	handle = guest_open(&to, file, O_RDONLY);
	assert_string_equal(guest_read(&to, handle), "b");
	leave();
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

/* A stream of the inodes of "from", and of one record more. */
static void loads_none_of(const struct gw_layout *layout, const void *record)
{
	precopy_begin(&from);
	while (precopy_step(&from))
		;
	precopy_put(layout, record);
	precopy_end(&from);
	move_twin(&to, &from);
	assert_true(precopy_load(&to) < 0);
	assert_null(atomic_load(&to.fs.precopied));
	arrive();
	leave();
}

/* What it said of that would be of the state, whatever that says. */
static void what_stands_in_states_alone(void **state)
{
	uint64_t file = guest_make(FS_ROOT_ID, "", "file");
	uint64_t handle = guest_open(&from, file, O_RDWR);
	const struct gw_fs_orphan_v1 orphan = {.inode = file, .mode = S_IFREG | 0600};
	const struct gw_fs_lost_v1 lost = {.inode = file};
	const struct gw_fs_lock_v1 lock = {
		.inode = file, .owner = 1, .end = 10, .write = true, .handle = handle};
	const struct gw_fs_flock_v1 flock = {.handle = handle, .exclusive = true};
	const struct gw_fs_handle_v1 dir = {.id = 99, .inode = FS_ROOT_ID, .directory = true};
	const struct gw_fs_foreign_id_v1 foreign = {.id = UINT64_MAX};

	loads_none_of(&gw_fs_orphan_v1, &orphan);
	loads_none_of(&gw_fs_lost_v1, &lost);
	loads_none_of(&gw_fs_lock_v1, &lock);
	loads_none_of(&gw_fs_flock_v1, &flock);
	loads_none_of(&gw_fs_handle_v1, &dir);
	loads_none_of(&gw_fs_foreign_id_v1, &foreign);
}

/* The guest has closed what it had open, and opened as much. */
static void no_more_descriptors(void **state)
{
	uint64_t file = guest_make(FS_ROOT_ID, "", "file"), handles[64];
	struct rlimit before, few;
	int stream, probe;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (unsigned i = 0; i < 64; i++)
		handles[i] = guest_open(&from, file, O_RDONLY);
	precopy();
	for (unsigned i = 0; i < 64; i++)
		fs_handle_release(from.fs.handles, handles[i]);
	for (unsigned i = 0; i < 64; i++)
		handles[i] = guest_open(&from, file, O_RDWR);
	stream = move_save(&from);
	/* Some are free below, and so many more may be had. */
	probe = dup(stream);
	few = (struct rlimit){.rlim_cur = (rlim_t)probe + 32, .rlim_max = before.rlim_max};
	close(probe);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	if (move_load(&to, stream))
		fail_msg("load: %s", gw_last_error());
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_string_equal(guest_read(&to, handles[63]), "file");
	leave();
}

struct parked {
	uint32_t queue;
};

static int put_parked(void *opaque, const void *object)
{
	(void)opaque;
	(void)object;
	return 0;
}

/* What the library has in a stream says nothing of the device's tables. */
static void a_parked_request(void **state)
{
	static const struct gw_field fields[] = {GW_KEY(struct parked, queue, GW_FIELD_U32), {0}};
	static const struct gw_layout layout = {.name = "a_parked_v1",
						.type = GW_RECORD_PARKED,
						.size = sizeof(struct parked),
						.fields = fields};
	static const struct gw_state_handler own[] = {{&layout, put_parked, NULL}, {0}};

	guest_gather_crowd();
	precopy();
	move_own = own;
	move_own_object = &(struct parked){1};
	arrive();
	move_own = NULL;
	assert_int_equal(to.fs.loaded.different, 0);
	assert_true(to.fs.loaded.same > 0);
	leave();
}

/* What is little of what comes is no reason to do more than without it. */
static void most_is_new(void **state)
{
	char name[16];

	guest_gather(10);
	precopy();
	for (unsigned i = 10; i < 40 * FS_UNIT; i++) {
		snprintf(name, sizeof(name), "new-%u", i);
		guest_make(FS_ROOT_ID, "", name);
	}
	arrive();
	assert_true(to.fs.loaded.different > 64);
	/* Nobody was looked at one by one: that is left for when the device runs. */
	assert_non_null(to.fs.inodes->index);
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
#define WITH_SHARE(test) cmocka_unit_test_setup_teardown(test, rounds_set_up, rounds_tear_down)
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
		WITH_SHARE(of_another_guest_that_knows_more),
		WITH_SHARE(of_another_guest_with_the_same_ids),
		WITH_SHARE(of_another_share),
		WITH_SHARE(damaged),
		WITH_SHARE(state_is_damaged),
		WITH_SHARE(replaced),
		WITH_SHARE(dropped),
		WITH_SHARE(state_in_rounds),
		WITH_SHARE(nothing_is_lent),
		WITH_SHARE(what_stands_in_states_alone),
		WITH_SHARE(no_more_descriptors),
		WITH_SHARE(a_parked_request),
		WITH_SHARE(most_is_new),
		WITH_SHARE(key),
		WITH_SHARE(copies_come_whole),
		WITH_SHARE(parameters_come_with_the_state),
		WITH_SHARE(parameters_of_the_state_are_compared),
	};

	gw_log_set_level(GW_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
