/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/preflight.h - asking a device what would happen if it moved now, beside its guest. */
#ifndef GW_MIGRATION_PREFLIGHT_H
#define GW_MIGRATION_PREFLIGHT_H

#include <pthread.h>
#include <stdatomic.h>

#include "godwit/error.h"
#include "migration/report.h"
#include "migration/session.h"

/* A thread of its own asks the device; the control thread joins it. */
struct gw_preflight {
	const struct gw_device_ops *ops;
	void *dev;
	int wake; /* the session's eventfd, borrowed */
	struct gw_report *report;
	gw_preflight_done *done;
	void *opaque;

	pthread_t thread;
	_Atomic bool ended;
	int result; /* once ended, with @reason */
	char reason[GW_ERROR_MAX];
};

/* @wake is written to when it has ended. */
int gw_preflight_start(struct gw_preflight **preflight, const struct gw_preflight *as);
/* Joins, tells, frees. If it has not ended yet, it is cancelled, and told as such. */
void gw_preflight_finish(struct gw_preflight *preflight);

#endif
