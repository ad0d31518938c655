/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/qmp/ahead.c - most of a device's state from one back-end to another, ahead of the state. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/qmp/ahead.h"
#include "godwit/error.h"

#define SAVE  "migration-precopy-save"
#define READ  "migration-precopy-read"
#define WRITE "migration-precopy-write"
#define LOAD  "migration-precopy-load"

static int begin(struct gw_qmp *qmp, const char *command, json_int_t session, json_t *arguments)
{
	if (session >= 0)
		json_object_set_new(arguments, "session", json_integer(session));
	return gw_qmp_begin(qmp, command, arguments);
}

int gw_qmp_ahead_begin(struct gw_qmp_ahead *ahead)
{
	gw_qmp_ahead_end(ahead);
	ahead->step = GW_AHEAD_MAKING;
	return begin(ahead->from, SAVE, ahead->from_session, json_object());
}

void gw_qmp_ahead_end(struct gw_qmp_ahead *ahead)
{
	json_decref(gw_take_ptr(ahead->piece));
	ahead->step = GW_AHEAD_IDLE;
	ahead->bytes = ahead->read = ahead->written = ahead->writing = 0;
	ahead->reading = false;
}

/* -- the steps: 0 when the next one has begun ---------------------------------------------- */

static int make(struct gw_qmp_ahead *ahead)
{
	json_t *result;
	int err = gw_qmp_take(ahead->from, SAVE, &result);

	if (err)
		return err;
	ahead->bytes = json_integer_value(json_object_get(result, "bytes"));
	json_decref(result);
	if (ahead->bytes <= 0)
		return gw_fail(EPROTO, "%s: it does not say how much it made", ahead->from->where);
	ahead->step = GW_AHEAD_BRINGING;
	return 0;
}

/* As far as its length goes; whether it is base64 the destination says. */
static json_int_t bytes_of(const json_t *piece)
{
	const char *text = json_string_value(piece);
	size_t len = json_string_length(piece), padding = 0;

	while (text && padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	return (json_int_t)(len / 4 * 3) - (json_int_t)padding;
}

static int take_piece(struct gw_qmp_ahead *ahead)
{
	json_t *result;
	int err = gw_qmp_take(ahead->from, READ, &result);

	if (err)
		return err;
	ahead->reading = false;
	ahead->piece = json_incref(json_object_get(result, "data"));
	json_decref(result);
	if (bytes_of(ahead->piece) <= 0 || bytes_of(ahead->piece) > ahead->bytes - ahead->read)
		return gw_fail(EPROTO, "%s: a piece of %lld bytes at %lld of %lld",
			       ahead->from->where, (long long)bytes_of(ahead->piece),
			       (long long)ahead->read, (long long)ahead->bytes);
	ahead->read += bytes_of(ahead->piece);
	return 0;
}

static int take_receipt(struct gw_qmp_ahead *ahead)
{
	int err = gw_qmp_take(ahead->to, WRITE, NULL);

	if (err)
		return err;
	ahead->written += ahead->writing;
	ahead->writing = 0;
	return 0;
}

static int write_piece(struct gw_qmp_ahead *ahead)
{
	json_t *piece = gw_take_ptr(ahead->piece);

	ahead->writing = bytes_of(piece);
	return begin(ahead->to, WRITE, ahead->to_session,
		     json_pack("{s:I, s:o}", "position", ahead->written, "data", piece));
}

static int read_piece(struct gw_qmp_ahead *ahead)
{
	ahead->reading = true;
	return begin(ahead->from, READ, ahead->from_session,
		     json_pack("{s:I}", "position", ahead->read));
}

/* One piece is read while the one before is written. */
static int bring(struct gw_qmp_ahead *ahead)
{
	int err = 0;

	if (ahead->writing)
		err = take_receipt(ahead);
	if (ahead->reading && (!err || err == -EAGAIN))
		err = take_piece(ahead);
	if (err && err != -EAGAIN)
		return err;
	err = 0;
	if (ahead->piece && !ahead->writing)
		err = write_piece(ahead);
	if (!err && !ahead->piece && !ahead->reading && ahead->read < ahead->bytes)
		err = read_piece(ahead);
	if (err || ahead->written < ahead->bytes)
		return err ? err : -EAGAIN;
	ahead->step = GW_AHEAD_LOADING;
	return begin(ahead->to, LOAD, ahead->to_session, json_object());
}

int gw_qmp_ahead_go_on(struct gw_qmp_ahead *ahead)
{
	int err = 0;

	if (ahead->step == GW_AHEAD_IDLE)
		return gw_fail(EINVAL, "nothing was begun that could go on");
	if (ahead->step == GW_AHEAD_MAKING)
		err = make(ahead);
	if (!err && ahead->step == GW_AHEAD_BRINGING)
		err = bring(ahead);
	if (!err && ahead->step == GW_AHEAD_LOADING)
		err = gw_qmp_take(ahead->to, LOAD, NULL);
	return err;
}
