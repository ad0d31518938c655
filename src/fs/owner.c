/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/owner.c - whose a file is: its owner opens it although its mode forbids that. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/open.h"
#include "fs/table.h"
#include "godwit/error.h"

/* Of two at once the second would take the first one's bits for the file's own, and leave them. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

int fs_inode_open_as_owner(struct fs_inode *inode, int flags)
{
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	int proc = fs_table_of(inode)->fs->proc_fd;
	struct statx stx;
	char name[16];
	int opened;
	GW_LOCK_SCOPE(&one_at_a_time);

	if (fs_inode_fd(inode, &fd) || fs_statx_fd(fd.fd, &stx))
		return -EACCES;
	snprintf(name, sizeof(name), "%d", fd.fd);
	if (fchmodat(proc, name, (stx.stx_mode & 07777) | S_IRUSR | S_IWUSR, 0) < 0)
		return -EACCES;
	opened = fs_inode_open(inode, flags);
	if (fchmodat(proc, name, stx.stx_mode & 07777, 0) < 0)
		gw_warn("mode %o of inode %llu could not be put back: %s", stx.stx_mode & 07777,
			(unsigned long long)fs_inode_id(inode), strerror(errno));
	return opened;
}

bool fs_may_chown(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return !syscall(SYS_capget, &header, data) && data[0].effective & 1u << CAP_CHOWN;
}

bool fs_inode_is_ours(struct fs_inode *inode)
{
	struct statx stx;

	return !fs_inode_statx(inode, &stx) && stx.stx_uid == geteuid();
}
