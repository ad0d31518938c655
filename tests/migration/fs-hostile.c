/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-hostile.c - records that cannot be true are refused, and leave no trace. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fuse_wire.h"
#include "fs/records.h"
#include "fs/slots.h"
#include "move.h"

#define BYTES(text)                                     \
	{                                               \
		.data = (text), .len = sizeof(text) - 1 \
	}

static struct share share;
static struct gw_state_writer *out;

static void put(const struct gw_layout *layout, const void *object)
{
	assert_int_equal(gw_state_put(out, layout, object), 0);
}

#define PUT(layout_, ...) put(&(layout_), &(const struct layout_){__VA_ARGS__})

static void session(void)
{
	PUT(gw_fs_session_v1, .initialised = false);
}

static void root(void)
{
	PUT(gw_fs_inode_v1, .id = FS_ROOT_ID, .type = DT_DIR);
}

static void inode(uint64_t id, unsigned type)
{
	PUT(gw_fs_inode_v1, .id = id, .type = (uint16_t)type, .lookups = 1, .ino = id);
}

/* Each is one stream: what the beginning of a good one is followed by. */
static void no_inode_zero(void)
{
	inode(0, DT_REG);
}

static void no_index_zero(void)
{
	inode(UINT64_C(5) << 32, DT_REG);
}

static void no_index_too_high(void)
{
	inode(FS_SLOTS_MAX, DT_REG);
}

static void no_generation_too_high(void)
{
	inode(UINT64_MAX - UINT32_MAX + 7, DT_REG);
}

static void no_two_in_a_slot(void)
{
	inode(7, DT_REG);
	inode(7 + (UINT64_C(1) << 32), DT_REG);
}

static void no_other_root(void)
{
	inode(FS_ROOT_ID + (UINT64_C(1) << 32), DT_DIR);
}

static void no_root_that_is_a_file(void)
{
	inode(FS_ROOT_ID, DT_REG);
}

static void no_type_zero(void)
{
	inode(7, 0);
}

static void no_type_that_wraps(void)
{
	inode(7, 256 + DT_REG);
}

static void no_type_that_is_none(void)
{
	inode(7, 3);
}

static void no_change_of_type(void)
{
	inode(7, DT_DIR);
	inode(7, DT_REG);
}

static void no_unknown_mount(void)
{
	PUT(gw_fs_inode_v1, .id = 7, .type = DT_REG, .mount = 3);
}

static void no_mount_out_of_range(void)
{
	PUT(gw_fs_mount_v1, .index = 1u << 20);
}

static void no_mount_zero(void)
{
	PUT(gw_fs_mount_v1, .index = 0);
}

static void no_count_out_of_bounds(void)
{
	PUT(gw_fs_inode_v1, .id = 7, .type = DT_REG, .lookups = UINT64_MAX);
}

static void no_taking_back_the_unknown(void)
{
	const struct gw_fs_inode_v1 record = {.id = 7};

	assert_int_equal(gw_state_delete(out, &gw_fs_inode_v1, &record), 0);
}

static void no_taking_back_the_root(void)
{
	const struct gw_fs_inode_v1 record = {.id = FS_ROOT_ID};

	assert_int_equal(gw_state_delete(out, &gw_fs_inode_v1, &record), 0);
}

static void name(uint64_t parent, struct gw_bytes bytes, uint64_t id)
{
	PUT(gw_fs_name_v1, .parent = parent, .name = bytes, .inode = id);
}

static void no_empty_name(void)
{
	inode(7, DT_REG);
	name(FS_ROOT_ID, (struct gw_bytes){.data = "", .len = 0}, 7);
}

static void no_name_with_a_slash(void)
{
	inode(7, DT_REG);
	name(FS_ROOT_ID, (struct gw_bytes)BYTES("a/b"), 7);
}

static void no_name_with_a_nul(void)
{
	inode(7, DT_REG);
	name(FS_ROOT_ID, (struct gw_bytes)BYTES("a\0b"), 7);
}

static void no_dot(void)
{
	inode(7, DT_REG);
	name(FS_ROOT_ID, (struct gw_bytes)BYTES("."), 7);
}

static void no_dot_dot(void)
{
	inode(7, DT_DIR);
	name(FS_ROOT_ID, (struct gw_bytes)BYTES(".."), 7);
}

static void no_unknown_parent(void)
{
	inode(7, DT_REG);
	name(8, (struct gw_bytes)BYTES("a"), 7);
}

static void no_unknown_child(void)
{
	name(FS_ROOT_ID, (struct gw_bytes)BYTES("a"), 7);
}

