/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-share.c - a share in a temporary directory, with the tables over it. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs-share.h"
#include "fs/collector.h"
#include "fs/hidden.h"
#include "fs/locks.h"
#include "fs/root.h"
#include "fs/session.h"

void share_reopen(struct share *share)
{
	share->fs.host = &share->host;
	share->fs.handover_peer = -1;
	share->fs.policy.fuse_minor = FUSE_KERNEL_MINOR_VERSION;
	share->fs.policy.max_write = FS_MAX_WRITE_MAX;
	assert_int_equal(fs_root_open(&share->fs), 0);
	assert_int_equal(fs_inodes_new(&share->fs.inodes, &share->fs), 0);
	assert_int_equal(fs_handles_new(&share->fs.handles, &share->fs), 0);
	assert_int_equal(fs_hidden_new(&share->fs.hidden, &share->fs), 0);
	assert_int_equal(fs_locks_new(&share->fs.locks), 0);
	assert_int_equal(fs_collector_new(&share->fs.collector, &share->fs), 0);
}

void share_open(struct share *share, unsigned fd_limit)
{
	share_open_in(share, "/tmp", fd_limit);
}

void share_open_in(struct share *share, const char *dir, unsigned fd_limit)
{
	*share = (struct share){0};
	snprintf(share->path, sizeof(share->path), "%s/godwit-share-XXXXXX", dir);
	assert_non_null(mkdtemp(share->path));
	share->host = (struct fs_host){.shared_dir = share->path, .fd_limit = fd_limit};
	share_reopen(share);
}

/* By descriptors: a tree may be deeper than any path is long. Takes @fd over. */
static void empty(int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (!strcmp(name, ".") || !strcmp(name, "..") || !unlinkat(fd, name, 0))
			continue;
		empty(openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
		unlinkat(fd, name, AT_REMOVEDIR);
	}
	closedir(dir);
}

void share_close_tables(struct share *share)
{
	fs_collector_free(share->fs.collector);
	fs_locks_free(share->fs.locks);
	fs_handles_free(share->fs.handles);
	fs_hidden_free(share->fs.hidden);
	fs_inodes_free(share->fs.inodes);
	fs_root_close(&share->fs);
}

void share_close(struct share *share)
{
	share_close_tables(share);
	empty(open(share->path, O_RDONLY | O_DIRECTORY));
	rmdir(share->path);
}

const char *share_path(const struct share *share, const char *format, ...)
{
	static _Thread_local char paths[4][4096];
	static _Thread_local unsigned turn;
	char *path = paths[turn++ % 4];
	int len = snprintf(path, 4096, "%s/", share->path);
	va_list args;

	va_start(args, format);
	vsnprintf(path + len, 4096 - (size_t)len, format, args);
	va_end(args);
	return path;
}

void share_file(const struct share *share, const char *name, const char *content)
{
	FILE *f = fopen(share_path(share, "%s", name), "w");

	assert_non_null(f);
	fputs(content, f);
	fclose(f);
}

void share_mkdir(const struct share *share, const char *name)
{
	assert_int_equal(mkdir(share_path(share, "%s", name), 0755), 0);
}

uint64_t share_lookup(struct share *share, uint64_t parent, const char *name)
{
	FS_AUTO_INODE struct fs_inode *dir = fs_inode_get(share->fs.inodes, parent);
	struct statx stx;
	uint64_t id = 0;

	assert_non_null(dir);
	assert_int_equal(fs_inode_lookup(share->fs.inodes, dir, name, &id, &stx), 0);
	return id;
}

uint64_t share_ino(struct share *share, uint64_t nodeid)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, nodeid);
	struct statx stx;

	assert_non_null(inode);
	assert_int_equal(fs_inode_statx(inode, &stx), 0);
	return stx.stx_ino;
}

uint64_t host_ino(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_ino;
}
