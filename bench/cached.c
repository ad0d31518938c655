/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/cached.c - a tree of files, and a guest that has looked up all of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include "base/cleanup.h"
#include "bench/cached.h"
#include "godwit/error.h"

bool cached_option(struct cached_tree *tree, int option, const char *value)
{
	if (option != 'i' && option != 'd' && option != 't')
		return false;
	if (option == 'i') {
		tree->inodes = (unsigned)atoi(value) / CACHED_FILES_PER_DIR * CACHED_FILES_PER_DIR;
		return true;
	}
	snprintf(tree->dir, sizeof(tree->dir), "%s", value);
	tree->keep = option == 't';
	return true;
}

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/*
 * The share.
 */

static void make_directory(const char *dir, unsigned number)
{
	GW_AUTO_FD int at = -1;
	char name[32], path[300];

	snprintf(path, sizeof(path), "%s/%u", dir, number);
	if (mkdir(path, 0755) < 0)
		die("%s: %s", path, strerror(errno));
	at = open(path, O_PATH | O_CLOEXEC);
	for (unsigned i = 0; i < CACHED_FILES_PER_DIR; i++) {
		snprintf(name, sizeof(name), CACHED_NAME_FORMAT, number * CACHED_FILES_PER_DIR + i);
		if (mknodat(at, name, S_IFREG | 0644, 0) < 0)
			die("%s/%s: %s", path, name, strerror(errno));
	}
}

/* One that was kept is taken as it is. */
void cached_make(struct cached_tree *tree)
{
	if (tree->keep && mkdir(tree->dir, 0755) < 0)
		return;
	if (!tree->keep) {
		strncat(tree->dir, "/godwit-bench-XXXXXX",
			sizeof(tree->dir) - strlen(tree->dir) - 1);
		if (!mkdtemp(tree->dir))
			die("%s: %s", tree->dir, strerror(errno));
	}
	for (unsigned i = 0; i < tree->inodes / CACHED_FILES_PER_DIR; i++)
		make_directory(tree->dir, i);
}

static void remove_directory(const char *dir, unsigned number)
{
	char path[330];

	for (unsigned i = 0; i < CACHED_FILES_PER_DIR; i++) {
		snprintf(path, sizeof(path), "%s/%u/" CACHED_NAME_FORMAT, dir, number,
			 number * CACHED_FILES_PER_DIR + i);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/%u", dir, number);
	rmdir(path);
}

void cached_remove(const struct cached_tree *tree)
{
	for (unsigned i = 0; i < tree->inodes / CACHED_FILES_PER_DIR; i++)
		remove_directory(tree->dir, i);
	rmdir(tree->dir);
}

void cached_name_file_system(const struct cached_tree *tree)
{
	struct statfs sfs;

	if (statfs(tree->dir, &sfs) < 0)
		die("%s: %s", tree->dir, strerror(errno));
	printf("share on %s\n", sfs.f_type == EXT4_SUPER_MAGIC	? "ext4"
				: sfs.f_type == XFS_SUPER_MAGIC ? "xfs"
								: "neither ext4 nor xfs");
}

/*
 * The guest that fills its cache.
 */

static void submit(struct cached_guest *guest, struct cached_request *request, uint64_t parent,
		   unsigned number)
{
	struct fuse_in_header header = {.opcode = FUSE_LOOKUP, .unique = 2, .nodeid = parent};
	struct iovec out, in;
	int len = snprintf(request->out + sizeof(header), 64, CACHED_NAME_FORMAT, number) + 1;

	header.len = (uint32_t)sizeof(header) + (uint32_t)len;
	memcpy(request->out, &header, sizeof(header));
	request->number = number;
	out = (struct iovec){request->out, header.len};
	in = (struct iovec){request->in,
			    sizeof(struct fuse_out_header) + sizeof(struct fuse_entry_out)};
	if (gw_driver_add(guest->peer.frontend, PEER_QUEUE, &out, 1, &in, 1, request))
		die("%s: %s", guest->peer.name, gw_last_error());
}

static void take_answer(struct cached_guest *guest, const struct cached_request *request)
{
	struct fuse_out_header header;
	struct fuse_entry_out entry;

	memcpy(&header, request->in, sizeof(header));
	if (header.error)
		die("%s: LOOKUP: error %d", guest->peer.name, header.error);
	memcpy(&entry, request->in + sizeof(header), sizeof(entry));
	guest->nodes[request->number] = entry.nodeid;
}

static void look_up_directory(struct cached_guest *guest, unsigned dir)
{
	struct gw_frontend *frontend = guest->peer.frontend;
	unsigned asked = 0, answered = 0;
	char name[16];
	uint64_t parent;

	snprintf(name, sizeof(name), "%u", dir);
	parent = peer_lookup(&guest->peer, 1, name);
	for (; asked < CACHED_DEPTH; asked++)
		submit(guest, &guest->requests[asked], parent, dir * CACHED_FILES_PER_DIR + asked);
	gw_driver_kick(frontend, PEER_QUEUE);
	while (answered < CACHED_FILES_PER_DIR) {
		uint32_t len;
		void *token;

		while (gw_driver_get(frontend, PEER_QUEUE, &token, &len)) {
			take_answer(guest, token);
			answered++;
			if (asked < CACHED_FILES_PER_DIR)
				submit(guest, token, parent, dir * CACHED_FILES_PER_DIR + asked++);
		}
		gw_driver_kick(frontend, PEER_QUEUE);
		if (answered < CACHED_FILES_PER_DIR && gw_driver_wait(frontend, PEER_QUEUE, 10000))
			die("%s: no answer in 10 s", guest->peer.name);
	}
}

void cached_fill(struct cached_guest *guest, const struct cached_tree *tree, unsigned open)
{
	for (unsigned i = 0; i < CACHED_DEPTH; i++) {
		guest->requests[i].out = gw_frontend_alloc(guest->peer.frontend, 256);
		guest->requests[i].in = gw_frontend_alloc(guest->peer.frontend, 256);
	}
	guest->nodes = calloc(tree->inodes, sizeof(*guest->nodes));
	guest->handles = calloc(open + 1, sizeof(*guest->handles));
	for (unsigned dir = 0; dir < tree->inodes / CACHED_FILES_PER_DIR; dir++)
		look_up_directory(guest, dir);
	for (unsigned i = 0; i < open; i++)
		guest->handles[i] =
			peer_open(&guest->peer, guest->nodes[i * (tree->inodes / open)], O_RDWR);
}
