/* SPDX-License-Identifier: BSD-3-Clause */
/* common/die_after.c - preloaded into a program: it dies right after a system call, or waits in
 * one.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "die_after.h"

static struct die_after *shared;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv(DIE_AFTER);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;

	if (fd >= 0) {
		map = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	shared = map == MAP_FAILED ? NULL : map;
}

/* Not before the call is done; of a call that failed as well. */
static void made(const char *call)
{
	int error = errno;

	if (shared && atomic_load(&shared->left) > 0 && getpid() != shared->spared &&
	    (!strcmp(shared->call, "any") || !strcmp(shared->call, call)) &&
	    atomic_fetch_sub(&shared->left, 1) == 1)
		kill(getpid(), SIGKILL);
	errno = error;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
/* Says that it is seen from outside; the C library has declared it. */
#define OURS __attribute__((visibility("default")))

#define CALL(type, name, parameters, arguments)     \
	OURS type name parameters                   \
	{                                           \
		type result = REAL(name) arguments; \
                                                    \
		made(#name);                        \
		return result;                      \
	}

CALL(int, linkat, (int from, const char *old, int to, const char *new, int flags),
     (from, old, to, new, flags))
CALL(int, unlinkat, (int dir, const char *name, int flags), (dir, name, flags))
CALL(int, mkdirat, (int dir, const char *name, mode_t mode), (dir, name, mode))
/* Files are made by it, and opened. */
OURS int openat(int dir, const char *name, int flags, ...)
{
	va_list list;
	mode_t mode;
	int result;

	va_start(list, flags);
	mode = va_arg(list, mode_t);
	va_end(list);
	result = REAL(openat)(dir, name, flags, mode);
	if (flags & O_CREAT)
		made("openat");
	return result;
}

CALL(int, symlinkat, (const char *target, int dir, const char *name), (target, dir, name))
CALL(int, mknodat, (int dir, const char *name, mode_t mode, dev_t dev), (dir, name, mode, dev))
CALL(int, setxattr, (const char *path, const char *name, const void *value, size_t len, int flags),
     (path, name, value, len, flags))
CALL(int, removexattr, (const char *path, const char *name), (path, name))
CALL(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len),
     (fd, level, name, value, len))
CALL(ssize_t, recv, (int fd, void *buf, size_t len, int flags), (fd, buf, len, flags))
OURS ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t result = REAL(recvmsg)(fd, message, flags);
	int error = errno;

	if (result < 0 && flags & MSG_PEEK && shared && shared->late_ms)
		poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, shared->late_ms);
	errno = error;
	made("recvmsg");
	return result;
}
CALL(ssize_t, write, (int fd, const void *buf, size_t len), (fd, buf, len))
CALL(ssize_t, splice,
     (int from, off64_t *from_off, int to, off64_t *to_off, size_t len, unsigned flags),
     (from, from_off, to, to_off, len, flags))
CALL(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))

/* One that would have had to wait is made again, and counts then. */
OURS ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	ssize_t result = REAL(pwritev2)(fd, iov, count, offset, flags);

	if (result < 0)
		return result;
	if (shared && shared->intrudes && atomic_load(&shared->left) == 1)
		REAL(pwritev2)(fd, iov, count, offset, flags);
	made("pwritev2");
	return result;
}

OURS ssize_t writev(int fd, const struct iovec *iov, int count)
{
	while (shared && atomic_load(&shared->stuck) == getpid())
		poll(NULL, 0, 1);
	return REAL(writev)(fd, iov, count);
}

OURS int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = REAL(clock_gettime)(clock, now);

	if (shared && clock == CLOCK_MONOTONIC)
		now->tv_sec += atomic_load(&shared->ahead_s);
	return result;
}

/* Where the C library has no function, or another one. */
OURS long syscall(long number, ...)
{
	long a[6], result;
	va_list list;

	va_start(list, number);
	for (unsigned i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	result = REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == SYS_renameat2)
		made("renameat2");
	return result;
}
