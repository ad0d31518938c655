/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/backend_control.c - what a back-end is asked, and tells, on its control socket. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "migration/info.h"
#include "migration/report.h"
#include "vhost-user/backend_internal.h"
#include "vhost-user/status.h"

void gw_backend_transfer_failed(void *opaque, const struct gw_transfer_info *info)
{
	struct gw_seat *seat = opaque;

	if (seat->backend->control)
		gw_control_event(seat->backend->control, "MIGRATION_FAILED",
				 gw_status_failure(info));
}

void gw_backend_device_event(void *opaque, const char *name, const struct gw_report *data)
{
	struct gw_seat *seat = opaque;

	if (seat->backend->control)
		gw_control_event(seat->backend->control, name, gw_report_json(data));
}

static unsigned count_open(const struct gw_backend *backend)
{
	unsigned count = 0;

	for (const struct gw_dialog *dialog = backend->dialogs; dialog; dialog = dialog->next)
		count += !gw_conn_is_closed(dialog->conn);
	return count;
}

static int query_status(void *opaque, const json_t *arguments, json_t **result)
{
	struct gw_backend *backend = opaque;
	const struct gw_model *model = backend->params ? gw_params_model(backend->params) : NULL;
	json_t *sessions = json_array();

	for (const struct gw_seat *seat = backend->seats; seat; seat = seat->next)
		json_array_append_new(sessions, gw_status_of(seat->instance, seat->number,
							     model ? model->name : NULL));
	*result = json_pack("{s:s, s:s, s:i, s:o}", "program", backend->program, "version",
			    backend->version, "connections", (int)count_open(backend), "sessions",
			    sessions);
	return *result ? 0 : gw_fail(ENOMEM, "query-status: no memory");
}

/* Samples of several sessions stand side by side, told from each other by a label. */
static void gather_stats(const struct gw_backend *backend, struct gw_report *report)
{
	for (const struct gw_seat *seat = backend->seats; seat; seat = seat->next) {
		char label[32];

		snprintf(label, sizeof(label), "session=\"%u\"", seat->number);
		report->labels = backend->seats->next ? label : NULL;
		gw_session_report(seat->session, GW_REPORT_STATS, report);
	}
	report->labels = NULL;
}

static int query_stats(void *opaque, const json_t *arguments, json_t **result)
{
	struct gw_report *report = gw_report_new();
	GW_AUTO_FREE char *text = NULL;

	if (report)
		gather_stats(opaque, report);
	text = gw_report_exposition(report);
	gw_report_free(report);
	if (text)
		*result = json_pack("{s:s}", "text", text);
	return *result ? 0 : gw_fail(ENOMEM, "query-stats: no memory");
}

/* What this build could be, and what each of its instances is. */
static int query_migration_info(void *opaque, const json_t *arguments, json_t **result)
{
	struct gw_backend *backend = opaque;
	struct gw_environment environment;
	json_t *instances = json_array();
	bool told = false;

	for (const struct gw_seat *seat = backend->seats; seat; seat = seat->next) {
		const struct gw_params *params = gw_session_params(seat->session);

		gw_session_environment(seat->session, &environment);
		told |= backend->ops.environment != NULL;
		if (backend->ops.environment)
			gw_info_add_key(&environment,
					backend->config.state_key ? backend->key : NULL);
		if (params)
			json_array_append_new(instances, gw_info_instance(params, &environment));
	}
	*result = gw_info_implementation(&backend->ops, backend->program, backend->version, NULL,
					 told ? &environment : NULL);
	if (!*result || json_object_set_new(*result, "instances", instances))
		return gw_fail(ENOMEM, "query-migration-info: no memory");
	return 0;
}

/* Could an instance be as this document says? What is made already is another question. */
static int check_migration(void *opaque, const json_t *arguments, json_t **result)
{
	const struct gw_backend *backend = opaque;
	const json_t *document = json_object_get(arguments, "document");

	if (!document)
		return gw_fail(EINVAL, "check-migration: argument document is missing");
	return gw_info_check(&backend->ops, document, result);
}

/* -- of which session ---------------------------------------------------------------------- */

static int seat_by_number(const struct gw_backend *backend, const json_t *number,
			  struct gw_seat **seat)
{
	if (!json_is_integer(number))
		return gw_fail(EINVAL, "argument session: expected a number");
	for (*seat = backend->seats; *seat; *seat = (*seat)->next)
		if (json_integer_value(number) == (json_int_t)(*seat)->number)
			return 0;
	return gw_fail(ENOENT, "there is no session %lld", (long long)json_integer_value(number));
}

int gw_backend_find_seat(const struct gw_backend *backend, const json_t *arguments,
			 struct gw_seat **seat)
{
	const json_t *number = json_object_get(arguments, "session");

