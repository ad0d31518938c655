/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/offers.h - the flags of FUSE INIT that there can be, and what each depends on. */
#ifndef GW_FS_OFFERS_H
#define GW_FS_OFFERS_H

#include "fs/fs.h"

/* A flag that the device takes if the guest offers it, ... */
struct fs_offer {
	uint64_t bit;
	const char *name;
	unsigned since;			 /* ... if parameter fuse-minor is this or more, ... */
	bool (*when)(const struct fs *); /* ... and this is the case. NULL: always */
	const char *param; /* that @when asks for; NULL: none, or a matter of each host */
};

/* The @i-th, NULL behind the last one. A function, so that a test can stand in for a later build.
 */
const struct fs_offer *fs_offer_at(unsigned i);

#endif
