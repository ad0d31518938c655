/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/dir_read.c - the entries of an open directory, from a cookie on. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/dir.h"
#include "fs/dir_read.h"

/* What is asked of the host at once; at least one entry (of at most 280 bytes) must fit. */
#define HOST_CHUNK     (16 * 1024)
#define HOST_CHUNK_MIN 512

/* One READDIR. */
struct reading {
	struct fs_dir *dir;
	fs_list_put *put;
	void *opaque;
	bool any; /* something was served */
};

/* Stand where the stream goes on. The descriptor's own position is never relied on: the last
 * request may have read more of the host than it served. */
static int stand_at(struct fs_dir *dir, int fd, uint64_t cookie)
{
	int ret = fs_dir_resume(dir, cookie);
	uint64_t place = fs_dir_is_moved(dir) ? dir->place : cookie;

	if (ret < 0)
		return ret;
	if (place > INT64_MAX)
		return -EINVAL;
	return lseek(fd, (off_t)place, SEEK_SET) < 0 ? -errno : 0;
}

static int serve_entry(struct reading *reading, struct fs_listed *entry)
{
	struct fs_dir *dir = reading->dir;
	uint64_t place = entry->cookie;
	int ret;

	if (fs_dir_is_moved(dir)) {
		if (fs_dir_was_served(dir, entry->name, entry->len))
			return FS_LIST_PASSED;
		entry->cookie = fs_dir_next_cookie(dir);
	}
	ret = reading->put(reading->opaque, entry);
	if (ret == FS_LIST_TAKEN) {
		reading->any = true;
		fs_dir_serve(dir, entry->cookie, entry->name, entry->len);
		dir->place = place;
	}
	return ret;
}

/* All of @buf, as the host filled it. */
static int serve(struct reading *reading, const char *buf, size_t len)
{
	int ret = FS_LIST_PASSED;

	for (size_t i = 0; i < len && ret > FS_LIST_FULL;) {
		const struct dirent64 *d = (const void *)(buf + i);
		struct fs_listed entry = {
			.name = d->d_name,
			.len = strlen(d->d_name),
			.ino = d->d_ino,
			.cookie = (uint64_t)d->d_off,
			.type = d->d_type,
		};

		ret = serve_entry(reading, &entry);
		i += d->d_reclen;
	}
	return ret;
}

int fs_dir_read(struct fs_dir *dir, int fd, uint64_t cookie, size_t budget, fs_list_put *put,
		void *opaque)
{
	struct reading reading = {.dir = dir, .put = put, .opaque = opaque};
	_Alignas(struct dirent64) char buf[HOST_CHUNK];
	size_t most = GW_MIN(budget, sizeof(buf));
	size_t ask = GW_MAX(most, (size_t)HOST_CHUNK_MIN);
	int ret;

	GW_LOCK_SCOPE(&dir->lock);
	ret = stand_at(dir, fd, cookie);
	if (ret < 0)
		return ret;
	/* One piece of the host's is enough, if anything in it was for the guest. */
	do {
		ssize_t len = getdents64(fd, buf, ask);

		if (len <= 0)
			return len < 0 ? -errno : 0;
		ret = serve(&reading, buf, (size_t)len);
	} while (ret > FS_LIST_FULL && !reading.any);
	return ret < 0 ? ret : 0;
}
