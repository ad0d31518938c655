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

/* Of a model of its own: the parameters that an instance has if nobody decides. */
static const json_t *default_profile(const json_t *info, const json_t *instance)
{
	const char *model = json_string_value(json_object_get(instance, "model"));
	const json_t *about = json_object_get(json_object_get(info, "models"), model ? model : "");
	const char *name = json_string_value(json_object_get(about, "default"));

	return json_object_get(json_object_get(about, "profiles"), name ? name : "");
}

/*
 * A device that the guest has not used yet is not decided. Where it comes from nobody else decides
 * any more: used or saved, it becomes its program's default profile (docs/lifecycle.md). NULL: no
 * memory, or there is none.
 */
static json_t *decided(const json_t *info, const json_t *instance)
{
	const json_t *profile = default_profile(info, instance);
	const json_t *unset = json_object_get(instance, "unset");
	json_t *copy = json_deep_copy(instance), *params = json_object_get(copy, "params");

	if (!json_is_object(profile) || !json_is_object(params) || !json_is_array(unset))
		return copy;
	for (size_t i = 0; i < json_array_size(unset); i++) {
		const char *name = json_string_value(json_array_get(unset, i));
		json_t *value = json_object_get(profile, name ? name : "");

		if (!name) /* no such document: whoever reads it says so */
			return copy;
		if (value)
			json_object_set(params, name, value);
	}
	json_object_set_new(copy, "unset", json_array());
	return copy;
}

static int read_source(struct gw_what *what, const struct mg_backend *backend)
{
	json_t *instance = decided(backend->info, instance_of(backend));
	int err = instance ? gw_what_add_document(what, source_name, instance)
			   : gw_fail(ENODATA, "%s tells of no instance", source_name);

	json_decref(instance);
	return err;
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
	what->answers = true;
	return err;
}

/* Which values go together no document says. A back-end that knows no such question says at the
 * load. */
static int ask_destination(void *opaque, json_t *document, json_t **verdict)
{
	const struct mg_view *view = opaque;
	int err = gw_qmp_execute(view->peer->backend.talk, "check-migration",
				 json_pack("{s:O}", "document", document), verdict);

	if (err != -EOPNOTSUPP)
		return err;
	mg_note(view->move, "%s: its back-end cannot say before whether it could be that",
		view->device->label);
	*verdict = json_pack("{s:b}", "compatible", true);
	return 0;
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
				 .checkers = view->move->checkers,
				 .ask = ask_destination,
				 .opaque = (void *)view};
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
