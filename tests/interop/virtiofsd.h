/* SPDX-License-Identifier: BSD-3-Clause */
/* interop/virtiofsd.h - virtiofsd (the Rust one) over a tree of files, and a guest that uses it. */
#ifndef TESTS_INTEROP_VIRTIOFSD_H
#define TESTS_INTEROP_VIRTIOFSD_H

#include <sys/types.h>

#include "../common/fuse_client.h"

/* Where it is: what VIRTIOFSD names, else where Debian puts it. NULL, and a line that says so, if
 * there is none. */
const char *virtiofsd_program(void);

struct virtiofsd {
	char socket[64];
	pid_t pid;
};

/* Serves @dir/share at @dir/@name.sock, with up to three @options (NULL where there are fewer). It
 * ends with its connection. */
void virtiofsd_start(struct virtiofsd *daemon, const char *dir, const char *name,
		     const char *const options[3]);
void virtiofsd_wait(struct virtiofsd *daemon);

/*
 * @dir/share: hello; dir/inner/deep; dir/other, a second link to hello; link -> hello; gone;
 * many/entry-000 to entry-299.
 */
#define TREE_MANY 300
void tree_make(const char *dir);
void tree_remove(const char *dir);

/* What the guest knows and has open in that tree; numbers are those that the back-end gave. */
struct tree_guest {
	uint64_t hello, dir, inner, deep, many;
	uint64_t deep_fh, hello_fh, many_fh;
	uint64_t cookie;       /* where reading many is */
	unsigned entries_seen; /* of many, "." and ".." not counted */
	bool seen[TREE_MANY];
};
/* Look everything up (hello three times), open, read some of many. */
void tree_use(struct fuse_client *client, struct tree_guest *guest);
/* Read on: at most @bytes of answer; false at the end. */
bool tree_read_many(struct fuse_client *client, struct tree_guest *guest, uint32_t bytes);
/* Everything of @guest is as it was, and what was being read comes to its end whole. */
void tree_check(struct fuse_client *client, struct tree_guest *guest);

#endif
