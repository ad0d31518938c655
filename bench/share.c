/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/share.c - a virtio-fs device in this process, over a directory full of files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bench/share.h"
#include "fs/collector.h"
#include "fs/counters.h"
#include "fs/handle.h"
#include "fs/locks.h"
#include "fs/pool.h"
#include "fs/resolver.h"
#include "fs/root.h"
#include "godwit/error.h"

void bench_check(int err, const char *what)
{
	if (err >= 0)
		return;
	fprintf(stderr, "bench: %s: %s: %s\n", what, strerror(-err), gw_last_error());
	exit(1);
}

struct fs_inode *bench_look_up(struct fs *fs, struct fs_inode *parent, const char *name)
{
	struct statx stx;
	uint64_t id;

	bench_check(fs_inode_lookup(fs->inodes, parent, name, &id, &stx), name);
	return fs_inode_get(fs->inodes, id);
}

static void cache_file(struct fs *fs, struct fs_inode *dir, const char *name, int dir_fd,
		       bool open_it)
{
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	int fd = openat(dir_fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	uint64_t handle;

	bench_check(fd < 0 ? -errno : 0, name);
	close(fd);
	inode = bench_look_up(fs, dir, name);
	if (open_it)
		bench_check(fs_handle_add(fs->handles, inode, fs_inode_open(inode, O_RDWR), O_RDWR,
					  NULL, &handle),
			    name);
}

void bench_share_fill(struct fs *fs, unsigned count)
{
	unsigned step = count > BENCH_OPEN ? count / BENCH_OPEN : 1;

	for (unsigned i = 0; i < count; i += BENCH_PER_DIRECTORY) {
		FS_AUTO_INODE struct fs_inode *root = fs_inode_get(fs->inodes, FS_ROOT_ID);
		FS_AUTO_INODE struct fs_inode *dir = NULL;
		FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
		char name[32];

		snprintf(name, sizeof(name), "d%u", i / BENCH_PER_DIRECTORY);
		bench_check(mkdirat(fs->root_fd, name, 0700) && errno != EEXIST ? -errno : 0, name);
		dir = bench_look_up(fs, root, name);
		bench_check(fs_inode_fd(dir, &fd), name);
		for (unsigned j = i; j < i + BENCH_PER_DIRECTORY && j < count; j++) {
			snprintf(name, sizeof(name), "file-%011u", j);
			cache_file(fs, dir, name, fd.fd, j % step == 0);
		}
	}
}

void bench_share_open(struct fs *fs, struct fs_host *host, const char *path, unsigned threads)
{
	*host = (struct fs_host){.shared_dir = path};
	*fs = (struct fs){.host = host,
			  .session = {.initialised = true, .minor = 39},
			  .root_fd = -1,
			  .proc_fd = -1};
	bench_check(fs_root_open(fs), path);
	bench_check(fs_inodes_new(&fs->inodes, fs), "inodes");
	bench_check(fs_handles_new(&fs->handles, fs), "handles");
	bench_check(fs_locks_new(&fs->locks), "locks");
	bench_check(fs_collector_new(&fs->collector, fs), "collector");
	bench_check(fs_resolver_new(&fs->resolver), "resolver");
	if (!threads)
		return;
	bench_check(fs_counters_new(&fs->counters, FS_POOL_THREADS_MAX), "counters");
	bench_check(fs_pool_new(&fs->pool, fs, threads), "pool");
}

void bench_share_close(struct fs *fs)
{
	fs_collector_free(fs->collector);
	fs_resolver_free(fs->resolver);
	fs_pool_free(gw_take_ptr(fs->pool));
	fs_counters_free(fs->counters);
	fs_locks_free(fs->locks);
	fs_handles_free(fs->handles);
	fs_inodes_free(fs->inodes);
	fs_root_close(fs);
}
