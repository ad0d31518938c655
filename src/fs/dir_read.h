/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/dir_read.h - the entries of an open directory, from a cookie on. */
#ifndef GW_FS_DIR_READ_H
#define GW_FS_DIR_READ_H

#include <stddef.h>
#include <stdint.h>

struct fs_dir;

/* One entry as the guest is to get it. */
struct fs_listed {
	const char *name;
	size_t len;
	uint64_t ino;
	uint64_t cookie; /* where to go on after it */
	unsigned char type;
};

/* What is done with one: */
#define FS_LIST_FULL   0 /* it does not fit; the next request begins with it */
#define FS_LIST_TAKEN  1
#define FS_LIST_PASSED 2 /* not for the guest, go on */

/*
 * Calls @put for the entries of @fd (the handle's) from @cookie on, until it returns FS_LIST_FULL
 * or a negative errno, or the directory ends. At most about @budget bytes are asked of the host at
 * once. Holds the stream's lock, allocates nothing.
 */
typedef int fs_list_put(void *opaque, const struct fs_listed *entry);
int fs_dir_read(struct fs_dir *dir, int fd, uint64_t cookie, size_t budget, fs_list_put *put,
		void *opaque);

#endif
