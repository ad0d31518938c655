/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/devices.c - which devices of a machine are served by other processes. */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "cli/migrate/migrate.h"
#include "godwit/error.h"

/* What both sides have to agree on, and QEMU compares only when the state arrives. A device has
 * those of its type. */
static const char *const properties[] = {
	"num-request-queues", "num-queues", "queue-size", "tag", "addr", "config-size"};

/* -- one device ----------------------------------------------------------------------------- */

static int get(struct mg_machine *machine, const char *path, const char *property, json_t **value)
{
	json_t *arguments = json_pack("{s:s, s:s}", "path", path, "property", property);

	return gw_qmp_execute(machine->qmp, "qom-get", arguments, value);
}

/* A property that a type does not have is none; an error only if nothing more can be asked. */
static int get_if_there(struct mg_machine *machine, const char *path, const char *property,
			json_t **value)
{
	int err = get(machine, path, property, value);

	return err == -EREMOTEIO ? 0 : err;
}

static int get_properties(struct mg_machine *machine, struct mg_device *device)
{
	device->properties = json_object();
	for (size_t i = 0; i < GW_ARRAY_LEN(properties); i++) {
		json_t *value = NULL;
		int err = get_if_there(machine, device->path, properties[i], &value);

		if (err)
			return err;
		if (value)
			json_object_set_new(device->properties, properties[i], value);
	}
	return 0;
}

/* Of vhost QEMU tells only while the guest uses the device. */
static int get_status(struct mg_machine *machine, struct mg_device *device)
{
	char path[MG_PATH_MAX + 16];
	json_t *status = NULL;
	int err;

	snprintf(path, sizeof(path), "%s/virtio-backend", device->path);
	err = gw_qmp_execute(machine->qmp, "x-query-virtio-status",
			     json_pack("{s:s}", "path", path), &status);
	if (!err) {
		device->vhost = json_incref(json_object_get(status, "vhost-dev"));
		device->virtio = json_incref(status);
	}
	json_decref(status);
	return err == -EREMOTEIO || err == -EOPNOTSUPP ? 0 : err;
}

/* "unix:/run/fs.sock,server=on": QEMU escapes nothing. A connection that is down is told so. */
static void take_socket(struct mg_device *device, const char *filename)
{
	static const char down[] = "disconnected:", is_unix[] = "unix:";
	const char *end;

	if (!strncmp(filename, down, sizeof(down) - 1))
		filename += sizeof(down) - 1;
	if (strncmp(filename, is_unix, sizeof(is_unix) - 1) != 0)
		return;
	filename += sizeof(is_unix) - 1;
	end = strstr(filename, ",server");
	snprintf(device->socket, sizeof(device->socket), "%.*s",
		 (int)(end ? (size_t)(end - filename) : strlen(filename)), filename);
}

static int find_socket(struct mg_machine *machine, struct mg_device *device, const char *chardev)
{
	json_t *list = NULL;
	int err = gw_qmp_execute(machine->qmp, "query-chardev", NULL, &list);

	for (size_t i = 0; !err && i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		const char *label = json_string_value(json_object_get(one, "label"));
		const char *filename = json_string_value(json_object_get(one, "filename"));

		if (label && filename && !strcmp(label, chardev))
			take_socket(device, filename);
	}
	json_decref(list);
	return err;
}

static bool is_taken(const struct mg_machine *machine, const char *label)
{
	for (unsigned i = 0; i < machine->count; i++)
		if (!strcmp(machine->devices[i].label, label))
			return true;
	return false;
}

/* A device without an id is called by what the guest knows it by, or its place in QEMU. */
static void take_label(const struct mg_machine *machine, struct mg_device *device, const char *name,
		       bool has_id)
{
	const char *tag = json_string_value(json_object_get(device->properties, "tag"));
	bool by_tag = !has_id && tag && *tag && !is_taken(machine, tag);

	snprintf(device->label, sizeof(device->label), "%s", by_tag ? tag : name);
}

/* -- network cards -------------------------------------------------------------------------- */

