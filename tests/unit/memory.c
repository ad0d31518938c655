/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/memory.c - the memory table: adding, removing, looking up, a file that shrinks. */
#include <errno.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "virtio/memory.h"

#define MIB (1ULL << 20)

static int file(uint64_t size)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static struct gw_mem *add(struct gw_mem *old, uint64_t gpa, uint64_t uaddr, uint64_t size,
			  uint64_t offset, int fd)
{
	struct gw_mem_region region = {.gpa = gpa, .uaddr = uaddr, .size = size, .offset = offset};
	struct gw_mem *mem;

	assert_int_equal(gw_mem_add(&mem, old, &region, fd), 0);
	gw_mem_unref(old);
	return mem;
}

static void test_look_up(void **state)
{
	int fd = file(4 * MIB);
	struct gw_mem *mem = NULL;
	uint64_t span;
	char *a, *b;

	(void)state;
	/* Adjacent for the guest, apart in the file, added in the wrong order. */
	mem = add(mem, 3 * MIB, 0x9000000, MIB, 0, fd);
	mem = add(mem, 2 * MIB, 0x5000000, MIB, 2 * MIB, fd);
	assert_int_equal(gw_mem_count(mem), 2);
	assert_int_equal(gw_mem_region_at(mem, 0).gpa, 2 * MIB);
	a = gw_mem_at_gpa(mem, 2 * MIB, MIB);
	b = gw_mem_at_gpa(mem, 3 * MIB, MIB);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(gw_mem_at_gpa(mem, 2 * MIB, MIB + 1));
	assert_null(gw_mem_at_gpa(mem, 2 * MIB - 1, 1));
	assert_null(gw_mem_at_gpa(mem, 4 * MIB, 1));
	assert_null(gw_mem_at_gpa(mem, UINT64_MAX, 1));
	assert_null(gw_mem_at_gpa(mem, 2 * MIB + 8, UINT64_MAX));
	assert_ptr_equal(gw_mem_at_uaddr(mem, 0x5000010, 8), a + 0x10);
	assert_ptr_equal(gw_mem_at_uaddr(mem, 0x9000000, MIB), b);
	assert_null(gw_mem_at_uaddr(mem, 0x9000000, MIB + 1));
	assert_null(gw_mem_at_uaddr(mem, 0x8ffffff, 1));
	assert_ptr_equal(gw_mem_span(mem, 3 * MIB - 16, 64, &span), a + MIB - 16);
	assert_int_equal(span, 16);
	assert_ptr_equal(gw_mem_span(mem, 3 * MIB, 48, &span), b);
	assert_int_equal(span, 48);
	assert_int_equal(gw_mem_gpa_of(mem, b + 5), 3 * MIB + 5);
	assert_true(gw_mem_gpa_of(mem, &mem) == UINT64_MAX);
	/* It is the file that is mapped. */
	a[7] = 'x';
	assert_int_equal(pread(fd, &span, 1, 2 * MIB + 7), 1);
	assert_int_equal((char)span, 'x');
	gw_mem_unref(mem);
	close(fd);
}

static void test_offset_off_a_page(void **state)
{
	int fd = file(MIB);
	struct gw_mem *mem = add(NULL, 0, 0, 4096, 0x1234, fd);
	char byte = 0;

	(void)state;
	*(char *)gw_mem_at_gpa(mem, 0, 1) = 'y';
	assert_int_equal(pread(fd, &byte, 1, 0x1234), 1);
	assert_int_equal(byte, 'y');
	gw_mem_unref(mem);
	close(fd);
}

static void test_refused(void **state)
{
	const struct {
		struct gw_mem_region region;
		int err;
	} cases[] = {
		{{.gpa = 8 * MIB, .uaddr = 8 * MIB, .size = 0}, -EINVAL},
		{{.gpa = UINT64_MAX - 4095, .uaddr = 8 * MIB, .size = 8192}, -EINVAL},
		{{.gpa = 8 * MIB, .uaddr = UINT64_MAX - 4095, .size = 8192}, -EINVAL},
		{{.gpa = 8 * MIB, .uaddr = 8 * MIB, .size = 8192, .offset = UINT64_MAX - 4095},
		 -EINVAL},
		{{.gpa = 8 * MIB, .uaddr = 8 * MIB, .size = MIB, .offset = 1}, -EINVAL},
		{{.gpa = 8 * MIB, .uaddr = 8 * MIB, .size = 1ULL << 62}, -EINVAL},
		{{.gpa = MIB + 4096, .uaddr = 8 * MIB, .size = 4096}, -EINVAL},
		{{.gpa = 8 * MIB, .uaddr = 2 * MIB - 1, .size = 4096}, -EINVAL},
	};
	int fd = file(MIB);
	struct gw_mem *old = add(NULL, MIB, MIB, MIB, 0, fd), *mem = NULL;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(gw_mem_add(&mem, old, &cases[i].region, fd), cases[i].err);
	assert_null(mem);
	assert_int_equal(gw_mem_add(&mem, old, &cases[4].region, -1), -EBADF);
	gw_mem_unref(old);
	close(fd);
}

