/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/gates_device.c - what a device, as QEMU has it, has against a migration. */
#include <linux/vhost_types.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/migrate/gates.h"
#include "vhost-user/wire.h"

#define VALUE_MAX 64

void mg_gate_vfio_user(const struct mg_view *view)
{
	if (view->device->kind == MG_VFIO_USER)
		mg_found(view, MG_REFUSED, "of the %s; unplug it before",
			 mg_side_name(view->machine->side));
}

void mg_gate_missing(const struct mg_view *view)
{
	if (view->device->kind == MG_VHOST_USER && !view->peer)
		mg_found(view, MG_REFUSED, "the %s (%s)", mg_side_name(view->machine->side),
			 view->device->type);
}

/* -- both sides ----------------------------------------------------------------------------- */

static bool is_about_queues(const char *property)
{
	return strstr(property, "queue") != NULL;
}

/* A place on the PCI bus QEMU takes as "04.0", and gives back as a number. */
static void format(const char *property, const json_t *value, char text[VALUE_MAX])
{
	GW_AUTO_FREE char *dumped = NULL;
	unsigned place = (unsigned)json_integer_value(value);

	if (!strcmp(property, "addr") && json_is_integer(value)) {
		snprintf(text, VALUE_MAX, "%02x.%x", place >> 3 & 0x1f, place & 7);
		return;
	}
	dumped = json_dumps(value, JSON_ENCODE_ANY);
	snprintf(text, VALUE_MAX, "%s", dumped ? dumped : "nothing");
}

static void compare(const struct mg_view *view, const char *property)
{
	const json_t *here = json_object_get(view->device->properties, property);
	const json_t *there = json_object_get(view->peer->properties, property);
	char here_text[VALUE_MAX], there_text[VALUE_MAX];

	if (here && there && json_equal(here, there))
		return;
	format(property, here, here_text);
	format(property, there, there_text);
	mg_found(view, MG_REFUSED, "%s is %s at the source, %s at the destination", property,
		 here_text, there_text);
}

static void compare_all(const struct mg_view *view, bool queues)
{
	const char *name;
	json_t *value;

	json_object_foreach(view->device->properties, name, value)
	{
		if (is_about_queues(name) == queues)
			compare(view, name);
	}
}

void mg_gate_differs(const struct mg_view *view)
{
	if (strcmp(view->device->type, view->peer->type) != 0)
		mg_found(view, MG_REFUSED, "%s at the source, %s at the destination",
			 view->device->type, view->peer->type);
	else
		compare_all(view, false);
}

void mg_gate_queues(const struct mg_view *view)
{
	if (!strcmp(view->device->type, view->peer->type))
		compare_all(view, true);
}

/* QEMU finds it when the destination loads the device, and the guest stands. */
void mg_gate_virtio(const struct mg_view *view)
{
	char names[MG_TEXT_MAX / 2];
	enum mg_verdict verdict = mg_device_lacks_features(view->device, view->peer, names);

	if (verdict != MG_PASSES)
		mg_found(view, verdict, "%s", names);
}

/* -- features ------------------------------------------------------------------------------- */

/* Ours offers all of them, unless it was told not to migrate. */
void mg_gate_features(const struct mg_view *view)
{
	if (!view->device->vhost && view->device->backend.make == MG_FOREIGN)
		mg_found(view, MG_CANNOT_TELL,
			 "QEMU says so only while the guest uses the device, and it has no "
			 "control socket");
}

static bool lacks_protocol(const struct mg_view *view, const char *name, unsigned bit)
{
	return view->device->vhost && !mg_device_has_protocol(view->device, name, bit);
}

/* Of the types that QEMU moves, these have state of their own besides rings and configuration. */
static bool has_state(const char *type)
{
	static const char *const types[] = {"vhost-user-fs", "virtio-net"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strncmp(type, types[i], strlen(types[i])))
			return true;
	return false;
}

void mg_gate_device_state(const struct mg_view *view)
{
	if (has_state(view->device->type) &&
	    lacks_protocol(view, "VHOST_USER_PROTOCOL_F_DEVICE_STATE", GW_VU_PF_DEVICE_STATE))
		mg_found(view, MG_REFUSED, NULL);
}

void mg_gate_log_all(const struct mg_view *view)
{
	if (view->device->vhost &&
	    !mg_device_has_feature(view->device, "VHOST_F_LOG_ALL", VHOST_F_LOG_ALL))
		mg_found(view, MG_REFUSED, NULL);
}

void mg_gate_log_shmfd(const struct mg_view *view)
{
	if (lacks_protocol(view, "VHOST_USER_PROTOCOL_F_LOG_SHMFD", GW_VU_PF_LOG_SHMFD))
		mg_found(view, MG_REFUSED, NULL);
}

void mg_gate_post_copy(const struct mg_view *view)
{
	if (mg_has_capability(&view->move->machines[MG_SOURCE], "postcopy-ram") &&
	    !(view->device->vhost &&
	      mg_device_has_protocol(view->device, "VHOST_USER_PROTOCOL_F_PAGEFAULT",
				     GW_VU_PF_PAGEFAULT)))
		mg_found(view, MG_REFUSED, "switch it off (migrate-set-capabilities)");
}
