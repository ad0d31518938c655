/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/state-ready.c - memory that was made ready for a state is of big pages, and is written
 * where it lies; what cannot be, is written. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/bigpage.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "state/channel.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define BIG_PAGES 4u
#define LEN	  (BIG_PAGES * (size_t)GW_BIG_PAGE)

static long faults(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_minflt;
}

/* How many big pages the memory has: of each all is there after one fault. The kernel itself
 * touches them, since a sanitizer has faults of its own for each. */
static unsigned count_big(int fd, size_t len)
{
	char *map = gw_big_map_file(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED);
	unsigned big = 0;

	assert_non_null(map);
	for (size_t at = 0; at < len; at += GW_BIG_PAGE) {
		long before = faults();

		big += !madvise(map + at, GW_BIG_PAGE, MADV_POPULATE_WRITE) &&
		       faults() - before <= 1;
	}
	munmap(map, len);
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
	return made && count_big(fd, LEN);
}

static void need_big_ones(void)
{
	if (kernel_makes_big_ones())
		return;
	print_message("skipped: this kernel makes no big pages of a memfd (Linux 6.1 does)\n");
	skip();
}

/* Wherever the kernel would map it by itself. Of some it may find no big page just now. */
static void of_big_pages(void **state)
{
	unsigned big = 0;

	(void)state;
	need_big_ones();
	for (unsigned i = 0; i < 4; i++) {
		GW_AUTO_FD int fd = gw_state_memory_new(LEN);

		assert_true(fd >= 0);
		big += count_big(fd, LEN);
		(void)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	assert_true(big > BIG_PAGES);
}

/*
 * Writing.
 */

#define MIB	  ((size_t)1 << 20)
#define MUCH	  (12 * MIB)
#define PIECE	  (192 * 1024 + 13) /* in step with nothing */
#define ODD_PLACE 12345

static uint8_t *much; /* bytes, no two MiB of them alike */

static int make_much(void **state)
{
	uint32_t x = 1;

	(void)state;
	much = malloc(MUCH);
	for (size_t i = 0; much && i < MUCH; i++) {
		x = x * 1664525 + 1013904223;
		much[i] = (uint8_t)(x >> 24);
	}
	return much ? 0 : -1;
}

static int free_much(void **state)
{
	(void)state;
	free(much);
	return 0;
}

/* All of it of big pages, if there are any: now and then one cannot be made. */
static int ready(size_t len)
{
	bool big = kernel_makes_big_ones();

	for (unsigned i = 0;; i++) {
		int fd = gw_state_memory_new(len);

		assert_true(fd >= 0);
		if (!big || i == 20 || count_big(fd, len) == len / GW_BIG_PAGE)
			return fd;
		gw_close(&fd);
	}
}

static int small_pages(void)
{
	int fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, MUCH + MIB), 0);
	return fd;
}

static int empty(void)
{
	int fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	return fd;
}

static int enough(void)
{
	return ready(MUCH + 4 * MIB);
}

static int too_short(void)
{
	return ready(MUCH / 2);
}

static int big_then_small(void)
{
	int fd = too_short();

	assert_int_equal(posix_fallocate(fd, 0, MUCH + 4 * MIB), 0);
	return fd;
}

static int not_from_the_beginning(void)
{
	int fd = enough();

	assert_int_equal(lseek(fd, ODD_PLACE, SEEK_SET), ODD_PLACE);
	return fd;
}

static int appended_to(void)
{
	int fd = enough();

	assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
	return fd;
}

static int cannot_be_cut(void)
{
	int fd = enough();

	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	return fd;
}

static int on_disk(void)
{
	char path[] = "/tmp/gw-ready.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0 && !unlink(path));
	assert_int_equal(ftruncate(fd, MUCH + MIB), 0);
	return fd;
}

static void channel_to(struct gw_channel *channel, int fd, int cancel)
{
	const struct gw_state_channel config = {.fd = fd, .cancel = cancel};

	assert_int_equal(gw_channel_open(channel, &config, true), 0);
}

