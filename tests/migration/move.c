/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/move.c - a virtio-fs device's state from one share to another, without a VMM. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/counters.h"
#include "fs/dir.h"
#include "fs/foreign_virtiofsd.h"
#include "fs/locks.h"
#include "fs/pool.h"
#include "fs/records.h"
#include "fs/root.h"
#include "move.h"
#include "state/stream.h"

unsigned move_number = 3;

const uint8_t *move_key;
const struct gw_state_handler *move_own;
const void *move_own_object;

void move_model(char model[GW_CANONICAL_MAX], unsigned number)
{
	int len = snprintf(model, GW_CANONICAL_MAX, "godwit-project.org/virtio-fs\n");

	if (number > 1)
		snprintf(model + len, GW_CANONICAL_MAX - (size_t)len, "state=%u\n", number);
}

static struct gw_state_writer *begin(int fd)
{
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1, .key = move_key};
	struct gw_state_header header = {.implementation = "test", .mode = GW_MODE_STATEFUL};
	struct gw_state_writer *writer;

	move_model(header.model, move_number);
	assert_int_equal(gw_state_writer_new(&writer, &channel, &header), 0);
	assert_int_equal(gw_state_writer_phase(writer, GW_PHASE_STOPPED), 0);
	return writer;
}

int move_save_result(struct share *from, int *fd)
{
	struct gw_state_writer *writer;
	int err;

	*fd = memfd_create("state", MFD_CLOEXEC);
	assert_true(*fd >= 0);
	writer = begin(*fd);
	if (move_own)
		assert_int_equal(gw_state_put(writer, move_own->layout, move_own_object), 0);
	err = fs_save(&from->fs, writer, GW_PHASE_STOPPED, SIZE_MAX);
	if (!err)
		err = gw_state_writer_end(writer);
	gw_state_writer_free(writer);
	lseek(*fd, 0, SEEK_SET);
	return err;
}

int move_save(struct share *from)
{
	int fd, err = move_save_result(from, &fd);

	if (err)
		fail_msg("save: %s", gw_last_error());
	return fd;
}

int move_stream(void (*put)(struct gw_state_writer *writer))
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	struct gw_state_writer *writer = begin(fd);

	put(writer);
	assert_int_equal(gw_state_writer_end(writer), 0);
	gw_state_writer_free(writer);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

int move_load(struct share *to, int stream)
{
	const struct gw_state_channel channel = {
		.fd = stream, .cancel = -1, .key = move_key, .foreign = fs_foreign_formats};
	struct gw_state_reader *reader;
	int err = gw_state_reader_new(&reader, &channel);

	if (!err) {
		gw_state_reader_set_own(reader, move_own, NULL);
		err = fs_load(&to->fs, reader);
		gw_state_reader_free(reader);
	}
	close(stream);
	return err;
}

void move_source(struct share *from)
{
	share_open(from, 0);
	from->fs.session = (struct fs_session){.initialised = true, .minor = 39};
}

void move_twin(struct share *to, const struct share *from)
{
	*to = (struct share){.host = from->host, .fs.policy = from->fs.policy};
	memcpy(to->path, from->path, sizeof(to->path));
	to->host.shared_dir = to->path;
	share_reopen(to);
}

void move_twin_close(struct share *to)
{
	share_close_tables(to);
}

void move_helpers(struct share *to, unsigned threads)
{
	assert_int_equal(fs_counters_new(&to->fs.counters, FS_POOL_THREADS_MAX), 0);
	assert_int_equal(fs_pool_new(&to->fs.pool, &to->fs, threads), 0);
}

void move_helpers_end(struct share *to)
{
	fs_pool_free(gw_take_ptr(to->fs.pool));
	fs_counters_free(to->fs.counters);
}

void move_over(struct share *to, struct share *from)
{
	move_twin(to, from);
	if (move_load(to, move_save(from)))
		fail_msg("load: %s", gw_last_error());
}

static uint64_t add(struct share *share, struct fs_inode *inode, int fd, int flags,
		    struct fs_dir *dir)
{
	uint64_t id;

	assert_true(fd >= 0);
	assert_int_equal(fs_handle_add(share->fs.handles, inode, fd, (uint32_t)flags, dir, &id), 0);
	return id;
}

uint64_t guest_open(struct share *share, uint64_t nodeid, int flags)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, nodeid);

	assert_non_null(inode);
	return add(share, inode, fs_inode_open(inode, flags), flags, NULL);
}

uint64_t guest_opendir(struct share *share, uint64_t nodeid)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, nodeid);
	struct fs_dir *dir;

	assert_non_null(inode);
	assert_int_equal(fs_dir_new(&dir, fs_dir_limit(&share->fs)), 0);
	return add(share, inode, fs_inode_open(inode, O_RDONLY | O_DIRECTORY),
		   O_RDONLY | O_DIRECTORY, dir);
}

uint64_t guest_tmpfile(struct share *share, const char *content, uint64_t *nodeid)
{
	FS_AUTO_INODE struct fs_inode *root = fs_inode_get(share->fs.inodes, FS_ROOT_ID);
	int fd = open(share->path, O_TMPFILE | O_RDWR, 0640);
	struct fs_inode *inode;
	struct statx stx;
	uint64_t handle;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	assert_int_equal(fs_inode_lookup_fd(share->fs.inodes, root, NULL, fd, nodeid, &stx), 0);
	inode = fs_inode_get(share->fs.inodes, *nodeid);
	handle = add(share, inode, fd, O_RDWR, NULL);
	fs_inode_put(inode);
	return handle;
}

void guest_unlink(struct share *share, uint64_t parent, const char *name, const char *path)
{
	FS_AUTO_INODE struct fs_inode *dir = fs_inode_get(share->fs.inodes, parent);
	struct fs_victim victim;

	assert_non_null(dir);
	fs_name_removing(share->fs.inodes, dir, name, &victim);
	if (unlink(path) < 0)
		assert_int_equal(rmdir(path), 0);
	fs_name_removed(&victim, true);
}

int guest_fd(struct share *share, uint64_t handle)
{
	FS_AUTO_HANDLE struct fs_handle *found = fs_handle_get(share->fs.handles, handle);

	assert_non_null(found);
	return found->fd;
}

const char *guest_read(struct share *share, uint64_t handle)
{
	static char text[4096];
	ssize_t len = pread(guest_fd(share, handle), text, sizeof(text) - 1, 0);

	assert_true(len >= 0);
	text[len] = 0;
	return text;
}

void guest_append(struct share *share, uint64_t handle, const char *text)
{
	int fd = guest_fd(share, handle);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(pwrite(fd, text, strlen(text), st.st_size), strlen(text));
}
