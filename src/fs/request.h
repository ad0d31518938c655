/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/request.h - one FUSE request: parsed from a private copy, answered once. */
#ifndef GW_FS_REQUEST_H
#define GW_FS_REQUEST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/fs.h"
#include "fs/fuse_wire.h"
#include "fs/inode.h"
#include "godwit/queue.h"

struct fs_request;
struct fs_op; /* ops.h */

/* A handler returns one of: 0 (it has put its answer by fs_reply*(), or an empty one is due), a
 * negative errno (sent to the guest), or one of these. */
#define FS_NO_REPLY 1 /* FORGET and the like: the element goes back with nothing written */
#define FS_ASYNC    2 /* another thread will call fs_finish() */

typedef int fs_op_fn(struct fs_request *req);

/* Linux sends one group (the parent directory's, if the user is in it). */
#define FS_GROUPS_MAX 64
/* Room for two names, which nearly all requests make do with; longer texts are allocated. */
#define FS_TEXT_INLINE 1024
/* The longest text: an extended attribute's name and value (XATTR_SIZE_MAX), and extensions. */
#define FS_TEXT_MAX (FS_NAME_MAX + 1 + 65536 + 4096)
/* The longest fixed argument, which the rows of ops.c are checked against. */
#define FS_ARG_MAX 88

/* Of a request that waits for somebody (waits.c). */
struct fs_wait {
	struct fs_request *next;
	fs_op_fn *attempt;
	uint64_t due; /* as fs_pool_now() tells the time */
	unsigned delay_ms;
	bool busy;  /* an attempt is under way */
	bool woken; /* meanwhile something was given back */
	int ended;  /* meanwhile it was to end with this */
};

/*
 * The dispatcher has checked against the operation's row (ops.c) before a handler runs: the fixed
 * argument is there whole, names are there, end in NUL, and (where they name a directory entry)
 * pass the name filter. Handlers never see guest memory but as iovecs for data.
 *
 * Requests are recycled: a queue's thread keeps one, what goes to the pool comes out of the pool's
 * free list (pool.h).
 */
struct fs_request {
	struct fs *fs;
	struct gw_elem *elem;
	const struct fs_op *op;
	struct fuse_in_header in; /* private copy */
	const void *arg;	  /* the operation's fixed argument, zero-extended to our size */
	const char *name, *name2; /* private copies, NUL-terminated, or NULL */
	const void *blob;	  /* what follows the names, in private memory (SETXATTR) */
	size_t blob_len;
	size_t data_offset; /* where data in guest memory (WRITE, BATCH_FORGET) starts in elem->out
			     */
	size_t data_len;
	/* Supplementary groups from FUSE_CREATE_SUPP_GROUP. */
	const uint32_t *groups;
	unsigned group_count;
	/* What comes with FUSE_SECURITY_CTX; name NULL: none. */
	struct {
		const char *name, *value;
		size_t len;
	} label;

	uint64_t begin_ns; /* when it was taken off the queue (counters.h) */
	/* For handlers that go on in the pool: how much of the data is done. */
	size_t done;
	struct fs_wait wait;

	/* The dispatcher's and the pool's own. */
	size_t written; /* of elem->in; 0: no answer was put yet */
	fs_op_fn *work;
	struct fs_request *next;
	char *spill; /* text that is longer than @text */
	uint64_t arg_space[FS_ARG_MAX / sizeof(uint64_t)];
	uint32_t group_space[FS_GROUPS_MAX];
	char text[FS_TEXT_INLINE];
};

/* Put the answer's body; -EINVAL if the guest's buffer is too small for it. */
int fs_reply(struct fs_request *req, const void *body, size_t len);
/* The body was written into elem->in after the header by other means (READ): its length. */
int fs_reply_data(struct fs_request *req, size_t len);
/* How much body the guest's buffer has room for. */
size_t fs_reply_room(const struct fs_request *req);
/* End an FS_ASYNC request with @result as a handler would return it. Any thread. */
void fs_finish(struct fs_request *req, int result);
/* It stays open across a stop instead, and comes again when the guest goes on. Any thread. */
void fs_park(struct fs_request *req);
/* Go on with @work in the pool; what a handler returns. */
int fs_to_pool(struct fs_request *req, fs_op_fn *work);

/* Something is wrong with what the guest sent: a log line, of which only so many are written in a
 * second. Returns -@err. */
int fs_complain(const struct fs_request *req, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Is the agreed FUSE feature on? @bit: FUSE_* of both words, the second shifted by 32. */
static inline bool fs_has(const struct fs *fs, uint64_t bit)
{
	return fs->session.flags & bit;
}

/* An inode that a request names, pinned, and its O_PATH descriptor: where most operations begin. */
struct fs_at {
	struct fs_inode *inode;
	struct fs_fd path;
};
#define FS_AT_INIT                     \
	{                              \
		.path = FS_PATHFD_INIT \
	}
#define FS_AUTO_AT __attribute__((cleanup(fs_at_put)))

static inline void fs_at_put(struct fs_at *at)
{
	fs_fd_put(&at->path);
	fs_inode_put_ptr(&at->inode);
}

static inline int fs_at_get(struct fs_request *req, uint64_t nodeid, struct fs_at *at)
{
	at->inode = fs_inode_get(req->fs->inodes, nodeid);
	if (!at->inode)
		return -ESTALE;
	return fs_inode_fd(at->inode, &at->path);
}

#endif
