/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/state-ready.c - memory that was made ready for a state is of big pages. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/bigpage.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "godwit/state.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define BIG_PAGES 4
#define LEN	  (BIG_PAGES * (size_t)GW_BIG_PAGE)

static long faults(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_minflt;
}

/* How many big pages the memory has: of one all is there once a byte of it is. */
static unsigned count_big(int fd)
{
	volatile char *map = gw_big_map_file(fd, LEN, PROT_READ | PROT_WRITE, MAP_SHARED);
	unsigned big = 0;

	assert_non_null(map);
	for (size_t at = 0; at < LEN; at += GW_BIG_PAGE) {
		long before;

		map[at] = 1;
		before = faults();
		map[at + GW_BIG_PAGE - 1] = 1;
		big += faults() == before;
	}
	munmap((void *)map, LEN);
	return big;
}

static bool kernel_makes_big_ones(void)
{
	GW_AUTO_FD int fd = memfd_create("big", MFD_CLOEXEC);
	void *map;
	bool made;

	assert_int_equal(posix_fallocate(fd, 0, LEN), 0);
	map = gw_big_map_file(fd, LEN, PROT_READ | PROT_WRITE, MAP_SHARED);
	assert_non_null(map);
	made = !madvise(map, LEN, MADV_COLLAPSE);
	munmap(map, LEN);
	return made && count_big(fd);
}

/* Wherever the kernel would map it by itself. Of some it may find no big page just now. */
static void of_big_pages(void **state)
{
	unsigned big = 0;

	(void)state;
	if (!kernel_makes_big_ones()) {
		print_message("skipped: this kernel makes no big pages of a memfd\n");
		skip();
	}
	for (unsigned i = 0; i < 4; i++) {
		GW_AUTO_FD int fd = gw_state_memory_new(LEN);

		assert_true(fd >= 0);
		big += count_big(fd);
		mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	assert_true(big > BIG_PAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_big_pages),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
