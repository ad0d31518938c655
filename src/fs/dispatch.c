/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/dispatch.c - from an element to a handler: parse once, from a private copy, by the table. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "fs/attic.h"
#include "fs/counters.h"
#include "fs/dispatch.h"
#include "fs/label.h"
#include "fs/ops.h"
#include "fs/pool.h"
#include "godwit/error.h"
#include "state/journal.h"

#define HEADER_LEN sizeof(struct fuse_in_header)

/* Answers are published batch by batch, but not later than after so many bytes of requests: with
 * large reads the guest then works on one while the next is copied. */
#define FLUSH_BYTES (256 * 1024)

int fs_name_check(const char *name, size_t len)
{
	if (len == 0 || memchr(name, '/', len) || memchr(name, 0, len))
		return -EINVAL;
	if (len > FS_NAME_MAX)
		return -ENAMETOOLONG;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return -EINVAL;
	return 0;
}

int fs_name_filter(const char *name, size_t len)
{
	int err = fs_name_check(name, len);

	return err || !fs_attic_is_name(name, len) ? err : -ENOENT;
}

/* What is not there can be looked for, and not be made, or moved there. */
static int refuse_name(const struct fs_request *req, int err)
{
	if (err == -EINVAL)
		return fs_complain(req, EINVAL, "a name that is none");
	return err == -ENOENT && req->in.opcode != FUSE_LOOKUP ? -EPERM : err;
}

static void request_clear(struct fs_request *req)
{
	req->op = NULL;
	req->name = req->name2 = NULL;
	req->blob = NULL;
	req->blob_len = req->data_offset = req->data_len = 0;
	req->groups = NULL;
	req->group_count = 0;
	req->label.name = NULL;
	req->done = req->written = 0;
	req->arg = req->arg_space;
	memset(&req->in, 0, sizeof(req->in));
}

static int parse_header(struct fs_request *req)
{
	const struct gw_elem *elem = req->elem;

	if (gw_elem_copy_from(elem, 0, &req->in, HEADER_LEN) < HEADER_LEN) {
		fs_complain(req, EINVAL, "%zu bytes, a header has %zu", elem->out_len, HEADER_LEN);
		return FS_NO_REPLY;
	}
	req->op = fs_op_find(req->in.opcode);
	if (req->in.len < HEADER_LEN || req->in.len > elem->out_len)
		return fs_complain(req, EINVAL, "says it has %u bytes, %zu came", req->in.len,
				   elem->out_len);
	return 0;
}

/* *@used: bytes of the body that the fixed argument takes. */
static int parse_arg(struct fs_request *req, size_t body, size_t *used)
{
	const struct fs_op *op = req->op;
	size_t least = op->arg_min ? op->arg_min : op->arg_size;
	size_t most = op->arg_size;

	if (op->flags & FS_OP_LONG_ARG) {
		if (fs_has(req->fs, FUSE_SETXATTR_EXT))
			least = most;
		else
			most = least;
	}

	if (body < least)
		return fs_complain(req, EINVAL, "%zu bytes of argument, expected %zu", body, least);
	*used = GW_MIN(body, most);
	if (*used < op->arg_size || op->tail == FS_TAIL_BLOB)
		memset(req->arg_space, 0, sizeof(req->arg_space));
	gw_elem_copy_from(req->elem, HEADER_LEN, req->arg_space, *used);
	return 0;
}

/* Takes a name off [*@text, @end). */
static int take_name(struct fs_request *req, const char **text, const char *end, bool filtered,
		     const char **name)
{
	const char *nul = memchr(*text, 0, (size_t)(end - *text));

	if (!nul)
		return fs_complain(req, EINVAL, "a name of %zu bytes has no end",
				   (size_t)(end - *text));
	if (filtered) {
		int ret = fs_name_filter(*text, (size_t)(nul - *text));

		if (ret < 0)
			return refuse_name(req, ret);
	}
	*name = *text;
	*text = nul + 1;
	return 0;
}

