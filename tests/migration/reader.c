/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/reader.c - a guest that reads a directory piece by piece, and what it was given.
 */
#include "reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "fs/dir.h"
#include "fs/dir_read.h"

void reader_files(struct share *share, const char *dir)
{
	char name[64];

	for (unsigned i = 0; i < READER_FILES; i++) {
		snprintf(name, sizeof(name), "%s/n%u", dir, i);
		share_file(share, name, "");
	}
}

static int take(void *opaque, const struct fs_listed *entry)
{
	struct reader *reader = opaque;

	if (!reader->budget)
		return FS_LIST_FULL;
	reader->budget--;
	reader->cookie = entry->cookie;
	if (entry->name[0] == 'n')
		reader->seen[atoi(entry->name + 1)]++;
	return FS_LIST_TAKEN;
}

int reader_try(struct reader *reader, struct share *share, uint64_t handle, unsigned count)
{
	FS_AUTO_HANDLE struct fs_handle *found = fs_handle_get(share->fs.handles, handle);

	reader->budget = count;
	return fs_dir_read(found->dir, found->fd, reader->cookie, 4096, take, reader);
}

bool reader_next(struct reader *reader, struct share *share, uint64_t handle, unsigned count)
{
	assert_int_equal(reader_try(reader, share, handle, count), 0);
	return reader->budget != count;
}

void reader_rest(struct reader *reader, struct share *share, uint64_t handle)
{
	while (reader_next(reader, share, handle, 37))
		;
}

void reader_has_all(const struct reader *reader, unsigned times)
{
	for (unsigned i = 0; i < READER_FILES; i++)
		assert_int_equal(reader->seen[i], times);
}
