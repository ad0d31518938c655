/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/backing.h - a name for what is shared, that two hosts with the same share give it alike. */
#ifndef GW_FS_BACKING_H
#define GW_FS_BACKING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fs/evidence.h"

/*
 * "shared-backing:HASH" into @word. With @share_id (--share-id) a hash of that. Else of the type of
 * the file system at @path, what tells two of them apart on any host (its UUID, or server and
 * export), and the handle of the directory. Where the type has neither, "unknown-HASH", which only
 * this host until its next boot gives to the same directory.
 *
 * Looks outside of the directory (/proc/self/mountinfo, /dev/disk): before the sandbox.
 */
#define FS_BACKING_MAX 64
int fs_backing_name(char word[FS_BACKING_MAX], const char *path, const char *share_id);

/* -- its two halves ------------------------------------------------------------------------ */

#define FS_UUID_MAX   64
#define FS_SOURCE_MAX 512

/* What this host knows; texts are empty where it does not. */
struct fs_backing_facts {
	uint32_t magic; /* statfs(2)'s f_type */
	uint8_t fsid[8];
	char uuid[FS_UUID_MAX];	    /* as udev spells it */
	char source[FS_SOURCE_MAX]; /* "server:/export" */
	bool has_handle;
	struct fs_fhandle handle; /* of the directory */
	char boot[64];		  /* what follows is this host's until it boots again */
	dev_t dev;
	ino_t ino;
};

/* -errno with a sentence: the directory cannot be opened. */
int fs_backing_look(struct fs_backing_facts *facts, const char *path);
/* A pure function. */
void fs_backing_spell(char word[FS_BACKING_MAX], const struct fs_backing_facts *facts);

void fs_backing_spell_uuid(char text[FS_UUID_MAX], const uint8_t uuid[16]);
/* Of the mount that @stx is on (STATX_MNT_ID, else its device), in a text like
 * /proc/self/mountinfo; "" if it is not there, or too long. */
void fs_backing_find_source(char source[FS_SOURCE_MAX], FILE *mountinfo, const struct statx *stx);

#endif
