/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/caps.c - capabilities: only what is needed is kept. */
#include <cap-ng.h>
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/checked.h"
#include "daemon/caps.h"
#include "godwit/error.h"

#define CAP_NAME_MAX 32

/* One "+name" or "-name" of @len bytes. */
static int modify_one(uint64_t *caps, const char *text, size_t len)
{
	char name[CAP_NAME_MAX];
	int cap;

	if (len < 2 || len > sizeof(name) || (*text != '+' && *text != '-'))
		return gw_fail(EINVAL,
			       "option --modcaps: '%.*s' is not + or - and a capability's name",
			       (int)GW_MIN(len, (size_t)CAP_NAME_MAX), text);
	memcpy(name, text + 1, len - 1);
	name[len - 1] = 0;
	cap = capng_name_to_capability(name);
	if (cap < 0)
		return gw_fail(EINVAL, "option --modcaps: no capability is called '%s'", name);
	if (*text == '+')
		*caps |= GW_CAP(cap);
	else
		*caps &= ~GW_CAP(cap);
	return 0;
}

int gw_caps_modify(uint64_t *caps, const char *text)
{
	int err;

	do {
		size_t len = strcspn(text, ":");

		err = modify_one(caps, text, len);
		text += len;
	} while (!err && *text++ == ':');
	return err;
}

static uint64_t permitted(void)
{
	uint64_t had = 0;

	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++) {
		if (capng_have_capability(CAPNG_PERMITTED, cap))
			had |= GW_CAP(cap);
	}
	return had;
}

int gw_caps_held(uint64_t *caps)
{
	if (capng_get_caps_process() < 0)
		return gw_fail(EIO, "capabilities cannot be read");
	*caps &= permitted();
	return 0;
}

/* A container may have been given less than is asked for: what is missing shows when it is used. */
static void choose(uint64_t keep)
{
	uint64_t had = permitted();

	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++) {
		if (keep & had & GW_CAP(cap))
			capng_update(CAPNG_ADD,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, cap);
	}
}

int gw_caps_keep(uint64_t keep)
{
	bool may_bound;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return gw_fail(errno, "no_new_privs: %s", strerror(errno));
	if (capng_get_caps_process() < 0)
		return gw_fail(EIO, "capabilities cannot be read");
	/* The bounding set only matters to who may execute something that has capabilities: with
	 * no_new_privs nobody does. It is emptied where we may. */
	may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	choose(keep);
	if (capng_apply(may_bound ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS) < 0)
		return gw_fail(EPERM, "capabilities cannot be dropped");
	return 0;
}
