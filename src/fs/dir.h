/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/dir.h - where a directory stream is, so that it can go on somewhere else. */
#ifndef GW_FS_DIR_H
#define GW_FS_DIR_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Cookies are the host's own (d_off) and mean nothing on another file system, or where the host
 *makes them up at open. So an open directory remembers which names it has served, as hashes, each
 *with the cookie that the guest can come back with. What READDIR does with it:
 *
 *	position = fs_dir_resume(dir, cookie)	once a request
 *	if fs_dir_is_moved(dir):	read the host's directory from its start, skip what
 *					fs_dir_was_served(), hand out cookies of
 *fs_dir_next_cookie() else:				lseek() to the cookie, hand out the host's
 *cookies fs_dir_serve(dir, cookie handed out, name)	for each entry that goes to the guest
 *
 * The caller holds the stream's lock over all of that, with the descriptor's position: two READDIR
 * of one handle may race.
 */
struct fs_dir {
	pthread_mutex_t lock;
	struct fs_dir_entry *entries;
	uint32_t count, room;
	bool moved; /* the entries came out of a stream: cookies below mean nothing to the host */
	uint64_t place; /* moved: the host's cookie of the last entry served; 0: from the start */
	bool untracked; /* what was served is not known: the host's cookies have to do */
	bool overfull;	/* untracked, since there were more than @limit */
	uint32_t limit; /* entries that are remembered, and travel (--dir-limit) */
	uint32_t *set;	/* hash set over entries[0..set_count), made when it is first needed */
	uint32_t set_mask, set_count;
};

struct fs_dir_entry {
	uint64_t cookie; /* what the guest sends to go on after this entry */
	uint64_t hash;
};

int fs_dir_new(struct fs_dir **dir, unsigned limit);
void fs_dir_free(struct fs_dir *dir); /* NULL is allowed */

uint64_t fs_dir_hash(const char *name, size_t len);
/* The guest goes on after @cookie (0: from the start); what was served beyond it is taken back.
 * -EINVAL: a stream that moved does not know the cookie. */
int fs_dir_resume(struct fs_dir *dir, uint64_t cookie);
bool fs_dir_is_moved(const struct fs_dir *dir);
bool fs_dir_was_served(struct fs_dir *dir, const char *name, size_t len);
/* For the next entry of a stream that moved. */
uint64_t fs_dir_next_cookie(const struct fs_dir *dir);
void fs_dir_serve(struct fs_dir *dir, uint64_t cookie, const char *name, size_t len);
/* As it came out of a stream, in the order served. -ENOSPC: those are more than the limit. */
int fs_dir_adopt(struct fs_dir *dir, uint64_t cookie, uint64_t hash);
/* Can it be told where reading goes on? Takes the lock. What cannot is told as a stream that knows
 * no cookie, so that the guest can begin anew and nothing else. */
bool fs_dir_can_travel(struct fs_dir *dir);
#define FS_DIR_NOWHERE UINT64_MAX /* a cookie that nobody has */

#endif
