/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/models-doc.c - each model that a daemon has has its page in docs/models/, and page and
 * tables say the same.
 *
 * usage: models-doc DOCS DAEMON...	asks each daemon for its models, and compares their pages
 *	  models-doc MODEL		prints what is to stand between the marks of its page */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/fs.h"
#include "fs/model.h"
#include "fs/offers.h"
#include "fs/records.h"
#include "fs/session.h"
#include "null/null.h"
#include "relay/relay.h"

#define PAGE_MAX (1024 * 1024)
#define BEGIN	 "<!-- from the tables: -->\n"
#define END	 "<!-- end of what is from the tables -->\n"

/* Whose models they are, and how their states look. */
static const struct gw_layout *const null_layouts[] = {&gw_null_layout, NULL};
static const struct gw_layout *const relay_layouts[] = {&gw_relay_v1, &gw_relay_conn_v1,
							&gw_relay_handover_v1, NULL};
static const struct device {
	const struct gw_device_ops *ops;
	const struct gw_layout *const *layouts;
} devices[] = {
	{&fs_device_ops, fs_layouts},
	{&gw_null_ops, null_layouts},
	{&relay_device_ops, relay_layouts},
};

static void print_value(FILE *out, const struct gw_param *param, int64_t value)
{
	if (param->type == GW_PARAM_INT)
		fprintf(out, "%" PRId64, value);
	else if (param->type == GW_PARAM_BOOL)
		fprintf(out, "%s", value ? "on" : "off");
	else
		fprintf(out, "%s", param->values[value]);
}

static void print_allowed(FILE *out, const struct gw_param *param)
{
	if (param->type == GW_PARAM_INT)
		fprintf(out, "%" PRId64 " to %" PRId64, param->min, param->max);
	else if (param->type == GW_PARAM_BOOL)
		fprintf(out, "off, on");
	for (unsigned i = 0; param->type == GW_PARAM_ENUM && param->values[i]; i++)
		fprintf(out, "%s%s", i ? ", " : "", param->values[i]);
}

static void print_params(FILE *out, const struct gw_model *model)
{
	static const char *const types[] = {"bool", "int", "enum"};

	fprintf(out, "\n## Parameters\n\n| parameter | type | values | off | |\n"
		     "| --- | --- | --- | --- | --- |\n");
	for (const struct gw_param *p = model->params; p->name; p++) {
		fprintf(out, "| `%s` | %s | ", p->name, types[p->type]);
		print_allowed(out, p);
		fprintf(out, " | ");
		if (p->no_off)
			fprintf(out, "none: it is always stated");
		else
			print_value(out, p, p->off);
		fprintf(out, " | %s |\n", p->doc);
	}
}

static const struct gw_param *param_of(const struct gw_model *model, const char *name)
{
	const struct gw_param *param = model->params;

	while (strcmp(param->name, name) != 0)
		param++;
	return param;
}

static void print_profiles(FILE *out, const struct gw_model *model)
{
	fprintf(out,
		"\n## Profiles\n\nWhat is not named is off. The default is `%s`.\n\n"
		"| profile | |\n| --- | --- |\n",
		model->default_profile);
	for (const struct gw_profile *p = model->profiles; p->name; p++) {
		const char *separator = "";

		fprintf(out, "| `%s` | ", p->name);
		for (const struct gw_setting *s = p->settings; s->name; s++) {
			fprintf(out, "%s%s=", separator, s->name);
			print_value(out, param_of(model, s->name), s->value);
			separator = ", ";
		}
		fprintf(out, " |\n");
	}
}

/* What an instance of @profile offers. */
static uint64_t flags_of(const char *profile)
{
	static const struct fs_host host = {.policy = FS_POLICY_UNSET};
	struct fs fs = {.host = &host};
	struct gw_params *params;

	if (gw_params_new(&params, &fs_model) || gw_params_apply_profile(params, profile))
		abort();
	fs.params = params;
	fs_policy_apply(&fs);
	gw_params_free(params);
	return fs_session_flags(&fs);
}

static void print_offers(FILE *out)
{
	const struct fs_offer *offer;

	fprintf(out, "\n## Flags of FUSE INIT\n\n| flag | of FUSE | parameter | profiles |\n"
		     "| --- | --- | --- | --- |\n");
	for (unsigned i = 0; (offer = fs_offer_at(i)); i++) {
		fprintf(out, offer->since > FS_MINOR_MIN ? "| `%s` | 7.%u |" : "| `%s` | |",
			offer->name, offer->since);
		fprintf(out, offer->param ? " `%s` |" : " |", offer->param);
		for (const struct gw_profile *p = fs_model.profiles; p->name; p++) {
			if (flags_of(p->name) & offer->bit)
				fprintf(out, " `%s`", p->name);
		}
		fprintf(out, " |\n");
	}
}

static const char *const field_types[] = {
	[GW_FIELD_U8] = "u8",	  [GW_FIELD_U16] = "u16",     [GW_FIELD_U32] = "u32",
	[GW_FIELD_U64] = "u64",	  [GW_FIELD_I64] = "i64",     [GW_FIELD_DELTA] = "u64",
	[GW_FIELD_BOOL] = "bool", [GW_FIELD_FIXED] = "fixed", [GW_FIELD_BYTES] = "bytes",
};