static void test_too_many(void **state)
{
	struct gw_mem_region one_more = {.gpa = 1ULL << 40, .uaddr = 1ULL << 40, .size = 4096};
	struct gw_mem *mem = NULL, *no;
	int fd = file(4096);

	(void)state;
	for (uint64_t i = 0; i < GW_MEM_REGIONS_MAX; i++)
		mem = add(mem, i * 8192, i * 8192, 4096, 0, fd);
	assert_int_equal(gw_mem_add(&no, mem, &one_more, fd), -ENOSPC);
	assert_non_null(gw_mem_at_gpa(mem, 508 * 8192, 4096));
	assert_null(gw_mem_at_gpa(mem, 508 * 8192 + 4096, 1));
	gw_mem_unref(mem);
	close(fd);
}

/* A table that someone still holds keeps the regions that a later one does not have. */
static void test_old_table_stays(void **state)
{
	int fd = file(2 * MIB);
	struct gw_mem *both = NULL, *one, *none;
	struct gw_mem_region region;
	char *b;

	(void)state;
	both = add(both, 0, 0, MIB, 0, fd);
	both = add(both, MIB, MIB, MIB, MIB, fd);
	region = gw_mem_region_at(both, 1);
	b = gw_mem_at_gpa(both, MIB, 1);
	assert_int_equal(gw_mem_remove(&one, both, &region), 0);
	assert_null(gw_mem_at_gpa(one, MIB, 1));
	assert_int_equal(gw_mem_remove(&none, one, &region), -ENOENT);
	region.size--;
	assert_int_equal(gw_mem_remove(&none, both, &region), -ENOENT);
	*b = 1;
	gw_mem_unref(both);
	*(char *)gw_mem_at_gpa(one, 0, 1) = 1;
	gw_mem_unref(one);
	close(fd);
}

static void test_file_shrinks(void **state)
{
	int fd = file(2 * MIB), other = file(MIB);
	struct gw_mem *mem = add(NULL, 0, 0, 2 * MIB, 0, fd);
	struct gw_mem *sound = add(NULL, 0, 0, MIB, 0, other);
	volatile char *at = gw_mem_at_gpa(mem, 0, 2 * MIB);

	(void)state;
	at[MIB + 5] = 'z';
	at[5] = 'a';
	assert_false(gw_mem_is_broken(mem));
	assert_int_equal(ftruncate(fd, MIB), 0);
	assert_int_equal(at[MIB + 5], 0);
	at[MIB + 6] = 'b'; /* goes nowhere, and kills nobody */
	assert_int_equal(at[5], 'a');
	assert_true(gw_mem_is_broken(mem));
	assert_false(gw_mem_is_broken(sound));
	gw_mem_unref(mem);
	gw_mem_unref(sound);
	close(fd);
	close(other);
}

/* A fault of somebody else's still ends the process. In a child, with cmocka's handler out of the
 * way before ours goes in. */
static void test_foreign_fault_is_fatal(void **state)
{
	int fd = file(4096), ours = file(4096), status;
	volatile char *foreign = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	pid_t child;

	(void)state;
	assert_int_equal(ftruncate(fd, 0), 0);
	child = fork();
	if (child == 0) {
		alarm(10);
		signal(SIGBUS, SIG_DFL);
		add(NULL, 0, 0, 4096, 0, ours);
		_exit(foreign[0]);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	munmap((void *)foreign, 4096);
	close(fd);
	close(ours);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_look_up),
		cmocka_unit_test(test_offset_off_a_page),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_old_table_stays),
		cmocka_unit_test(test_file_shrinks),
		cmocka_unit_test(test_foreign_fault_is_fatal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
