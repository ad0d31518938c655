/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/collect.c - before a save: are the names true, and what has none? */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "fs/collect.h"
#include "fs/open.h"

/*
 * What an NFS client makes of the last name of a file that somebody here has open: it goes with the
 * last close, whoever has found the file by it, so that it is as good as none.
 */
#define SILLY		 ".nfs"
#define SILLY_DIGITS_MIN 16 /* of the file's number; a counter's follow */

static bool is_silly(const char *name)
{
	size_t prefix = sizeof(SILLY) - 1;
	size_t digits = strncmp(name, SILLY, prefix) ? 0 : strlen(name + prefix);

	return digits >= SILLY_DIGITS_MIN && strspn(name + prefix, "0123456789abcdef") == digits;
}

static bool is_on_nfs(int fd)
{
	struct statfs sfs;

	return !fstatfs(fd, &sfs) && (uint32_t)sfs.f_type == NFS_SUPER_MAGIC;
}

enum verdict { LEADS_NOT, LEADS_TO_IT, CANNOT_TELL };

/* Does this name lead to the inode? One system call. */
static enum verdict leads_to(struct fs_inodes *inodes, const struct fs_name_copy *name,
			     struct fs_inode *inode)
{
	bool held = fs_fdcache_holds(inode);
	const struct fs_evidence expected = {
		.type = (mode_t)inode->type << 12,
		.ino = inode->ino,
		.btime = held ? 0 : inode->btime, /* identity.c says why */
	};
	FS_AUTO_PATHFD struct fs_fd dir = FS_PATHFD_INIT;
	struct statx stx;
	int err = fs_inode_fd(name->parent, &dir);

	if (!err && is_silly(name->name) && is_on_nfs(dir.fd))
		return LEADS_NOT;
	if (!err)
		err = fs_statx_at(dir.fd, name->name, &stx);
	if (err)
		return err == -ENOENT || err == -ENOTDIR || err == -ESTALE ? LEADS_NOT
									   : CANNOT_TELL;
	if (!fs_mount_is(inodes, inode->mount, &stx) || !fs_evidence_fits(&expected, -1, &stx))
		return LEADS_NOT;
	if (held && inode->btime != fs_btime(&stx)) {
		inode->btime = fs_btime(&stx);
		fs_inode_changed(inode);
	}
	return LEADS_TO_IT;
}

static int count_good(struct fs_inodes *inodes, struct fs_inode *inode,
		      const struct fs_name_copy *names, unsigned count, enum verdict *verdicts)
{
	int good = 0;

	for (unsigned i = 0; i < count; i++) {
		verdicts[i] = leads_to(inodes, &names[i], inode);
		good += verdicts[i] == LEADS_TO_IT;
	}
	return good;
}

/* How many names lead to it. Wrong ones are dropped if there is a right one; else the last that was
 * known is good for telling the operator. */
static int check_names(struct fs_inodes *inodes, struct fs_inode *inode)
{
	GW_AUTO_FREE enum verdict *verdicts = NULL;
	struct fs_name_copy *names;
	unsigned count;
	int good = fs_names_copy(inodes, inode, &names, &count);

	if (good)
		return good;
	verdicts = calloc(count + 1, sizeof(*verdicts));
	good = verdicts ? count_good(inodes, inode, names, count, verdicts) : -ENOMEM;
	for (unsigned i = 0; good > 0 && i < count; i++) {
		if (verdicts[i] == LEADS_NOT)
			fs_name_wrong(inodes, inode, names[i].parent, names[i].name);
	}
	fs_names_copy_free(names, count);
	return good;
}

static int drop_names(struct fs_inodes *inodes, struct fs_inode *inode)
{
	struct fs_name_copy *names;
	unsigned count;
	int err = fs_names_copy(inodes, inode, &names, &count);

	for (unsigned i = 0; !err && i < count; i++)
		fs_name_wrong(inodes, inode, names[i].parent, names[i].name);
	if (!err)
		fs_names_copy_free(names, count);
	return err;
}

/* The path of @path below @root, or NULL: it must go on with a whole component. */
static char *below(const char *root, char *path)
{
	size_t len = strcmp(root, "/") ? strlen(root) : 0;

	if (strncmp(path, root, len) || path[len] != '/' || !path[len + 1])
		return NULL;
	return path + len + 1;
}

/*
 * Look @path up as a guest would, component by component, and give the look-ups back at once:
 * directories that the guest does not know stay for as long as they are parents. Returns the node
 * id at its end, 0 if the path leads nowhere.
 */
static uint64_t walk(struct fs_inodes *inodes, char *path)
{
	FS_AUTO_INODE struct fs_inode *at = fs_inode_pin(inodes->root);
	char *rest = path, *name;

	while ((name = strsep(&rest, "/"))) {
		struct statx stx;
		uint64_t id;
		struct fs_inode *next;

		if (fs_inode_lookup(inodes, at, name, &id, &stx))
			return 0;
		next = fs_inode_get(inodes, id);
		fs_inode_forget(inodes, id, 1);
		if (!next)
			return 0;
		fs_inode_put(at);
		at = next;
	}
	return fs_inode_id(at);
}

