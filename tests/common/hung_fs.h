/* SPDX-License-Identifier: BSD-3-Clause */
/* common/hung_fs.h - a file system that answers some requests never, as storage does that is gone.
 */
#ifndef GW_TESTS_HUNG_FS_H
#define GW_TESTS_HUNG_FS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define HUNG_MAX 64

/*
 * In it: "file", which can be looked up and opened, and whose content never comes; everything whose
 * name begins with "hang" is looked up for ever; nothing else. A thread of this process serves it,
 * through the kernel's FUSE.
 */
struct hung_fs {
	int fd;
	char path[128];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock. */
	uint64_t hung[HUNG_MAX];
	unsigned count;
	bool let_go;
	_Atomic bool deaf;
};

/* Mounts it at @path. False: this process may not. */
bool hung_fs_start(struct hung_fs *fs, const char *path);
/* So many requests hang by now. */
void hung_fs_await(struct hung_fs *fs, unsigned count);
/* It takes no request any more: those that come now can be killed. (Nobody can kill what waits for
 * a FUSE server that has the request in its hands.) */
void hung_fs_be_deaf(struct hung_fs *fs);
/* All that hang fail, and those that come from now on too. */
void hung_fs_let_go(struct hung_fs *fs);
void hung_fs_stop(struct hung_fs *fs);

#endif