static int parse_names(struct fs_request *req, const char *text, const char *end)
{
	const struct fs_op *op = req->op;
	int ret = 0;

	if (op->names >= 1)
		ret = take_name(req, &text, end, !(op->flags & FS_OP_FREE_NAME), &req->name);
	if (ret == 0 && op->names >= 2)
		ret = take_name(req, &text, end, !(op->flags & FS_OP_FREE_NAME2), &req->name2);
	if (ret == 0 && op->tail == FS_TAIL_BLOB) {
		req->blob = text;
		req->blob_len = (size_t)(end - text);
	}
	return ret;
}

/* One extension: supplementary groups and labels are taken, others passed over. */
static int parse_extension(struct fs_request *req, uint32_t type, const char *data, size_t len)
{
	uint32_t count;

	if (type <= FUSE_MAX_NR_SECCTX && fs_has(req->fs, FUSE_SECURITY_CTX))
		return fs_label_parse(req, type, data, len);
	if (type != FUSE_EXT_GROUPS || !fs_has(req->fs, FUSE_CREATE_SUPP_GROUP))
		return 0;
	if (len < sizeof(count))
		return fs_complain(req, EINVAL, "a groups extension of %zu bytes", len);
	memcpy(&count, data, sizeof(count));
	if (count > FS_GROUPS_MAX || count > (len - sizeof(count)) / sizeof(uint32_t))
		return fs_complain(req, EINVAL, "%u supplementary groups in %zu bytes", count, len);
	memcpy(req->group_space, data + sizeof(count), count * sizeof(uint32_t));
	req->groups = req->group_space;
	req->group_count = count;
	return 0;
}

static int parse_extensions(struct fs_request *req, const char *ext, size_t len)
{
	while (len >= sizeof(struct fuse_ext_header)) {
		struct fuse_ext_header header;
		int ret;

		memcpy(&header, ext, sizeof(header));
		if (header.size < sizeof(header) || header.size > len)
			return fs_complain(req, EINVAL, "an extension of %u bytes, %zu are left",
					   header.size, len);
		ret = parse_extension(req, header.type, ext + sizeof(header),
				      header.size - sizeof(header));
		if (ret < 0)
			return ret;
		len -= GW_MIN(len, (size_t)gw_round_up(header.size, 8));
		ext += gw_round_up(header.size, 8);
	}
	return 0;
}

static const char *names_end(const struct fs_request *req)
{
	const char *last = req->op->names == 2 ? req->name2 : req->name;

	return last + strlen(last) + 1;
}

/* Names, blob and extensions: all that goes to private memory behind the fixed argument. */
static int parse_text(struct fs_request *req, size_t offset, size_t len)
{
	size_t ext = (size_t)req->in.total_extlen * 8;
	char *text = req->text;
	int ret;

	if (ext > len)
		return fs_complain(req, EINVAL, "%zu bytes of extensions, %zu are there", ext, len);
	if (len > FS_TEXT_MAX)
		return fs_complain(req, EINVAL, "%zu bytes behind the argument, at most %d", len,
				   FS_TEXT_MAX);
	if (len > sizeof(req->text)) {
		text = req->spill = malloc(len);
		if (!text)
			return -ENOMEM;
	}
	gw_elem_copy_from(req->elem, offset, text, len);
	ret = parse_names(req, text, text + len - ext);
	if (ret < 0 || !(req->op->flags & FS_OP_CREATES))
		return ret;
	/* Before 7.38 a security context came without the header's saying so. */
	if (!ext && fs_has(req->fs, FUSE_SECURITY_CTX))
		ext = (size_t)(text + len - names_end(req));
	return parse_extensions(req, text + len - ext, ext);
}

/*
 * What is longer than the row says is not refused: a later minor may add to an argument, and real
 * guests are known to round up.
 */
