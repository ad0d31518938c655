/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/creds.h - act as the request's user: the one way to create things. */
#ifndef GW_FS_CREDS_H
#define GW_FS_CREDS_H

#include <stdbool.h>
#include <stdint.h>

struct fs_request;

/*
 * Switches this thread's file-system uid, gid and supplementary groups to the request's (as they
 * are on the host: idmap.h), until fs_creds_leave() (or the end of the scope); everything is put
 * back, also groups, so that nothing leaks into the thread's next request. While the uid is not 0
 * the kernel keeps capabilities over files from the thread, so that its permissions are the user's.
 *
 * A process without privilege stands for its own user and for the guest's root, for whom nothing
 * is switched; for any other user -EPERM.
 */
struct fs_creds {
	bool switched;
	bool groups_switched;
	uint32_t uid, gid; /* to go back to */
};
#define FS_CREDS_INIT             \
	{                         \
		.switched = false \
	}
int fs_creds_enter(struct fs_creds *creds, const struct fs_request *req);
void fs_creds_leave(struct fs_creds *creds);
#define FS_AUTO_CREDS __attribute__((cleanup(fs_creds_leave)))

#endif
