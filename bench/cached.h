/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/cached.h - a tree of files, and a guest that has looked up all of it. */
#ifndef GW_BENCH_CACHED_H
#define GW_BENCH_CACHED_H

#include <stdbool.h>

#include "bench/peer.h"

#define CACHED_FILES_PER_DIR 1000u
#define CACHED_DEPTH	     32u	  /* requests at once */
#define CACHED_NAME_FORMAT   "file-%011u" /* 16 bytes, as the aims say */

struct cached_tree {
	unsigned inodes;
	bool keep; /* @dir is the tree itself, and stays */
	char dir[256];
};

struct cached_request {
	char *out, *in;
	unsigned number;
};

struct cached_guest {
	struct peer peer;
	struct cached_request requests[CACHED_DEPTH];
	uint64_t *nodes, *handles;
};

/* Of a benchmark's command line: how large the tree is, and where. False if it is another option.
 */
#define CACHED_OPTIONS                                                                   \
	{"inodes", required_argument, NULL, 'i'}, {"dir", required_argument, NULL, 'd'}, \
	{                                                                                \
		"tree", required_argument, NULL, 't'                                     \
	}
bool cached_option(struct cached_tree *tree, int option, const char *value);
void cached_make(struct cached_tree *tree);
void cached_remove(const struct cached_tree *tree);
void cached_name_file_system(const struct cached_tree *tree);
/* Looks all files up, and opens so many of them. */
void cached_fill(struct cached_guest *guest, const struct cached_tree *tree, unsigned open);

#endif