/* @len of the many bytes, those that come next, with a small piece before each. */
static int write_some(struct gw_channel *channel, size_t len)
{
	int err = 0;

	for (size_t end = channel->moved + len; channel->moved < end && !err;) {
		uint8_t *at = much + channel->moved;
		size_t left = end - channel->moved;
		size_t small = GW_MIN(left, (size_t)7), large = GW_MIN(left - small, (size_t)PIECE);
		struct iovec iov[] = {{at, small}, {at + small, large}};

		err = gw_channel_write(channel, iov, 2, -1);
	}
	return err;
}

static bool holds_much(int fd, off_t from)
{
	GW_AUTO_FREE uint8_t *held = malloc(MUCH);

	assert_non_null(held);
	return pread(fd, held, MUCH, from) == (ssize_t)MUCH && !memcmp(held, much, MUCH);
}

static void the_same_wherever_it_goes(void **state)
{
	static const struct {
		const char *name;
		int (*make)(void);
		bool mapped;
	} rows[] = {
		{"enough", enough, true},
		{"from another place", not_from_the_beginning, true},
		{"cannot be cut", cannot_be_cut, true},
		{"too short", too_short, false},
		{"big pages, then small ones", big_then_small, false},
		{"small pages", small_pages, false},
		{"empty", empty, false},
		{"appended to", appended_to, false},
		{"on disk", on_disk, false},
	};
	bool big = kernel_makes_big_ones();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		GW_AUTO_FD int fd = rows[i].make();
		off_t from = lseek(fd, 0, SEEK_CUR);
		struct gw_channel channel;

		print_message("%s\n", rows[i].name);
		channel_to(&channel, fd, -1);
		assert_int_equal(write_some(&channel, MUCH), 0);
		if (big || !rows[i].mapped)
			assert_int_equal(channel.mapped.map != NULL, rows[i].mapped);
		gw_channel_close(&channel);
		if (rows[i].make == appended_to)
			from = lseek(fd, 0, SEEK_END) - (off_t)MUCH;
		assert_int_equal(lseek(fd, 0, SEEK_CUR), from + (off_t)MUCH);
		assert_true(holds_much(fd, from));
	}
}

/* Of many big pages one was not made, or was taken apart. */
static void a_small_one_among_big_ones(void **state)
{
	GW_AUTO_FD int fd = ready(4 * MUCH + 2 * MIB);
	struct gw_channel channel;

	(void)state;
	need_big_ones();
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 44 * MIB, 4096),
			 0);
	channel_to(&channel, fd, -1);
	for (unsigned i = 0; i < 4; i++) {
		struct iovec iov = {much, MUCH};

		assert_int_equal(gw_channel_write(&channel, &iov, 1, -1), 0);
	}
	assert_non_null(channel.mapped.map);
	assert_int_equal(channel.mapped.small, 1);
	gw_channel_close(&channel);
	for (unsigned i = 0; i < 4; i++)
		assert_true(holds_much(fd, (off_t)(i * MUCH)));
}

/* The offset says at any time how far it has got, and nothing is kept of it in the end. */
static void sealed_where_it_ends(void **state)
{
	GW_AUTO_FD int fd = enough();
	struct gw_channel channel;

	(void)state;
	channel_to(&channel, fd, -1);
	for (size_t i = 1; i <= 6; i++) {
		assert_int_equal(write_some(&channel, 2 * MIB - 1), 0);
		assert_int_equal(lseek(fd, 0, SEEK_CUR), i * (2 * MIB - 1));
	}
	assert_int_equal(write_some(&channel, 6), 0);
	gw_channel_close(&channel);
	assert_int_equal(gw_state_memory_seal(fd), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), MUCH);
	assert_true(holds_much(fd, 0));
}

