/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/fuse.c - any bytes as a FUSE request: refused, or what its row of the table says. */
#include <stdlib.h>
#include <string.h>

#include "fs/dispatch.h"
#include "fs/ops.h"
#include "fs/session.h"
#include "godwit/error.h"
#include "harness.h"
#include "virtio/queue.h"

/* What comes before the request: which queue and session, where the chain is cut, room for the
 * answer. */
struct setting {
	uint8_t queue;
	uint8_t session; /* bits: initialised, readonly, xattr, supplementary groups */
	uint16_t cut;
	uint16_t room;
};

static struct gw_queue *queues[2];

static void make_queues(void)
{
	static const struct gw_queue_ops ops;
	struct gw_loop *loop;

	if (queues[0])
		return;
	gw_log_set_level(GW_LOG_OFF);
	if (gw_loop_new(&loop) || gw_queue_new(&queues[0], loop, &ops, NULL, 0) ||
	    gw_queue_new(&queues[1], loop, &ops, NULL, 1))
		abort();
}

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void check_name(const char *name, bool filtered)
{
	size_t len = strlen(name);

	require(!filtered || fs_name_filter(name, len) == 0);
}

/* What a handler relies on. */
static void check_parsed(const struct fs_request *req)
{
	const struct fs_op *op = req->op;
	char argument[FS_ARG_MAX];

	require(op && op->run);
	memcpy(argument, req->arg, op->arg_size);
	require((op->names >= 1) == !!req->name && (op->names >= 2) == !!req->name2);
	if (req->name)
		check_name(req->name, !(op->flags & FS_OP_FREE_NAME));
	if (req->name2)
		check_name(req->name2, !(op->flags & FS_OP_FREE_NAME2));
	require(req->data_offset + req->data_len <= req->elem->out_len);
	require(req->group_count <= FS_GROUPS_MAX);
	if (op->tail == FS_TAIL_BLOB && req->blob_len) {
		char *copy = malloc(req->blob_len);

		require(copy);
		memcpy(copy, req->blob, req->blob_len);
		free(copy);
	}
	require(op->flags & FS_OP_MUTE ||
		req->elem->in_len >= sizeof(struct fuse_out_header) + op->answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fs_request req;
	struct setting setting;
	struct iovec out[2], in;
	struct fs_host host = {0};
	struct fs fs = {.host = &host};
	struct gw_elem elem = {.out = out, .in = &in, .out_count = 2, .in_count = 1};
	char *request;

	make_queues();
	if (size < sizeof(setting))
		return 0;
	memcpy(&setting, data, sizeof(setting));
	size -= sizeof(setting);
	request = malloc(size ? size : 1);
	require(request);
	memcpy(request, data + sizeof(setting), size);
	out[0] = (struct iovec){request, setting.cut < size ? setting.cut : size};
	out[1] = (struct iovec){request + out[0].iov_len, size - out[0].iov_len};
	in = (struct iovec){request, setting.room};
	elem.out_len = size;
	elem.in_len = setting.room;
	elem.queue = queues[setting.queue & 1];
	fs.session.initialised = setting.session & 1;
	host.readonly = setting.session & 2;
	fs.policy.fuse_minor = FUSE_KERNEL_MINOR_VERSION;
	fs.policy.xattr = setting.session & 4;
	fs.session.flags = setting.session & 8 ? fs_session_flags(&fs) : 0;
	req.fs = &fs;
	req.elem = &elem;
	if (fs_parse(&req) == 0)
		check_parsed(&req);
	free(req.spill);
	req.spill = NULL;
	free(request);
	return 0;
}