	if (number)
		return seat_by_number(backend, number, seat);
	*seat = backend->seats;
	if (!*seat)
		return gw_fail(ENODEV, "there is no device");
	if ((*seat)->next)
		return gw_fail(EINVAL, "there are several sessions; say which by 'session'");
	return 0;
}

/* -- preflight ----------------------------------------------------------------------------- */

/* One question, to all sessions; it is answered when all of them have. */
struct preflight {
	struct gw_later *later;
	json_t *sessions;
	unsigned asked;
	int err;
	char reason[GW_ERROR_MAX];
};

static void preflight_answer(struct preflight *preflight)
{
	json_t *result = json_pack("{s:o}", "sessions", preflight->sessions);
	int err = preflight->err;

	if (err)
		gw_fail(-err, "%s", preflight->reason);
	else if (!result)
		err = gw_fail(ENOMEM, "preflight: no memory");
	gw_control_answer(preflight->later, err, result);
	free(preflight);
}

/* What keeps the device here, if anything, stands in a list. */
static void preflight_note(struct preflight *preflight, const struct gw_report *report)
{
	json_t *session = gw_report_json(report);
	bool can = !json_array_size(json_object_get(session, "cannot_travel"));

	if (json_object_set_new(session, "can_travel", json_boolean(can)) ||
	    json_array_append(preflight->sessions, session))
		preflight->err = gw_fail(ENOMEM, "preflight: no memory");
	json_decref(session);
}

static void preflight_done(void *opaque, int result, const struct gw_report *report)
{
	struct preflight *preflight = opaque;

	if (result)
		preflight->err = result;
	else
		preflight_note(preflight, report);
	if (preflight->err)
		snprintf(preflight->reason, sizeof(preflight->reason), "%s", gw_last_error());
	if (!--preflight->asked)
		preflight_answer(preflight);
}

static int preflight_ask(const struct gw_backend *backend, struct preflight *preflight)
{
	int err = 0;

	for (const struct gw_seat *seat = backend->seats; seat && !err; seat = seat->next) {
		err = gw_session_preflight(seat->session, preflight_done, preflight);
		preflight->asked += !err;
	}
	return err;
}

static int run_preflight(void *opaque, const json_t *arguments, json_t **result)
{
	struct gw_backend *backend = opaque;
	struct preflight *preflight = calloc(1, sizeof(*preflight));
	int err;

	if (!preflight)
		return gw_fail(ENOMEM, "preflight: no memory");
	preflight->later = gw_control_later(backend->control);
	preflight->sessions = json_array();
	err = preflight->later && preflight->sessions ? preflight_ask(backend, preflight)
						      : gw_fail(ENOMEM, "preflight: no memory");
	if (preflight->asked) {
		/* Those that were asked are waited for in any case. */
		preflight->err = err;
		snprintf(preflight->reason, sizeof(preflight->reason), "%s", gw_last_error());
		return GW_CONTROL_LATER;
	}
	json_decref(preflight->sessions);
	free(preflight);
	return err ? err : gw_fail(ENODEV, "preflight: there is no device");
}

/* -- all ----------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	gw_control_fn *fn;
	bool ahead; /* only of a device that has a use for what goes ahead of its state */
} commands[] = {
	{"query-status", query_status},
	{"query-stats", query_stats},
	{"query-migration-info", query_migration_info},
	{"check-migration", check_migration},
	{"preflight", run_preflight},
	{"device-state-save", gw_backend_save_state},
	{"device-state-load", gw_backend_load_state},
	{"migration-expect", gw_backend_migration_expect},
	{"migration-outcome", gw_backend_migration_outcome},
	{"migration-precopy-load", gw_backend_precopy_load, true},
	{"migration-precopy-read", gw_backend_precopy_read, true},
	{"migration-precopy-save", gw_backend_precopy_save, true},
	{"migration-precopy-write", gw_backend_precopy_write, true},
	{"migration-set", gw_backend_migration_set},
};

int gw_backend_control_begin(struct gw_backend *backend)
{
	const char *path = backend->config.control_path;
	int fd = backend->config.control_fd;
	int err;

	if (fd > 0)
		err = gw_control_adopt(&backend->control, backend->loop, fd, backend->program,
				       backend->version);
	else if (path)
		err = gw_control_new(&backend->control, backend->loop, path, backend->program,
				     backend->version);
	else
		return 0;
	for (size_t i = 0; !err && i < GW_ARRAY_LEN(commands); i++)
		if (!commands[i].ahead || gw_device_takes_ahead(&backend->ops))
			err = gw_control_register(backend->control, commands[i].name,
						  commands[i].fn, backend);
	return err;
}
