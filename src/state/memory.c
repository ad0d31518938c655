/* SPDX-License-Identifier: BSD-3-Clause */
/* state/memory.c - memory for a big state, made ready before a guest stands still for it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/bigpage.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "godwit/state.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; before that an error, which is no matter */
#endif

/* Somebody else has a page in hand, who as a rule lets go of it soon. */
#define SEAL_TRIES 100u
#define HUGE_TRIES 20u
#define PAUSE_NS   2000000

static void pause_shortly(void)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};

	nanosleep(&pause, NULL);
}

/*
 * Most of what a big state costs in memory of small pages is not the copying: each page has to be
 * found on writing, and mapped on reading. The kernel makes no huge ones of a memfd by itself where
 * shmem_enabled says `never`, as it does by default, but does when it is asked for these very ones.
 */
static void make_huge(int fd, size_t len)
{
	void *map = gw_big_map_file(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED);

	if (!map)
		return;
	for (unsigned i = 0; madvise(map, len, MADV_COLLAPSE) < 0; i++) {
		if (errno != EAGAIN || i == HUGE_TRIES)
			break;
		pause_shortly();
	}
	munmap(map, len);
}

int gw_state_memory_new(uint64_t bytes)
{
	GW_AUTO_FD int fd = memfd_create("godwit-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint64_t len;

	if (fd < 0)
		return gw_fail(errno, "memory for a state: %s", strerror(errno));
	if (!bytes || bytes > INT64_MAX - GW_BIG_PAGE)
		return gw_fail(EINVAL, "memory for a state: %llu bytes, 1 to 2^63 are possible",
			       (unsigned long long)bytes);
	len = gw_round_up(bytes, GW_BIG_PAGE);
	if (fallocate(fd, 0, 0, (off_t)len) < 0)
		return gw_fail(errno, "memory for a state of %llu bytes: %s",
			       (unsigned long long)bytes, strerror(errno));
	make_huge(fd, len);
	return gw_take_fd(&fd);
}

/*
 * The kernel refuses for as long as anybody has a page in hand, of which not all are ours to know:
 * who makes huge pages of small ones has, for a moment. It waits itself for some of them.
 */
static int add_seals(int fd, int seals)
{
	int result;

	for (unsigned i = 0; (result = fcntl(fd, F_ADD_SEALS, seals)) < 0; i++) {
		if (errno != EBUSY || i == SEAL_TRIES)
			break;
		pause_shortly();
	}
	return result;
}

int gw_state_memory_seal(int fd)
{
	off_t len = lseek(fd, 0, SEEK_CUR);

	if (len <= 0)
		return gw_fail(len ? errno : ENODATA, "memory for a state: %s",
			       len ? strerror(errno) : "nothing was written at its offset");
	if (ftruncate(fd, len) < 0 ||
	    add_seals(fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return gw_fail(errno, "memory for a state: it cannot be sealed: %s",
			       strerror(errno));
	return 0;
}
