/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/caps.h - capabilities: only what is needed is kept. */
#ifndef GW_DAEMON_CAPS_H
#define GW_DAEMON_CAPS_H

#include <linux/capability.h>
#include <stdint.h>

/* A set: bit CAP_x for capability x. */
#define GW_CAP(cap) (UINT64_C(1) << (cap))

/* What sharing files for all of a guest's users takes. */
#define GW_CAPS_OF_FILES                                                                     \
	(GW_CAP(CAP_CHOWN) | GW_CAP(CAP_DAC_OVERRIDE) | GW_CAP(CAP_DAC_READ_SEARCH) |        \
	 GW_CAP(CAP_FOWNER) | GW_CAP(CAP_FSETID) | GW_CAP(CAP_SETGID) | GW_CAP(CAP_SETUID) | \
	 GW_CAP(CAP_MKNOD) | GW_CAP(CAP_SETFCAP))

/* "+name:-name...": adds to and takes from *@caps. -EINVAL with a sentence. */
int gw_caps_modify(uint64_t *caps, const char *text);

/* Leaves of *@caps what this process may have. -EIO with a sentence. */
int gw_caps_held(uint64_t *caps);

/*
 * From now on this process has of @keep what it had already, and nothing else, neither now nor
 * through anything it might execute. While it has one thread.
 */
int gw_caps_keep(uint64_t keep);

#endif
