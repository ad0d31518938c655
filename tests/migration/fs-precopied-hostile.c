/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-precopied-hostile.c - states that no source makes are refused, or taken, as if
 * nothing had come ahead of them. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "changes.h"
#include "fs/handles.h"
#include "fs/precopied.h"
#include "fs/records.h"
#include "fs/table.h"
#include "precopy.h"
#include "rounds.h"
#include "state/stream.h"

/* Of what went ahead, and of what is a unit of its own. */
#define DIR_ID	  2
#define FILE_ID	  3
#define OTHER_ID  100
#define OTHER_DIR 101

static struct gw_state_writer *out;

static void session(void)
{
	const struct gw_fs_session_v1 record = {.max_write = 1};

	assert_int_equal(gw_state_put(out, &gw_fs_session_v1, &record), 0);
}

static struct gw_fs_inode_v1 inode_record(uint64_t id, unsigned mount)
{
	bool dir = id == FS_ROOT_ID || id == DIR_ID || id == OTHER_DIR;

	return (struct gw_fs_inode_v1){.id = id,
				       .type = dir ? DT_DIR : DT_REG,
				       .mount = mount,
				       .ino = 1000 + id,
				       .btime = 1,
				       .lookups = id != FS_ROOT_ID};
}

static void inode(uint64_t id)
{
	const struct gw_fs_inode_v1 record = inode_record(id, 0);

	assert_int_equal(gw_state_put(out, &gw_fs_inode_v1, &record), 0);
}

static void no_inode(uint64_t id)
{
	const struct gw_fs_inode_v1 record = inode_record(id, 0);

	assert_int_equal(gw_state_delete(out, &gw_fs_inode_v1, &record), 0);
}

static void name(uint64_t parent, const char *called, uint64_t id)
{
	const struct gw_fs_name_v1 record = {
		.parent = parent, .name = {.data = called, .len = strlen(called)}, .inode = id};

	assert_int_equal(gw_state_put(out, &gw_fs_name_v1, &record), 0);
}

static void mount(unsigned index)
{
	const struct gw_fs_mount_v1 record = {.index = index};

	assert_int_equal(gw_state_put(out, &gw_fs_mount_v1, &record), 0);
}

static void inode_on(uint64_t id, unsigned index)
{
	const struct gw_fs_inode_v1 record = inode_record(id, index);

	assert_int_equal(gw_state_put(out, &gw_fs_inode_v1, &record), 0);
}

static void orphan(uint64_t id)
{
	const struct gw_fs_orphan_v1 record = {.inode = id, .mode = S_IFREG | 0600};

	assert_int_equal(gw_state_put(out, &gw_fs_orphan_v1, &record), 0);
}

static void first_inodes(void)
{
	inode(FS_ROOT_ID);
	inode(DIR_ID);
	inode(FILE_ID);
}

/* What is of another kind ends a record. */
static void first_names(void)
{
	name(FS_ROOT_ID, "dir", DIR_ID);
	name(DIR_ID, "file", FILE_ID);
	session();
}

static void ahead(void)
{
	session();
	mount(1);
	first_inodes();
	session();
	inode(OTHER_ID);
	inode(OTHER_DIR);
	session();
	inode_on(200, 1);
	first_names();
	name(FS_ROOT_ID, "other", OTHER_ID);
	name(DIR_ID, "other-dir", OTHER_DIR);
}

/* -- states --------------------------------------------------------------------------------- */

static void whole(void)
{
	ahead();
}

static void begun(void)
{
	session();
	first_inodes();
	session();
}

static void taken_back(void)
{
	begun();
	no_inode(FILE_ID);
	first_names();
}

static void taken_back_and_there_again(void)
{
	begun();
	no_inode(FILE_ID);
	inode(FILE_ID);
	first_names();
}

static void taken_back_and_never_there(void)
{
	begun();
	no_inode(OTHER_ID);
	first_names();
}

static void another_put_and_taken_back(void)
{
	begun();
	inode(OTHER_DIR);
	session();
	no_inode(OTHER_DIR);
	first_names();
	name(FS_ROOT_ID, "other-dir", OTHER_DIR);
}