/* By who gave it, in the midst of it. */
static void cut_meanwhile(void **state)
{
	GW_AUTO_FD int fd = enough();
	struct gw_channel channel;

	(void)state;
	need_big_ones();
	channel_to(&channel, fd, -1);
	assert_int_equal(write_some(&channel, 5 * MIB), 0);
	assert_non_null(channel.mapped.map);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(write_some(&channel, MIB / 2), -EIO);
	assert_int_equal(write_some(&channel, MIB / 2), -EIO);
	gw_channel_close(&channel);
	assert_null(channel.mapped.map);
}

/* Before it was asked for: write() makes it longer again, and whoever reads it finds out. */
static void cut_before(void **state)
{
	GW_AUTO_FD int fd = enough();
	struct gw_channel channel;

	(void)state;
	channel_to(&channel, fd, -1);
	assert_int_equal(write_some(&channel, 6 * MIB), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(write_some(&channel, MIB), 0);
	assert_null(channel.mapped.map);
	assert_int_equal(lseek(fd, 0, SEEK_END), 7 * MIB);
	gw_channel_close(&channel);
}

static void sealed_before(void **state)
{
	GW_AUTO_FD int fd = enough();
	struct gw_channel channel;

	(void)state;
	channel_to(&channel, fd, -1);
	assert_int_equal(write_some(&channel, 3 * MIB), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	channel.moved = 5 * MIB; /* so that it is tried */
	assert_int_equal(write_some(&channel, MIB), -EPERM);
	gw_channel_close(&channel);
}

static void cancelled(void **state)
{
	GW_AUTO_FD int cancel = eventfd(0, EFD_CLOEXEC);
	GW_AUTO_FD int fd = enough();
	struct gw_channel channel;

	(void)state;
	channel_to(&channel, fd, cancel);
	assert_int_equal(write_some(&channel, 8 * MIB), 0);
	assert_int_equal(eventfd_write(cancel, 1), 0);
	assert_int_equal(write_some(&channel, 4 * MIB), -ECANCELED);
	assert_true(channel.moved < 10 * MIB);
	gw_channel_close(&channel);
}

/* A file system of 6 MiB: big pages up to there, holes behind them. */
static int on_a_full_file_system(void)
{
	const char *dir = "/tmp";
	void *map;
	int fd;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("gw", dir, "tmpfs", 0, "size=6m"))
		return -1;
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || posix_fallocate(fd, 0, 6 * MIB) || ftruncate(fd, 16 * MIB))
		return -1;
	map = gw_big_map_file(fd, 6 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED);
	if (!map || madvise(map, 6 * MIB, MADV_COLLAPSE))
		return -1;
	munmap(map, 6 * MIB);
	return fd;
}

/* In a process of its own: 77 is what could not be set up, 1 what is wrong. */
static int fill_it(void)
{
	const struct gw_state_channel config = {.fd = on_a_full_file_system(), .cancel = -1};
	struct gw_channel channel;
	int err;

	if (config.fd < 0)
		return 77;
	err = gw_channel_open(&channel, &config, true);
	if (!err)
		err = write_some(&channel, 5 * MIB);
	if (err || !channel.mapped.map)
		return 1;
	err = write_some(&channel, 7 * MIB);
	gw_channel_close(&channel);
	return err != -ENOSPC || channel.moved != 6 * MIB;
}

static void no_memory_for_a_hole(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (!pid)
		_exit(fill_it());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: it takes root, for a tmpfs, and big pages of one\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_big_pages),
		cmocka_unit_test(the_same_wherever_it_goes),
		cmocka_unit_test(a_small_one_among_big_ones),
		cmocka_unit_test(sealed_where_it_ends),
		cmocka_unit_test(cut_meanwhile),
		cmocka_unit_test(cut_before),
		cmocka_unit_test(sealed_before),
		cmocka_unit_test(cancelled),
		cmocka_unit_test(no_memory_for_a_hole),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, make_much, free_much);
}
