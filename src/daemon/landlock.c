/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/landlock.c - the kernel's own rule that a process stays below a directory. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "daemon/landlock.h"
#include "godwit/error.h"

/* Newer than the oldest linux/landlock.h that we build with; from the kernel's documentation. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif
#define NET_BIND_TCP	      (1ULL << 0)
#define NET_CONNECT_TCP	      (1ULL << 1)
#define SCOPE_ABSTRACT_SOCKET (1ULL << 0)
#define SCOPE_SIGNAL	      (1ULL << 1)

#define ABI_REFER 2
/* All rights of ABI 1: EXECUTE to MAKE_SYM. */
#define ACCESS_ABI_1 ((1ULL << 13) - 1)

/* The members that came with later ABIs; a kernel takes a shorter struct. */
struct ruleset {
	uint64_t access_fs;  /* ABI 1 */
	uint64_t access_net; /* ABI 4 */
	uint64_t scoped;     /* ABI 6 */
};

/* What an ABI can forbid in addition to the one before. */
static const struct {
	int abi;
	size_t size;
	struct ruleset forbids;
} steps[] = {
	{2, offsetof(struct ruleset, access_net), {ACCESS_ABI_1 | LANDLOCK_ACCESS_FS_REFER, 0, 0}},
	{3, offsetof(struct ruleset, access_net), {LANDLOCK_ACCESS_FS_TRUNCATE, 0, 0}},
	{4, offsetof(struct ruleset, scoped), {0, NET_BIND_TCP | NET_CONNECT_TCP, 0}},
	{5, offsetof(struct ruleset, scoped), {LANDLOCK_ACCESS_FS_IOCTL_DEV, 0, 0}},
	{6, sizeof(struct ruleset), {0, 0, SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL}},
};

/* Denied below the root as well: nothing of a share is ever executed, no device is spoken to. */
#define NEVER (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_IOCTL_DEV)

bool gw_handles_open(int root_fd)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} buffer = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
	GW_AUTO_FD int dir = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	GW_AUTO_FD int opened = -1;
	int mount_id;

	/* Where the root has no handles, a file system inside the share may. */
	if (dir < 0 || name_to_handle_at(dir, "", &buffer.handle, &mount_id, AT_EMPTY_PATH) < 0)
		buffer.handle.handle_bytes = sizeof(uint64_t);
	opened = open_by_handle_at(dir >= 0 ? dir : AT_FDCWD, &buffer.handle, O_PATH | O_CLOEXEC);
	/* Privilege is what is asked first. */
	return opened >= 0 || errno != EPERM;
}

static int make_ruleset(int abi, uint64_t *handled)
{
	struct ruleset rules = {0};
	size_t size = 0;

	for (size_t i = 0; i < GW_ARRAY_LEN(steps) && steps[i].abi <= abi; i++) {
		rules.access_fs |= steps[i].forbids.access_fs;
		rules.access_net |= steps[i].forbids.access_net;
		rules.scoped |= steps[i].forbids.scoped;
		size = steps[i].size;
	}
	*handled = rules.access_fs;
	return (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
}

static int restrict_to(int dir, int abi)
{
	struct landlock_path_beneath_attr beneath = {.parent_fd = dir};
	uint64_t handled;
	GW_AUTO_FD int ruleset = make_ruleset(abi, &handled);

	beneath.allowed_access = handled & ~NEVER;
	if (ruleset < 0 ||
	    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0 ||
	    syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return gw_fail(errno, "Landlock (ABI %d): %s", abi, strerror(errno));
	return 0;
}

int gw_landlock_restrict(int root_fd)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi >= ABI_REFER)
		return restrict_to(root_fd, (int)abi);
	gw_info("Landlock: this kernel has %s; going on without", abi < 0 ? "none" : "ABI 1 only");
	return 0;
}
