/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/journaling.h - a session's state outlives its process. */
#ifndef GW_MIGRATION_JOURNALING_H
#define GW_MIGRATION_JOURNALING_H

#include "base/fdstore.h"
#include "godwit/device.h"
#include "state/stream.h"

/*
 * A thread that writes checkpoints when the journal (state/journal.h) has grown, and gives to the
 * store what the device wants kept. Made by gw_session_recover().
 */
struct gw_journaling;

struct gw_unanswered; /* session.h */
/* @unanswered is asked by gw_journaling_fold(). */
int gw_journaling_new(struct gw_journaling **journaling, const struct gw_device_ops *ops, void *dev,
		      struct gw_fdstore *store, const struct gw_unanswered *unanswered);
/* Could this build, as an instance with @params, read what another process, which lives, has in
 * @store? Nothing is taken. */
int gw_journaling_check(const struct gw_device_ops *ops, const struct gw_params *params,
			const struct gw_fdstore *store);
/* The thread ends; then the device may end, and then the rest. NULL is allowed. */
void gw_journaling_stop(struct gw_journaling *journaling);
void gw_journaling_free(struct gw_journaling *journaling);

/* Did a process before this one leave a state? */
bool gw_journaling_has_state(const struct gw_journaling *journaling);
/* What it comes down to, as a stream in a memfd at its beginning: the caller's. -ENODATA: nothing,
 * the device is fresh. */
int gw_journaling_fold(struct gw_journaling *journaling, int *fd);

/* From now on, with a first checkpoint: at once, or soon where there is one. */
int gw_journaling_begin(struct gw_journaling *journaling, const struct gw_state_header *header);
/* The state is another one, of which nothing was put: returns when it is written. Any thread. */
int gw_journaling_checkpoint(struct gw_journaling *journaling,
			     const struct gw_state_header *header);

#endif
