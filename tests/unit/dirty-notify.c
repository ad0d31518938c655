/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/dirty-notify.c - who asked for it (SET_LOG_FD) is told of each mark. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cmocka-all.h"
#include "virtio/dirty.h"

static struct gw_dirty *dirty;

static int set_up(void **state)
{
	GW_AUTO_FD int fd = memfd_create("log", MFD_CLOEXEC);

	return ftruncate(fd, 4096) ? -1 : gw_dirty_new(&dirty, fd, 0, 4096);
}

static int tear_down(void **state)
{
	gw_dirty_unref(dirty);
	return 0;
}

static void test_told_of_each_mark(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	GW_AUTO_FD int ours = dup(fd);
	uint64_t count = 0;

	gw_dirty_set_notify(dirty, fd);
	gw_dirty_mark(dirty, 0, 1);
	gw_dirty_mark(dirty, 4096, 10000);
	assert_int_equal(read(ours, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 2);
	gw_dirty_mark(dirty, 0, 0);
	assert_int_equal(read(ours, &count, sizeof(count)), -1);
}

/* A descriptor that takes no more must not hold up a ring. */
static void test_one_that_is_full_is_not_waited_for(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t most = UINT64_MAX - 1;

	assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
	gw_dirty_set_notify(dirty, fd);
	gw_dirty_mark(dirty, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_told_of_each_mark, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_that_is_full_is_not_waited_for, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
