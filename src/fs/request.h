/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/request.h - one FUSE request: parsed from a private copy, answered once. */
#ifndef GW_FS_REQUEST_H
#define GW_FS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/fs.h"
#include "fs/fuse_wire.h"
#include "godwit/queue.h"

/*
 * The dispatcher has checked against the operation's row (ops.c) before a handler runs: the fixed
 * argument is there whole, names are there, end in NUL, and (where they name a directory entry)
 * pass the name filter. Handlers never see guest memory but as iovecs for data.
 */
struct fs_request {
	struct fs *fs;
	struct gw_elem *elem;
	const struct fs_op *op;
	struct fuse_in_header in; /* private copy */
	const void *arg;	  /* the operation's fixed argument, zero-extended to our size */
	const char *name, *name2; /* private copies, NUL-terminated, or NULL */
	const void *blob;	  /* variable data in private memory (SETXATTR value, extensions) */
	size_t blob_len;
	size_t data_offset; /* where a WRITE's data starts in elem->out */
	/* Supplementary groups from FUSE_CREATE_SUPP_GROUP. */
	const uint32_t *groups;
	unsigned group_count;
};

/* A handler returns one of: 0 (it has put its answer by fs_reply*(), or an empty one is due), a
 * negative errno (sent to the guest), or one of these. */
#define FS_NO_REPLY 1 /* FORGET and the like: the element goes back with nothing written */
#define FS_ASYNC    2 /* another thread will call fs_finish() */

typedef int fs_op_fn(struct fs_request *req);

/* Put the answer's body; -EINVAL if the guest's buffer is too small for it. */
int fs_reply(struct fs_request *req, const void *body, size_t len);
/* The body was written into elem->in after the header by other means (READ): its length. */
int fs_reply_data(struct fs_request *req, size_t len);
/* End an FS_ASYNC request with @result as a handler would return it. Any thread. */
void fs_finish(struct fs_request *req, int result);

/* Is the agreed FUSE feature on? @bit: FUSE_* of both words, the second shifted by 32. */
static inline bool fs_has(const struct fs *fs, uint64_t bit)
{
	return fs->session.flags & bit;
}

#endif
