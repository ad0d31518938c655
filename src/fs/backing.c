/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/backing.c - a name for what is shared, that two hosts with the same share give it alike. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/backing.h"
#include "fs/evidence.h"
#include "godwit/error.h"
#include "state/checksum.h"

#define BY_UUID	  "/dev/disk/by-uuid"
#define MOUNTINFO "/proc/self/mountinfo"
#define BOOT_ID	  "/proc/sys/kernel/random/boot_id"

/* What a hash is made of, grown piece by piece. */
struct evidence {
	size_t len;
	unsigned char bytes[1024];
};

static bool add(struct evidence *evidence, const void *bytes, size_t len)
{
	if (len > sizeof(evidence->bytes) - evidence->len)
		return false;
	memcpy(evidence->bytes + evidence->len, bytes, len);
	evidence->len += len;
	return true;
}

static bool add_text(struct evidence *evidence, const char *text)
{
	return add(evidence, text, strlen(text) + 1);
}

/* -- what tells a file system from others of its type -------------------------------------- */

/* These make f_fsid from their UUID, in all versions of Linux. */
static bool add_fsid(struct evidence *evidence, int fd)
{
	static const fsid_t none;
	struct statfs fs;

	return !fstatfs(fd, &fs) && memcmp(&fs.f_fsid, &none, sizeof(none)) != 0 &&
	       add(evidence, &fs.f_fsid, sizeof(fs.f_fsid));
}

#ifndef FS_IOC_GETFSUUID /* Linux 6.9 */
struct fsuuid2 {
	__u8 len;
	__u8 uuid[16];
};
#define FS_IOC_GETFSUUID _IOR(0x15, 0, struct fsuuid2)
#endif

/* As udev spells it. */
static bool add_uuid_bytes(struct evidence *evidence, const __u8 uuid[16])
{
	char text[40] = "";
	size_t len = 0;

	for (unsigned i = 0; i < 16; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%02x",
					i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
	return add_text(evidence, text);
}

/* An older kernel does not tell; udev has read it from the disk. */
static bool add_uuid_of_disk(struct evidence *evidence, dev_t dev)
{
	DIR *dir = opendir(BY_UUID);
	const struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		struct stat st;

		found = !fstatat(dirfd(dir), entry->d_name, &st, 0) && S_ISBLK(st.st_mode) &&
			st.st_rdev == dev && add_text(evidence, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool add_uuid(struct evidence *evidence, int fd)
{
	struct fsuuid2 uuid = {0};
	struct stat st;

	if (!ioctl(fd, FS_IOC_GETFSUUID, &uuid) && uuid.len == sizeof(uuid.uuid))
		return add_uuid_bytes(evidence, uuid.uuid);
	return !fstat(fd, &st) && add_uuid_of_disk(evidence, st.st_dev);
}

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

/* Server and export. */
static bool add_source(struct evidence *evidence, int fd)
{
	GW_AUTO_FCLOSE FILE *file = fopen(MOUNTINFO, "re");
	GW_AUTO_FREE char *line = NULL;
	size_t size = 0;
	struct statx stx;

	if (!file || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return false;
	while (getline(&line, &size, file) > 0) {
		const char *dash = strstr(line, " - ");
		char source[512];

		if (dash && is_mount(line, &stx))
			return sscanf(dash, " - %*s %511s", source) == 1 &&
			       add_text(evidence, source);
	}
	return false;
}

/* Only of types whose handles mean the same on every host (fs_fhandle_is_portable()). */
static const struct fs_type {
	uint32_t magic;
	bool (*add)(struct evidence *evidence, int fd);
} types[] = {
	{0xef53, add_fsid},	  /* ext2, ext3, ext4 */
	{0x9123683e, add_fsid},	  /* btrfs */
	{0x00c36400, add_fsid},	  /* ceph */
	{0x58465342, add_uuid},	  /* xfs, whose f_fsid is the device's number */
	{0x01161970, add_uuid},	  /* gfs2 */
	{0x7461636f, add_uuid},	  /* ocfs2 */
	{0x6969, add_source},	  /* nfs */
	{0x0bd00bd0, add_source}, /* lustre */
};

/* -- the name ------------------------------------------------------------------------------ */

static bool add_handle(struct evidence *evidence, int fd)
{
	struct fs_fhandle handle;

	return !fs_fhandle_of(fd, &handle) && add(evidence, &handle.type, sizeof(handle.type)) &&
	       add(evidence, handle.bytes, handle.len);
}

static bool add_shared(struct evidence *evidence, int fd)
{
	struct statfs fs;
	uint32_t magic;

	if (fstatfs(fd, &fs) < 0 || !fs_fhandle_is_portable((uint64_t)fs.f_type))
		return false;
	magic = (uint32_t)fs.f_type;
	for (size_t i = 0; i < GW_ARRAY_LEN(types); i++)
		if (types[i].magic == magic)
			return add(evidence, &magic, sizeof(magic)) && types[i].add(evidence, fd) &&
			       add_handle(evidence, fd);
	return false;
}

/* What nobody but this host can tell from another, and only until it boots again. */
static void add_local(struct evidence *evidence, int fd)
{
	GW_AUTO_FCLOSE FILE *file = fopen(BOOT_ID, "re");
	char boot[64] = "";
	struct stat st = {0};

	if (file && fgets(boot, sizeof(boot), file))
		add_text(evidence, boot);
	if (!fstat(fd, &st)) {
		add(evidence, &st.st_dev, sizeof(st.st_dev));
		add(evidence, &st.st_ino, sizeof(st.st_ino));
	}
}

static void spell(char word[FS_BACKING_MAX], const struct evidence *evidence, const char *prefix)
{
	XXH128_hash_t hash = XXH3_128bits(evidence->bytes, evidence->len);

	snprintf(word, FS_BACKING_MAX, "shared-backing:%s%016" PRIx64 "%016" PRIx64, prefix,
		 (uint64_t)hash.high64, (uint64_t)hash.low64);
}

int fs_backing_name(char word[FS_BACKING_MAX], const char *path, const char *share_id)
{
	struct evidence evidence = {0};
	GW_AUTO_FD int fd = -1;

	if (share_id) {
		if (!*share_id || !add_text(&evidence, share_id))
			return gw_fail(EINVAL,
				       "option --share-id: it has %zu bytes, 1 to %zu are "
				       "allowed",
				       strlen(share_id), sizeof(evidence.bytes) - 1);
		spell(word, &evidence, "");
		return 0;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return gw_fail(errno, "shared directory %s: %s", path, strerror(errno));
	if (add_shared(&evidence, fd)) {
		spell(word, &evidence, "");
		return 0;
	}
	evidence.len = 0;
	add_local(&evidence, fd);
	spell(word, &evidence, "unknown-");
	return 0;
}
