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

void mg_backend_ask(struct mg_backend *backend, struct mg_group *group)
{
	int err;

	backend->make = MG_FOREIGN;
	/* Back-ends of other makes have none. */
	if (!*backend->control || (access(backend->control, F_OK) < 0 && errno == ENOENT))
		return;
	err = mg_qmp_open(&backend->talk, group, backend->control);
	if (!err)
		err = mg_qmp_execute(backend->talk, "query-status", NULL, &backend->status);
	if (!err)
		err = mg_qmp_execute(backend->talk, "query-migration-info", NULL, &backend->info);
	if (err)
		is_silent(backend);
	else
		backend->make = MG_GODWIT;
}

/* With several connected nobody can say which of them is this machine's. */
static const json_t *one_session(const json_t *status)
{
	const json_t *sessions = json_object_get(status, "sessions"), *found = NULL;

	if (json_array_size(sessions) == 1)
		return json_array_get(sessions, 0);
	for (size_t i = 0; i < json_array_size(sessions); i++) {
		const json_t *session = json_array_get(sessions, i);

		if (!json_is_true(json_object_get(session, "connected")))
			continue;
		if (found)
			return NULL;
		found = session;
	}
	return found;
}

const json_t *mg_backend_session(const struct mg_backend *backend)
{
	return one_session(backend->status);
}

int mg_backend_preflight(struct mg_backend *backend)
{
	json_t *result;
	int err = mg_qmp_execute_long(backend->talk, "preflight", NULL, PREFLIGHT_TIMES, &result);
	const json_t *sessions = json_object_get(result, "sessions");

	if (!err && (!json_array_size(sessions) ||
		     !json_is_boolean(json_object_get(json_array_get(sessions, 0), "can_travel"))))
		err = gw_fail(EPROTO, "%s: it did not tell whether it can move", backend->control);
	if (!err)
		backend->preflight = json_incref(json_array_get(sessions, 0));
	json_decref(result);
	return err;
}

static const json_t *last_transfer(const json_t *status, enum mg_side side)
{
	const json_t *transfer = json_object_get(one_session(status), "last_transfer");
	const char *direction = json_string_value(json_object_get(transfer, "direction"));
	const char *wanted = side == MG_SOURCE ? "save" : "load";

	return direction && !strcmp(direction, wanted) ? transfer : NULL;
}

static void take_failure(struct mg_backend *backend)
{
	const char *reason = json_string_value(json_object_get(backend->transfer, "reason"));

	if (reason && *reason && !*backend->failure)
		snprintf(backend->failure, sizeof(backend->failure), "%s", reason);
}

/* A transfer that was there before is not this migration's. */
void mg_backend_ask_transfer(struct mg_backend *backend, enum mg_side side)
{
	const json_t *before = last_transfer(backend->status, side), *after;
	json_t *status = NULL;

	if (mg_qmp_is_over(backend->talk) ||
	    mg_qmp_execute(backend->talk, "query-status", NULL, &status))
		return;
	after = last_transfer(status, side);
	if (after &&
	    (!before || !json_equal(json_object_get(before, "id"), json_object_get(after, "id")))) {
		json_decref(backend->transfer);
		backend->transfer = json_incref((json_t *)after);
		take_failure(backend);
	}
	json_decref(status);
}

void mg_backend_close(struct mg_backend *backend)
{
	json_decref(backend->info);
	json_decref(backend->status);
	json_decref(backend->preflight);
	json_decref(backend->transfer);
	mg_qmp_close(backend->talk);
}