static void no_parent_that_is_a_file(void)
{
	inode(7, DT_REG);
	inode(8, DT_REG);
	name(7, (struct gw_bytes)BYTES("a"), 8);
}

static void no_name_of_the_root(void)
{
	inode(7, DT_DIR);
	name(7, (struct gw_bytes)BYTES("a"), FS_ROOT_ID);
}

static void no_own_parent(void)
{
	inode(7, DT_DIR);
	name(7, (struct gw_bytes)BYTES("a"), 7);
}

static void no_circle(void)
{
	inode(7, DT_DIR);
	inode(8, DT_DIR);
	inode(9, DT_DIR);
	name(7, (struct gw_bytes)BYTES("a"), 8);
	name(8, (struct gw_bytes)BYTES("b"), 9);
	name(9, (struct gw_bytes)BYTES("c"), 7);
}

static void orphan(uint64_t id, unsigned mode, uint64_t size)
{
	PUT(gw_fs_orphan_v1, .inode = id, .mode = mode, .size = size);
}

static void lost(uint64_t id)
{
	PUT(gw_fs_lost_v1, .inode = id);
}

static void no_unknown_loss(void)
{
	lost(7);
}

static void no_loss_of_the_root(void)
{
	lost(FS_ROOT_ID);
}

static void no_orphan_that_is_lost(void)
{
	inode(7, DT_REG);
	lost(7);
	orphan(7, S_IFREG | 0600, 0);
}

static void no_loss_of_an_orphan(void)
{
	inode(7, DT_REG);
	orphan(7, S_IFREG | 0600, 0);
	lost(7);
}

static void no_unknown_orphan(void)
{
	orphan(7, S_IFREG | 0600, 0);
}

static void no_orphaned_root(void)
{
	orphan(FS_ROOT_ID, S_IFDIR | 0700, 0);
}

static void no_orphan_of_another_type(void)
{
	inode(7, DT_REG);
	orphan(7, S_IFDIR | 0700, 0);
}

static void no_orphan_twice(void)
{
	inode(7, DT_REG);
	orphan(7, S_IFREG | 0600, 0);
	orphan(7, S_IFREG | 0600, 0);
}

static void no_endless_orphan(void)
{
	inode(7, DT_REG);
	orphan(7, S_IFREG | 0600, UINT64_MAX);
}

static void no_times_beyond_the_second(void)
{
	inode(7, DT_REG);
	PUT(gw_fs_orphan_v1, .inode = 7, .mode = S_IFREG, .mtime_ns = 1000000000);
}

static void no_link_to_nowhere(void)
{
	inode(7, DT_LNK);
	orphan(7, S_IFLNK | 0777, 0);
}

static void no_content_of_the_named(void)
{
	inode(7, DT_REG);
	PUT(gw_fs_content_v1, .inode = 7, .data = BYTES("x"));
}

static void no_content_beyond_the_end(void)
{
	inode(7, DT_REG);
	orphan(7, S_IFREG | 0600, 10);
	PUT(gw_fs_content_v1, .inode = 7, .offset = 10, .data = BYTES("x"));
}

static void no_content_that_wraps(void)
{
	inode(7, DT_REG);
	orphan(7, S_IFREG | 0600, 10);
	PUT(gw_fs_content_v1, .inode = 7, .offset = UINT64_MAX, .data = BYTES("xx"));
}

static void no_content_of_a_directory(void)
{
	inode(7, DT_DIR);
	orphan(7, S_IFDIR | 0700, 10);
	PUT(gw_fs_content_v1, .inode = 7, .data = BYTES("x"));
}

static void no_attribute_of_the_named(void)
{
	inode(7, DT_REG);
	PUT(gw_fs_xattr_v1, .inode = 7, .name = BYTES("user.a"), .value = BYTES("x"));
}

static void no_attribute_with_a_nul(void)
{
	inode(7, DT_REG);
	orphan(7, S_IFREG | 0600, 0);
	PUT(gw_fs_xattr_v1, .inode = 7, .name = BYTES("user.a\0b"), .value = BYTES("x"));
}

static void no_handle_of_the_unknown(void)
{
	PUT(gw_fs_handle_v1, .id = 3, .inode = 7);
}

static void no_handle_of_a_pipe(void)
{
	inode(7, DT_FIFO);
	orphan(7, S_IFIFO | 0600, 0);
	PUT(gw_fs_handle_v1, .id = 3, .inode = 7);
}

static void no_directory_handle_of_a_file(void)
{
	inode(7, DT_REG);
	orphan(7, S_IFREG | 0600, 0);
	PUT(gw_fs_handle_v1, .id = 3, .inode = 7, .directory = true);
}