/*
 * A network card says which netdev it has, but nothing in QMP says what a netdev is. The people's
 * monitor does: " \ NETDEV: index=0,type=vhost-user,vhost-user0 to CHARDEV".
 */
static bool is_vhost_user(const char *text, const char *netdev, char chardev[MG_NAME_MAX])
{
	static const char to[] = " to ";
	char start[MG_NAME_MAX + 8], line[MG_TEXT_MAX];
	const char *at;

	snprintf(start, sizeof(start), " %s: ", netdev);
	at = strstr(text, start);
	snprintf(line, sizeof(line), "%.*s", at ? (int)strcspn(at, "\r\n") : 0, at ? at : "");
	if (!strstr(line, "type=vhost-user"))
		return false;
	at = strstr(line, to);
	snprintf(chardev, MG_NAME_MAX, "%s", at ? at + sizeof(to) - 1 : "");
	return true;
}

static int find_netdev(struct mg_machine *machine, const char *path, bool *found,
		       char chardev[MG_NAME_MAX])
{
	json_t *netdev = NULL, *text = NULL;
	int err = get_if_there(machine, path, "netdev", &netdev);

	*found = false;
	*chardev = 0;
	if (!err && json_string_length(netdev))
		err = gw_qmp_execute(machine->qmp, "human-monitor-command",
				     json_pack("{s:s}", "command-line", "info network"), &text);
	if (json_is_string(text))
		*found = is_vhost_user(json_string_value(text), json_string_value(netdev), chardev);
	json_decref(netdev);
	json_decref(text);
	return err;
}

/* -- all ------------------------------------------------------------------------------------ */

static int add(struct mg_machine *machine, const struct mg_device *what, const char *chardev,
	       const char *name, bool has_id)
{
	struct mg_device *device = &machine->devices[machine->count];
	int err;

	if (machine->count == MG_DEVICES_MAX)
		return gw_fail(E2BIG, "%s: more than %d devices of other processes", machine->where,
			       MG_DEVICES_MAX);
	*device = *what;
	machine->count++;
	err = get_properties(machine, device);
	take_label(machine, device, name, has_id);
	if (!err && device->kind == MG_VHOST_USER)
		err = get_status(machine, device);
	if (!err && *chardev)
		err = find_socket(machine, device, chardev);
	return err;
}

static int add_vhost_user(struct mg_machine *machine, const struct mg_device *what,
			  const char *name, bool has_id)
{
	json_t *chardev = NULL;
	int err = get_if_there(machine, what->path, "chardev", &chardev);
	const char *label = json_string_value(chardev);

	if (!err)
		err = add(machine, what, label ? label : "", name, has_id);
	json_decref(chardev);
	return err;
}

static int add_if_vhost_user_net(struct mg_machine *machine, const struct mg_device *what,
				 const char *name, bool has_id)
{
	char chardev[MG_NAME_MAX];
	bool found;
	int err = find_netdev(machine, what->path, &found, chardev);

	return err || !found ? err : add(machine, what, chardev, name, has_id);
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* One child of a container: {"name": "share", "type": "child<vhost-user-fs-pci>"} */
static int look_at(struct mg_machine *machine, const char *container, const json_t *child,
		   bool has_id)
{
	const char *name = json_string_value(json_object_get(child, "name"));
	const char *type = json_string_value(json_object_get(child, "type"));
	struct mg_device device = {.kind = MG_VHOST_USER};
	int n;

	if (!name || !type || !begins(type, "child<"))
		return 0;
	n = snprintf(device.path, sizeof(device.path), "%s/%s", container, name);
	if (n >= (int)sizeof(device.path) || strlen(name) >= sizeof(device.label))
		return gw_fail(ENAMETOOLONG, "%s: the name of device %.64s... is too long",
			       machine->where, name);
	snprintf(device.type, sizeof(device.type), "%.*s", (int)strcspn(type + 6, ">"), type + 6);
	if (begins(device.type, "vhost-user-"))
		return add_vhost_user(machine, &device, name, has_id);
	if (begins(device.type, "virtio-net-"))
		return add_if_vhost_user_net(machine, &device, name, has_id);
	if (!begins(device.type, "vfio-user-"))
		return 0;
	device.kind = MG_VFIO_USER;
	return add(machine, &device, "", name, has_id);
}

static int look_into(struct mg_machine *machine, const char *container, bool has_id)
{
	json_t *children = NULL;
	int err = gw_qmp_execute(machine->qmp, "qom-list", json_pack("{s:s}", "path", container),
				 &children);

	for (size_t i = 0; !err && i < json_array_size(children); i++)
		err = look_at(machine, container, json_array_get(children, i), has_id);
	json_decref(children);
	return err;
}

int mg_devices_find(struct mg_machine *machine)
{
	int err = look_into(machine, "/machine/peripheral", true);

	return err ? err : look_into(machine, "/machine/peripheral-anon", false);
}

/* -- compared ------------------------------------------------------------------------------- */

struct mg_device *mg_device_peer(const struct mg_device *device, struct mg_machine *other)
{
	for (unsigned i = 0; i < other->count; i++)
		if (!strcmp(other->devices[i].label, device->label))
			return &other->devices[i];
	return NULL;
}

/* "VHOST_F_LOG_ALL: Logging write descriptors supported" */
static bool is_named(const json_t *list, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (text && !strncmp(text, name, len) && (!text[len] || text[len] == ':'))
			return true;
	}
	return false;
}

