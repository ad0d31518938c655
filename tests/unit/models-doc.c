/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/models-doc.c - the page of a model in docs/models/ and the tables say the same.
 *
 * usage: models-doc PAGE compares; models-doc prints what is to stand between the page's marks. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/fs.h"
#include "fs/records.h"

#define PAGE_MAX (1024 * 1024)
#define BEGIN	 "<!-- from the tables: -->\n"
#define END	 "<!-- end of what is from the tables -->\n"

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
		separator = ", ";
	}
}

static void print_layouts(FILE *out, const struct gw_layout *const *layouts)
{
	fprintf(out,
		"\n## Records of the state\n\nKeys are bold. `state` says for which numbers of "
		"that parameter a record is written.\n\n"
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

static char *generate(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		abort();
	fprintf(out, "\nModel `%s`.\n", fs_model.name);
	print_params(out, &fs_model);
	print_profiles(out, &fs_model);
	print_layouts(out, fs_layouts);
	fprintf(out, "\n");
	fclose(out);
	return text;
}

static char *read_page(const char *path)
{
	char *text = calloc(1, PAGE_MAX + 1);
	FILE *file = fopen(path, "re");

	if (!text || !file || !fread(text, 1, PAGE_MAX, file)) {
		perror(path);
		exit(1);
	}
	fclose(file);
	return text;
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

int main(int argc, char **argv)
{
	GW_AUTO_FREE char *table = generate(), *page = NULL;
	char *begin, *end;

	if (argc < 2) {
		fputs(table, stdout);
		return 0;
	}
	page = read_page(argv[1]);
	begin = strstr(page, BEGIN);
	end = begin ? strstr(begin, END) : NULL;
	if (!end) {
		fprintf(stderr, "%s: it has no marks\n", argv[1]);
		return 1;
	}
	*end = 0;
	begin += strlen(BEGIN);
	if (!strcmp(begin, table))
		return 0;
	tell_difference(begin, table);
	return 1;
}