static void no_handle_zero(void)
{
	PUT(gw_fs_handle_v1, .id = 0, .inode = FS_ROOT_ID, .directory = true);
}

static void no_two_handles_in_a_slot(void)
{
	PUT(gw_fs_handle_v1, .id = 3, .inode = FS_ROOT_ID, .directory = true);
	PUT(gw_fs_handle_v1, .id = 3 + (UINT64_C(9) << 32), .inode = FS_ROOT_ID, .directory = true);
}

static void no_entry_of_the_unknown(void)
{
	PUT(gw_fs_dir_v1, .handle = 3);
}

static void no_entry_out_of_order(void)
{
	PUT(gw_fs_handle_v1, .id = 3, .inode = FS_ROOT_ID, .directory = true);
	PUT(gw_fs_dir_v1, .handle = 3, .position = 1);
}

static void no_missing_file(void)
{
	inode(7, DT_REG);
	name(FS_ROOT_ID, (struct gw_bytes)BYTES("not-there"), 7);
}

static void no_file_without_a_trace(void)
{
	inode(7, DT_REG);
}

static void no_file_of_another_number(void)
{
	inode(7, DT_REG);
	name(FS_ROOT_ID, (struct gw_bytes)BYTES("file"), 7);
}

static void no_generation_at_its_end(void)
{
	PUT(gw_fs_session_v1, .inode_generation = UINT32_MAX);
}

static void no_strange_session(void)
{
	PUT(gw_fs_session_v1, .initialised = true, .minor = 39, .flags = UINT64_MAX);
}

static void no_session_of_another_age(void)
{
	PUT(gw_fs_session_v1, .initialised = true, .minor = 12345);
}

static void no_requests_too_long(void)
{
	PUT(gw_fs_session_v1, .initialised = true, .minor = 39, .max_write = UINT32_MAX);
}

static void no_flag_without_its_parameter(void)
{
	PUT(gw_fs_session_v1, .initialised = true, .minor = 39, .flags = FUSE_WRITEBACK_CACHE);
}

static void open_file(void)
{
	inode(7, DT_REG);
	orphan(7, S_IFREG | 0600, 0);
	PUT(gw_fs_handle_v1, .id = 3, .inode = 7, .flags = O_RDWR);
}

static void lock(uint64_t id, uint64_t owner, uint64_t start, uint64_t end)
{
	PUT(gw_fs_lock_v1, .inode = id, .owner = owner, .start = start, .end = end, .write = true);
}

static void no_lock_of_the_unknown(void)
{
	lock(7, 1, 0, 9);
}

static void no_lock_of_a_directory(void)
{
	lock(FS_ROOT_ID, 1, 0, 9);
}

static void no_lock_backwards(void)
{
	open_file();
	lock(7, 1, 9, 0);
}

static void no_lock_beyond_the_last_byte(void)
{
	open_file();
	lock(7, 1, 0, UINT64_MAX);
}

static void no_lock_twice(void)
{
	open_file();
	lock(7, 1, 0, 9);
	lock(7, 1, 9, 10);
}

static void no_lock_of_two(void)
{
	open_file();
	lock(7, 1, 0, 9);
	lock(7, 2, 9, 10);
}

static void no_lock_lost_and_held(void)
{
	open_file();
	lock(7, 1, 0, 9);
	PUT(gw_fs_lock_v1, .inode = 7, .owner = 1, .lost = true);
}

static void no_lock_held_and_lost(void)
{
	open_file();
	PUT(gw_fs_lock_v1, .inode = 7, .owner = 1, .lost = true);
	lock(7, 1, 0, 9);
}

static void no_endless_owners(void)
{
	open_file();
	for (uint64_t i = 0; i <= 4096; i++)
		PUT(gw_fs_lock_v1, .inode = 7, .owner = i, .start = 0, .end = 0);
}

static void no_endless_ranges(void)
{
	open_file();
	for (uint64_t i = 0; i <= 1024; i++)
		lock(7, 1, 2 * i, 2 * i);
}

static void no_flock_of_the_unknown(void)
{
	PUT(gw_fs_flock_v1, .handle = 3, .shared = true);
}

static void no_flock_of_a_directory(void)
{
	PUT(gw_fs_handle_v1, .id = 3, .inode = FS_ROOT_ID, .directory = true);
	PUT(gw_fs_flock_v1, .handle = 3, .shared = true);
}

static void no_flock_both_ways(void)
{
	open_file();
	PUT(gw_fs_flock_v1, .handle = 3, .shared = true, .exclusive = true);
}