static void print_fields(FILE *out, const struct gw_layout *layout)
{
	const char *separator = "";

	for (const struct gw_field *f = layout->fields; f->name; f++) {
		fprintf(out, "%s%s%s%s %s", separator, f->key ? "**" : "", f->name,
			f->key ? "**" : "", field_types[f->type]);
		if (f->max)
			fprintf(out, f->type == GW_FIELD_FIXED ? " %zu" : " to %zu", f->max);
		separator = ", ";
	}
}

static void print_layouts(FILE *out, const struct gw_layout *const *layouts)
{
	fprintf(out,
		"\n## Records of the state\n\nKeys are bold; `to` is the highest value, or the "
		"most "
		"bytes. `state` says for which numbers of that parameter a record is written.\n\n"
		"| record | type | state | fields |\n| --- | --- | --- | --- |\n");
	for (; *layouts; layouts++) {
		const struct gw_layout *layout = *layouts;

		fprintf(out, "| `%s`%s | %#x | ", layout->name,
			layout->optional ? ", optional" : "", layout->type);
		fprintf(out, layout->until ? "%u to %u" : "%u on",
			layout->since ? layout->since : 1, layout->until);
		fprintf(out, " | ");
		print_fields(out, layout);
		fprintf(out, " |\n");
	}
}

/* NULL: no table is known of it. */
static char *generate(const char *name)
{
	const struct gw_model *model = NULL;
	const struct device *device = NULL;
	char *text = NULL;
	size_t len;
	FILE *out;

	for (size_t i = 0; i < GW_ARRAY_LEN(devices) && !model; i++)
		for (unsigned k = 0; devices[i].ops->models[k] && !model; k++) {
			device = &devices[i];
			if (!strcmp(device->ops->models[k]->name, name))
				model = device->ops->models[k];
		}
	out = model ? open_memstream(&text, &len) : NULL;
	if (!out)
		return NULL;
	fprintf(out, "\nModel `%s`.\n", model->name);
	print_params(out, model);
	print_profiles(out, model);
	if (model == &fs_model)
		print_offers(out);
	print_layouts(out, device->layouts);
	fprintf(out, "\n");
	fclose(out);
	return text;
}

/* NULL with a word at standard error. */
static char *read_page(const char *path)
{
	GW_AUTO_FREE char *text = calloc(1, PAGE_MAX + 1);
	GW_AUTO_FCLOSE FILE *file = fopen(path, "re");

	if (!text || !file || !fread(text, 1, PAGE_MAX, file)) {
		perror(path);
		return NULL;
	}
	return gw_take_ptr(text);
}

/* The first line that differs, for who has to put it right. */
static void tell_difference(const char *page, const char *table)
{
	while (*page && *page == *table && strchr(page, '\n') && strchr(table, '\n')) {
		size_t len = strcspn(page, "\n") + 1;

		if (strncmp(page, table, len) != 0)
			break;
		page += len;
		table += len;
	}
	fprintf(stderr, "page:   %.*s\ntables: %.*s\n", (int)strcspn(page, "\n"), page,
		(int)strcspn(table, "\n"), table);
}

static int compare(const char *path, const char *table)
{
	GW_AUTO_FREE char *page = read_page(path);
	char *begin = page ? strstr(page, BEGIN) : NULL;
	char *end = begin ? strstr(begin, END) : NULL;

	if (!end) {
		fprintf(stderr, "%s: it has no marks\n", path);
		return 1;
	}
	*end = 0;
	begin += strlen(BEGIN);
	if (!strcmp(begin, table))
		return 0;
	fprintf(stderr, "%s:\n", path);
	tell_difference(begin, table);
	return 1;
}

/* "godwit-project.org/virtio-fs" is in virtio-fs.md. */
static int check_model(const char *docs, const char *name)
{
	GW_AUTO_FREE char *table = generate(name), *path = NULL;

	if (!table) {
		fprintf(stderr, "%s: this test knows no table of it\n", name);
		return 1;
	}
	if (asprintf(&path, "%s/%s.md", docs, strrchr(name, '/') + 1) < 0)
		abort();
	return compare(path, table);
}

static int check_daemon(const char *docs, const char *daemon)
{
	GW_AUTO_FREE char *command = NULL;
	const char *name;
	json_t *document, *model;
	int failed = 0;
	FILE *said;

	if (asprintf(&command, "'%s' --print-migration-info", daemon) < 0)
		abort();
	said = popen(command, "re");
	document = said ? json_loadf(said, 0, NULL) : NULL;
	if (said)
		pclose(said);
	if (!json_object_size(json_object_get(document, "models"))) {
		fprintf(stderr, "%s: it prints no models\n", daemon);
		failed = 1;
	}
	json_object_foreach(json_object_get(document, "models"), name, model)
	{
		failed |= check_model(docs, name);
	}
	json_decref(document);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = argc < 2;

	if (argc == 2) {
		GW_AUTO_FREE char *table = generate(argv[1]);

		printf("%s", table ? table : "");
		return !table;
	}
	for (int i = 2; i < argc; i++)
		failed |= check_daemon(argv[1], argv[i]);
	return failed;
}
