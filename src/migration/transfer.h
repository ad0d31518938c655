/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/transfer.h - one transfer: a worker thread between a device and a stream. */
#ifndef GW_MIGRATION_TRANSFER_H
#define GW_MIGRATION_TRANSFER_H

#include <pthread.h>
#include <stdatomic.h>

#include "migration/journaling.h"
#include "migration/parked.h"
#include "migration/session.h"
#include "state/stream.h"

/*
 * Who touches what: before gw_transfer_start() and after gw_transfer_join() everything is the
 * control thread's; between them the worker's, but for the atomics and what the lock guards.
 *
 * A load needs the control thread once: when the header has been read, the device adopts its
 * parameters there (gw_device_ops.adopt). The worker asks through @wake and waits; a cancel ends
 * the waiting, so that the control thread can always join the worker.
 */
/* What a save in phase RUNNING is to do when it has sent all that there was. */
enum gw_precopy_next { GW_NEXT_WAIT, GW_NEXT_ROUND, GW_NEXT_STOP };

struct gw_transfer {
	bool load;
	struct gw_journaling *journaling; /* it hears of what was loaded; NULL: nobody does */
	const struct gw_device_ops *ops;
	void *dev;
	struct gw_state_channel channel; /* its fd is closed by the worker before it says done */
	int cancel;			 /* eventfd */
	int wake;			 /* the session's eventfd, borrowed */
	struct gw_state_reader *reader;	 /* load: while the control thread is asked */
	struct gw_state_header header;	 /* save: written; load: read */
	struct gw_parked_list parked;	 /* save: a copy of the session's */
	struct gw_parked_staging staged; /* load */

	pthread_t thread;
	uint64_t begin_ns;
	uint64_t device_ns; /* when the device's turn came; 0: it did not */
	_Atomic uint64_t moved;
	_Atomic bool done;

	/* A save that began in phase RUNNING (transfer_precopy.c). */
	bool phased;
	int told;	      /* eventfd: there is a next */
	_Atomic bool idle;    /* all that there was is sent: it waits for the next */
	_Atomic bool waiting; /* load: for bytes; all that came is dealt with */

	pthread_mutex_t lock;
	pthread_cond_t answered;
	enum { GW_ADOPT_NONE, GW_ADOPT_ASKED, GW_ADOPT_ANSWERED } adopt; /* guarded by lock */
	bool cancelled;							 /* guarded by lock */
	enum gw_precopy_next next;					 /* guarded by lock */
	int adopt_result;						 /* guarded by lock */
	char adopt_reason[GW_ERROR_MAX];				 /* guarded by lock */

	/* Once done. */
	int result;
	char reason[GW_ERROR_MAX];
	bool whole;	    /* save: the stream is with the peer, up to its end */
	bool device_loaded; /* the device's load() believes that it succeeded */
	uint64_t end_ns;
};

/* In hexadecimal, with its end. */
void gw_transfer_print_id(char text[2 * GW_STATE_ID_LEN + 1], const uint8_t id[GW_STATE_ID_LEN]);

/* Takes @fd over, also on failure. */
int gw_transfer_new(struct gw_transfer **transfer, bool load, int fd);
/* From here on @wake is written to when the worker wants something, or is done. */
int gw_transfer_start(struct gw_transfer *transfer);
/* Is the header of a load waiting to be adopted? */
bool gw_transfer_asks(struct gw_transfer *transfer);
void gw_transfer_answer(struct gw_transfer *transfer, int result);
/* Make it end soon, with -ECANCELED if it has not ended. */
void gw_transfer_cancel(struct gw_transfer *transfer);
/* Of a save in phase RUNNING: what comes next. It looks after each piece. */
void gw_transfer_go_on(struct gw_transfer *transfer, enum gw_precopy_next next);
/* Its worker: phase RUNNING until it is told to stop, or fails. */
int gw_transfer_precopy(struct gw_transfer *transfer, struct gw_state_writer *writer);
void gw_transfer_join(struct gw_transfer *transfer);
/* Not started, or joined. NULL is allowed. */
void gw_transfer_free(struct gw_transfer *transfer);

#endif
