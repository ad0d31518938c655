/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/redo.c - requests that a process that died may have carried out, and did not answer. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/open.h"
#include "fs/redo_internal.h"
#include "fs/table.h"
#include "godwit/error.h"

/* Birth times are of the clock's last tick. */
#define TICK_NS	      (20 * 1000000ull)
#define NS_PER_S      1000000000ull
#define COMPARE_BYTES 4096

bool fs_redo_undecided(const struct fs_request *req, const char *what, bool as)
{
	uint64_t count = gw_journal_number(req->fs->outliving.journal, GW_JOURNAL_UNDECIDED, 1);

	gw_warn("recovery: request %llu of queue %u may have been carried out, %s; taken as %s "
		"(%llu such cases)",
		(unsigned long long)req->elem->serial, gw_queue_index(req->elem->queue), what,
		as ? "done" : "not done", (unsigned long long)count);
	return as;
}

/*
 * Intents.
 */
static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void fs_intend_as(const struct fs_request *req, struct gw_fs_intent_v1 *intent)
{
	intent->op = req->in.opcode;
	intent->ns = real_ns();
	gw_journal_intend(req->fs->outliving.journal, &gw_fs_intent_v1, intent);
}

void fs_intend(const struct fs_request *req, const struct fs_inode *inode)
{
	struct gw_fs_intent_v1 intent = {.ino = inode ? inode->ino : 0,
					 .btime = inode ? inode->btime : 0};

	/* What the first process intended is what counts. */
	if (req->fs->outliving.journal && !fs_fact_intent(req))
		fs_intend_as(req, &intent);
}

void fs_intend_new(const struct fs_request *req, int dir, const char *name)
{
	struct gw_fs_intent_v1 intent = {.ino = 0};
	struct statx stx;

	if (!req->fs->outliving.journal || fs_fact_intent(req))
		return;
	if (!fs_statx_at(dir, name, &stx)) {
		intent.ino = stx.stx_ino;
		intent.btime = fs_btime(&stx);
	}
	fs_intend_as(req, &intent);
}

bool fs_intent_is_who(const struct gw_fs_intent_v1 *intent, const struct statx *stx)
{
	uint64_t btime = fs_btime(stx);

	return intent->ino == stx->stx_ino && (!intent->btime || !btime || intent->btime == btime);
}

bool fs_redo_made(const struct fs_request *req, int dir, const char *name)
{
	const struct gw_fs_intent_v1 *intent = fs_fact_intent(req);
	struct statx stx;

	if (!intent || fs_statx_at(dir, name, &stx))
		return false;
	/* Who had the name before still has it. */
	if (intent->ino && fs_intent_is_who(intent, &stx))
		return false;
	if (!fs_btime(&stx))
		return fs_redo_undecided(req, "and the file system has no birth times", true);
	return fs_btime(&stx) + TICK_NS >= intent->ns;
}

bool fs_redo_gone(const struct fs_request *req, int dir, const char *name)
{
	const struct gw_fs_intent_v1 *intent = fs_fact_intent(req);
	struct statx stx;
	int err;

	if (!intent)
		return false;
	err = fs_statx_at(dir, name, &stx);
	if (err)
		return err == -ENOENT;
	return intent->ino ? !fs_intent_is_who(intent, &stx)
			   : fs_redo_undecided(req, "and who had the name is not known", false);
}

bool fs_redo_linked(const struct fs_request *req, int dir, const char *name, int fd)
{
	const struct gw_fs_intent_v1 *intent = fs_fact_intent(req);
	struct statx there, here;

	if (!intent || fs_statx_at(dir, name, &there) || fs_statx_fd(fd, &here))
		return false;
	if (intent->ino && fs_intent_is_who(intent, &there))
		return false;
	return there.stx_ino == here.stx_ino && there.stx_dev_major == here.stx_dev_major &&
	       there.stx_dev_minor == here.stx_dev_minor;
}

/* What an attribute was before tells what is answered again: @there now, before by @intent. */
static bool attribute_changed(const struct fs_request *req, const char *path, const char *name,
			      bool there)
{
	const struct gw_fs_intent_v1 *before = fs_fact_intent(req);
	struct gw_fs_intent_v1 intent = {.size = 0};
	bool is_there;

	if (!req->fs->outliving.journal)
		return false;
	is_there = getxattr(path, name, NULL, 0) >= 0;
	if (before)
		return is_there == there && before->size != is_there;
	intent.size = is_there;
	fs_intend_as(req, &intent);
	return false;
}

bool fs_redo_attribute_made(const struct fs_request *req, const char *path, const char *name)
{
	return attribute_changed(req, path, name, true);
}

bool fs_redo_attribute_gone(const struct fs_request *req, const char *path, const char *name)
{
	return attribute_changed(req, path, name, false);
}

/* Is the guest's @len bytes at @offset of the request what the file has at @at? */
static bool is_there(const struct fs_request *req, struct fs_inode *inode, uint64_t at,
		     size_t offset, size_t len)
{
	/* The guest may have opened it for writing alone. */
	GW_AUTO_FD int fd = fs_inode_open(inode, O_RDONLY | O_CLOEXEC);
	char theirs[COMPARE_BYTES], ours[COMPARE_BYTES] = {0};

	for (size_t done = 0; done < len;) {
		size_t piece = GW_MIN(len - done, sizeof(theirs));
		struct iovec iov = {.iov_base = ours, .iov_len = piece};

		if (gw_elem_copy_from(req->elem, offset + done, theirs, piece) != piece ||
		    preadv2(fd, &iov, 1, (off_t)(at + done), 0) != (ssize_t)piece ||
		    memcmp(theirs, ours, piece) != 0)
			return false;
		done += piece;
	}
	return true;
}

size_t fs_redo_appended(const struct fs_request *req, const struct fs_handle *handle, size_t offset,
			size_t len)
{
	const struct gw_fs_intent_v1 *before = fs_fact_intent(req);
	struct gw_fs_intent_v1 intent = {.size = 0};
	struct statx stx;
	uint64_t more;

	if (!req->fs->outliving.journal || fs_statx_fd(handle->fd, &stx))
		return 0;
	if (!before) {
		intent.size = stx.stx_size;
		fs_intend_as(req, &intent);
		return 0;
	}
	more = stx.stx_size > before->size ? stx.stx_size - before->size : 0;
	if (!more)
		return 0;
	if (more <= len && is_there(req, handle->inode, before->size, offset, (size_t)more))
		return (size_t)more;
	fs_redo_undecided(req, "and somebody else has written to the file", false);
	return 0;
}