static int parse_body(struct fs_request *req)
{
	size_t body = req->in.len - HEADER_LEN;
	size_t used = 0;
	int ret = parse_arg(req, body, &used);

	if (ret < 0)
		return ret;
	if (req->op->tail == FS_TAIL_DATA) {
		req->data_offset = HEADER_LEN + used;
		req->data_len = body - used;
		return 0;
	}
	if (req->op->names || req->op->tail == FS_TAIL_BLOB)
		return parse_text(req, HEADER_LEN + used, body - used);
	return 0;
}

/* Is there room for the answer? Asked before anything is done that the guest must hear of. */
static int check_room(const struct fs_request *req)
{
	size_t need = sizeof(struct fuse_out_header) + req->op->answer;

	if (req->op->flags & FS_OP_MUTE || req->elem->in_len >= need)
		return 0;
	return fs_complain(req, EINVAL, "%zu bytes of room for an answer of %zu", req->elem->in_len,
			   need);
}

/* May this operation run here and now? */
static int check_state(const struct fs_request *req)
{
	const struct fs *fs = req->fs;
	unsigned flags = req->op->flags;

	if (gw_queue_index(req->elem->queue) == 0 && !(flags & FS_OP_HIPRIO))
		return fs_complain(req, EINVAL, "does not belong on the high-priority queue");
	if (!fs->session.initialised && !(flags & FS_OP_EARLY))
		return fs_complain(req, EIO, "before INIT");
	if (flags & FS_OP_XATTR && !fs->policy.xattr)
		return -ENOSYS;
	if (flags & FS_OP_WRITES && fs->host->readonly)
		return -EROFS;
	return 0;
}

int fs_parse(struct fs_request *req)
{
	int ret;

	request_clear(req);
	ret = parse_header(req);
	if (ret != 0)
		return ret;
	if (!req->op)
		return -ENOSYS;
	ret = check_state(req);
	if (ret == 0)
		ret = check_room(req);
	return ret < 0 ? ret : parse_body(req);
}

static int serve(struct fs_request *req)
{
	int ret = fs_parse(req);

	if (ret != 0)
		return ret;
	fs_counters_working(req);
	gw_journal_for(gw_queue_index(req->elem->queue), req->elem->serial);
	/* Else the file would be there, and the guest be told that it is not. */
	if (req->op->flags & FS_OP_CREATES && fs_inodes_full(req->fs->inodes))
		return -ENOMEM;
	if (req->op->flags & FS_OP_POOL)
		return fs_to_pool(req, req->op->run);
	return req->op->run(req);
}

/* Without a request object nothing can be parsed; the guest's request ends without an answer. */
static void drop(struct gw_elem *elem)
{
	gw_error("no memory for a request");
	gw_elem_push(elem, 0);
}

void fs_serve_queue(struct fs *fs, struct gw_queue *queue)
{
	struct fs_request *req = NULL;
	struct gw_elem *elem;
	size_t bytes = 0;
	uint64_t now = 0; /* one begins when the one before has ended */

	fs_counters_of_queue(fs->counters, gw_queue_index(queue));
	while ((elem = gw_queue_pop(queue))) {
		bool mine;
		int result;

		bytes += elem->in_len + elem->out_len;
		if (!req)
			req = fs_pool_take(fs->pool);
		if (!req) {
			drop(elem);
			continue;
		}
		req->elem = elem;
		req->begin_ns = now ? now : gw_clock_ns();
		gw_queue_leave(queue);
		result = serve(req);
		mine = gw_queue_enter(queue);
		if (result == FS_ASYNC) {
			req = NULL; /* the pool's, perhaps answered already */
			now = 0;
		} else {
			now = fs_counters_done(fs->counters, req, result);
			fs_answer(req, result);
		}
		gw_journal_for(gw_queue_index(queue), 0);
		if (!mine)
			break;
		if (bytes >= FLUSH_BYTES) {
			gw_queue_flush(queue);
			bytes = 0;
		}
	}
	fs_counters_leave_queue();
	fs_pool_give(fs->pool, req);
}
