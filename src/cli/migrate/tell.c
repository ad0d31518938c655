/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/tell.c - what the back-ends did, and what they are told of how it ended. */
#include <errno.h>
#include <string.h>

#include "cli/migrate/migrate.h"

static const char *transfer_id(const struct mg_backend *backend)
{
	const char *id = json_string_value(json_object_get(backend->transfer, "id"));

	return id && *id ? id : NULL;
}

/* One that saved nothing waits for nothing; nor does one that has the device all the same. */
static void tell_one(struct mg_move *move, const struct mg_device *device, const char *outcome)
{
	const struct mg_backend *backend = &device->backend;
	const char *id = transfer_id(backend);
	int err;

	if (!id || gw_qmp_is_over(backend->talk) || !strcmp(mg_backend_mode(backend), "stateless"))
		return;
	err = gw_qmp_execute(backend->talk, "migration-outcome",
			     json_pack("{s:s, s:s}", "id", id, "outcome", outcome), NULL);
	if (err == -EOPNOTSUPP)
		mg_note(move, "%s: its back-end cannot be told the outcome", device->label);
	else if (err)
		mg_note(move, "%s: its back-end was not told the outcome (%s): %.256s",
			device->label, outcome, gw_last_error());
}

static void ask_all(struct mg_machine *machine)
{
	for (unsigned i = 0; i < machine->count; i++)
		mg_backend_ask_transfer(&machine->devices[i].backend);
}

/* Where nobody knows what became of it, the back-ends do what they were told to do then. */
void mg_tell(struct mg_move *move, bool moved)
{
	struct mg_machine *source = &move->machines[MG_SOURCE];

	ask_all(source);
	ask_all(&move->machines[MG_DESTINATION]);
	if (move->outcome == MG_UNKNOWN)
		return;
	for (unsigned i = 0; i < source->count; i++)
		tell_one(move, &source->devices[i], moved ? "moved" : "failed");
}
