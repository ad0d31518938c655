/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/share.h - a virtio-fs device in this process, over a directory full of files. */
#ifndef GW_BENCH_SHARE_H
#define GW_BENCH_SHARE_H

#include "bench/figures.h"
#include "fs/fs.h"
#include "fs/inode.h"

/* Files in each directory, and how many are open of all. */
#define BENCH_PER_DIRECTORY 1000u
#define BENCH_OPEN	    1000u

/* Ends the program if @err says that @what failed. */
void bench_check(int err, const char *what);

/* Tables over @path, as a guest in the middle of its life has them; no threads but @threads of a
 * pool. */
void bench_share_open(struct fs *fs, struct fs_host *host, const char *path, unsigned threads);
void bench_share_close(struct fs *fs);
/* @count files that are there or are made, looked up, some of them open. */
void bench_share_fill(struct fs *fs, unsigned count);
struct fs_inode *bench_look_up(struct fs *fs, struct fs_inode *parent, const char *name);

#endif
