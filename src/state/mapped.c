/* SPDX-License-Identifier: BSD-3-Clause */
/* state/mapped.c - bytes into memory of big pages: not by write(), but to where they will lie. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bigpage.h"
#include "base/checked.h"
#include "base/past_cache.h"
#include "base/sigbus.h"
#include "state/mapped.h"

/*
 * write() copies through the cache: each line of the memory is fetched before it is overwritten,
 * page by page, at addresses that a record's head has put out of step. Where the memory is of big
 * pages (gw_state_memory_new()) a mapping costs next to nothing, and the processor can be told not
 * to fetch: twice as fast. Of small pages a mapping costs more than it saves, so that each step
 * shows by its page faults what it is made of. That is Linux's doing (MADV_POPULATE_WRITE: 5.14);
 * elsewhere it is write().
 *
 * The memory is a peer's: it may be cut under the mapping (the guard), or be full of holes for
 * which there is no memory left (asked for before they are touched, or it would be a SIGBUS; then
 * write() says so).
 */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define STEP	   GW_BIG_PAGE
#define FAULTS_MAX 8 /* in a step of big pages; of pages of 4 KiB it has 512 */
/* Of so many big ones one may be of small pages. */
#define SMALL_SHARE 16

void gw_mapped_close(struct gw_mapped *mapped)
{
	if (!mapped->map)
		return;
	gw_guard_free(mapped->guard);
	munmap(mapped->map, mapped->len);
	mapped->map = NULL;
}

static ssize_t give_up(struct gw_mapped *mapped)
{
	gw_mapped_close(mapped);
	mapped->over = true;
	return 0;
}

/* Seals are what memory has, and files on disks and of peers' file systems have not. */
static bool is_memory(int fd, struct stat *st, off_t *at)
{
	int flags = fcntl(fd, F_GETFL);

	*at = lseek(fd, 0, SEEK_CUR);
	return flags >= 0 && !(flags & O_APPEND) && fcntl(fd, F_GET_SEALS) >= 0 && !fstat(fd, st) &&
	       *at >= 0 && *at < st->st_size;
}

static bool open_map(struct gw_mapped *mapped, int fd)
{
	struct stat st;
	off_t at;

	if (!is_memory(fd, &st, &at))
		return false;
	mapped->map = gw_big_map_file(fd, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED);
	if (!mapped->map)
		return false;
	mapped->len = (size_t)st.st_size;
	mapped->at = (size_t)at;
	mapped->ready = mapped->at & ~(size_t)(STEP - 1);
	if (!gw_guard_new(&mapped->guard, mapped->map, mapped->len, gw_guard_page_size(fd)))
		return true;
	munmap(mapped->map, mapped->len);
	mapped->map = NULL;
	return false;
}

static long count_faults(void)
{
	struct rusage usage = {0};

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt;
}

/* One more step that is all there. A few big pages could not be made where all others were. */
static bool make_ready(struct gw_mapped *mapped)
{
	long before = count_faults();

	if (mapped->len - mapped->ready < STEP ||
	    madvise(mapped->map + mapped->ready, STEP, MADV_POPULATE_WRITE))
		return false;
	if (count_faults() - before > FAULTS_MAX)
		mapped->small++;
	else
		mapped->big++;
	if (mapped->small > mapped->big / SMALL_SHARE)
		return false;
	mapped->ready += STEP;
	return true;
}

/* How many of @len bytes have found a place. */
static size_t copy(struct gw_mapped *mapped, const uint8_t *from, size_t len)
{
	size_t done = 0;

	while (done < len && (mapped->at < mapped->ready || make_ready(mapped))) {
		size_t n = GW_MIN(len - done, mapped->ready - mapped->at);

		gw_copy_past_cache(mapped->map + mapped->at, from + done, n);
		mapped->at += n;
		done += n;
	}
	return done;
}

static size_t copy_all(struct gw_mapped *mapped, const struct iovec *iov, unsigned n)
{
	size_t done = 0;

	for (unsigned i = 0; i < n; i++) {
		size_t copied = copy(mapped, iov[i].iov_base, iov[i].iov_len);

		done += copied;
		if (copied < iov[i].iov_len)
			break;
	}
	return done;
}

ssize_t gw_mapped_write(struct gw_mapped *mapped, int fd, const struct iovec *iov, unsigned n)
{
	size_t done;

	if (mapped->over)
		return 0;
	if (!mapped->map && !open_map(mapped, fd))
		return give_up(mapped);
	done = copy_all(mapped, iov, n);
	if (gw_guard_is_broken(mapped->guard)) {
		errno = EIO; /* it was cut meanwhile */
		return -1;
	}
	if (!done)
		return give_up(mapped);
	return lseek(fd, (off_t)mapped->at, SEEK_SET) < 0 ? -1 : (ssize_t)done;
}
