/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/redo.h - requests that a process that died may have carried out, and did not answer. */
#ifndef GW_FS_REDO_H
#define GW_FS_REDO_H

#include "fs/handle.h"
#include "fs/request.h"
#include "state/journal.h"

struct fs_redo;

/* Before what cannot be done twice: what is to be done, and how it was before. In the journal, and
 * never in a stream. What is 0 is not known. */
struct gw_fs_intent_v1 {
	uint32_t op;
	uint64_t ino, btime; /* of who has the name that is to go away, or to be new */
	uint64_t size;	     /* of the file that is appended to; an attribute: 1 if it is there */
	uint64_t ns;	     /* CLOCK_REALTIME */
	/* Of a rename: which name, and which it is to be. */
	uint64_t from, to;
	struct gw_bytes name, name2;
};
extern const struct gw_layout gw_fs_intent_v1;
/* Layouts of the journal: fs_layouts that are put there, and the intent. */
extern const struct gw_layout *const fs_journal_layouts[];

/* What the journal says of requests that were not answered; they come again, with GW_ELEM_AGAIN,
 * while nobody else writes. Record by record, from begin to end. */
int fs_redo_begin(struct fs *fs);
int fs_redo_note(struct fs *fs, const struct gw_journal_record *record);
void fs_redo_end(struct fs *fs);
void fs_redo_free(struct fs_redo *redo); /* NULL is allowed */

/* @inode (NULL: not known) has the name that @req takes away. */
void fs_intend(const struct fs_request *req, const struct fs_inode *inode);
/* @name in @dir is to be a new one: who has it now, if somebody has. */
void fs_intend_new(const struct fs_request *req, int dir, const char *name);
/* The same, and @req moves it. */
struct fs_moving {
	const struct fs_at *from, *to;
	const struct fs_inode *inode, *other; /* who is known by the first name, by the second */
	bool exchange;			      /* they change places */
};
void fs_intend_move(const struct fs_request *req, const struct fs_moving *moving);
/* What was moved and not told of has its new name in what is being loaded. */
struct fs_loading;
void fs_redo_settle(struct fs_loading *loading);

/*
 * Of a request that comes again, and with which a process died between intent and answer: is it
 * done? What cannot be told is logged and counted. False for all other requests.
 */
/* @name in @dir: it was made by this request. */
bool fs_redo_made(const struct fs_request *req, int dir, const char *name);
/* What had @name in @dir has it no more. */
bool fs_redo_gone(const struct fs_request *req, int dir, const char *name);
/* What was to be moved to @name in @to is there, and known there if it is known at all. */
bool fs_redo_moved(const struct fs_request *req, const struct fs_at *to, const char *name);
/* @inode is who was to be moved. */
bool fs_redo_is_who(const struct fs_request *req, const struct fs_inode *inode);
/* @name in @dir is one of what @fd refers to. */
bool fs_redo_linked(const struct fs_request *req, int dir, const char *name, int fd);
/* The attribute @name (on the host) of @path was made, or removed; notes whether it is there
 * otherwise. */
bool fs_redo_attribute_made(const struct fs_request *req, const char *path, const char *name);
bool fs_redo_attribute_gone(const struct fs_request *req, const char *path, const char *name);
/* How many of the @len bytes from byte @offset of the request on were appended; notes how long the
 * file is otherwise. */
size_t fs_redo_appended(const struct fs_request *req, const struct fs_handle *handle, size_t offset,
			size_t len);

/* By the thread's request (gw_journal_for()): did it count a look-up of @id, or take one away? Once
 * for each time. */
bool fs_redo_counted(struct fs *fs, uint64_t id);
/* Did it open @inode? The handle's id, or 0. */
uint64_t fs_redo_opened(const struct fs_request *req, const struct fs_inode *inode);
/* Did it release a handle? */
bool fs_redo_released(const struct fs_request *req);

#endif
