/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/backend_precopy.c - what goes ahead of a state, brought by an operator in pieces. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "control/base64.h"
#include "godwit/error.h"
#include "vhost-user/backend_internal.h"

/*
 * In a request's line with the rest of it; and no descriptor instead, since a control socket may be
 * forwarded to another host. A piece that was read can be written as it is.
 */
#define PIECE (45 * 1024)
static_assert(PIECE % 3 == 0, "pieces of base64 have no padding but the last");
static_assert(PIECE / 3 * 4 + 1024 < GW_CONTROL_LINE_MAX, "and room for what is around them");

/* -- save and load: answered later --------------------------------------------------------- */

struct precopy {
	struct gw_later *later;
	bool load;
};

static void precopy_done(void *opaque, int err, uint64_t bytes)
{
	struct precopy *precopy = opaque;
	json_t *result = NULL;

	if (!err && !precopy->load)
		result = json_pack("{s:I}", "bytes", (json_int_t)bytes);
	gw_control_answer(precopy->later, err, result);
	free(precopy);
}

static int begin(struct gw_backend *backend, struct gw_session *session, bool load)
{
	GW_AUTO_FREE struct precopy *precopy = calloc(1, sizeof(*precopy));
	int err;

	if (precopy)
		precopy->later = gw_control_later(backend->control);
	if (!precopy || !precopy->later)
		return gw_fail(ENOMEM, "precopy: no memory");
	precopy->load = load;
	err = load ? gw_session_ahead_load(session, precopy_done, precopy)
		   : gw_session_ahead_save(session, precopy_done, precopy);
	if (err)
		return err;
	gw_take_ptr(precopy);
	return GW_CONTROL_LATER;
}

static int command(struct gw_backend *backend, const json_t *arguments, bool load)
{
	static const char *const names[] = {"session", NULL};
	const char *name = load ? "migration-precopy-load" : "migration-precopy-save";
	struct gw_seat *seat;
	int err = gw_backend_only_members(name, arguments, names);

	if (!err)
		err = gw_backend_find_seat(backend, arguments, &seat);
	return err ? err : begin(backend, seat->session, load);
}

int gw_backend_precopy_save(void *opaque, const json_t *arguments, json_t **result)
{
	return command(opaque, arguments, false);
}

int gw_backend_precopy_load(void *opaque, const json_t *arguments, json_t **result)
{
	return command(opaque, arguments, true);
}

/* -- read and write ------------------------------------------------------------------------ */

static int get_position(const char *command_name, const json_t *arguments, uint64_t *position)
{
	const json_t *number = json_object_get(arguments, "position");

	if (!json_is_integer(number) || json_integer_value(number) < 0)
		return gw_fail(EINVAL, "%s: 'position' is %s, expected a number, 0 or more",
			       command_name, number ? "none" : "missing");
	*position = (uint64_t)json_integer_value(number);
	return 0;
}

/* Which seat's, and where; @names are the arguments that there may be. */
static int find_place(void *opaque, const char *command_name, const json_t *arguments,
		      const char *const *names, struct gw_seat **seat, uint64_t *position)
{
	int err = gw_backend_only_members(command_name, arguments, names);

	if (!err)
		err = get_position(command_name, arguments, position);
	return err ? err : gw_backend_find_seat(opaque, arguments, seat);
}

int gw_backend_precopy_read(void *opaque, const json_t *arguments, json_t **result)
{
	static const char *const names[] = {"position", "session", NULL};
	GW_AUTO_FREE void *piece = malloc(PIECE);
	struct gw_seat *seat;
	uint64_t position;
	ssize_t n;
	int err = find_place(opaque, "migration-precopy-read", arguments, names, &seat, &position);

	if (err)
		return err;
	n = piece ? gw_session_ahead_read(seat->session, position, piece, PIECE) : -ENOMEM;
	if (n >= 0)
		*result = json_pack("{s:o}", "data", gw_base64_json(piece, (size_t)n));
	if (!piece || (n >= 0 && !*result))
		return gw_fail(ENOMEM, "migration-precopy-read: no memory");
	return n < 0 ? (int)n : 0;
}

int gw_backend_precopy_write(void *opaque, const json_t *arguments, json_t **result)
{
	static const char *const names[] = {"position", "data", "session", NULL};
	GW_AUTO_FREE void *piece = NULL;
	struct gw_seat *seat;
	uint64_t position;
	size_t len;
	int err = find_place(opaque, "migration-precopy-write", arguments, names, &seat, &position);

	if (err)
		return err;
	err = gw_base64_bytes(json_object_get(arguments, "data"), PIECE, &piece, &len);
	if (err)
		return gw_fail_in(err, "migration-precopy-write: 'data'");
	return gw_session_ahead_write(seat->session, position, piece, len);
}
