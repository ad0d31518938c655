/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/attic.c - directories for files that the guest has removed and still has open. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/attic.h"
#include "fs/open.h"
#include "godwit/error.h"

#define LOCK  "lock"
#define SAVED "saved"

/* Entries of a directory that are looked at for attics, about 20 ms with a warm cache. */
#define ENTRIES_MAX (1u << 17)
#define CHUNK	    (16 * 1024)

bool fs_attic_is_name(const char *name, size_t len)
{
	static const size_t prefix = sizeof(FS_ATTIC_PREFIX) - 1;

	if (len != FS_ATTIC_NAME_LEN || memcmp(name, FS_ATTIC_PREFIX, prefix))
		return false;
	for (size_t i = prefix; i < len; i++) {
		if (!(name[i] >= '0' && name[i] <= '9') && !(name[i] >= 'a' && name[i] <= 'f'))
			return false;
	}
	return true;
}

/*
 * Locks of open file descriptions, which servers of network file systems know too; flock() there
 * wants a file that is open for writing, which no directory is.
 */
static int lock_with(int fd, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* Between opening and locking somebody may have swept it away. */
static int join(int lock)
{
	struct statx stx;
	int err = lock_with(lock, F_RDLCK);

	if (!err)
		err = fs_statx_fd(lock, &stx);
	return err || stx.stx_nlink ? err : -ENOENT;
}

static int make_lock(int attic, int *lock)
{
	GW_AUTO_FD int fd = fs_open_beneath(attic, LOCK, O_RDWR | O_CREAT | O_EXCL, 0600);
	int err = fd < 0 ? fd : join(fd);

	if (!err)
		*lock = gw_take_fd(&fd);
	return err;
}

int fs_attic_make(int parent, char name[FS_ATTIC_NAME_MAX], int *lock)
{
	GW_AUTO_FD int fd = -1;
	unsigned long long id;
	int err;

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return -errno;
	snprintf(name, FS_ATTIC_NAME_MAX, FS_ATTIC_PREFIX "%016llx", id);
	if (mkdirat(parent, name, 0700) < 0)
		return -errno;
	fd = fs_open_beneath(parent, name, O_PATH | O_DIRECTORY, 0);
	err = fd < 0 ? fd : make_lock(fd, lock);
	if (err) {
		if (fd >= 0)
			unlinkat(fd, LOCK, 0);
		unlinkat(parent, name, AT_REMOVEDIR);
	}
	return err;
}

/* A shared lock takes no more than that it can be read: the share may be read-only here. */
static int open_lock(int fd)
{
	int lock = fs_open_beneath(fd, LOCK, O_RDONLY, 0);

	return lock == -ENOENT ? fs_open_beneath(fd, SAVED, O_RDONLY, 0) : lock;
}

int fs_attic_join(int fd, int *lock)
{
	GW_AUTO_FD int ours = open_lock(fd);
	int err = ours < 0 ? ours : join(ours);

	if (!err)
		*lock = gw_take_fd(&ours);
	return err;
}

int fs_attic_mark(int fd, bool saved)
{
	const char *from = saved ? LOCK : SAVED, *to = saved ? SAVED : LOCK;
	struct statx stx;
	int err = syscall(SYS_renameat2, fd, from, fd, to, 0) < 0 ? -errno : 0;

	/* The kernel looks at the mount before it looks at names. */
	return err == -EROFS && !fs_statx_at(fd, to, &stx) ? -ENOENT : err;
}

/*
 * What is in a directory, as far as @budget goes.
 */
typedef bool entry_fn(int dir, const char *name); /* true: enough */

static bool each_entry(int dir, unsigned budget, entry_fn *fn)
{
	_Alignas(struct dirent64) char buf[CHUNK];
	GW_AUTO_FD int fd = fs_open_beneath(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	ssize_t len;

	if (fd < 0)
		return true;
	while ((len = getdents64(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < len;) {
			const struct dirent64 *d = (const void *)(buf + at);

			if (!budget-- || fn(dir, d->d_name))
				return true;
			at += d->d_reclen;
		}
	}
	return len < 0;
}

static bool is_special(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, LOCK) ||
	       !strcmp(name, SAVED);
}

static bool is_hidden(int dir, const char *name)
{
	(void)dir;
	return !is_special(name);
}

bool fs_attic_is_used(int fd)
{
	return each_entry(fd, ENTRIES_MAX, is_hidden);
}

/* No attic holds a directory: what somebody else has put there keeps it from being removed. */
static bool remove_hidden(int dir, const char *name)
{
	if (!is_special(name))
		unlinkat(dir, name, 0);
	return false;
}

static bool is_named(int fd, const char *name, int lock)
{
	struct statx held, there;

	return !fs_statx_fd(lock, &held) && !fs_statx_at(fd, name, &there) &&
	       held.stx_ino == there.stx_ino && held.stx_dev_major == there.stx_dev_major &&
	       held.stx_dev_minor == there.stx_dev_minor;
}

bool fs_attic_is_lock(int fd, int lock)
{
	return is_named(fd, LOCK, lock) || is_named(fd, SAVED, lock);
}

/* The lock is ours alone, and still that of this attic. */
static bool is_abandoned(int fd, int lock)
{
	return !lock_with(lock, F_WRLCK) && is_named(fd, LOCK, lock);
}

/* It is being made, or was when somebody died. */
static bool was_never_used(int fd)
{
	struct statx stx;

	return fs_statx_at(fd, SAVED, &stx) == -ENOENT && !fs_attic_is_used(fd);
}

static bool empty(int fd)
{
	GW_AUTO_FD int lock = fs_open_beneath(fd, LOCK, O_RDWR, 0);

	if (lock == -ENOENT)
		return was_never_used(fd);
	if (lock < 0 || !is_abandoned(fd, lock))
		return false;
	each_entry(fd, ENTRIES_MAX, remove_hidden);
	if (fs_attic_is_used(fd))
		return false;
	unlinkat(fd, LOCK, 0);
	return true;
}

void fs_attic_sweep(int parent, const char *name)
{
	GW_AUTO_FD int fd = fs_open_beneath(parent, name, O_PATH | O_DIRECTORY, 0);

	if (fd >= 0 && empty(fd) && unlinkat(parent, name, AT_REMOVEDIR) < 0)
		gw_debug("%s: %s", name, strerror(errno));
}

static bool sweep(int parent, const char *name)
{
	if (fs_attic_is_name(name, strlen(name)))
		fs_attic_sweep(parent, name);
	return false;
}

void fs_attics_sweep(int parent)
{
	if (each_entry(parent, ENTRIES_MAX, sweep))
		gw_info("the shared directory has too many entries, or cannot be read: what "
			"others may have left hidden there was not looked for to the end");
}
