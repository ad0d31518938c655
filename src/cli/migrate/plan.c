/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/plan.c - where each device's back-end is asked. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/migrate/migrate.h"
#include "cli/what/what.h"
#include "godwit/error.h"
#include "model/document.h"

#define SUFFIX ".control"

/* {"from": PATH, "to": PATH}; null: that back-end has no control socket. */
static int check_entry(const char *file, const char *id, const json_t *entry)
{
	const char *name;
	json_t *value;

	if (!json_is_object(entry))
		return gw_fail(EINVAL, "%s: devices.%s is no object", file, id);
	json_object_foreach((json_t *)entry, name, value)
	{
		if (strcmp(name, "from") != 0 && strcmp(name, "to") != 0)
			return gw_fail(EINVAL, "%s: devices.%s.%.64s: expected from or to", file,
				       id, name);
		if (!json_is_null(value) &&
		    (!json_is_string(value) || json_string_length(value) >= MG_PATH_MAX))
			return gw_fail(EINVAL,
				       "%s: devices.%s.%s: expected a control socket's path, or "
				       "null where there is none",
				       file, id, name);
	}
	return 0;
}

static int check(const char *file, const json_t *devices)
{
	const char *id;
	json_t *entry;
	int err = json_is_object(devices)
			  ? 0
			  : gw_fail(EINVAL, "%s: there is no object 'devices'", file);

	json_object_foreach((json_t *)devices, id, entry)
	{
		if (!err)
			err = check_entry(file, id, entry);
	}
	return err;
}

int mg_plan_read(json_t **plan, const char *file)
{
	GW_AUTO_FREE char *text = NULL;
	json_t *root, *devices;
	size_t len = 0;
	int err = gw_what_read_given(&text, &len, file, GW_DOCUMENT_MAX);

	*plan = NULL;
	if (!err)
		err = gw_document_parse(&root, file, text, len);
	if (err)
		return err;
	devices = json_object_get(root, "devices");
	err = check(file, devices);
	if (!err)
		*plan = json_incref(devices);
	json_decref(root);
	return err;
}

int mg_plan_check(const json_t *plan, const struct mg_machine *source)
{
	const char *id;
	json_t *entry;

	json_object_foreach((json_t *)plan, id, entry)
	{
		bool found = false;

		for (unsigned i = 0; i < source->count && !found; i++)
			found = !strcmp(source->devices[i].label, id);
		if (!found)
			return gw_fail(EINVAL,
				       "the plan's device %.64s: the source has none of that "
				       "name",
				       id);
	}
	return 0;
}

void mg_plan_control(const json_t *plan, enum mg_side side, struct mg_device *device)
{
	const json_t *entry = json_object_get(plan, device->label);
	const json_t *path = json_object_get(entry, side == MG_SOURCE ? "from" : "to");
	struct mg_backend *backend = &device->backend;
	int n = 0;

	if (json_is_string(path))
		n = snprintf(backend->control, sizeof(backend->control), "%s",
			     json_string_value(path));
	else if (!json_is_null(path) && *device->socket)
		n = snprintf(backend->control, sizeof(backend->control), "%s" SUFFIX,
			     device->socket);
	if (n >= (int)sizeof(backend->control))
		*backend->control = 0;
}
