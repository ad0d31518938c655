/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/precopy.h - most of a state, ahead of it: made beside the guest, or kept by who waits.
 */
#ifndef GW_MIGRATION_PRECOPY_H
#define GW_MIGRATION_PRECOPY_H

#include <pthread.h>
#include <stdatomic.h>

#include "godwit/error.h"
#include "migration/session.h"
#include "state/stream.h"

/*
 * A thread of its own between a device and memory; the control thread joins it. What it makes is a
 * whole stream (docs/stream.md), so that damage is noticed, but nobody's state: a save that goes
 * through the protocol has more phases, and this has nothing to do with it.
 */
struct gw_precopy {
	bool load;
	const struct gw_device_ops *ops;
	void *dev;
	struct gw_state_channel channel; /* its fd is the job's */
	struct gw_state_header header;	 /* save */
	const struct gw_model *model;	 /* load: whose state it must be; or NULL */
	int wake;			 /* the session's eventfd, borrowed */
	gw_precopy_done *done;
	void *opaque;

	pthread_t thread;
	_Atomic bool cancelled;
	_Atomic bool ended;
	int result; /* once ended, with @reason and @bytes */
	char reason[GW_ERROR_MAX];
	uint64_t bytes;
};

/* @as->channel.fd is taken over, also on failure; save: the device was told. @wake is written to
 * when it has ended. */
int gw_precopy_start(struct gw_precopy **precopy, const struct gw_precopy *as);
/* Has it not ended? Then it will soon, with -ECANCELED; the device of a load is told, too. */
bool gw_precopy_cancel(struct gw_precopy *precopy);
/* From here on everything is the control thread's. */
void gw_precopy_join(struct gw_precopy *precopy);
/* Joined. NULL is allowed. */
void gw_precopy_free(struct gw_precopy *precopy);

#endif
