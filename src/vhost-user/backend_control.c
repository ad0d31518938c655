/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/backend_control.c - what a back-end is asked, and tells, on its control socket. */
#include <stdio.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
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
		json_array_append_new(sessions,
				      gw_status_of(seat->instance, model ? model->name : NULL));
	*result = json_pack("{s:s, s:s, s:i, s:o}", "program", backend->program, "version",
			    backend->version, "connections", (int)count_open(backend), "sessions",
			    sessions);
	return *result ? 0 : gw_fail(ENOMEM, "query-status: no memory");
}

/* Samples of several sessions stand side by side, told from each other by a label. */
static void gather_stats(const struct gw_backend *backend, struct gw_report *report)
{
	unsigned number = 0;

	for (const struct gw_seat *seat = backend->seats; seat; seat = seat->next) {
		char label[32];

		snprintf(label, sizeof(label), "session=\"%u\"", number++);
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

static const struct {
	const char *name;
	gw_control_fn *fn;
} commands[] = {
	{"query-status", query_status},
	{"query-stats", query_stats},
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
		err = gw_control_register(backend->control, commands[i].name, commands[i].fn,
					  backend);
	return err;
}
