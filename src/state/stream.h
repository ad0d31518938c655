/* SPDX-License-Identifier: BSD-3-Clause */
/* state/stream.h - making and reading whole streams: header, phases, end. */
#ifndef GW_STATE_STREAM_H
#define GW_STATE_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "godwit/model.h"
#include "godwit/state.h"

#define GW_STATE_ID_LEN	  16
#define GW_STATE_KEY_LEN  32
#define GW_STATE_NAME_MAX 128

/* How the state was moved (requirement R15); numbers are part of the format. */
enum gw_state_mode {
	GW_MODE_STATEFUL = 1,
	GW_MODE_STATELESS = 2,
};

/* What stands at the front of a stream, checked and NUL-terminated. */
struct gw_state_header {
	char implementation[GW_STATE_NAME_MAX]; /* "godwit-fs 0.1.0" */
	uint8_t id[GW_STATE_ID_LEN];		/* of the transfer, random */
	enum gw_state_mode mode;
	uint8_t ticket[GW_STATE_ID_LEN]; /* zero, or what a hand-over needs */
	char model[GW_CANONICAL_MAX];	 /* canonical form: model, parameters not at off */
	char prerequisites[GW_STATE_NAME_MAX];
};

/* Where bytes go to or come from: any descriptor that can be written or read as a stream. */
struct gw_state_channel {
	int fd;		    /* borrowed */
	int cancel;	    /* eventfd: readable means give up with -ECANCELED; -1: none */
	int idle_ms;	    /* -ETIMEDOUT after so long without a byte moved; 0: never */
	const uint8_t *key; /* GW_STATE_KEY_LEN bytes for the MAC, or NULL */
	/* Reading: streams of other makes that are accepted, or NULL. */
	const struct gw_foreign_format *foreign;
	/* Reading: what has a beginning (a file, memory) is read by position from there, whatever
	 * the descriptor's own is: who has just written it is at its end. */
	bool from_start;
	_Atomic bool *waiting;	 /* reading: it waits for bytes, all before them is dealt with */
	_Atomic uint64_t *moved; /* where the bytes are counted for others to see, or NULL */
};

/* Writes the header at once. Functions of godwit/state.h take it from there. */
int gw_state_writer_new(struct gw_state_writer **writer, const struct gw_state_channel *channel,
			const struct gw_state_header *header);
/* A PHASE mark (with the MAC before it): what follows belongs to @phase. */
int gw_state_writer_phase(struct gw_state_writer *writer, enum gw_phase phase);
/* The end record; nothing may follow. */
int gw_state_writer_end(struct gw_state_writer *writer);
void gw_state_writer_free(struct gw_state_writer *writer); /* NULL is allowed */

/*
 * A stream of another make is read to its end here, and its header is made up.
 *
 * Reads and checks the header at once; -EBADMSG for what is not our stream or is damaged. With a
 * key a stream without a MAC is refused (else a MAC could be stripped); without one a MAC is not
 * looked at.
 */
int gw_state_reader_new(struct gw_state_reader **reader, const struct gw_state_channel *channel);
/* @bytes to @channel as they are: a stream of another make has nothing of ours around it. */
int gw_state_write_foreign(const struct gw_state_channel *channel, const void *bytes, size_t len);
/* In the header's place for a stream of another make: NULL if it is ours. */
const struct gw_foreign_format *gw_state_reader_foreign(const struct gw_state_reader *reader,
							struct gw_bytes *bytes);
const struct gw_state_header *gw_state_reader_header(const struct gw_state_reader *reader);
/* Objects of the library's own (record types below GW_RECORD_DEVICE) are offered to @handlers
 * before the device's table; set before gw_state_read(). */
void gw_state_reader_set_own(struct gw_state_reader *reader,
			     const struct gw_state_handler *handlers, void *opaque);
/* Was everything read and found good, to the end? What a device's load() returns is not believed.
 */
bool gw_state_reader_is_complete(const struct gw_state_reader *reader);
/* A MAC over the whole stream verified; true only once the reader is complete. */
bool gw_state_reader_is_signed(const struct gw_state_reader *reader);
uint64_t gw_state_reader_bytes(const struct gw_state_reader *reader); /* bytes so far */
void gw_state_reader_free(struct gw_state_reader *reader);	      /* NULL is allowed */

/* Print a stream as text, with the layouts known (NULL-terminated array); never trusts it. */
int gw_state_dump(int fd, const struct gw_layout *const *layouts, FILE *out);

#endif
