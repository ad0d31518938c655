/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/gates_documents.c - can the destination's back-end become what the source's is? */
#include <errno.h>

#include "cli/migrate/gates.h"
#include "model/document.h"

static const char *const source_name = "the source's back-end";
static const char *const destination_name = "the destination's back-end";

/* Documents that were compared, all freed together. */
struct documents {
	struct gw_compat_instance *source, *made;
	struct gw_compat_implementation *destination;
	struct gw_compat_report *report;
};

static void free_documents(struct documents *documents)
{
	gw_compat_instance_free(documents->source);
	gw_compat_instance_free(documents->made);
	gw_compat_implementation_free(documents->destination);
	gw_compat_report_free(documents->report);
}

/* That of its one session; sessions and instances are told in the same order. */
static const json_t *instance_of(const struct mg_backend *backend)
{
	const json_t *sessions = json_object_get(backend->status, "sessions");
	const json_t *instances = json_object_get(backend->info, "instances");
	const json_t *session = mg_backend_session(backend);

	for (size_t i = 0; i < json_array_size(sessions); i++)
		if (session && json_array_get(sessions, i) == session)
			return json_array_get(instances, i);
	return NULL;
}

static int read_documents(struct documents *documents, const struct mg_view *view)
{
	const struct mg_backend *source = &view->device->backend, *there = &view->peer->backend;
	int err = gw_compat_report_new(&documents->report);

	if (!err)
		err = gw_compat_instance_from_json(&documents->source, source_name,
						   instance_of(source));
	if (!err)
		err = gw_compat_implementation_from_json(&documents->destination, destination_name,
							 there->info);
	if (!err && instance_of(there))
		err = gw_compat_instance_from_json(&documents->made, destination_name,
						   instance_of(there));
	return err;
}

static int compare(const struct documents *documents)
{
	int err = gw_compat_check(documents->source, documents->destination, documents->report);

	if (!err && documents->made)
		err = gw_compat_check_made(documents->source, documents->made,
					   documents->destination, documents->report);
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

void mg_gate_documents(const struct mg_view *view)
{
	struct documents documents = {0};
	int err;

	if (view->device->backend.make != MG_GODWIT || view->peer->backend.make != MG_GODWIT)
		return;
	err = read_documents(&documents, view);
	if (!err)
		err = compare(&documents);
	if (err)
		mg_found(view, MG_CANNOT_TELL, "%s", gw_last_error());
	else
		tell_reasons(view, documents.report);
	free_documents(&documents);
}
