/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/idmap.h - owners whose numbers differ between guest and host: users, or groups. */
#ifndef GW_FS_IDMAP_H
#define GW_FS_IDMAP_H

#include <stdint.h>

/*
 * Ranges, as virtiofsd's --translate-uid and --translate-gid have them; A to B, so many from there:
 *
 *	guest:A:B:COUNT		the guest's A.. are the host's B..; nothing is said about the way
 *back host:A:B:COUNT		the host's A.. are the guest's B..; likewise map:A:B:COUNT
 *both: the guest's A.. and the host's B..
 *	squash-guest:A:B:COUNT	all of the guest's A.. are the host's B
 *	squash-host:A:B:COUNT	all of the host's A.. are the guest's B
 *	forbid-guest:A:COUNT	the guest may not use A.. at all
 *
 * The two ways are independent. Ranges of one way may not overlap; what is in none is the same on
 * both sides.
 */
#define FS_IDMAP_RANGES_MAX 64

struct fs_idrange {
	uint64_t first, end; /* end: one after the last */
	uint32_t to;
	uint8_t kind;
};

struct fs_idmap {
	struct fs_idway {
		unsigned count;
		struct fs_idrange ranges[FS_IDMAP_RANGES_MAX];
	} to_host, to_guest;
};

/* Add the range that @text says. -EINVAL with a sentence if it is none or overlaps. */
int fs_idmap_add(struct fs_idmap *map, const char *text);
/* -EPERM: forbidden. */
int fs_idmap_to_host(const struct fs_idmap *map, uint32_t guest, uint32_t *host);
uint32_t fs_idmap_to_guest(const struct fs_idmap *map, uint32_t host);
/* Tells pairs of maps apart; 0: both are empty. */
uint32_t fs_idmaps_id(const struct fs_idmap *users, const struct fs_idmap *groups);

#endif
