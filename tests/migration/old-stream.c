/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/old-stream.c - a stream that was once written, for a share that there is now. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/records.h"
#include "old-stream.h"
#include "state/stream.h"

struct again {
	const struct share *share;
	const struct standin *standins;
	struct gw_state_writer *writer;
	unsigned objects;
};

static int put(struct again *again, const struct gw_layout *layout, const void *object)
{
	again->objects++;
	return gw_state_put(again->writer, layout, object);
}

static int take_back(struct again *again, const struct gw_layout *layout, const void *object)
{
	again->objects++;
	return gw_state_delete(again->writer, layout, object);
}

static void stand_in(const struct again *again, struct gw_fs_inode_v1 *inode)
{
	const struct standin *in = again->standins;
	struct statx stx;

	while (in->id && in->id != inode->id)
		in++;
	if (!in->id)
		return;
	assert_int_equal(statx(AT_FDCWD, share_path(again->share, "%s", in->path),
			       AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &stx),
			 0);
	inode->ino = stx.stx_ino;
	inode->btime = (uint64_t)stx.stx_btime.tv_sec * 1000000000 + stx.stx_btime.tv_nsec;
	inode->handle = (struct gw_bytes){0};
}

static int put_inode(void *opaque, const void *object)
{
	struct gw_fs_inode_v1 inode = *(const struct gw_fs_inode_v1 *)object;

	stand_in(opaque, &inode);
	return put(opaque, &gw_fs_inode_v1, &inode);
}

/* They belong to root, and only root can make files that do. */
static int put_orphan(void *opaque, const void *object)
{
	struct gw_fs_orphan_v1 orphan = *(const struct gw_fs_orphan_v1 *)object;

	if (geteuid() != 0) {
		orphan.uid = geteuid();
		orphan.gid = getegid();
	}
	return put(opaque, &gw_fs_orphan_v1, &orphan);
}

#define PUT_SAME(layout_)                                          \
	static int put_##layout_(void *opaque, const void *object) \
	{                                                          \
		return put(opaque, &layout_, object);              \
	}
PUT_SAME(gw_fs_session_v1)
PUT_SAME(gw_fs_mount_v1)
PUT_SAME(gw_fs_name_v1)
PUT_SAME(gw_fs_content_v1)
PUT_SAME(gw_fs_xattr_v1)
PUT_SAME(gw_fs_handle_v1)
PUT_SAME(gw_fs_dir_v1)
PUT_SAME(gw_fs_lock_v1)
PUT_SAME(gw_fs_flock_v1)

#define TAKE_BACK(layout_)                                               \
	static int take_back_##layout_(void *opaque, const void *object) \
	{                                                                \
		return take_back(opaque, &layout_, object);              \
	}
TAKE_BACK(gw_fs_inode_v1)
TAKE_BACK(gw_fs_name_v1)
TAKE_BACK(gw_fs_orphan_v1)
TAKE_BACK(gw_fs_handle_v1)

static const struct gw_state_handler same[] = {
	{&gw_fs_session_v1, put_gw_fs_session_v1, NULL},
	{&gw_fs_mount_v1, put_gw_fs_mount_v1, NULL},
	{&gw_fs_inode_v1, put_inode, take_back_gw_fs_inode_v1},
	{&gw_fs_name_v1, put_gw_fs_name_v1, take_back_gw_fs_name_v1},
	{&gw_fs_orphan_v1, put_orphan, take_back_gw_fs_orphan_v1},
	{&gw_fs_content_v1, put_gw_fs_content_v1, NULL},
	{&gw_fs_xattr_v1, put_gw_fs_xattr_v1, NULL},
	{&gw_fs_handle_v1, put_gw_fs_handle_v1, take_back_gw_fs_handle_v1},
	{&gw_fs_dir_v1, put_gw_fs_dir_v1, NULL},
	{&gw_fs_lock_v1, put_gw_fs_lock_v1, NULL},
	{&gw_fs_flock_v1, put_gw_fs_flock_v1, NULL},
	{0},
};

static int mark(void *opaque, enum gw_phase phase)
{
	return gw_state_writer_phase(((struct again *)opaque)->writer, phase);
}

int old_stream(const char *path, const struct share *share, const struct standin *standins,
	       unsigned *objects)
{
	GW_AUTO_FD int old = open(path, O_RDONLY | O_CLOEXEC);
	int anew = memfd_create("state", MFD_CLOEXEC);
	const struct gw_state_channel in = {.fd = old, .cancel = -1};
	const struct gw_state_channel out = {.fd = anew, .cancel = -1};
	struct again again = {.share = share, .standins = standins};
	struct gw_state_reader *reader;

	assert_true(old >= 0);
	assert_int_equal(gw_state_reader_new(&reader, &in), 0);
	assert_int_equal(gw_state_writer_new(&again.writer, &out, gw_state_reader_header(reader)),
			 0);
	gw_state_at_phase(reader, mark, &again);
	if (gw_state_read(reader, same, &again))
		fail_msg("%s", gw_last_error());
	assert_true(gw_state_reader_is_complete(reader));
	gw_state_reader_free(reader);
	assert_int_equal(gw_state_writer_end(again.writer), 0);
	gw_state_writer_free(again.writer);
	lseek(anew, 0, SEEK_SET);
	*objects = again.objects;
	return anew;
}
