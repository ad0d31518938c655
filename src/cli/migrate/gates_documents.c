/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/gates_documents.c - can the destination's back-end become what the source's is? */
#include <errno.h>
#include <stdlib.h>

#include "cli/check/check.h"
#include "cli/migrate/gates.h"

static const char *const source_name = "the source's back-end";
static const char *const destination_name = "the destination's back-end";

/* That of its one session; sessions and instances are told in the same order. */
static json_t *instance_of(const struct mg_backend *backend)
{
	const json_t *sessions = json_object_get(backend->status, "sessions");
	const json_t *instances = json_object_get(backend->info, "instances");
	const json_t *session = mg_backend_session(backend);

	for (size_t i = 0; i < json_array_size(sessions); i++)
		if (session && json_array_get(sessions, i) == session)
			return json_array_get(instances, i);
	return NULL;
}

static int read_source(struct gw_what *what, const struct mg_backend *backend)
{
	json_t *instance = instance_of(backend);

	if (!instance)
		return gw_fail(ENODATA, "%s tells of no instance", source_name);
	return gw_what_add_document(what, source_name, instance);
}

/* What it could be, and what is made there already for this device alone. */
static int read_destination(struct gw_what *what, const struct mg_backend *backend)
{
	json_t *document = json_copy(backend->info), *made = json_array();
	int err;

	json_array_append(made, instance_of(backend));
	json_object_set_new(document, "instances", made);
	err = gw_what_add_document(what, destination_name, document);
	json_decref(document);
	return err;
}

static void tell_reasons(const struct mg_view *view, const struct gw_compat_report *report)
{
	for (unsigned i = 0; i < gw_compat_report_count(report); i++) {
		const struct gw_compat_reason *reason = gw_compat_report_reason(report, i);

		mg_found_as(view, gw_refusal_name(reason->code),
			    reason->code == GW_CANNOT_TELL ? MG_CANNOT_TELL : MG_REFUSED,
			    reason->text);
	}
}

/* As `godwit check` does, the operator's own checkers among it. */
static int check(const struct mg_view *view, const struct gw_what *from, const struct gw_what *to)
{
	struct gw_check check = {.source = gw_what_instance(from, source_name),
				 .to = to,
				 .to_name = destination_name,
				 .checkers = view->move->checkers};
	int err = check.source ? gw_check_run(&check) : -ENODATA;

	if (!err)
		tell_reasons(view, check.report);
	gw_compat_report_free(check.report);
	return err;
}

static int compare(const struct mg_view *view, struct gw_what *from, struct gw_what *to)
{
	int err = from && to ? read_source(from, &view->device->backend)
			     : gw_fail(ENOMEM, "no memory");

	if (!err)
		err = read_destination(to, &view->peer->backend);
	return err ? err : check(view, from, to);
}

void mg_gate_documents(const struct mg_view *view)
{
	struct gw_what *from, *to;

	if (view->device->backend.make != MG_GODWIT || view->peer->backend.make != MG_GODWIT)
		return;
	from = calloc(1, sizeof(*from));
	to = calloc(1, sizeof(*to));
	if (compare(view, from, to))
		mg_found(view, MG_CANNOT_TELL, "%s", gw_last_error());
	gw_what_free(from);
	gw_what_free(to);
}
