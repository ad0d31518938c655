/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/gates_machine.c - what the QEMUs themselves have against a migration. */
#include <string.h>

#include "base/checked.h"
#include "cli/migrate/gates.h"

static const struct mg_machine *source_of(const struct mg_view *view)
{
	return &view->move->machines[MG_SOURCE];
}

static const struct mg_machine *destination_of(const struct mg_view *view)
{
	return &view->move->machines[MG_DESTINATION];
}

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(words[i], word))
			return true;
	return false;
}

void mg_gate_source_state(const struct mg_view *view)
{
	static const char *const good[] = {"running", "paused", "suspended"};
	const struct mg_machine *source = source_of(view);

	if (!is_one_of(source->state, good, GW_ARRAY_LEN(good)))
		mg_found(view, MG_REFUSED, "at the source it is '%s'", source->state);
}

void mg_gate_destination_waits(const struct mg_view *view)
{
	const struct mg_machine *destination = destination_of(view);

	if (strcmp(destination->state, "inmigrate") != 0)
		mg_found(view, MG_REFUSED, "it is '%s'", destination->state);
}

void mg_gate_migration_runs(const struct mg_view *view)
{
	const struct mg_machine *source = source_of(view), *destination = destination_of(view);

	if (mg_migration_runs(source))
		mg_found(view, MG_REFUSED, "of the source ('%s')", mg_migrate_state(source));
	if (mg_migration_runs(destination) && !mg_uri_listens(destination))
		mg_found(view, MG_REFUSED, "to the destination ('%s')",
			 mg_migrate_state(destination));
}

void mg_gate_is_blocked(const struct mg_view *view)
{
	const json_t *reasons = json_object_get(source_of(view)->migrate, "blocked-reasons");

	for (size_t i = 0; i < json_array_size(reasons); i++) {
		const char *reason = json_string_value(json_array_get(reasons, i));

		mg_found(view, MG_REFUSED, "%.256s", reason ? reason : "without a reason");
	}
}

void mg_gate_return_path(const struct mg_view *view)
{
	static const char *const one_way[] = {"file:", "exec:"};
	const char *uri = view->move->uri;

	for (int side = 0; side < MG_SIDES; side++)
		if (!json_object_get(view->move->machines[side].capabilities, "return-path"))
			mg_found(view, MG_REFUSED, "the %s's QEMU has no capability 'return-path'",
				 mg_side_name((enum mg_side)side));
	for (size_t i = 0; uri && i < GW_ARRAY_LEN(one_way); i++)
		if (!strncmp(uri, one_way[i], strlen(one_way[i])))
			mg_found(view, MG_REFUSED, "'%s' leads one way only", one_way[i]);
}

void mg_gate_uri(const struct mg_view *view)
{
	char uri[MG_PATH_MAX];

	if (!mg_uri_choose(view->move, uri))
		mg_found(view, MG_REFUSED, NULL);
}

void mg_gate_background_snapshot(const struct mg_view *view)
{
	for (int side = 0; side < MG_SIDES; side++)
		if (mg_has_capability(&view->move->machines[side], "background-snapshot"))
			mg_found(view, MG_REFUSED, "at the %s", mg_side_name((enum mg_side)side));
}

/* Those that change what is sent; the destination finds out when it comes, or not at all. */
void mg_gate_capabilities(const struct mg_view *view)
{
	static const char *const names[] = {
		"multifd",    "postcopy-ram",	"postcopy-preempt", "x-ignore-shared",
		"mapped-ram", "switchover-ack", "dirty-bitmaps",    "rdma-pin-all",
	};

	for (size_t i = 0; i < GW_ARRAY_LEN(names); i++) {
		bool there = mg_has_capability(destination_of(view), names[i]);

		if (mg_has_capability(source_of(view), names[i]) != there)
			mg_found(view, MG_REFUSED, "'%s' is on at the %s", names[i],
				 mg_side_name(there ? MG_DESTINATION : MG_SOURCE));
	}
}

static bool has_vhost_user(const struct mg_machine *machine)
{
	for (unsigned i = 0; i < machine->count; i++)
		if (machine->devices[i].kind == MG_VHOST_USER)
			return true;
	return false;
}

static void look_at_memory(const struct mg_view *view, const struct mg_machine *machine)
{
	for (size_t i = 0; i < json_array_size(machine->memory); i++) {
		const json_t *memory = json_array_get(machine->memory, i);
		const char *id = json_string_value(json_object_get(memory, "id"));

		if (!json_is_true(json_object_get(memory, "share")))
			mg_found(view, MG_REFUSED, "memory back-end '%.64s' of the %s (share=on)",
				 id ? id : "?", mg_side_name(machine->side));
	}
}

void mg_gate_memory(const struct mg_view *view)
{
	for (int side = 0; side < MG_SIDES; side++)
		if (has_vhost_user(&view->move->machines[side]))
			look_at_memory(view, &view->move->machines[side]);
}
