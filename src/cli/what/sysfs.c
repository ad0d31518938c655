/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/what/sysfs.c - mdev parents and devices: one value a file, made into documents. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "cli/what/what.h"
#include "godwit/error.h"
#include "model/document.h"

/*
 * Below mdev_supported_types/TYPE of a parent, and below a device, drivers that take part have a
 * directory `migration` (docs/compatibility.md). sysfs forbids structured files, so that each value
 * has its own:
 *
 *	type	available_instances
 *		migration/model, migration/default, migration/state_read ("1 2")
 *		migration/provides, migration/requires (words: what is needed beside the model)
 *		migration/params/PARAM/{type,off,min,max,values}
 *		migration/profiles/PROFILE/PARAM
 *	device	migration/model, migration/params/PARAM, migration/requires
 */
#define ATTRIBUTE_MAX 4096 /* a page, as in sysfs */
#define TYPES	      "mdev_supported_types"

/* A directory that is read: its path, and what is below it. */
struct place {
	char path[4096];
};

static struct place below(const struct place *place, const char *name)
{
	struct place lower;

	/* What is too long does not exist. */
	if (snprintf(lower.path, sizeof(lower.path), "%s/%s", place->path, name) >=
	    (int)sizeof(lower.path))
		lower.path[0] = 0;
	return lower;
}

