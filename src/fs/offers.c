/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/offers.c - the flags of FUSE INIT that there can be, and what each depends on. */
#include "base/checked.h"
#include "fs/fuse_wire.h"
#include "fs/offers.h"
#include "fs/session.h"

/* Without a cache the guest could not keep what it brings. */
static bool readdirplus(const struct fs *fs)
{
	return fs->policy.cache != FS_CACHE_NEVER && !fs->host->no_readdirplus;
}

static bool writeback(const struct fs *fs)
{
	return fs->policy.writeback;
}

static bool direct_mmap(const struct fs *fs)
{
	return fs->policy.mmap;
}

static bool killpriv(const struct fs *fs)
{
	return fs->policy.killpriv;
}

static bool posix_acl(const struct fs *fs)
{
	return fs->policy.posix_acl > FS_NEVER;
}

static bool security_label(const struct fs *fs)
{
	return fs->policy.security_label > FS_NEVER;
}

static bool posix_locks(const struct fs *fs)
{
	return fs->policy.posix_lock;
}

static bool flock_locks(const struct fs *fs)
{
	return fs->policy.flock;
}

static bool submounts(const struct fs *fs)
{
	return fs->policy.submounts > 0;
}

#define OFFER(flag) .bit = (flag), .name = #flag
/* Older than any guest that is served. */
#define OLD FS_MINOR_MIN

/*
 * With the minor of FUSE that each came with (its header's history). A flag that is new here must
 * not reach an instance of an older profile, which an older build may have to take: it is newer
 * than the minor that released profiles have, or has a parameter of its own (docs/models/).
 *
 * Deliberately absent: EXPORT_SUPPORT, since LOOKUP of "." and ".." passes no filter here;
 * HANDLE_KILLPRIV, whose second version says for whom set-id bits go.
 */
static const struct fs_offer offers[] = {
	{OFFER(FUSE_ASYNC_READ), OLD},
	{OFFER(FUSE_POSIX_LOCKS), OLD, posix_locks, "posix-lock"},
	{OFFER(FUSE_ATOMIC_O_TRUNC), OLD},
	{OFFER(FUSE_BIG_WRITES), OLD},
	{OFFER(FUSE_DONT_MASK), OLD, posix_acl, "posix-acl"},
	{OFFER(FUSE_FLOCK_LOCKS), OLD, flock_locks, "flock"},
	{OFFER(FUSE_HAS_IOCTL_DIR), OLD},
	{OFFER(FUSE_AUTO_INVAL_DATA), OLD},
	{OFFER(FUSE_DO_READDIRPLUS), OLD, readdirplus},
	{OFFER(FUSE_READDIRPLUS_AUTO), OLD, readdirplus},
	{OFFER(FUSE_ASYNC_DIO), OLD},
	{OFFER(FUSE_WRITEBACK_CACHE), OLD, writeback, "writeback"},
	{OFFER(FUSE_PARALLEL_DIROPS), OLD},
	{OFFER(FUSE_POSIX_ACL), OLD, posix_acl, "posix-acl"},
	{OFFER(FUSE_MAX_PAGES), 28},
	{OFFER(FUSE_SUBMOUNTS), 32, submounts, "submounts"},
	{OFFER(FUSE_HANDLE_KILLPRIV_V2), 33, killpriv, "killpriv-v2"},
	{OFFER(FUSE_SETXATTR_EXT), 33, posix_acl, "posix-acl"},
	{OFFER(FUSE_INIT_EXT), 36},
	{OFFER(FUSE_SECURITY_CTX), 36, security_label, "security-label"},
	{OFFER(FUSE_CREATE_SUPP_GROUP), 38},
	{OFFER(FUSE_DIRECT_IO_ALLOW_MMAP), 39, direct_mmap, "direct-mmap"},
};

const struct fs_offer *fs_offer_at(unsigned i)
{
	return i < GW_ARRAY_LEN(offers) ? &offers[i] : NULL;
}
