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
#include "fs/evidence.h"
#include "fs/handles.h"
#include "fs/load.h"
#include "fs/locks_kept.h"
#include "fs/open.h"
#include "fs/records.h"
#include "fs/redo.h"
#include "fs/table.h"
#include "godwit/error.h"

/* Birth times are of the clock's last tick. */
#define TICK_NS	      (20 * 1000000ull)
#define NS_PER_S      1000000000ull
#define COMPARE_BYTES 4096

static const struct gw_field gw_fs_intent_v1_fields[] = {
	GW_FIELD(struct gw_fs_intent_v1, op, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_intent_v1, ino, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_intent_v1, btime, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_intent_v1, size, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_intent_v1, ns, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_intent_v1, from, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_intent_v1, to, GW_FIELD_U64),
	GW_FIELD_SIZED(struct gw_fs_intent_v1, name, GW_FIELD_BYTES, FS_NAME_MAX),
	GW_FIELD_SIZED(struct gw_fs_intent_v1, name2, GW_FIELD_BYTES, FS_NAME_MAX),
	{.name = NULL},
};
const struct gw_layout gw_fs_intent_v1 = {
	.name = "gw_fs_intent_v1",
	.type = GW_RECORD_DEVICE + 0x80,
	.size = sizeof(struct gw_fs_intent_v1),
	.fields = gw_fs_intent_v1_fields,
};

const struct gw_layout *const fs_journal_layouts[] = {
	&gw_fs_session_v1, &gw_fs_inode_v1,   &gw_fs_name_v1,	  &gw_fs_handle_v1,
	&gw_fs_intent_v1,  &gw_fs_locking_v1, &gw_fs_flocking_v1, NULL,
};

enum kind { INTENT, INODE, HANDLE, HANDLE_GONE };

struct fact {
	uint64_t serial;
	uint8_t queue;
	uint8_t kind;
	_Atomic bool used;
	uint64_t id, inode; /* of inode or handle; of the handle's inode */
	struct gw_fs_intent_v1 intent;
	char *names; /* of a rename: both, each with its NUL */
};

struct fs_redo {
	struct fact *facts; /* by queue and serial, in the order of the journal */
	size_t count, room;
};

/*
 * Reading.
 */
static struct fact *add(struct fs_redo *redo)
{
	if (redo->count == redo->room) {
		size_t room = GW_MAX(2 * redo->room, (size_t)256);
		struct fact *facts = realloc(redo->facts, room * sizeof(*facts));

		if (!facts)
			return NULL;
		redo->facts = facts;
		redo->room = room;
	}
	memset(&redo->facts[redo->count], 0, sizeof(*redo->facts));
	return &redo->facts[redo->count++];
}

static int copy_names(struct fact *fact)
{
	const struct gw_fs_intent_v1 *intent = &fact->intent;

	if (!intent->from)
		return 0;
	fact->names = calloc(1, intent->name.len + intent->name2.len + 2);
	if (!fact->names)
		return gw_fail(ENOMEM, "recovery: no memory");
	memcpy(fact->names, intent->name.data, intent->name.len);
	memcpy(fact->names + intent->name.len + 1, intent->name2.data, intent->name2.len);
	return 0;
}

int fs_redo_note(struct fs *fs, const struct gw_journal_record *record)
{
	struct fs_redo *redo = fs->redo;
	struct fact *fact;

	if (!record->unanswered ||
	    (record->layout != &gw_fs_intent_v1 && record->layout != &gw_fs_inode_v1 &&
	     record->layout != &gw_fs_handle_v1))
		return 0;
	fact = add(redo);
	if (!fact)
		return gw_fail(ENOMEM, "recovery: no memory");
	fact->serial = record->serial;
	fact->queue = (uint8_t)record->queue;
	if (record->layout == &gw_fs_intent_v1) {
		fact->kind = INTENT;
		fact->intent = *(const struct gw_fs_intent_v1 *)record->object;
		return copy_names(fact);
	} else if (record->layout == &gw_fs_inode_v1) {
		fact->kind = INODE;
		fact->id = ((const struct gw_fs_inode_v1 *)record->object)->id;
	} else {
		const struct gw_fs_handle_v1 *handle = record->object;

		fact->kind = record->deleted ? HANDLE_GONE : HANDLE;
		fact->id = handle->id;
		fact->inode = record->deleted ? 0 : handle->inode;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;

	if (x->queue != y->queue)
		return x->queue < y->queue ? -1 : 1;
	if (x->serial != y->serial)
		return x->serial < y->serial ? -1 : 1;
	return (x > y) - (x < y);
}

int fs_redo_begin(struct fs *fs)
{
	fs->redo = calloc(1, sizeof(*fs->redo));
	return fs->redo ? 0 : gw_fail(ENOMEM, "recovery: no memory");
}

void fs_redo_end(struct fs *fs)
{
	struct fs_redo *redo = fs->redo;

	if (redo->count)
		qsort(redo->facts, redo->count, sizeof(*redo->facts), compare);
}

void fs_redo_free(struct fs_redo *redo)
{
	if (!redo)
		return;
	for (size_t i = 0; i < redo->count; i++)
		free(redo->facts[i].names);
	free(redo->facts);
	free(redo);
}

/*
 * Finding.
 */

/* The first of the request's, or NULL; the others follow. */
static struct fact *facts_of(const struct fs_redo *redo, unsigned queue, uint64_t serial)
{
	size_t low = 0, high = redo->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct fact *fact = &redo->facts[middle];

		if (fact->queue < queue || (fact->queue == queue && fact->serial < serial))
			low = middle + 1;
		else
			high = middle;
	}
	return low < redo->count ? &redo->facts[low] : NULL;
}

