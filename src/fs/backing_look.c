/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/backing_look.c - what this host knows of a shared directory and its file system. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "fs/backing.h"
#include "godwit/error.h"

#define BY_UUID	  "/dev/disk/by-uuid"
#define MOUNTINFO "/proc/self/mountinfo"
#define BOOT_ID	  "/proc/sys/kernel/random/boot_id"

/* -- the UUID ------------------------------------------------------------------------------ */

#ifndef FS_IOC_GETFSUUID /* Linux 6.9 */
struct fsuuid2 {
	__u8 len;
	__u8 uuid[16];
};
#define FS_IOC_GETFSUUID _IOR(0x15, 0, struct fsuuid2)
#endif

void fs_backing_spell_uuid(char text[FS_UUID_MAX], const uint8_t uuid[16])
{
	size_t len = 0;

	for (unsigned i = 0; i < 16; i++)
		len += (size_t)snprintf(text + len, FS_UUID_MAX - len, "%s%02x",
					i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

/* An older kernel does not tell; udev has read it from the disk. */
static void find_uuid_of_disk(char text[FS_UUID_MAX], dev_t dev)
{
	DIR *dir = opendir(BY_UUID);
	const struct dirent *entry;

	while (dir && !*text && (entry = readdir(dir))) {
		struct stat st;

		if (!fstatat(dirfd(dir), entry->d_name, &st, 0) && S_ISBLK(st.st_mode) &&
		    st.st_rdev == dev && strlen(entry->d_name) < FS_UUID_MAX)
			snprintf(text, FS_UUID_MAX, "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
}

static void find_uuid(char text[FS_UUID_MAX], int fd)
{
	struct fsuuid2 uuid = {0};
	struct stat st;

	if (!ioctl(fd, FS_IOC_GETFSUUID, &uuid) && uuid.len == sizeof(uuid.uuid))
		fs_backing_spell_uuid(text, uuid.uuid);
	else if (!fstat(fd, &st))
		find_uuid_of_disk(text, st.st_dev);
}

/* -- server and export --------------------------------------------------------------------- */

/* "36 35 98:0 /root /mnt opts - nfs4 server:/export opts": proc(5) */
static bool is_mount(const char *line, const struct statx *stx)
{
	unsigned long long id;
	unsigned major, minor;

	if (sscanf(line, "%llu %*u %u:%u", &id, &major, &minor) != 3)
		return false;
	if (stx->stx_mask & STATX_MNT_ID)
		return id == stx->stx_mnt_id;
	return major == stx->stx_dev_major && minor == stx->stx_dev_minor;
}

void fs_backing_find_source(char source[FS_SOURCE_MAX], FILE *mountinfo, const struct statx *stx)
{
	GW_AUTO_FREE char *line = NULL;
	size_t size = 0;

	source[0] = '\0';
	while (getline(&line, &size, mountinfo) > 0) {
		const char *dash = strstr(line, " - ");
		int from = 0, to = 0;

		if (!dash || !is_mount(line, stx))
			continue;
		sscanf(dash, " - %*s %n%*s%n", &from, &to);
		/* Half of it could be the half of another. */
		if (to > from && to - from < FS_SOURCE_MAX)
			snprintf(source, FS_SOURCE_MAX, "%.*s", to - from, dash + from);
		return;
	}
}

static void find_source(char source[FS_SOURCE_MAX], int fd)
{
	GW_AUTO_FCLOSE FILE *mountinfo = fopen(MOUNTINFO, "re");
	struct statx stx;

	if (mountinfo && !statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx))
		fs_backing_find_source(source, mountinfo, &stx);
}

/* -- all ----------------------------------------------------------------------------------- */

static void look_at_host(struct fs_backing_facts *facts, int fd)
{
	FILE *file = fopen(BOOT_ID, "re");
	struct stat st;

	if (file && !fgets(facts->boot, sizeof(facts->boot), file))
		facts->boot[0] = '\0';
	if (file)
		fclose(file);
	if (!fstat(fd, &st)) {
		facts->dev = st.st_dev;
		facts->ino = st.st_ino;
	}
}

int fs_backing_look(struct fs_backing_facts *facts, const char *path)
{
	GW_AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	*facts = (struct fs_backing_facts){0};
	if (fd < 0)
		return gw_fail(errno, "shared directory %s: %s", path, strerror(errno));
	look_at_host(facts, fd);
	if (fstatfs(fd, &fs) < 0)
		return 0;
	facts->magic = (uint32_t)fs.f_type;
	static_assert(sizeof(facts->fsid) == sizeof(fs.f_fsid), "f_fsid is 8 bytes");
	memcpy(facts->fsid, &fs.f_fsid, sizeof(facts->fsid));
	find_uuid(facts->uuid, fd);
	find_source(facts->source, fd);
	facts->has_handle = !fs_fhandle_of(fd, &facts->handle);
	return 0;
}