static void named_and_not_there(void)
{
	session();
	inode(FS_ROOT_ID);
	inode(DIR_ID);
	first_names();
}

static void in_a_directory_that_is_not_there(void)
{
	begun();
	inode(OTHER_ID);
	inode(OTHER_DIR);
	first_names();
	name(FS_ROOT_ID, "other", OTHER_ID);
	name(50, "other-dir", OTHER_DIR);
}

static void without_the_directory(void)
{
	session();
	inode(FS_ROOT_ID);
	session();
	inode(OTHER_ID);
	inode(OTHER_DIR);
	session();
	name(FS_ROOT_ID, "other", OTHER_ID);
	name(DIR_ID, "other-dir", OTHER_DIR);
}

static void names_first(void)
{
	session();
	inode(FS_ROOT_ID);
	first_names();
	first_inodes();
}

static void names_of_some_first(void)
{
	begun();
	first_names();
	inode(OTHER_ID);
	inode(OTHER_DIR);
	session();
	name(FS_ROOT_ID, "other", OTHER_ID);
	name(DIR_ID, "other-dir", OTHER_DIR);
}

static void comes_twice(void)
{
	begun();
	first_inodes();
	first_names();
}

static void unnamed(void)
{
	begun();
	first_names();
	orphan(FILE_ID);
}

static void unnamed_twice(void)
{
	begun();
	first_names();
	orphan(FILE_ID);
	orphan(FILE_ID);
}

static void on_a_mount_that_is_not_there(void)
{
	begun();
	inode_on(200, 1);
	first_names();
}

static void slot_of_another(void)
{
	begun();
	inode(UINT64_C(1) << 32 | FILE_ID);
	first_names();
}

static void a_way_in_a_circle(void)
{
	begun();
	inode(OTHER_ID);
	inode(OTHER_DIR);
	session();
	name(OTHER_DIR, "dir", DIR_ID);
	name(DIR_ID, "file", FILE_ID);
	session();
	name(FS_ROOT_ID, "other", OTHER_ID);
	name(DIR_ID, "other-dir", OTHER_DIR);
}

static const struct {
	const char *says;
	void (*state)(void);
} states[] = {
	{"what came ahead", whole},
	{"an inode that is taken back", taken_back},
	{"an inode that is taken back and comes again", taken_back_and_there_again},
	{"an inode that is taken back and was never there", taken_back_and_never_there},
	{"another one that is taken back", another_put_and_taken_back},
	{"a name of nobody", named_and_not_there},
	{"a name in nobody", in_a_directory_that_is_not_there},
	{"a name in a directory that is missing", without_the_directory},
	{"names, and then inodes", names_first},
	{"inodes, names, inodes, names", names_of_some_first},
	{"inodes twice", comes_twice},
	{"an unnamed file", unnamed},
	{"an unnamed file twice", unnamed_twice},
	{"an inode on no mount", on_a_mount_that_is_not_there},
	{"two inodes in a slot", slot_of_another},
	{"a directory in itself", a_way_in_a_circle},
};

/* -- tests ---------------------------------------------------------------------------------- */

static unsigned at;

static void put(struct gw_state_writer *writer)
{
	out = writer;
	states[at].state();
}

static void put_ahead(struct gw_state_writer *writer)
{
	out = writer;
	ahead();
}

static int load(struct share *share)
{
	int err = move_load(share, move_stream(put));

	print_message("%d: %s\n", err, err ? gw_last_error() : "");
	return err;
}

static void every_state(void **state)
{
	(void)state;
	for (at = 0; at < sizeof(states) / sizeof(states[0]); at++) {
		int err;

		print_message("%s\n", states[at].says);
		move_source(&from);
		from.host.verify = FS_VERIFY_NONE;
		move_twin(&to, &from);
		precopy_made(put_ahead);
		assert_int_equal(precopy_load(&to), 0);
		err = load(&from);
		assert_int_equal(load(&to), err);
		if (!err)
			assert_same_tables();
		move_twin_close(&to);
		share_close(&from);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_state)};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
