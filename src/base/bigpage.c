/* SPDX-License-Identifier: BSD-3-Clause */
/* base/bigpage.c - memory by the big page, some of it made ready before it is needed. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/bigpage.h"
#include "base/checked.h"
#include "base/cleanup.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; before that an error, which is no matter */
#endif

static struct {
	pthread_mutex_t lock;
	char *at;
	size_t left;
	unsigned releases;
} ready = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Addresses, @len a multiple of the page size; what is around them is given back. */
static char *reserve_aligned(size_t len, int prot)
{
	char *base = mmap(NULL, len + GW_BIG_PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t head;

	if (base == MAP_FAILED)
		return NULL;
	head = (size_t)(-(uintptr_t)base & (GW_BIG_PAGE - 1));
	if (head)
		munmap(base, head);
	munmap(base + head + len, GW_BIG_PAGE - head);
	return base + head;
}

static void *map_aligned(size_t len)
{
	void *memory = reserve_aligned(len, PROT_READ | PROT_WRITE);

	if (memory)
		madvise(memory, len, MADV_HUGEPAGE);
	return memory;
}

void *gw_big_map_file(int fd, size_t len, int prot, int flags)
{
	size_t whole = gw_round_up(len, (size_t)sysconf(_SC_PAGESIZE));
	char *at = reserve_aligned(whole, PROT_NONE);
	void *map;
	int err;

	if (!at)
		return NULL;
	map = mmap(at, len, prot, flags | MAP_FIXED, fd, 0);
	if (map != MAP_FAILED)
		return map;
	err = errno;
	munmap(at, whole);
	errno = err;
	return NULL;
}

static void *take_ready(size_t len)
{
	GW_LOCK_SCOPE(&ready.lock);
	void *taken = ready.at;

	if (len > ready.left)
		return NULL;
	ready.at += len;
	ready.left -= len;
	return taken;
}

void *gw_big_map(size_t len)
{
	void *memory = take_ready(len);

	return memory ? memory : map_aligned(len);
}

static bool is_wanted(size_t len, unsigned *releases)
{
	GW_LOCK_SCOPE(&ready.lock);

	*releases = ready.releases;
	return ready.left < len;
}

/* It may not be wanted any more: what is to be unmapped is the result. */
static struct iovec put_in(void *memory, size_t len, unsigned releases)
{
	GW_LOCK_SCOPE(&ready.lock);
	struct iovec before = {ready.at, ready.left};

	if (ready.left >= len || ready.releases != releases)
		return (struct iovec){memory, len};
	ready.at = memory;
	ready.left = len;
	return before;
}

void gw_big_prepare(size_t len)
{
	struct iovec rest;
	unsigned releases;
	void *memory = is_wanted(len, &releases) ? map_aligned(len) : NULL;

	if (!memory)
		return;
	madvise(memory, len, MADV_POPULATE_WRITE);
	rest = put_in(memory, len, releases);
	if (rest.iov_len)
		munmap(rest.iov_base, rest.iov_len);
}

void gw_big_release(void)
{
	GW_LOCK_SCOPE(&ready.lock);

	ready.releases++;
	if (ready.left)
		munmap(ready.at, ready.left);
	ready.left = 0;
}

bool gw_big_is_ready(void)
{
	GW_LOCK_SCOPE(&ready.lock);

	return ready.left;
}