static bool has(const json_t *set, const char *names, const char *unknown, const char *name,
		unsigned bit)
{
	return is_named(json_object_get(set, names), name) ||
	       (json_integer_value(json_object_get(set, unknown)) >> bit & 1);
}

bool mg_device_has_protocol(const struct mg_device *device, const char *name, unsigned bit)
{
	return has(json_object_get(device->vhost, "protocol-features"), "protocols",
		   "unknown-protocols", name, bit);
}

bool mg_device_has_feature(const struct mg_device *device, const char *name, unsigned bit)
{
	return has(json_object_get(device->vhost, "features"), "dev-features",
		   "unknown-dev-features", name, bit);
}

/* -- of virtio ------------------------------------------------------------------------------ */

static const char *const feature_lists[] = {"transports", "dev-features"};

static json_int_t unknown_features(const json_t *set)
{
	return json_integer_value(json_object_get(set, "unknown-dev-features"));
}

static bool is_offered(const json_t *set, const char *name)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(feature_lists); i++)
		if (is_named(json_object_get(set, feature_lists[i]), name))
			return true;
	return false;
}

/* "VIRTIO_F_RING_PACKED: Device supports packed VQ layout", by its name alone. */
static void note_missing(const json_t *offered, const char *feature, char text[MG_TEXT_MAX / 2])
{
	size_t len = strlen(text);
	char name[MG_NAME_MAX];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(feature, ":"), feature);
	if (!is_offered(offered, name))
		snprintf(text + len, MG_TEXT_MAX / 2 - len, "%s%s", len ? ", " : "", name);
}

enum mg_verdict mg_device_lacks_features(const struct mg_device *device,
					 const struct mg_device *peer, char text[MG_TEXT_MAX / 2])
{
	const json_t *used = json_object_get(device->virtio, "guest-features");
	const json_t *offered = json_object_get(peer->virtio, "host-features");
	json_int_t unknown = unknown_features(used) & ~unknown_features(offered);

	text[0] = 0;
	for (size_t i = 0; offered && i < GW_ARRAY_LEN(feature_lists); i++) {
		const json_t *list = json_object_get(used, feature_lists[i]);

		for (size_t k = 0; k < json_array_size(list); k++) {
			const char *feature = json_string_value(json_array_get(list, k));

			if (feature)
				note_missing(offered, feature, text);
		}
	}
	if (*text)
		return unknown_features(offered) ? MG_CANNOT_TELL : MG_REFUSED;
	if (!offered || !unknown)
		return MG_PASSES;
	snprintf(text, MG_TEXT_MAX / 2, "bits 0x%llx", (unsigned long long)unknown);
	return MG_CANNOT_TELL;
}
