/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/machine.c - what a QEMU says of itself. */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "cli/migrate/migrate.h"
#include "godwit/error.h"

const char *mg_side_name(enum mg_side side)
{
	return side == MG_SOURCE ? "source" : "destination";
}

static int fail_at(const struct mg_machine *machine, int err)
{
	return err ? gw_fail_in(err, "the %s's QEMU", mg_side_name(machine->side)) : 0;
}

int mg_machine_open(struct mg_machine *machine, struct gw_qmp_group *group, const char *where)
{
	machine->where = where;
	return fail_at(machine, gw_qmp_open(&machine->qmp, group, where));
}

int mg_machine_ask_state(struct mg_machine *machine)
{
	json_t *status = NULL, *migrate = NULL;
	const char *state;
	int err = gw_qmp_execute(machine->qmp, "query-status", NULL, &status);

	if (!err)
		err = gw_qmp_execute(machine->qmp, "query-migrate", NULL, &migrate);
	state = json_string_value(json_object_get(status, "status"));
	if (!err && (!state || !json_is_object(migrate)))
		err = gw_fail(EPROTO, "%s: an answer that is no state", machine->where);
	if (!err) {
		snprintf(machine->state, sizeof(machine->state), "%s", state);
		machine->running = json_is_true(json_object_get(status, "running"));
		json_decref(machine->migrate);
		machine->migrate = json_incref(migrate);
	}
	json_decref(status);
	json_decref(migrate);
	return fail_at(machine, err);
}

/* [{"capability": NAME, "state": BOOL}] as {NAME: BOOL} */
static json_t *by_name(const json_t *list)
{
	json_t *capabilities = json_object();

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		const char *name = json_string_value(json_object_get(one, "capability"));
		json_t *state = json_object_get(one, "state");

		if (name && json_is_boolean(state))
			json_object_set(capabilities, name, state);
	}
	return capabilities;
}

static int ask_capabilities(struct mg_machine *machine)
{
	json_t *list;
	int err = gw_qmp_execute(machine->qmp, "query-migrate-capabilities", NULL, &list);

	if (!err)
		machine->capabilities = by_name(list);
	json_decref(list);
	return err;
}

int mg_machine_describe(struct mg_machine *machine)
{
	int err = mg_machine_ask_state(machine);

	if (err)
		return err;
	err = ask_capabilities(machine);
	if (!err)
		err = gw_qmp_execute(machine->qmp, "query-memdev", NULL, &machine->memory);
	if (!err)
		err = mg_devices_find(machine);
	return fail_at(machine, err);
}

void mg_machine_close(struct mg_machine *machine)
{
	for (unsigned i = 0; i < machine->count; i++) {
		mg_backend_close(&machine->devices[i].backend);
		json_decref(machine->devices[i].properties);
		json_decref(machine->devices[i].virtio);
		json_decref(machine->devices[i].vhost);
	}
	json_decref(machine->migrate);
	json_decref(machine->capabilities);
	json_decref(machine->memory);
	gw_qmp_close(machine->qmp);
}

bool mg_has_capability(const struct mg_machine *machine, const char *name)
{
	return json_is_true(json_object_get(machine->capabilities, name));
}

const char *mg_migrate_state(const struct mg_machine *machine)
{
	const char *state = json_string_value(json_object_get(machine->migrate, "status"));

	return state ? state : "none";
}

/* A word that is not known yet is not one of an end. */
bool mg_migration_runs(const struct mg_machine *machine)
{
	static const char *const over[] = {"none", "cancelled", "completed", "failed"};
	const char *state = mg_migrate_state(machine);

	for (size_t i = 0; i < GW_ARRAY_LEN(over); i++)
		if (!strcmp(state, over[i]))
			return false;
	return true;
}
