/* SPDX-License-Identifier: BSD-3-Clause */
/* state/sealed.c - a stream in sealed memory is read where it lies: nobody can change it any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bigpage.h"
#include "base/checked.h"
#include "state/reader_internal.h"

/*
 * A big state costs a copy less, and no buffer. What a peer gives is looked at in place only if it
 * is ours to look at: memory that it could still write would change between check and use, and
 * memory that it could cut would end this process (SIGBUS). F_SEAL_GROW is not needed: what is
 * appended is noticed.
 */
#define SEALS	   (F_SEAL_SHRINK | F_SEAL_WRITE)
#define READY_STEP (8u * 1024 * 1024)

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14; before that an error, which is no matter */
#endif

/* Where in the file it begins, or -1: it is not such a file. */
static off_t begin_of(const struct gw_channel *channel, struct stat *st)
{
	int seals = fcntl(channel->config.fd, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(channel->config.fd, st) < 0)
		return -1;
	return channel->by_position ? 0 : lseek(channel->config.fd, 0, SEEK_CUR);
}

int gw_reader_map(struct gw_state_reader *reader)
{
	struct stat st;
	off_t begin = begin_of(&reader->channel, &st);
	void *map;

	if (begin < 0 || st.st_size - begin < GW_WIRE_MAGIC_LEN)
		return 0;
	/* Private: a shared mapping of a descriptor that is open for writing is refused. */
	map = gw_big_map_file(reader->channel.config.fd, (size_t)st.st_size, PROT_READ,
			      MAP_PRIVATE);
	if (!map)
		return 0;
	reader->map = map;
	reader->map_len = (size_t)st.st_size;
	if (memcmp((char *)map + begin, GW_WIRE_MAGIC, GW_WIRE_MAGIC_LEN) != 0) {
		gw_reader_unmap(reader); /* of another make: it is read */
		return 0;
	}
	reader->buf = (uint8_t *)map + begin;
	reader->end = (size_t)(st.st_size - begin);
	return 0;
}

void gw_reader_unmap(struct gw_state_reader *reader)
{
	if (!reader->map)
		return;
	munmap(reader->map, reader->map_len);
	reader->map = NULL;
	reader->buf = NULL;
}

void gw_reader_make_ready(struct gw_state_reader *reader)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = (uintptr_t)(reader->buf + reader->ready) & ~(page - 1);
	size_t len = GW_MIN((size_t)READY_STEP, reader->end - reader->ready);

	madvise((void *)from, (uintptr_t)(reader->buf + reader->ready) + len - from,
		MADV_POPULATE_READ);
	reader->ready += len;
}

bool gw_reader_map_has_grown(const struct gw_state_reader *reader)
{
	struct stat st;

	return fstat(reader->channel.config.fd, &st) < 0 || (size_t)st.st_size != reader->map_len;
}
