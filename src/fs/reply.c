/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/reply.c - answers, and what is logged about requests that deserve none. */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fs/dispatch.h"
#include "fs/ops.h"
#include "godwit/error.h"

/* Log lines about malformed requests in a second; a guest can send any number of them. */
#define COMPLAINTS_PER_SECOND 5

static void put_header(struct fs_request *req, int error, size_t body_len)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + body_len),
		.error = error,
		.unique = req->in.unique,
	};

	gw_elem_copy_to(req->elem, 0, &out, sizeof(out));
	req->written = out.len;
}

size_t fs_reply_room(const struct fs_request *req)
{
	size_t header = sizeof(struct fuse_out_header);

	return req->elem->in_len > header ? req->elem->in_len - header : 0;
}

int fs_reply(struct fs_request *req, const void *body, size_t len)
{
	if (len > fs_reply_room(req))
		return fs_complain(req, EINVAL, "%zu bytes of room for an answer of %zu",
				   fs_reply_room(req), len);
	gw_elem_copy_to(req->elem, sizeof(struct fuse_out_header), body, len);
	put_header(req, 0, len);
	return 0;
}

int fs_reply_data(struct fs_request *req, size_t len)
{
	put_header(req, 0, len);
	return 0;
}

void fs_answer(struct fs_request *req, int result)
{
	struct gw_elem *elem = req->elem;
	bool mute = result == FS_NO_REPLY || (req->op && req->op->flags & FS_OP_MUTE) ||
		    elem->in_len < sizeof(struct fuse_out_header);

	if (mute)
		req->written = 0;
	else if (result < 0)
		put_header(req, result, 0);
	else if (!req->written)
		put_header(req, 0, 0);
	if (req->spill) {
		free(req->spill);
		req->spill = NULL;
	}
	req->elem = NULL;
	gw_elem_push(elem, req->written);
}

/* One budget for the process: it is the log that is to be protected. */
static bool may_complain(unsigned *dropped)
{
	static _Atomic time_t second;
	static atomic_uint count;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	*dropped = 0;
	if (atomic_load(&second) != now.tv_sec) {
		unsigned seen = atomic_exchange(&count, 0);

		atomic_store(&second, now.tv_sec);
		if (seen > COMPLAINTS_PER_SECOND)
			*dropped = seen - COMPLAINTS_PER_SECOND;
	}
	return atomic_fetch_add(&count, 1) < COMPLAINTS_PER_SECOND;
}

int fs_complain(const struct fs_request *req, int err, const char *format, ...)
{
	char what[256];
	unsigned dropped;
	va_list args;

	if (!may_complain(&dropped))
		return -err;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (dropped)
		gw_warn("guest: %u more lines like the following were left out", dropped);
	gw_warn("guest: %s (queue %u, node %#llx): %s", req->op ? req->op->name : "request",
		gw_queue_index(req->elem->queue), (unsigned long long)req->in.nodeid, what);
	return -err;
}