/* Where the host moved it, the kernel knows by the descriptor. */
static bool follow_descriptor(struct fs_inodes *inodes, struct fs_inode *inode, int fd)
{
	char root[PATH_MAX], path[PATH_MAX];
	int proc = inodes->fs->proc_fd;
	char *name;

	if (fs_path_of(proc, inodes->fs->root_fd, root, sizeof(root)) ||
	    fs_path_of(proc, fd, path, sizeof(path)))
		return false;
	name = below(root, path);
	return name && walk(inodes, name) == fs_inode_id(inode);
}

/* A directory counts no link but may be gone: the kernel then says so behind its last path. */
static bool is_removed(struct fs_inodes *inodes, int fd, const struct statx *stx)
{
	static const char mark[] = " (deleted)";
	char path[PATH_MAX];
	size_t len;

	if (!stx->stx_nlink)
		return true;
	if (!S_ISDIR(stx->stx_mode) || fs_path_of(inodes->fs->proc_fd, fd, path, sizeof(path)))
		return false;
	len = strlen(path);
	return len >= sizeof(mark) - 1 && !strcmp(path + len - (sizeof(mark) - 1), mark);
}

static bool has_silly_name(struct fs_inodes *inodes, int fd)
{
	char path[PATH_MAX];

	return !fs_path_of(inodes->fs->proc_fd, fd, path, sizeof(path)) &&
	       is_silly(strrchr(path, '/') + 1) && is_on_nfs(fd);
}

int fs_check(struct fs_inodes *inodes, struct fs_inode *inode)
{
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	struct statx stx;
	int good, err;

	if (inode == inodes->root)
		return FS_FOUND_NAMED;
	if (fs_inode_has(inode, FS_INODE_LOST))
		return FS_FOUND_GONE;
	/* What only its path tells of would be told wrongly. */
	err = fs_inode_is_copied(inode) ? fs_inode_check(inodes, inode) : 0;
	if (err)
		return err == -ENOMEM || err == -EMFILE || err == -ENFILE ? err : FS_FOUND_GONE;
	good = check_names(inodes, inode);
	if (good > 0 && fs_inode_has(inode, FS_INODE_SOUGHT))
		fs_inode_unmark(inode, FS_INODE_SOUGHT);
	if (good)
		return good < 0 ? good : FS_FOUND_NAMED;
	err = fs_inode_fd(inode, &fd);
	if (err == -ESTALE)
		return FS_FOUND_GONE;
	if (err || fs_statx_fd(fd.fd, &stx))
		return FS_FOUND_NOWHERE;
	if (is_removed(inodes, fd.fd, &stx) || has_silly_name(inodes, fd.fd))
		return FS_FOUND_ORPHAN;
	if (!follow_descriptor(inodes, inode, fd.fd))
		return FS_FOUND_NOWHERE;
	good = check_names(inodes, inode);
	return good < 0 ? good : FS_FOUND_NAMED;
}

int fs_collect(struct fs_inodes *inodes, struct fs_inode *inode)
{
	int found = fs_check(inodes, inode);
	int err = found == FS_FOUND_ORPHAN ? drop_names(inodes, inode) : 0;

	return err ? err : found;
}

const char *fs_escape(char text[FS_DESCRIBE_MAX], const char *from)
{
	char *to = text;

	for (; *from && text + FS_DESCRIBE_MAX - to > 5; from++) {
		unsigned char c = (unsigned char)*from;

		if (c >= 0x20 && c < 0x7f && c != '\\')
			*to++ = (char)c;
		else
			to += snprintf(to, 5, "\\x%02x", c);
	}
	*to = 0;
	return text;
}

/* "a/b" below the share; a long path loses its beginning. */
const char *fs_describe(struct fs_inodes *inodes, struct fs_inode *inode,
			char text[FS_DESCRIBE_MAX])
{
	char path[PATH_MAX];
	size_t start = sizeof(path) - 1;
	FS_AUTO_INODE struct fs_inode *at = fs_inode_pin(inode);
	struct fs_name_copy name;

	path[start] = 0;
	for (int depth = 0; depth < 64 && at != inodes->root; depth++) {
		if (!fs_name_first(inodes, at, &name))
			break;
		fs_inode_put(at);
		at = name.parent;
		if (start < (size_t)name.len + 1)
			break;
		start -= name.len;
		memcpy(path + start, name.name, name.len);
		path[--start] = '/';
	}
	if (!path[start])
		return strcpy(text, inode == inodes->root ? "/" : "(no name)");
	return fs_escape(text, path + start);
}