static bool is_of(const struct fs_redo *redo, const struct fact *fact, unsigned queue,
		  uint64_t serial)
{
	return fact && fact < redo->facts + redo->count && fact->queue == queue &&
	       fact->serial == serial;
}

static bool comes_again(const struct fs_request *req)
{
	return req->fs->redo && req->elem->flags & GW_ELEM_AGAIN && req->elem->serial;
}

static const struct fact *find(const struct fs_request *req, enum kind kind)
{
	const struct fs_redo *redo = req->fs->redo;
	unsigned queue = gw_queue_index(req->elem->queue);
	struct fact *fact;

	if (!comes_again(req))
		return NULL;
	fact = facts_of(redo, queue, req->elem->serial);
	for (; is_of(redo, fact, queue, req->elem->serial); fact++)
		if (fact->kind == kind)
			return fact;
	return NULL;
}

static const struct gw_fs_intent_v1 *intent_of(const struct fs_request *req)
{
	const struct fact *fact = find(req, INTENT);

	return fact ? &fact->intent : NULL;
}

static bool undecided(const struct fs_request *req, const char *what, bool as)
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

static void intend(const struct fs_request *req, struct gw_fs_intent_v1 *intent)
{
	intent->op = req->in.opcode;
	intent->ns = real_ns();
	gw_journal_put(req->fs->outliving.journal, &gw_fs_intent_v1, false, intent);
}

void fs_intend(const struct fs_request *req, const struct fs_inode *inode)
{
	struct gw_fs_intent_v1 intent = {.ino = inode ? inode->ino : 0,
					 .btime = inode ? inode->btime : 0};

	/* What the first process intended is what counts. */
	if (req->fs->outliving.journal && !intent_of(req))
		intend(req, &intent);
}

void fs_intend_new(const struct fs_request *req, int dir, const char *name)
{
	struct gw_fs_intent_v1 intent = {.ino = 0};
	struct statx stx;

	if (!req->fs->outliving.journal || intent_of(req))
		return;
	if (!fs_statx_at(dir, name, &stx)) {
		intent.ino = stx.stx_ino;
		intent.btime = fs_btime(&stx);
	}
	intend(req, &intent);
}

void fs_intend_move(const struct fs_request *req, const struct fs_inode *inode,
		    const struct fs_inode *from, const struct fs_inode *to)
{
	struct gw_fs_intent_v1 intent = {.ino = inode ? inode->ino : 0,
					 .btime = inode ? inode->btime : 0,
					 .from = fs_inode_id(from),
					 .to = fs_inode_id(to),
					 .name = {req->name, strlen(req->name)},
					 .name2 = {req->name2, strlen(req->name2)}};

	if (req->fs->outliving.journal && !intent_of(req))
		intend(req, &intent);
}

static bool is_who(const struct gw_fs_intent_v1 *intent, const struct statx *stx)
{
	uint64_t btime = fs_btime(stx);

	return intent->ino == stx->stx_ino && (!intent->btime || !btime || intent->btime == btime);
}

bool fs_redo_made(const struct fs_request *req, int dir, const char *name)
{
	const struct gw_fs_intent_v1 *intent = intent_of(req);
	struct statx stx;

	if (!intent || fs_statx_at(dir, name, &stx))
		return false;
	/* Who had the name before still has it. */
	if (intent->ino && is_who(intent, &stx))
		return false;
	if (!fs_btime(&stx))
		return undecided(req, "and the file system has no birth times", true);
	return fs_btime(&stx) + TICK_NS >= intent->ns;
}

bool fs_redo_gone(const struct fs_request *req, int dir, const char *name)
{
	const struct gw_fs_intent_v1 *intent = intent_of(req);
	struct statx stx;
	int err;

	if (!intent)
		return false;
	err = fs_statx_at(dir, name, &stx);
	if (err)
		return err == -ENOENT;
	return intent->ino ? !is_who(intent, &stx)
			   : undecided(req, "and who had the name is not known", false);
}

