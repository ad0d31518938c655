/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/sandbox_namespace.c - the share is the only file system, and there are no other
 * processes, networks or names. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/keeper.h"
#include "daemon/proc.h"
#include "daemon/sandbox_modes.h"
#include "godwit/error.h"

/* The PID namespace comes before: only children are in it. */
#define NAMESPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

static int refused(const char *what)
{
	return gw_fail(errno,
		       "sandbox: %s: %s (in a container that forbids it use --sandbox=chroot or "
		       "none)",
		       what, strerror(errno));
}

/*
 * The share with all that is mounted in it, as a tree of our own. Nothing in it can be a device or
 * lend privileges, and a share that is only read cannot be written by mistake either.
 */
static int clone_share(const struct gw_sandbox *sandbox)
{
	GW_AUTO_FD int tree = open_tree(AT_FDCWD, sandbox->share,
					OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					      (sandbox->readonly ? MOUNT_ATTR_RDONLY : 0)};

	if (tree < 0)
		return refused("the share cannot be mounted again");
	/* Linux 5.12; before it nothing is lost that other steps do not promise. */
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 &&
	    errno != ENOSYS)
		return refused("the share's mount cannot be restricted");
	return gw_take_fd(&tree);
}

/* pivot_root(2), "pivot_root(".", ".")": the old root lies over the new one, and goes. */
static int make_root(int tree, const char *share)
{
	if (move_mount(tree, "", AT_FDCWD, share, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) <
		    0 ||
	    fchdir(tree) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return refused("the share cannot be made the root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return refused("the old root cannot be left");
	return 0;
}

static int pivot(const struct gw_sandbox *sandbox)
{
	GW_AUTO_FD int tree = -1;

	/* Mounts that come to the host later are seen; ours are not seen by the host. */
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return refused("mounts cannot be made our own");
	tree = clone_share(sandbox);
	return tree < 0 ? tree : make_root(tree, sandbox->share);
}

int gw_sandbox_namespace(struct gw_confinement *confinement)
{
	bool ordinary = geteuid() != 0;
	int err = 0;

	if (ordinary)
		err = gw_idmap_enter(confinement->uids, confinement->gids);
	if (!err && unshare(CLONE_NEWPID) < 0)
		err = refused("a PID namespace cannot be made");
	if (!err)
		err = gw_keeper_fork(confinement->sockets, &confinement->lifeline);
	if (!err && unshare(NAMESPACES) < 0)
		err = refused("namespaces cannot be made");
	if (!err)
		err = gw_proc_take(&confinement->proc_fd);
	if (!err)
		err = pivot(confinement->sandbox);
	/* Only now: what leads to the share may be open to the operator's own user alone. */
	if (!err)
		err = gw_idmap_become(confinement->uids, confinement->gids);
	/* For itself an ordinary user needs none, and is to see what it sees without a sandbox. */
	if (ordinary && !confinement->uids)
		confinement->caps = 0;
	return err;
}
