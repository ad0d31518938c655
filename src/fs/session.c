/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/session.c - INIT and DESTROY: what a guest and this device agree on. */
#include "base/checked.h"
#include "fs/journal.h"
#include "fs/acl.h"
#include "fs/handle.h"
#include "fs/hidden.h"
#include "fs/locks.h"
#include "fs/offers.h"
#include "fs/ops.h"
#include "fs/session.h"
#include "fs/waits.h"
#include "godwit/error.h"

/* As many requests at once as the rings hold: the guest's default of 12 would starve read-ahead. */
#define MAX_BACKGROUND	     UINT16_MAX
#define CONGESTION_THRESHOLD (UINT16_MAX / 4 * 3)
/* Without FUSE_MAX_PAGES. */
#define COMPAT_MAX_PAGES (FS_MAX_WRITE_MIN / FS_PAGE)

static uint32_t max_pages(const struct fs *fs)
{
	return fs->policy.max_write / FS_PAGE;
}

static bool is_offered(const struct fs *fs, const struct fs_offer *offer)
{
	return offer->since <= fs->policy.fuse_minor && (!offer->when || offer->when(fs));
}

uint64_t fs_session_flags(const struct fs *fs)
{
	const struct fs_offer *offer;
	uint64_t flags = 0;

	for (unsigned i = 0; (offer = fs_offer_at(i)); i++) {
		if (is_offered(fs, offer))
			flags |= offer->bit;
	}
	return flags;
}

static int check_flag(const struct fs *fs, const struct fs_offer *offer)
{
	if (offer->since > fs->policy.fuse_minor)
		return gw_fail(EINVAL,
			       "parameter fuse-minor: the guest was offered %s, of FUSE 7.%u, this "
			       "instance has 7.%u",
			       offer->name, offer->since, fs->policy.fuse_minor);
	if (offer->param && !offer->when(fs))
		return gw_fail(EINVAL,
			       "parameter %s: the guest was offered %s, which this instance does "
			       "not have",
			       offer->param, offer->name);
	return 0;
}

static int check_flags(const struct fs *fs, uint64_t flags)
{
	const struct fs_offer *offer;
	int err = 0;

	for (unsigned i = 0; !err && (offer = fs_offer_at(i)); i++) {
		if (flags & offer->bit)
			err = check_flag(fs, offer);
		flags &= ~offer->bit;
	}
	if (!err && flags)
		return gw_fail(EINVAL, "session: FUSE flags %#llx are not supported here",
			       (unsigned long long)flags);
	return err;
}

int fs_session_check(const struct fs *fs, const struct gw_fs_session_v1 *session)
{
	const struct fs_policy *policy = &fs->policy;

	if (session->minor < FS_MINOR_MIN || session->minor > policy->fuse_minor)
		return gw_fail(EINVAL,
			       "parameter fuse-minor: the guest's session is FUSE 7.%u, this "
			       "instance has 7.%d to 7.%u",
			       session->minor, FS_MINOR_MIN, policy->fuse_minor);
	if (session->max_write > policy->max_write || session->max_pages > max_pages(fs))
		return gw_fail(EINVAL,
			       "parameter max-write: the guest's requests may have %u bytes and %u "
			       "pages, this instance's %u and %u",
			       session->max_write, session->max_pages, policy->max_write,
			       max_pages(fs));
	return check_flags(fs, session->flags);
}

void fs_session_end(struct fs *fs)
{
	fs->session.initialised = false;
	fs_waits_end(fs, -ECONNABORTED);
	fs_locks_end(fs);
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
	session->minor = GW_MIN(in->minor, fs->policy.fuse_minor);
	session->max_write = fs->policy.max_write;
	session->max_pages = session->flags & FUSE_MAX_PAGES ? max_pages(fs) : COMPAT_MAX_PAGES;
	session->max_readahead = in->max_readahead;
	session->initialised = true;
	fs_journal_put_session(fs);
}

static int reply_init(struct fs_request *req)
{
	const struct fs_session *session = &req->fs->session;
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = req->fs->policy.fuse_minor,
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
		.minor = req->fs->policy.fuse_minor,
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
