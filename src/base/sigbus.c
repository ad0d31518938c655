/* SPDX-License-Identifier: BSD-3-Clause */
/* base/sigbus.c - mappings of a peer's files that may shrink under us. */
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/sigbus.h"
#include "godwit/error.h"

/*
 * Guards are read by a signal handler, so they are never freed, only used again. A guard with a
 * start of 0 is unused; start is stored last and cleared first.
 */
struct gw_guard {
	struct gw_guard *next;
	_Atomic uintptr_t start;
	_Atomic size_t len;
	_Atomic size_t page;
	_Atomic bool broken;
};

static _Atomic(struct gw_guard *) guards;
static _Atomic bool any_broken;
static pthread_mutex_t guards_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction previous;

/*
 * The access that failed may be one of ThreadSanitizer's own atomics (gcc 13 and clang 15 on),
 * which holds a lock that every other one wants: what the handler runs has to do without.
 */
#if defined(__has_attribute) && __has_attribute(disable_sanitizer_instrumentation)
#define NOT_INSTRUMENTED __attribute__((disable_sanitizer_instrumentation))
#else
#define NOT_INSTRUMENTED __attribute__((no_sanitize("thread")))
#endif

NOT_INSTRUMENTED static struct gw_guard *guard_at(uintptr_t address)
{
	for (struct gw_guard *g = atomic_load(&guards); g; g = g->next) {
		uintptr_t start = atomic_load(&g->start);

		if (start && address >= start && address - start < atomic_load(&g->len))
			return g;
	}
	return NULL;
}

/* True if the lost page is there again, empty. Only calls that a signal handler may make. */
NOT_INSTRUMENTED static bool replace_page(uintptr_t address)
{
	struct gw_guard *guard = guard_at(address);
	size_t page;

	if (!guard)
		return false;
	page = atomic_load(&guard->page);
	atomic_store(&guard->broken, true);
	atomic_store(&any_broken, true);
	return mmap((void *)(address & ~(page - 1)), page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

NOT_INSTRUMENTED static void pass_on(int signo, siginfo_t *info, void *context)
{
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(signo, info, context);
		return;
	}
	if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(signo);
		return;
	}
	/* The default: the access is made again and ends the process. A signal that was sent and
	 * not caused by an access has to be sent again. */
	signal(signo, SIG_DFL);
	if (info->si_code <= 0)
		raise(signo);
}

NOT_INSTRUMENTED static void on_sigbus(int signo, siginfo_t *info, void *context)
{
	int saved = errno;

	if (info->si_code <= 0 || !replace_page((uintptr_t)info->si_addr))
		pass_on(signo, info, context);
	errno = saved;
}

/* For each new guard: a program (or its sanitizer) may have put its own handler there since. */
static void install(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct sigaction now;

	sigaction(SIGBUS, NULL, &now);
	if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_sigbus)
		return;
	previous = now;
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
}

static struct gw_guard *guard_unused(void)
{
	struct gw_guard *guard;

	for (guard = atomic_load(&guards); guard; guard = guard->next) {
		if (!atomic_load(&guard->start))
			return guard;
	}
	guard = calloc(1, sizeof(*guard));
	if (guard) {
		guard->next = atomic_load(&guards);
		atomic_store(&guards, guard);
	}
	return guard;
}

int gw_guard_new(struct gw_guard **out, void *start, size_t len, size_t page)
{
	GW_LOCK_SCOPE(&guards_lock);
	struct gw_guard *guard = guard_unused();

	if (!guard)
		return gw_fail(ENOMEM, "guard of a mapping: no memory");
	install();
	atomic_store(&guard->len, len);
	atomic_store(&guard->page, page);
	atomic_store(&guard->broken, false);
	atomic_store(&guard->start, (uintptr_t)start);
	*out = guard;
	return 0;
}

void gw_guard_free(struct gw_guard *guard)
{
	if (guard)
		atomic_store(&guard->start, 0);
}

bool gw_guard_is_broken(const struct gw_guard *guard)
{
	return atomic_load_explicit(&guard->broken, memory_order_relaxed);
}

bool gw_guard_any_broken(void)
{
	return atomic_load_explicit(&any_broken, memory_order_relaxed);
}

size_t gw_guard_page_size(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC)
		return (size_t)fs.f_bsize;
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* A device (dax) has no size in its inode; mmap() itself refuses what it does not have. */
static int check_length(int fd, size_t end)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return gw_fail(errno, "mapping: fstat: %s", strerror(errno));
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < end)
		return gw_fail(EINVAL, "mapping: the file has %lld bytes, not the %zu needed",
			       (long long)st.st_size, end);
	return 0;
}

int gw_mapping_open(struct gw_mapping *mapping, int fd, size_t offset, size_t size)
{
	size_t page = gw_guard_page_size(fd);
	size_t skip = offset & (page - 1);
	struct gw_mapping m = {0};
	uint64_t end;
	int err;

	if (!size || gw_add_overflows(offset, size, &end) || end > INT64_MAX - page)
		return gw_fail(EINVAL, "mapping: offset %zu and size %zu cannot be", offset, size);
	err = check_length(fd, end);
	if (err)
		return err;
	m.len = gw_round_up(size + skip, page);
	m.base = mmap(NULL, m.len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		      (off_t)(offset - skip));
	if (m.base == MAP_FAILED)
		return gw_fail(errno, "mapping: mmap of %zu bytes: %s", m.len, strerror(errno));
	m.start = (char *)m.base + skip;
	madvise(m.base, m.len, MADV_DONTDUMP);
	err = gw_guard_new(&m.guard, m.base, m.len, page);
	if (err) {
		munmap(m.base, m.len);
		return err;
	}
	*mapping = m;
	return 0;
}

void gw_mapping_close(struct gw_mapping *mapping)
{
	if (!mapping->base)
		return;
	gw_guard_free(mapping->guard);
	munmap(mapping->base, mapping->len);
	*mapping = (struct gw_mapping){0};
}
