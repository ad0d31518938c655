/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/qmp/ahead.h - most of a device's state from one back-end to another, ahead of the state. */
#ifndef GW_CLI_QMP_AHEAD_H
#define GW_CLI_QMP_AHEAD_H

#include "cli/qmp/qmp.h"

/*
 * migration-precopy-save, -read, -write and -load (docs/control.md), without ever waiting: whoever
 * listens to both conversations calls gw_qmp_ahead_go_on() when something was heard. Both are for
 * this alone, so that a back-end that owes an answer here can be asked other things meanwhile.
 */
struct gw_qmp_ahead {
	struct gw_qmp *from, *to;	     /* borrowed */
	json_int_t from_session, to_session; /* by number; -1: the only one */

	enum { GW_AHEAD_IDLE, GW_AHEAD_MAKING, GW_AHEAD_BRINGING, GW_AHEAD_LOADING } step;
	json_int_t bytes, read, written; /* how many there are, and how far it is */
	json_t *piece;			 /* read, and not written yet */
	bool reading;
	json_int_t writing; /* bytes of the piece that is on its way; 0: none is */
};

/* From the beginning. An error as of gw_qmp_begin(). */
int gw_qmp_ahead_begin(struct gw_qmp_ahead *ahead);
/* 0: it is there; -EAGAIN: something is yet to be heard; else why it will not be, with a sentence.
 * Only -EAGAIN wants another call. */
int gw_qmp_ahead_go_on(struct gw_qmp_ahead *ahead);
/* Give up, at whatever step: it can begin again only with other conversations. */
void gw_qmp_ahead_end(struct gw_qmp_ahead *ahead);

#endif
