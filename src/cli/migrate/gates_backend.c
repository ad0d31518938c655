/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/gates_backend.c - what a device's back-end has against a migration. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/migrate/gates.h"

void mg_gate_silent(const struct mg_view *view)
{
	const struct mg_backend *backend = &view->device->backend;

	if (view->device->kind == MG_VHOST_USER && backend->make == MG_SILENT)
		mg_found(view, MG_CANNOT_TELL, "at the %s: %s", mg_side_name(view->machine->side),
			 backend->reason);
}

static bool are_same(const char *one, const char *other)
{
	struct stat a, b;

	if (stat(one, &a) < 0 || stat(other, &b) < 0)
		return false;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool is_in_mode(const struct mg_device *device, const char *mode)
{
	return !strcmp(mg_backend_mode(&device->backend), mode);
}

static bool have_same_back_end(const struct mg_view *view)
{
	return are_same(view->device->backend.control, view->peer->backend.control);
}

/* Hosts give their sockets like names: the one found here may be the other host's. */
void mg_gate_same_back_end(const struct mg_view *view)
{
	if (is_in_mode(view->device, "stateful") && have_same_back_end(view))
		mg_found(view, MG_CANNOT_TELL, "%s; say by --plan which the destination's is",
			 view->device->backend.control);
}

void mg_gate_other_back_end(const struct mg_view *view)
{
	if (is_in_mode(view->device, "stateless") && !have_same_back_end(view))
		mg_found(view, MG_REFUSED,
			 "start the destination's QEMU with the same socket, or "
			 "say migration-set stateful");
}

void mg_gate_session(const struct mg_view *view)
{
	const struct mg_backend *backend = &view->device->backend;

	if (backend->make == MG_GODWIT && !mg_backend_session(backend))
		mg_found(view, MG_CANNOT_TELL, "%s has none, or several are connected",
			 backend->control);
}

void mg_gate_mode(const struct mg_view *view)
{
	if (is_in_mode(view->device, "none"))
		mg_found(view, MG_REFUSED, "at the %s", mg_side_name(view->machine->side));
}

static bool is_word(const json_t *object, const char *member, const char *word)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text && !strcmp(text, word);
}

void mg_gate_state(const struct mg_view *view)
{
	static const struct {
		const char *member, *word, *meaning;
	} bad[] = {
		{"device_state", "failed", "it failed"},
		{"device_state", "gone", "it has gone somewhere else"},
		{"transfer_state", "saving", "it is being saved"},
		{"transfer_state", "loading", "it is being loaded"},
	};
	const json_t *session = mg_backend_session(&view->device->backend);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (is_word(session, bad[i].member, bad[i].word))
			mg_found(view, MG_REFUSED, "at the %s %s",
				 mg_side_name(view->machine->side), bad[i].meaning);
}

/* -- of another make ------------------------------------------------------------------------ */

/* What it saves, only its own kind reads, unless it was told to write for another. */
static bool writes_for_others(const struct mg_device *device)
{
	const json_t *details = json_object_get(mg_backend_session(&device->backend), "details");
	const char *format = json_string_value(json_object_get(details, "state_format"));

	return format && strcmp(format, "godwit") != 0;
}

void mg_gate_stream(const struct mg_view *view)
{
	enum mg_make here = view->device->backend.make, there = view->peer->backend.make;

	if (here == MG_GODWIT && there == MG_FOREIGN && !writes_for_others(view->device))
		mg_found(view, MG_REFUSED,
			 "there is no control socket at %s, so that it is taken for another make "
			 "(--state-format says for whom the source saves; --plan where a control "
			 "socket is)",
			 *view->peer->backend.control ? view->peer->backend.control : "its place");
	if (here == MG_FOREIGN && there == MG_GODWIT &&
	    strncmp(view->device->type, "vhost-user-fs", 13) != 0)
		mg_found(view, MG_CANNOT_TELL,
			 "it is of another make, of which only virtiofsd's is read");
}

void mg_gate_cannot_compare(const struct mg_view *view)
{
	bool here = view->device->backend.make == MG_FOREIGN;
	bool there = view->peer->backend.make == MG_FOREIGN;

	if (here || there)
		mg_found(view, MG_CANNOT_TELL, "at %s%s; --override REASON goes on without",
			 here ? "the source" : "the destination",
			 here && there ? " and the destination" : "");
}

/* -- preflight ------------------------------------------------------------------------------ */

static const char *text_of(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "?";
}

static void tell_obstacles(const struct mg_view *view, const json_t *preflight)
{
	const json_t *list = json_object_get(preflight, "cannot_travel");
	long long more = json_integer_value(json_object_get(preflight, "cannot_travel_left_out"));

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *obstacle = json_array_get(list, i);

		mg_found(view, MG_REFUSED, "%.16s %.128s: %.200s", text_of(obstacle, "kind"),
			 text_of(obstacle, "path"), text_of(obstacle, "reason"));
	}
	if (more || !json_array_size(list))
		mg_found(view, MG_REFUSED, "%lld more", more);
}

void mg_gate_preflight(const struct mg_view *view)
{
	struct mg_backend *backend = &view->device->backend;
	int err = backend->make == MG_GODWIT ? mg_backend_preflight(backend) : -EOPNOTSUPP;

	if (err == -EOPNOTSUPP)
		mg_note(view->move, "%s: its back-end cannot say before what would not survive",
			view->device->label);
	else if (err)
		mg_found(view, MG_CANNOT_TELL, "it could not be asked: %s", gw_last_error());
	else if (!json_is_true(json_object_get(backend->preflight, "can_travel")))
		tell_obstacles(view, backend->preflight);
}

/* What the destination would refuse at the load, when the guest stands already. */
void mg_gate_limits(const struct mg_view *view)
{
	static const struct {
		const char *what, *counted, *limit, *option;
		long long free; /* of what is counted, not the guest's doing: the root */
	} limits[] = {
		{"inodes", "inodes", "inode_limit", "--inode-limit", 1},
		{"bytes of inodes", "inode_bytes", "inode_bytes_limit", "--inode-memory", 0},
	};
	const json_t *there = json_object_get(mg_backend_session(&view->peer->backend), "details");
	const json_t *here = view->device->backend.preflight;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		long long limit = json_integer_value(json_object_get(there, limits[i].limit));
		long long count = json_integer_value(json_object_get(here, limits[i].counted)) -
				  limits[i].free;

		if (limit > 0 && count > limit)
			mg_found(view, MG_REFUSED,
				 "%lld %s at the source, %lld are allowed at the destination (%s)",
				 count, limits[i].what, limit, limits[i].option);
	}
}
