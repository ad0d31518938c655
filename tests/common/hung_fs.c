/* SPDX-License-Identifier: BSD-3-Clause */
/* common/hung_fs.c - a file system that answers some requests never. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fs/fuse_wire.h"
#include "hung_fs.h"

#define FILE_ID	    2
#define POLL_MS	    10
#define REQUEST_MAX (256 * 1024) /* at least what max_write allows, and a header */

struct request {
	struct fuse_in_header in;
	char body[REQUEST_MAX];
};

static void answer(struct hung_fs *fs, uint64_t unique, int error, const void *body, size_t len)
{
	char bytes[256];
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + len), .error = error, .unique = unique};

	memcpy(bytes, &out, sizeof(out));
	if (len)
		memcpy(bytes + sizeof(out), body, len);
	(void)!write(fs->fd, bytes, out.len);
}

static void hang(struct hung_fs *fs, uint64_t unique)
{
	bool fail;

	pthread_mutex_lock(&fs->lock);
	fail = fs->let_go || fs->count == HUNG_MAX;
	if (!fail)
		fs->hung[fs->count++] = unique;
	pthread_cond_broadcast(&fs->wake);
	pthread_mutex_unlock(&fs->lock);
	if (fail)
		answer(fs, unique, -EIO, NULL, 0);
}

static struct fuse_attr attr_of(uint64_t id)
{
	return (struct fuse_attr){.ino = id,
				  .mode = id == FILE_ID ? S_IFREG | 0666 : S_IFDIR | 0777,
				  .nlink = 1,
				  .size = id == FILE_ID ? 1 << 20 : 0,
				  .blksize = 4096};
}

static void look_up(struct hung_fs *fs, const struct request *req)
{
	struct fuse_entry_out entry = {.nodeid = FILE_ID, .attr = attr_of(FILE_ID)};

	if (!strncmp(req->body, "hang", 4))
		hang(fs, req->in.unique);
	else if (!strcmp(req->body, "file"))
		answer(fs, req->in.unique, 0, &entry, sizeof(entry));
	else
		answer(fs, req->in.unique, -ENOENT, NULL, 0);
}

static void serve(struct hung_fs *fs, const struct request *req)
{
	struct fuse_init_out init = {.major = 7,
				     .minor = 31,
				     .flags = FUSE_ASYNC_READ | FUSE_PARALLEL_DIROPS,
				     .max_write = 4096};
	struct fuse_attr_out attr = {.attr = attr_of(req->in.nodeid)};
	struct fuse_open_out open = {.fh = 1};
	char statfs[80] = {0}; /* struct fuse_statfs_out */

	switch (req->in.opcode) {
	case FUSE_INIT:
		answer(fs, req->in.unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		look_up(fs, req);
		break;
	case FUSE_GETATTR:
		answer(fs, req->in.unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		answer(fs, req->in.unique, 0, &open, sizeof(open));
		break;
	case FUSE_STATFS:
		answer(fs, req->in.unique, 0, statfs, sizeof(statfs));
		break;
	case FUSE_READ:
		hang(fs, req->in.unique);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
		answer(fs, req->in.unique, 0, NULL, 0);
		break;
	default:
		answer(fs, req->in.unique, -ENOSYS, NULL, 0);
	}
}

/* Until the file system is unmounted. */
static void *serve_all(void *opaque)
{
	struct hung_fs *fs = opaque;
	struct pollfd poller = {.fd = fs->fd, .events = POLLIN};
	static struct request req;

	for (;;) {
		ssize_t len = -1;

		/* Not woken by what is not to be read. */
		if (fs->deaf)
			usleep(POLL_MS * 1000);
		else
			poll(&poller, 1, POLL_MS);
		errno = EAGAIN;
		pthread_mutex_lock(&fs->lock);
		if (!fs->deaf)
			len = read(fs->fd, &req, sizeof(req));
		pthread_mutex_unlock(&fs->lock);
		if (len < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
			continue;
		if (len < (ssize_t)sizeof(req.in))
			return NULL;
		serve(fs, &req);
	}
}

bool hung_fs_start(struct hung_fs *fs, const char *path)
{
	char options[128];

	*fs = (struct hung_fs){.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
	snprintf(fs->path, sizeof(fs->path), "%s", path);
	fs->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fs->fd < 0)
		return false;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
		 fs->fd);
	if (mount("hung", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0 ||
	    pthread_create(&fs->thread, NULL, serve_all, fs)) {
		close(fs->fd);
		return false;
	}
	return true;
}

void hung_fs_await(struct hung_fs *fs, unsigned count)
{
	pthread_mutex_lock(&fs->lock);
	while (fs->count < count)
		pthread_cond_wait(&fs->wake, &fs->lock);
	pthread_mutex_unlock(&fs->lock);
}

void hung_fs_be_deaf(struct hung_fs *fs)
{
	pthread_mutex_lock(&fs->lock);
	fs->deaf = true;
	pthread_mutex_unlock(&fs->lock);
}

void hung_fs_let_go(struct hung_fs *fs)
{
	pthread_mutex_lock(&fs->lock);
	fs->let_go = true;
	fs->deaf = false;
	while (fs->count)
		answer(fs, fs->hung[--fs->count], -EIO, NULL, 0);
	pthread_mutex_unlock(&fs->lock);
}

void hung_fs_stop(struct hung_fs *fs)
{
	hung_fs_let_go(fs);
	umount2(fs->path, MNT_DETACH);
	pthread_cancel(fs->thread);
	pthread_join(fs->thread, NULL);
	/* Whoever has it mounted elsewhere ends with it. */
	close(fs->fd);
}
