/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/redo_move.c - renames that a process that died may have carried out. */
#include <string.h>

#include "base/cleanup.h"
#include "fs/handles.h"
#include "fs/load.h"
#include "fs/open.h"
#include "fs/redo_internal.h"
#include "fs/table.h"

static void intend_exchange(const struct fs_request *req, const struct fs_moving *moving)
{
	const struct gw_fs_exchange_v1 exchange = {
		.inode = moving->inode ? fs_inode_id(moving->inode) : 0,
		.other = moving->other ? fs_inode_id(moving->other) : 0};

	gw_journal_intend(req->fs->outliving.journal, &gw_fs_exchange_v1, &exchange);
}

void fs_intend_move(const struct fs_request *req, const struct fs_moving *moving)
{
	struct gw_fs_intent_v1 intent = {.from = fs_inode_id(moving->from->inode),
					 .to = fs_inode_id(moving->to->inode),
					 .name = {req->name, strlen(req->name)},
					 .name2 = {req->name2, strlen(req->name2)}};
	struct statx stx;

	if (!req->fs->outliving.journal || fs_fact_intent(req))
		return;
	if (moving->inode) {
		intent.ino = moving->inode->ino;
		intent.btime = moving->inode->btime;
	} else if (!fs_statx_at(moving->from->path.fd, req->name, &stx)) {
		intent.ino = stx.stx_ino;
		intent.btime = fs_btime(&stx);
	}
	if (moving->exchange)
		intend_exchange(req, moving);
	fs_intend_as(req, &intent);
}

bool fs_redo_moved(const struct fs_request *req, const struct fs_at *to, const char *name)
{
	const struct gw_fs_intent_v1 *intent = fs_fact_intent(req);
	struct statx stx;

	if (!intent || fs_statx_at(to->path.fd, name, &stx))
		return false;
	return intent->ino ? fs_intent_is_who(intent, &stx)
			   : fs_redo_undecided(req, "and who was to be moved is not known", false);
}

bool fs_redo_is_who(const struct fs_request *req, const struct fs_inode *inode)
{
	const struct gw_fs_intent_v1 *intent = fs_fact_intent(req);

	return intent && intent->ino && intent->ino == inode->ino && intent->btime == inode->btime;
}

/* Who is not known, but has been known by the name, is not any more. */
static void takes_name(struct fs_loading *loading, uint64_t id, struct fs_inode *dir,
		       const char *name)
{
	FS_AUTO_INODE struct fs_inode *before = fs_name_pin(loading->inodes, dir, name);
	struct fs_inode *inode = fs_staged_inode(loading, id);
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	struct statx stx;
	bool is_it = inode && !fs_inode_fd(dir, &fd) && !fs_statx_at(fd.fd, name, &stx) &&
		     inode->ino == stx.stx_ino;

	if (before && before != inode)
		fs_name_wrong(loading->inodes, before, dir, name);
	if (!is_it)
		return;
	/* Without any name it was given up. */
	atomic_fetch_and(&inode->flags, (uint16_t)~FS_INODE_LOST);
	fs_name_found(loading->inodes, inode, dir, name, strlen(name), false);
}

/* Who is to have a name now, with names as they were told. */
struct settling {
	struct fs_inode *from, *to;
	const char *name, *name2;
};

static void settle_moved(struct fs_loading *loading, const struct fs_fact *fact,
			 const struct settling *s, const struct statx *stx)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_name_pin(loading->inodes, s->from, s->name);

	if (!inode || inode->ino != fact->intent.ino)
		return;
	/* A file with several links may have both names. */
	if (fs_inode_has(inode, FS_INODE_LINKS) && stx->stx_nlink > 1)
		return;
	fs_name_moved(loading->inodes, s->from, s->name, s->to, s->name2, false);
}

static void settle_exchanged(struct fs_loading *loading, const struct fs_fact *exchange,
			     const struct settling *s)
{
	takes_name(loading, exchange->id, s->to, s->name2);
	takes_name(loading, exchange->inode, s->from, s->name);
}

/* Was it told of? Then the request's next facts in the journal are names; here only that matters.
 */
static void settle(struct fs_loading *loading, const struct fs_fact *fact)
{
	const struct gw_fs_intent_v1 *intent = &fact->intent;
	const struct fs_fact *exchange =
		fs_fact_of(loading->fs->redo, fact->queue, fact->serial, FS_FACT_EXCHANGE);
	const struct settling s = {.from = fs_staged_inode(loading, intent->from),
				   .to = fs_staged_inode(loading, intent->to),
				   .name = fact->names,
				   .name2 = fact->names + strlen(fact->names) + 1};
	FS_AUTO_PATHFD struct fs_fd dir = FS_PATHFD_INIT;
	struct statx stx;

	if (!s.from || !s.to || !intent->ino || fs_inode_fd(s.to, &dir) ||
	    fs_statx_at(dir.fd, s.name2, &stx) || !fs_intent_is_who(intent, &stx))
		return;
	if (exchange)
		settle_exchanged(loading, exchange, &s);
	else
		settle_moved(loading, fact, &s, &stx);
}

void fs_redo_settle(struct fs_loading *loading)
{
	const struct fs_redo *redo = loading->fs->redo;

	for (size_t i = 0; redo && i < redo->count; i++) {
		if (redo->facts[i].names)
			settle(loading, &redo->facts[i]);
	}
}
