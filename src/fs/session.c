/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/session.c - INIT and DESTROY: what a guest and this device agree on. */
#include "base/checked.h"
#include "fs/journal.h"
#include "fs/acl.h"
#include "fs/handle.h"
#include "fs/hidden.h"
#include "fs/locks.h"
#include "fs/ops.h"
#include "fs/session.h"
#include "fs/waits.h"
#include "godwit/error.h"

/* As many requests at once as the rings hold: the guest's default of 12 would starve read-ahead. */
#define MAX_BACKGROUND	     UINT16_MAX
#define CONGESTION_THRESHOLD (UINT16_MAX / 4 * 3)
/* Without FUSE_MAX_PAGES a request has 32 pages. */
#define COMPAT_MAX_PAGES 32

/* When the device takes a flag that the guest offers. */
typedef bool when_fn(const struct fs *fs);

static bool always(const struct fs *fs)
{
	(void)fs;
	return true;
}

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

/*
 * Deliberately absent: EXPORT_SUPPORT, since LOOKUP of "." and ".." passes no filter here;
 * HANDLE_KILLPRIV, whose second version says for whom set-id bits go.
 */
static const struct {
	uint64_t bit;
	when_fn *when;
} flags_taken[] = {
	{FUSE_ASYNC_READ, always},
	{FUSE_POSIX_LOCKS, posix_locks},
	{FUSE_ATOMIC_O_TRUNC, always},
	{FUSE_BIG_WRITES, always},
	{FUSE_AUTO_INVAL_DATA, always},
	{FUSE_DO_READDIRPLUS, readdirplus},
	{FUSE_READDIRPLUS_AUTO, readdirplus},
	{FUSE_ASYNC_DIO, always},
	{FUSE_FLOCK_LOCKS, flock_locks},
	{FUSE_HAS_IOCTL_DIR, always},
	{FUSE_WRITEBACK_CACHE, writeback},
	{FUSE_PARALLEL_DIROPS, always},
	{FUSE_MAX_PAGES, always},
	{FUSE_DONT_MASK, posix_acl},
	{FUSE_POSIX_ACL, posix_acl},
	{FUSE_SETXATTR_EXT, posix_acl},
	{FUSE_SUBMOUNTS, submounts},
	{FUSE_HANDLE_KILLPRIV_V2, killpriv},
	{FUSE_INIT_EXT, always},
	{FUSE_SECURITY_CTX, security_label},
	{FUSE_CREATE_SUPP_GROUP, always},
	{FUSE_DIRECT_IO_ALLOW_MMAP, direct_mmap},
};

uint64_t fs_session_flags(const struct fs *fs)
{
	uint64_t flags = 0;

	for (size_t i = 0; i < GW_ARRAY_LEN(flags_taken); i++) {
		if (flags_taken[i].when(fs))
			flags |= flags_taken[i].bit;
	}
	return flags;
}

int fs_session_check(const struct fs *fs, uint64_t flags, uint32_t minor)
{
	uint64_t known = 0;

	(void)fs;
	for (size_t i = 0; i < GW_ARRAY_LEN(flags_taken); i++)
		known |= flags_taken[i].bit;
	if (flags & ~known)
		return gw_fail(EINVAL, "session: FUSE flags %#llx are not supported here",
			       (unsigned long long)(flags & ~known));
	if (minor < FS_MINOR_MIN || minor > FUSE_KERNEL_MINOR_VERSION)
		return gw_fail(EINVAL, "session: FUSE 7.%u, supported are 7.%d to 7.%d", minor,
			       FS_MINOR_MIN, FUSE_KERNEL_MINOR_VERSION);
	return 0;
}

void fs_session_end(struct fs *fs)
{
	fs->session.initialised = false;
	fs_waits_end(fs, -ECONNABORTED);
	fs_locks_clear(fs->locks);
	fs_handles_clear(fs->handles);
	fs_hidden_end(fs->hidden);
	fs_inodes_clear(fs->inodes);
	fs_journal_put_session(fs);
}

/* The flags of both sides. */
static uint64_t common_flags(const struct fs *fs, const struct fuse_init_in *in)
{
	uint64_t flags = in->flags;

	if (in->flags & FUSE_INIT_EXT)
		flags |= (uint64_t)in->flags2 << 32;
	flags &= fs_session_flags(fs);
	if ((flags & FS_ACL_FLAGS) != FS_ACL_FLAGS)
		flags &= ~(uint64_t)FS_ACL_FLAGS;
	return flags;
}

/* What the operator does not want to do without, by this guest's word it is not to be had. */
static int check_needed(struct fs_request *req, uint64_t flags)
{
	const struct fs_policy *policy = &req->fs->policy;

	if (policy->posix_acl == FS_ALWAYS && !(flags & FUSE_POSIX_ACL))
		return fs_complain(req, EPROTO, "the guest has no POSIX ACLs, which are required");
	if (policy->security_label == FS_ALWAYS && !(flags & FUSE_SECURITY_CTX))
		return fs_complain(req, EPROTO,
				   "the guest sends no security labels, which are required");
	return 0;
}

static void agree(struct fs *fs, const struct fuse_init_in *in)
{
	struct fs_session *session = &fs->session;

	session->flags = common_flags(fs, in);
	session->minor = GW_MIN(in->minor, (uint32_t)FUSE_KERNEL_MINOR_VERSION);
	session->max_write = FS_MAX_WRITE;
	session->max_pages = session->flags & FUSE_MAX_PAGES ? FS_MAX_PAGES : COMPAT_MAX_PAGES;
	session->max_readahead = in->max_readahead;
	session->initialised = true;
	fs_journal_put_session(fs);
}

static int reply_init(struct fs_request *req)
{
	const struct fs_session *session = &req->fs->session;
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = session->max_readahead,
		.flags = (uint32_t)session->flags,
		.max_background = MAX_BACKGROUND,
		.congestion_threshold = CONGESTION_THRESHOLD,
		.max_write = session->max_write,
		.time_gran = 1,
		.max_pages = (uint16_t)session->max_pages,
		.flags2 = (uint32_t)(session->flags >> 32),
	};

	return fs_reply(req, &out, sizeof(out));
}

int fs_op_init(struct fs_request *req)
{
	const struct fuse_init_in *in = req->arg;
	int ret;
	struct fuse_init_out newer = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
	};

	if (in->major > FUSE_KERNEL_VERSION) /* the guest asks again with our major */
		return fs_reply(req, &newer, sizeof(newer));
	if (in->major < FUSE_KERNEL_VERSION || in->minor < FS_MINOR_MIN)
		return fs_complain(req, EPROTO, "FUSE %u.%u, at least %d.%d is needed", in->major,
				   in->minor, FUSE_KERNEL_VERSION, FS_MINOR_MIN);
	ret = check_needed(req, common_flags(req->fs, in));
	if (ret < 0)
		return ret;
	/* A second INIT is a guest that was reset without the device hearing of it. */
	fs_session_end(req->fs);
	agree(req->fs, in);
	gw_info("guest: mounts with FUSE 7.%u, flags %#llx", req->fs->session.minor,
		(unsigned long long)req->fs->session.flags);
	return reply_init(req);
}

int fs_op_destroy(struct fs_request *req)
{
	fs_session_end(req->fs);
	return 0;
}
