/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/compat/later-offers.c - the flags of INIT, and one that the build of today does not take:
 * in place of src/fs/offers.c, in a program that is linked with both. */
#include "fs/offers.h"

const struct fs_offer *todays_offer_at(unsigned i);

#define fs_offer_at todays_offer_at
#include "../../src/fs/offers.c" /* NOLINT(bugprone-suspicious-include): with another name */
#undef fs_offer_at

static bool symlinks(const struct fs *fs)
{
	return gw_params_get(fs->params, "later-symlinks", false);
}

const struct fs_offer *fs_offer_at(unsigned i)
{
	static const struct fs_offer later = {OFFER(FUSE_CACHE_SYMLINKS), 28, symlinks,
					      "later-symlinks"};

	return i ? todays_offer_at(i - 1) : &later;
}