static void no_flock_of_two(void)
{
	open_file();
	PUT(gw_fs_handle_v1, .id = 4, .inode = 7, .flags = O_RDWR);
	PUT(gw_fs_flock_v1, .handle = 3, .exclusive = true);
	PUT(gw_fs_flock_v1, .handle = 4, .shared = true);
}

static void (*const hostile[])(void) = {
	no_lock_of_the_unknown,
	no_lock_of_a_directory,
	no_lock_backwards,
	no_lock_beyond_the_last_byte,
	no_lock_twice,
	no_lock_of_two,
	no_lock_lost_and_held,
	no_lock_held_and_lost,
	no_endless_owners,
	no_endless_ranges,
	no_flock_of_the_unknown,
	no_flock_of_a_directory,
	no_flock_both_ways,
	no_flock_of_two,
	no_requests_too_long,
	no_inode_zero,
	no_index_zero,
	no_index_too_high,
	no_generation_too_high,
	no_two_in_a_slot,
	no_other_root,
	no_root_that_is_a_file,
	no_type_zero,
	no_type_that_wraps,
	no_type_that_is_none,
	no_change_of_type,
	no_unknown_mount,
	no_mount_out_of_range,
	no_mount_zero,
	no_count_out_of_bounds,
	no_taking_back_the_unknown,
	no_taking_back_the_root,
	no_empty_name,
	no_name_with_a_slash,
	no_name_with_a_nul,
	no_dot,
	no_dot_dot,
	no_unknown_parent,
	no_unknown_child,
	no_parent_that_is_a_file,
	no_name_of_the_root,
	no_own_parent,
	no_circle,
	no_unknown_loss,
	no_loss_of_the_root,
	no_orphan_that_is_lost,
	no_loss_of_an_orphan,
	no_unknown_orphan,
	no_orphaned_root,
	no_orphan_of_another_type,
	no_orphan_twice,
	no_endless_orphan,
	no_times_beyond_the_second,
	no_link_to_nowhere,
	no_content_of_the_named,
	no_content_beyond_the_end,
	no_content_that_wraps,
	no_content_of_a_directory,
	no_attribute_of_the_named,
	no_attribute_with_a_nul,
	no_handle_of_the_unknown,
	no_handle_of_a_pipe,
	no_directory_handle_of_a_file,
	no_handle_zero,
	no_two_handles_in_a_slot,
	no_entry_of_the_unknown,
	no_entry_out_of_order,
	no_missing_file,
	no_file_without_a_trace,
	no_file_of_another_number,
	no_generation_at_its_end,
	no_strange_session,
	no_session_of_another_age,
	no_flag_without_its_parameter,
};

static void (*now)(void);

static void put_now(struct gw_state_writer *writer)
{
	out = writer;
	session();
	root();
	if (now)
		now();
}

static void put_without_root(struct gw_state_writer *writer)
{
	out = writer;
	session();
}

static void put_without_session(struct gw_state_writer *writer)
{
	out = writer;
	root();
}

static void put_nothing(struct gw_state_writer *writer)
{
	(void)writer;
}

/* What was there before is there, and in the share is nothing new. */
static void assert_untouched(const struct fs *before, uint64_t id)
{
	unsigned entries = 0;
	DIR *dir = opendir(share.path);

	while (readdir(dir))
		entries++;
	closedir(dir);
	assert_int_equal(entries, 3); /* ".", "..", "file" */
	assert_ptr_equal(share.fs.inodes, before->inodes);
	assert_ptr_equal(share.fs.handles, before->handles);
	assert_int_equal(share_ino(&share, id), host_ino(share_path(&share, "file")));
}

static void test_refused(void **state)
{
	static void (*const broken[])(struct gw_state_writer *) = {
		put_without_root, put_without_session, put_nothing};
	struct fs before;
	uint64_t id;

	(void)state;
	share_open(&share, 0);
	share_file(&share, "file", "");
	id = share_lookup(&share, FS_ROOT_ID, "file");
	before = share.fs;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		now = hostile[i];
		if (!move_load(&share, move_stream(put_now)))
			fail_msg("number %zu of the hostile streams was loaded", i);
		assert_true(gw_last_error()[0]);
		assert_untouched(&before, id);
	}
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		assert_int_not_equal(move_load(&share, move_stream(broken[i])), 0);
		assert_untouched(&before, id);
	}
	share_close(&share);
}

/* And the frame around them is not what was refused. */
static void test_the_rest_is_good(void **state)
{
	(void)state;
	share_open(&share, 0);
	now = NULL;
	assert_int_equal(move_load(&share, move_stream(put_now)), 0);
	share_close(&share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_rest_is_good),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
