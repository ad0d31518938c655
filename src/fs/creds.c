/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/creds.c - act as the request's user, on this thread only. */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/creds.h"
#include "fs/request.h"
#include "godwit/error.h"

/* The C library's setgroups() would change all threads; where there are two, the one with 32-bit
 * ids is meant. */
#ifdef SYS_setgroups32
#define SETGROUPS SYS_setgroups32
#else
#define SETGROUPS SYS_setgroups
#endif

/* More groups than this the daemon's own user will not have (NGROUPS_MAX is 65536). */
#define OWN_GROUPS_MAX 1024

/* What this thread is when it acts for nobody. */
static _Thread_local struct {
	bool known;
	uint32_t uid, gid;
	int count; /* -1: too many to put back */
	gid_t groups[OWN_GROUPS_MAX];
} own;

static void learn_own(void)
{
	if (own.known)
		return;
	/* Ids that are none change nothing, and tell what is in force: a thread that acts for
	 * nobody has the process's. */
	own.uid = (uint32_t)setfsuid((uid_t)-1);
	own.gid = (uint32_t)setfsgid((gid_t)-1);
	own.count = getgroups(OWN_GROUPS_MAX, own.groups);
	own.known = true;
}

/* Neither call says whether it worked; an impossible id is refused, and tells what is in force. */
static bool set_gid(uint32_t gid)
{
	setfsgid(gid);
	return (uint32_t)setfsgid((gid_t)-1) == gid;
}

static bool set_uid(uint32_t uid)
{
	setfsuid(uid);
	return (uint32_t)setfsuid((uid_t)-1) == uid;
}

/* As they are on the host; one that the guest may not use gives nothing. */
static unsigned translate_groups(const struct fs_request *req, gid_t groups[FS_GROUPS_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < req->group_count; i++) {
		if (fs_idmap_to_host(&req->fs->gids, req->groups[i], &groups[count]) == 0)
			count++;
	}
	return count;
}

/* The request's groups instead of the daemon's. Needs privilege, so it comes before the uid. */
static int switch_groups(struct fs_creds *creds, const struct fs_request *req)
{
	gid_t groups[FS_GROUPS_MAX];

	if (own.count == 0 && req->group_count == 0)
		return 0;
	if (own.count < 0)
		return -EPERM;
	if (syscall(SETGROUPS, (size_t)translate_groups(req, groups), groups) < 0)
		return -EPERM;
	creds->groups_switched = true;
	return 0;
}

int fs_creds_enter(struct fs_creds *creds, const struct fs_request *req)
{
	uint32_t uid, gid;

	learn_own();
	*creds = (struct fs_creds){.uid = own.uid, .gid = own.gid};
	if (fs_idmap_to_host(&req->fs->uids, req->in.uid, &uid) < 0 ||
	    fs_idmap_to_host(&req->fs->gids, req->in.gid, &gid) < 0)
		return -EPERM;
	if (uid == own.uid && gid == own.gid)
		return 0;
	if (own.uid != 0 && (uid == own.uid || uid == 0))
		return 0;
	creds->switched = true;
	if (switch_groups(creds, req) == 0 && set_gid(gid) && set_uid(uid))
		return 0;
	fs_creds_leave(creds);
	return fs_complain(req, EPERM, "this process may not act as user %u, group %u", uid, gid);
}

void fs_creds_leave(struct fs_creds *creds)
{
	int saved = errno;

	if (!creds->switched)
		return;
	/* The uid first: with it the privilege for the rest comes back. */
	if (!set_uid(creds->uid) || !set_gid(creds->gid) ||
	    (creds->groups_switched && syscall(SETGROUPS, (size_t)own.count, own.groups) < 0)) {
		/* To go on as somebody else would mix up users for good. */
		gw_error("a thread cannot become user %u again", creds->uid);
		abort();
	}
	*creds = (struct fs_creds)FS_CREDS_INIT;
	errno = saved;
}