bool fs_redo_moved(const struct fs_request *req, const struct fs_at *to, const char *name)
{
	const struct gw_fs_intent_v1 *intent = intent_of(req);
	struct statx stx;

	if (!intent || fs_statx_at(to->path.fd, name, &stx))
		return false;
	return intent->ino ? is_who(intent, &stx)
			   : undecided(req, "and who was to be moved is not known", false);
}

/* Was it told of? Then the request's next facts in the journal are names; here only that matters.
 */
static void settle(struct fs_loading *loading, const struct fact *fact)
{
	const struct gw_fs_intent_v1 *intent = &fact->intent;
	const char *name = fact->names, *name2 = name + strlen(name) + 1;
	struct fs_inode *from = fs_staged_inode(loading, intent->from);
	struct fs_inode *to = fs_staged_inode(loading, intent->to);
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	FS_AUTO_PATHFD struct fs_fd dir = FS_PATHFD_INIT;
	struct statx stx;

	if (!from || !to || !intent->ino)
		return;
	inode = fs_name_pin(loading->inodes, from, name);
	if (!inode || inode->ino != intent->ino || fs_inode_fd(to, &dir) ||
	    fs_statx_at(dir.fd, name2, &stx) || !is_who(intent, &stx))
		return;
	/* A file with several links may have both names. */
	if (fs_inode_has(inode, FS_INODE_LINKS) && stx.stx_nlink > 1)
		return;
	fs_name_moved(loading->inodes, from, name, to, name2, false);
}

void fs_redo_settle(struct fs_loading *loading)
{
	const struct fs_redo *redo = loading->fs->redo;

	for (size_t i = 0; redo && i < redo->count; i++) {
		if (redo->facts[i].names)
			settle(loading, &redo->facts[i]);
	}
}

bool fs_redo_linked(const struct fs_request *req, int dir, const char *name, int fd)
{
	const struct gw_fs_intent_v1 *intent = intent_of(req);
	struct statx there, here;

	if (!intent || fs_statx_at(dir, name, &there) || fs_statx_fd(fd, &here))
		return false;
	if (intent->ino && is_who(intent, &there))
		return false;
	return there.stx_ino == here.stx_ino && there.stx_dev_major == here.stx_dev_major &&
	       there.stx_dev_minor == here.stx_dev_minor;
}

/* What an attribute was before tells what is answered again: @there now, before by @intent. */
static bool attribute_changed(const struct fs_request *req, const char *path, const char *name,
			      bool there)
{
	const struct gw_fs_intent_v1 *before = intent_of(req);
	struct gw_fs_intent_v1 intent = {.size = 0};
	bool is_there;

	if (!req->fs->outliving.journal)
		return false;
	is_there = getxattr(path, name, NULL, 0) >= 0;
	if (before)
		return is_there == there && before->size != is_there;
	intent.size = is_there;
	intend(req, &intent);
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
	const struct gw_fs_intent_v1 *before = intent_of(req);
	struct gw_fs_intent_v1 intent = {.size = 0};
	struct statx stx;
	uint64_t more;

	if (!req->fs->outliving.journal || fs_statx_fd(handle->fd, &stx))
		return 0;
	if (!before) {
		intent.size = stx.stx_size;
		intend(req, &intent);
		return 0;
	}
	more = stx.stx_size > before->size ? stx.stx_size - before->size : 0;
	if (!more)
		return 0;
	if (more <= len && is_there(req, handle->inode, before->size, offset, (size_t)more))
		return (size_t)more;
	undecided(req, "and somebody else has written to the file", false);
	return 0;
}

/*
 * Facts.
 */
bool fs_redo_counted(struct fs *fs, uint64_t id)
{
	struct fs_redo *redo = fs->redo;
	struct fact *fact;
	uint64_t serial;
	unsigned queue;

	if (!redo)
		return false;
	serial = gw_journal_serial(&queue);
	if (!serial)
		return false;
	fact = facts_of(redo, queue, serial);
	for (; is_of(redo, fact, queue, serial); fact++)
		if (fact->kind == INODE && fact->id == id && !atomic_exchange(&fact->used, true))
			return true;
	return false;
}

uint64_t fs_redo_opened(const struct fs_request *req, const struct fs_inode *inode)
{
	const struct fact *fact = find(req, HANDLE);
	FS_AUTO_HANDLE struct fs_handle *handle =
		fact ? fs_handle_get(req->fs->handles, fact->id) : NULL;

	return handle && handle->inode == inode ? fact->id : 0;
}

bool fs_redo_released(const struct fs_request *req)
{
	return find(req, HANDLE_GONE);
}
