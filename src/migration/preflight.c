/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/preflight.c - asking a device what would happen if it moved now, beside its guest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "migration/preflight.h"

static void *ask(void *opaque)
{
	struct gw_preflight *preflight = opaque;
	uint64_t one = 1;

	preflight->result =
		preflight->ops->report(preflight->dev, GW_REPORT_PREFLIGHT, preflight->report);
	if (preflight->result)
		strncpy(preflight->reason, gw_last_error(), sizeof(preflight->reason) - 1);
	atomic_store(&preflight->ended, true);
	/* A full counter (EAGAIN) already wakes the control thread. */
	if (write(preflight->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		abort();
	return NULL;
}

int gw_preflight_start(struct gw_preflight **out, const struct gw_preflight *as)
{
	GW_AUTO_FREE struct gw_preflight *preflight = malloc(sizeof(*preflight));
	int err;

	if (!preflight)
		return gw_fail(ENOMEM, "preflight: no memory");
	*preflight = *as;
	preflight->report = gw_report_new();
	if (!preflight->report)
		return gw_fail(ENOMEM, "preflight: no memory");
	err = gw_thread_start(&preflight->thread, GW_THREAD_TRANSFER, "gw-preflight", ask,
			      preflight);
	if (err) {
		gw_report_free(preflight->report);
		return err;
	}
	*out = gw_take_ptr(preflight);
	return 0;
}

void gw_preflight_finish(struct gw_preflight *preflight)
{
	bool cancelled = !atomic_load(&preflight->ended);
	int result;

	if (cancelled)
		gw_report_cancel(preflight->report);
	pthread_join(preflight->thread, NULL);
	if (cancelled)
		result = gw_fail(ECANCELED, "preflight: something else is done to the device");
	else
		result = preflight->result ? gw_fail(-preflight->result, "%s", preflight->reason)
					   : 0;
	preflight->done(preflight->opaque, result, preflight->report);
	gw_report_free(preflight->report);
	free(preflight);
}