static bool is_directory(const struct place *place)
{
	struct stat st;

	return !stat(place->path, &st) && S_ISDIR(st.st_mode);
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* What is below a place, sorted. */
struct names {
	unsigned count;
	struct dirent **entries;
};

/* None if there is no such directory. To be freed by free_names(), also after a failure. */
static int list_names(const struct place *place, struct names *names)
{
	int count = scandir(place->path, &names->entries, not_hidden, alphasort);

	names->count = count > 0 ? (unsigned)count : 0;
	if (count < 0)
		names->entries = NULL;
	return count < 0 && errno != ENOENT ? gw_fail(errno, "%s: %s", place->path, strerror(errno))
					    : 0;
}

static void free_names(struct names *names)
{
	for (unsigned i = 0; names->entries && i < names->count; i++)
		free(names->entries[i]);
	free(names->entries);
}

/* The one line of an attribute; false if it is not there, or is none. */
static bool read_attribute(const struct place *place, const char *name, char text[ATTRIBUTE_MAX])
{
	struct place file = below(place, name);
	GW_AUTO_FREE char *content = NULL;
	size_t len;

	if (gw_what_read_file(&content, &len, file.path, ATTRIBUTE_MAX - 1))
		return false;
	content[strcspn(content, "\n")] = 0;
	snprintf(text, ATTRIBUTE_MAX, "%s", content);
	return true;
}

/* Of @type, or what it looks like; what is no value of it stays text, and is refused later. */
static json_t *value_of(const char *type, const char *text)
{
	char *end;
	long long number;

	if (!strcmp(type, "bool") && (!strcmp(text, "on") || !strcmp(text, "off")))
		return json_boolean(!strcmp(text, "on"));
	errno = 0;
	number = strtoll(text, &end, 10);
	if (!strcmp(type, "int") && *text && !*end && !errno)
		return json_integer(number);
	return json_string(text);
}

static void put_value(json_t *object, const struct place *place, const char *name, const char *type)
{
	char text[ATTRIBUTE_MAX];

	if (read_attribute(place, name, text))
		json_object_set_new(object, name, value_of(type, text));
}

/* Words divided by spaces. */
static json_t *read_list(const struct place *place, const char *name, const char *type)
{
	json_t *list = json_array();
	char text[ATTRIBUTE_MAX], *save = NULL;

	if (!read_attribute(place, name, text)) {
		json_decref(list);
		return NULL;
	}
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		json_array_append_new(list, value_of(type, word));
	return list;
}

/* -- a type of a parent -------------------------------------------------------------------- */

static json_t *read_param(const struct place *place)
{
	json_t *param = json_object(), *values = read_list(place, "values", "enum");
	char type[ATTRIBUTE_MAX] = "";

	read_attribute(place, "type", type);
	json_object_set_new(param, "type", json_string(type));
	put_value(param, place, "off", type);
	put_value(param, place, "min", "int");
	put_value(param, place, "max", "int");
	if (values)
		json_object_set_new(param, "values", values);
	return param;
}

static int read_params(const struct place *place, json_t *params)
{
	struct names names;
	int err = list_names(place, &names);

	for (unsigned i = 0; i < names.count; i++) {
		struct place lower = below(place, names.entries[i]->d_name);

		json_object_set_new(params, names.entries[i]->d_name, read_param(&lower));
	}
	free_names(&names);
	return err;
}

static int read_profile(const struct place *place, const json_t *params, json_t *profile)
{
	struct names names;
	int err = list_names(place, &names);

	for (unsigned i = 0; i < names.count; i++) {
		const json_t *param = json_object_get(params, names.entries[i]->d_name);
		const char *type = json_string_value(json_object_get(param, "type"));

		put_value(profile, place, names.entries[i]->d_name, type ? type : "");
	}
	free_names(&names);
	return err;
}

static int read_profiles(const struct place *place, const json_t *params, json_t *profiles)
{
	struct names names;
	int err = list_names(place, &names);

	for (unsigned i = 0; i < names.count && !err; i++) {
		struct place lower = below(place, names.entries[i]->d_name);
		json_t *profile = json_object();

		err = read_profile(&lower, params, profile);
		json_object_set_new(profiles, names.entries[i]->d_name, profile);
	}
	free_names(&names);
	return err;
}

static json_t *describe_type(const struct place *type, const struct place *migration, bool made)
{
	json_t *model = json_object(), *params = json_object(), *profiles = json_object();
	json_t *numbers = read_list(migration, "state_read", "int");
	struct place lower = below(migration, "params");
	int err = read_params(&lower, params);

	lower = below(migration, "profiles");
	if (!err)
		err = read_profiles(&lower, params, profiles);
	json_object_set_new(model, "params", params);
	json_object_set_new(model, "profiles", profiles);
	if (numbers)
		json_object_set_new(model, "state", json_pack("{s:o}", "read", numbers));
	put_value(model, migration, "default", "enum");
	if (!made)
		put_value(model, type, "available_instances", "int");
	if (err)
		json_decref(model);
	return err ? NULL : model;
}

/* A type that says nothing of migration is passed over. A device that is made takes no room. */
static int add_type(struct gw_what *what, const char *name, const struct place *type, bool made)
{
	struct place migration = below(type, "migration");
	char model[ATTRIBUTE_MAX], title[ATTRIBUTE_MAX];
	json_t *described, *document;
	int err;

	if (!read_attribute(&migration, "model", model))
		return 0;
	described = describe_type(type, &migration, made);
	if (!described)
		return -EIO;
	snprintf(title, sizeof(title), "%.1024s/%.256s", name, strrchr(type->path, '/') + 1);
	document = json_pack("{s:i, s:{s:s}, s:o*, s:o*, s:{s:o}}", "format", GW_DOCUMENT_FORMAT,
			     "implementation", "name", title, "provides",
			     read_list(&migration, "provides", "word"), "requires",
			     read_list(&migration, "requires", "word"), "models", model, described);
	err = document ? gw_what_add_document(what, title, document)
		       : gw_fail(EBADMSG, "%s: its migration/model is no text", title);
	json_decref(document);
	return err;
}

static int read_parent(struct gw_what *what, const char *name, const struct place *types)
{
	struct names names;
	int err = list_names(types, &names);

	what->kind = "mdev parent";
	for (unsigned i = 0; i < names.count && !err; i++) {
		struct place type = below(types, names.entries[i]->d_name);

		err = add_type(what, name, &type, false);
	}
	free_names(&names);
	if (!err && !what->implementation_count)
		err = gw_fail(ENODATA,
			      "%s: none of its types says which device model it is "
			      "(migration/model)",
			      name);
	return err;
}

/* -- a device ------------------------------------------------------------------------------ */

/* Its parameters as a canonical form: scandir() has sorted them. */
static int device_form(const struct place *migration, const char *model,
		       char form[GW_CANONICAL_MAX])
{
	struct place params = below(migration, "params");
	struct names names;
	int err = list_names(&params, &names);
	int len = snprintf(form, GW_CANONICAL_MAX, "%s\n", model);

	for (unsigned i = 0; i < names.count && len < GW_CANONICAL_MAX; i++) {
		char value[ATTRIBUTE_MAX];

		if (read_attribute(&params, names.entries[i]->d_name, value))
			len += snprintf(form + len, (size_t)(GW_CANONICAL_MAX - len), "%s=%s\n",
					names.entries[i]->d_name, value);
	}
	free_names(&names);
	return err ? err : len;
}

static int read_device(struct gw_what *what, const char *name, const struct place *device)
{
	const struct place lower = below(device, "migration"), *migration = &lower;
	const struct place type = below(device, "mdev_type");
	char model[ATTRIBUTE_MAX], requires[ATTRIBUTE_MAX] = "", form[GW_CANONICAL_MAX];
	int len, err;

	what->kind = "mdev device";
	if (!read_attribute(migration, "model", model))
		return gw_fail(ENODATA,
			       "%s: it does not say which device model it is "
			       "(migration/model)",
			       name);
	len = device_form(migration, model, form);
	if (len < 0)
		return len;
	if (len >= GW_CANONICAL_MAX)
		return gw_fail(EFBIG, "%s: its parameters have more than %d bytes", name,
			       GW_CANONICAL_MAX);
	read_attribute(migration, "requires", requires);
	err = gw_compat_instance_canonical(&what->instances[0], name, form, (size_t)len, requires);
	what->instance_count += !err;
	return err ? err : add_type(what, name, &type, true);
}

int gw_what_read_sysfs(struct gw_what *what, const char *name, const char *path)
{
	struct place place, lower;

	snprintf(place.path, sizeof(place.path), "%s", path);
	lower = below(&place, TYPES);
	if (is_directory(&lower))
		return read_parent(what, name, &lower);
	lower = below(&place, "migration");
	return is_directory(&lower) ? read_device(what, name, &place) : -ENOENT;
}
