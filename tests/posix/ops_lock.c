// SPDX-License-Identifier: BSD-3-Clause
/* posix/ops_lock.c - locks of all three kinds, and leases. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "posix.h"

static const struct flag flock_kinds[] = {
	{"SH", LOCK_SH}, {"EX", LOCK_EX}, {"UN", LOCK_UN}, {"NB", LOCK_NB}, {0}};
static const struct flag lock_kinds[] = {{"R", F_RDLCK}, {"W", F_WRLCK}, {"U", F_UNLCK}, {0}};

static void do_flock(char **arg, unsigned count)
{
	say_result(flock(fd_of(arg[0]), (int)flags_of(flock_kinds, arg[1])));
}

static struct flock lock_of(char **arg)
{
	return (struct flock){.l_type = (short)flags_of(lock_kinds, arg[1]),
			      .l_whence = SEEK_SET,
			      .l_start = (off_t)number_of(arg[2]),
			      .l_len = (off_t)number_of(arg[3])};
}

/* lock FD R|W|U START LENGTH */
static void do_lock(char **arg, unsigned count)
{
	struct flock lock = lock_of(arg);

	say_result(fcntl(fd_of(arg[0]), F_SETLK, &lock));
}

static void do_ofdlock(char **arg, unsigned count)
{
	struct flock lock = lock_of(arg);

	say_result(fcntl(fd_of(arg[0]), F_OFD_SETLK, &lock));
}

static void say_conflict(int ret, const struct flock *lock)
{
	static const char *const kinds[] = {[F_RDLCK] = "R", [F_WRLCK] = "W", [F_UNLCK] = "U"};

	if (ret < 0)
		say_result(-1);
	else if (lock->l_type == F_UNLCK)
		say("free");
	else
		say("%s %lld %lld", kinds[lock->l_type], (long long)lock->l_start,
		    (long long)lock->l_len);
}

/* Who would be in the way; not by number, which differs. */
static void do_getlk(char **arg, unsigned count)
{
	struct flock lock = lock_of(arg);
	int ret = fcntl(fd_of(arg[0]), F_GETLK, &lock);

	say_conflict(ret, &lock);
}

static void do_ofdgetlk(char **arg, unsigned count)
{
	struct flock lock = lock_of(arg);
	int ret = fcntl(fd_of(arg[0]), F_OFD_GETLK, &lock);

	say_conflict(ret, &lock);
}

static void do_lease(char **arg, unsigned count)
{
	say_result(fcntl(fd_of(arg[0]), F_SETLEASE, (int)flags_of(lock_kinds, arg[1])));
}

const struct op lock_ops[] = {
	{"flock", 2, 2, do_flock, false},
	{"lock", 4, 4, do_lock, false},
	{"ofdlock", 4, 4, do_ofdlock, false},
	{"getlk", 4, 4, do_getlk, false},
	{"ofdgetlk", 4, 4, do_ofdgetlk, false},
	{"lease", 2, 2, do_lease, false},
	{0},
};
