/* SPDX-License-Identifier: BSD-3-Clause */
/* common/model.h - random operations on a file system, each held against a model in memory. */
/*
 * The model knows every name, every file's content and attributes, and what is open, named or not.
 * It picks an operation, tells what has to come of it, has it done (struct model_ops: by system
 * calls in a guest, or by FUSE requests) and compares. The same seed makes the same operations.
 */
#ifndef TESTS_COMMON_MODEL_H
#define TESTS_COMMON_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MODEL_NODES	 96
#define MODEL_ENTRIES	 160
#define MODEL_HANDLES	 24
#define MODEL_FILE_MAX	 24576
#define MODEL_NAME_MAX	 24
#define MODEL_VALUE_MAX	 32
#define MODEL_HISTORY	 24
#define MODEL_LINE_MAX	 96
#define MODEL_LISTED_MAX 64

enum model_type { MODEL_FILE, MODEL_DIR, MODEL_LINK };

struct model_node {
	bool used;
	enum model_type type;
	uint64_t id, lookups; /* whoever does the operations keeps here what it needs */
	uint64_t ino;	      /* as first seen; it stays */
	mode_t mode;
	unsigned nlink, handles;
	size_t size;
	uint8_t *data;
	char target[MODEL_NAME_MAX], value[MODEL_VALUE_MAX]; /* of a link; of user.model */
	uint64_t lost_at;				     /* when a name was last removed here */
};

struct model_entry {
	bool used;
	struct model_node *parent, *child;
	char name[MODEL_NAME_MAX];
	uint64_t born;
};

struct model_handle {
	bool used, append, writable;
	struct model_node *node;
	uint64_t id; /* of whoever does the operations */
	void *stream;
	/* Of a directory that is being read. */
	uint64_t since, place;
	unsigned listed;
	char names[MODEL_LISTED_MAX][MODEL_NAME_MAX];
};

struct model_stat {
	enum model_type type;
	uint64_t ino;
	mode_t mode;
	unsigned nlink;
	size_t size;
};

/* All return what the system call would, or a negative errno. */
struct model_ops {
	int (*make)(void *fs, struct model_node *parent, const char *name, struct model_node *node);
	int (*remove)(void *fs, struct model_node *parent, const char *name, bool as_dir);
	int (*link)(void *fs, struct model_node *node, struct model_node *parent, const char *name);
	int (*rename)(void *fs, struct model_node *from, const char *name, struct model_node *to,
		      const char *name2, unsigned flags);
	int (*lookup)(void *fs, struct model_node *parent, const char *name,
		      struct model_node *node); /* @node NULL: expected to be absent */
	int (*open)(void *fs, struct model_handle *handle);
	int (*close)(void *fs, struct model_handle *handle);
	int (*read)(void *fs, struct model_handle *handle, size_t at, void *data, size_t len);
	int (*write)(void *fs, struct model_handle *handle, size_t at, const void *data,
		     size_t len);
	int (*truncate)(void *fs, struct model_node *node, struct model_handle *handle,
			size_t size);
	int (*chmod)(void *fs, struct model_node *node, struct model_handle *handle, mode_t mode);
	int (*stat)(void *fs, struct model_node *node, struct model_handle *handle,
		    struct model_stat *st);
	int (*readlink)(void *fs, struct model_node *node, char *target, size_t room);
	int (*set_value)(void *fs, struct model_node *node, struct model_handle *handle,
			 const char *value);
	int (*get_value)(void *fs, struct model_node *node, struct model_handle *handle,
			 char *value, size_t room);
	int (*list)(void *fs, struct model_handle *handle, char *name); /* 1, or 0 at the end */
	void (*forget)(void *fs, struct model_node *node);		/* it is gone; or NULL */
};

struct model {
	const struct model_ops *ops;
	void *fs;
	uint64_t seed, state, step;
	/* Of the file system: a listing that a rename came into may begin again (tmpfs of
	 * Linux 6.18 does so by itself, without us: the name gets a place that is still to come).
	 */
	bool renames_repeat;
	struct model_node nodes[MODEL_NODES]; /* the first is the root */
	struct model_entry entries[MODEL_ENTRIES];
	struct model_handle handles[MODEL_HANDLES];
	char history[MODEL_HISTORY][MODEL_LINE_MAX]; /* the last operations, in a ring */
	char difference[256];			     /* the first one found */
};

/* @root_id: as struct model_node.id of the directory to work in, which is empty. */
void model_start(struct model *model, const struct model_ops *ops, void *fs, uint64_t seed,
		 uint64_t root_id);
bool model_step(struct model *model);	/* one operation; false: a difference */
bool model_verify(struct model *model); /* everything */
void model_end(struct model *model);	/* closes what is open */
/* Line @n of what to tell of a difference: what, seed, step, then the last operations; NULL: no
 * more. Valid until the next call. */
const char *model_report(const struct model *model, unsigned n);

/* Below the directory that the model works in, "." for itself; false: it has no name. */
bool model_path(const struct model *model, const struct model_node *node, char *path, size_t room);
struct model_handle *model_open_handle(struct model *model, const struct model_node *node,
				       bool writable);

#endif
