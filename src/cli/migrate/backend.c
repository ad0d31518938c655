/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/backend.c - what a device's back-end says of itself, on its control socket. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/migrate/migrate.h"
#include "godwit/error.h"

/* It looks at every file that the guest knows. */
#define PREFLIGHT_TIMES 20

static void is_silent(struct mg_backend *backend)
{
	backend->make = MG_SILENT;
	snprintf(backend->reason, sizeof(backend->reason), "%s", gw_last_error());
}

void mg_backend_ask(struct mg_backend *backend, struct gw_qmp_group *group)
{
	int err;

	backend->make = MG_FOREIGN;
	/* Back-ends of other makes have none. */
	if (!*backend->control || (access(backend->control, F_OK) < 0 && errno == ENOENT))
		return;
	err = gw_qmp_open(&backend->talk, group, backend->control);
	if (!err)
		err = gw_qmp_execute(backend->talk, "query-status", NULL, &backend->status);
	if (!err)
		err = gw_qmp_execute(backend->talk, "query-migration-info", NULL, &backend->info);
	if (err)
		is_silent(backend);
	else
		backend->make = MG_GODWIT;
}

static bool is_connected(const json_t *session)
{
	return json_is_true(json_object_get(session, "connected"));
}

static bool is_fresh(const json_t *session)
{
	const char *state = json_string_value(json_object_get(session, "device_state"));

	return state && !strcmp(state, "fresh");
}

static bool is_any_used(const json_t *sessions)
{
	for (size_t i = 0; i < json_array_size(sessions); i++)
		if (is_connected(json_array_get(sessions, i)) &&
		    !is_fresh(json_array_get(sessions, i)))
			return true;
	return false;
}

/*
 * One that nobody is connected to is not the device's. A process that serves both sides (stateless
 * mode) has two: the guest is in the source's, or uses neither yet, and they are alike. With more
 * of them nobody can say which is meant.
 */
const json_t *mg_backend_session(const struct mg_backend *backend)
{
	const json_t *sessions = json_object_get(backend->status, "sessions"), *found = NULL;
	bool differ = json_array_size(sessions) > 1 && is_any_used(sessions);

	for (size_t i = 0; i < json_array_size(sessions); i++) {
		const json_t *session = json_array_get(sessions, i);

		if (!is_connected(session) ||
		    (differ && is_fresh(session) != (backend->side == MG_DESTINATION)))
			continue;
		if (found && differ)
			return NULL;
		if (!found)
			found = session;
	}
	return found;
}

const char *mg_backend_mode(const struct mg_backend *backend)
{
	const json_t *migration = json_object_get(mg_backend_session(backend), "migration");
	const char *mode = json_string_value(json_object_get(migration, "mode"));

	return mode ? mode : "stateful";
}

/* -- preflight ------------------------------------------------------------------------------ */

static bool can_travel(const json_t *preflight)
{
	return json_is_true(json_object_get(preflight, "can_travel"));
}

/* Which session an answer is of it does not say: the one that matters is the worst, or largest. */
static const json_t *worst_of(const json_t *sessions)
{
	const json_t *worst = NULL;

	for (size_t i = 0; i < json_array_size(sessions); i++) {
		const json_t *one = json_array_get(sessions, i);

		if (!json_is_boolean(json_object_get(one, "can_travel")))
			return NULL;
		if (!worst || (can_travel(worst) && !can_travel(one)) ||
		    (can_travel(worst) == can_travel(one) &&
		     json_integer_value(json_object_get(one, "state_bytes")) >
			     json_integer_value(json_object_get(worst, "state_bytes"))))
			worst = one;
	}
	return worst;
}

int mg_backend_preflight(struct mg_backend *backend)
{
	json_t *result;
	int err = gw_qmp_execute_long(backend->talk, "preflight", NULL, PREFLIGHT_TIMES, &result);
	const json_t *worst = worst_of(json_object_get(result, "sessions"));

	if (!err && !worst)
		err = gw_fail(EPROTO, "%s: it did not tell whether it can move", backend->control);
	if (!err)
		backend->preflight = json_incref((json_t *)worst);
	json_decref(result);
	return err;
}

void mg_backend_expect(struct mg_backend *backend, const json_t *preflight, unsigned ms)
{
	const json_t *bytes = json_object_get(preflight, "state_bytes");

	if (backend->make == MG_GODWIT && json_is_integer(bytes))
		gw_qmp_execute_within(backend->talk, "migration-expect",
				      json_pack("{s:I}", "state-bytes", json_integer_value(bytes)),
				      ms, NULL);
}

/* -- afterwards ----------------------------------------------------------------------------- */

/* A transfer that was there before is not this migration's. */
static bool was_there(const struct mg_backend *backend, const json_t *transfer)
{
	const json_t *sessions = json_object_get(backend->status, "sessions");

	for (size_t i = 0; i < json_array_size(sessions); i++)
		if (json_equal(json_object_get(json_array_get(sessions, i), "last_transfer"),
			       transfer))
			return true;
	return false;
}

/* Of whichever session: with the device the session may have changed (stateless mode). */
static json_t *new_transfer(const struct mg_backend *backend, const json_t *status)
{
	const char *wanted = backend->side == MG_SOURCE ? "save" : "load";
	const json_t *sessions = json_object_get(status, "sessions");

	for (size_t i = 0; i < json_array_size(sessions); i++) {
		json_t *transfer = json_object_get(json_array_get(sessions, i), "last_transfer");
		const char *direction = json_string_value(json_object_get(transfer, "direction"));

		if (direction && !strcmp(direction, wanted) && !was_there(backend, transfer))
			return transfer;
	}
	return NULL;
}

void mg_backend_ask_transfer(struct mg_backend *backend)
{
	json_t *status = NULL;
	const char *reason;

	if (gw_qmp_is_over(backend->talk) ||
	    gw_qmp_execute(backend->talk, "query-status", NULL, &status))
		return;
	json_decref(backend->transfer);
	backend->transfer = json_incref(new_transfer(backend, status));
	json_decref(status);
	reason = json_string_value(json_object_get(backend->transfer, "reason"));
	if (reason && *reason && !*backend->failure)
		snprintf(backend->failure, sizeof(backend->failure), "%s", reason);
}

void mg_backend_close(struct mg_backend *backend)
{
	json_decref(backend->info);
	json_decref(backend->status);
	json_decref(backend->preflight);
	json_decref(backend->transfer);
	gw_qmp_close(backend->talk);
}
