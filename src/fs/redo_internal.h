/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/redo_internal.h - what redo*.c have in common. */
#ifndef GW_FS_REDO_INTERNAL_H
#define GW_FS_REDO_INTERNAL_H

#include "fs/evidence.h"
#include "fs/redo.h"

/* Of an exchange, put before its intent: it has two whom nobody finds by a name that is not told of
 * yet. */
struct gw_fs_exchange_v1 {
	uint64_t inode, other; /* who has the first name, and the second; 0: not known */
};
extern const struct gw_layout gw_fs_exchange_v1;

/* What the journal says of a request that may come again. */
enum fs_fact_kind {
	FS_FACT_INTENT,
	FS_FACT_EXCHANGE,
	FS_FACT_INODE,
	FS_FACT_HANDLE,
	FS_FACT_HANDLE_GONE,
};

struct fs_fact {
	uint64_t serial;
	uint8_t queue;
	uint8_t kind;
	_Atomic bool used;
	uint64_t id;	/* of inode or handle; of who has the first name in an exchange */
	uint64_t inode; /* the handle's; of who has the second */
	struct gw_fs_intent_v1 intent;
	char *names; /* of a rename: both, each with its NUL */
};

struct fs_redo {
	struct fs_fact *facts; /* by queue and serial, in the order of the journal */
	size_t count, room;
};

/* The first of that kind, or NULL. By the request (NULL as well if it does not come again). */
const struct fs_fact *fs_fact_of(const struct fs_redo *redo, unsigned queue, uint64_t serial,
				 enum fs_fact_kind kind);
const struct fs_fact *fs_fact_find(const struct fs_request *req, enum fs_fact_kind kind);
const struct gw_fs_intent_v1 *fs_fact_intent(const struct fs_request *req);

/* Logged and counted. Returns @as. */
bool fs_redo_undecided(const struct fs_request *req, const char *what, bool as);
/* Completes @intent, and puts it. */
void fs_intend_as(const struct fs_request *req, struct gw_fs_intent_v1 *intent);
bool fs_intent_is_who(const struct gw_fs_intent_v1 *intent, const struct statx *stx);

#endif
