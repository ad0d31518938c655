/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-share.h - a share in a temporary directory, with the tables over it. */
#ifndef TESTS_UNIT_FS_SHARE_H
#define TESTS_UNIT_FS_SHARE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fs/fs.h"
#include "fs/handle.h"
#include "fs/inode.h"

struct share {
	char path[64];
	struct fs_host host;
	struct fs fs;
};

/* A fresh, empty share; @fd_limit as in struct fs_host. */
void share_open(struct share *share, unsigned fd_limit);
void share_open_in(struct share *share, const char *dir, unsigned fd_limit);
/* The tables alone, anew over the same directory. */
void share_reopen(struct share *share);
void share_close_tables(struct share *share); /* the directory stays */
void share_close(struct share *share);

/* Below the share; "%s" and so on in @format. */
const char *share_path(const struct share *share, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void share_file(const struct share *share, const char *name, const char *content);
void share_mkdir(const struct share *share, const char *name);

/* LOOKUP that must succeed: the node id. */
uint64_t share_lookup(struct share *share, uint64_t parent, const char *name);
/* The inode numbers are the host's, so this tells who it is. */
uint64_t share_ino(struct share *share, uint64_t nodeid);
uint64_t host_ino(const char *path);

#endif
