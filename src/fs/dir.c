/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/dir.c - where a directory stream is, so that it can go on somewhere else. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/cleanup.h"
#include "fs/dir.h"
#include "fs/fs.h"
#include "godwit/error.h"

#define FIRST_ROOM 64u
#define FIRST_SET  256u
/* Cookies are loff_t in the guest: the top bit is not to be used. */
#define MOVED_COOKIE (UINT64_C(1) << 62)

int fs_dir_new(struct fs_dir **out, unsigned limit)
{
	struct fs_dir *dir = calloc(1, sizeof(*dir));

	if (!dir)
		return gw_fail(ENOMEM, "directory stream: no memory");
	pthread_mutex_init(&dir->lock, NULL);
	dir->limit = limit;
	*out = dir;
	return 0;
}

void fs_dir_free(struct fs_dir *dir)
{
	if (!dir)
		return;
	pthread_mutex_destroy(&dir->lock);
	free(dir->entries);
	free(dir->set);
	free(dir);
}

uint64_t fs_dir_hash(const char *name, size_t len)
{
	return XXH3_64bits(name, len);
}

/* The set holds entry numbers + 1; it is only ever added to, or dropped whole. */
static void drop_set(struct fs_dir *dir)
{
	free(dir->set);
	dir->set = NULL;
	dir->set_mask = dir->set_count = 0;
}

static uint32_t *find_in_set(const struct fs_dir *dir, uint64_t hash)
{
	uint32_t i = (uint32_t)hash & dir->set_mask;

	while (dir->set[i] && dir->entries[dir->set[i] - 1].hash != hash)
		i = (i + 1) & dir->set_mask;
	return &dir->set[i];
}

/* All entries are in the set afterwards, which is at most half full. */
static int complete_set(struct fs_dir *dir)
{
	if (!dir->set || dir->count > dir->set_mask / 2) {
		uint32_t size = FIRST_SET;

		while (size / 4 < dir->count)
			size *= 2;
		drop_set(dir);
		dir->set = calloc(size, sizeof(*dir->set));
		if (!dir->set)
			return -ENOMEM;
		dir->set_mask = size - 1;
	}
	while (dir->set_count < dir->count) {
		uint32_t *at = find_in_set(dir, dir->entries[dir->set_count].hash);

		dir->set_count++;
		if (!*at)
			*at = dir->set_count;
	}
	return 0;
}

static void cut(struct fs_dir *dir, uint32_t count)
{
	/* Where the host stood at an entry that was served here is known for the last one alone. */
	if (count < dir->count) {
		drop_set(dir);
		dir->place = 0;
	}
	dir->count = count;
}

int fs_dir_resume(struct fs_dir *dir, uint64_t cookie)
{
	if (!cookie) {
		cut(dir, 0);
		dir->place = 0;
		dir->moved = dir->untracked = dir->overfull = false;
		return 0;
	}
	/* Nearly always it goes on where it was, or a little before. */
	for (uint32_t i = dir->count; i; i--) {
		if (dir->entries[i - 1].cookie == cookie) {
			cut(dir, i);
			return 0;
		}
	}
	if (dir->moved)
		return -EINVAL;
	/* A seek to where this handle never was: from here on only the host knows. */
	cut(dir, 0);
	dir->untracked = true;
	return 0;
}

bool fs_dir_is_moved(const struct fs_dir *dir)
{
	return dir->moved;
}

bool fs_dir_was_served(struct fs_dir *dir, const char *name, size_t len)
{
	/* Without memory a name may come twice, which is better than one missing. */
	return !complete_set(dir) && *find_in_set(dir, fs_dir_hash(name, len));
}

uint64_t fs_dir_next_cookie(const struct fs_dir *dir)
{
	return MOVED_COOKIE | (dir->count + 1);
}

static int append(struct fs_dir *dir, uint64_t cookie, uint64_t hash)
{
	if (dir->count == dir->room) {
		uint32_t room = dir->room ? dir->room * 2 : FIRST_ROOM;
		struct fs_dir_entry *entries = realloc(dir->entries, room * sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		dir->entries = entries;
		dir->room = room;
	}
	dir->entries[dir->count++] = (struct fs_dir_entry){.cookie = cookie, .hash = hash};
	return 0;
}

/* A stream that moved has nothing else to go on by, and so remembers more than the limit. */
static uint32_t most(const struct fs_dir *dir)
{
	return dir->moved ? FS_DIR_LIMIT_MAX : dir->limit;
}

void fs_dir_serve(struct fs_dir *dir, uint64_t cookie, const char *name, size_t len)
{
	if (dir->untracked)
		return;
	if (dir->count < most(dir) && !append(dir, cookie, fs_dir_hash(name, len)))
		return;
	dir->overfull = true;
	if (!dir->moved) {
		cut(dir, 0);
		dir->untracked = true;
	}
}

int fs_dir_adopt(struct fs_dir *dir, uint64_t cookie, uint64_t hash)
{
	dir->moved = true;
	return dir->count < dir->limit ? append(dir, cookie, hash) : -ENOSPC;
}

bool fs_dir_can_travel(struct fs_dir *dir)
{
	GW_LOCK_SCOPE(&dir->lock);

	return !dir->overfull && dir->count <= dir->limit;
}
