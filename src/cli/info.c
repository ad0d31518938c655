/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/info.c - `godwit info`: model and parameters of whatever can tell them. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/options.h"
#include "cli/check/check.h"
#include "cli/command.h"
#include "cli/print.h"
#include "godwit/error.h"
#include "model/document.h"
#include "model/params.h"

struct info_options {
	const char *sysfs_root;
	bool json, help;
};

static const struct gw_option options[] = {
	{"json", NULL, "documents, one a line", offsetof(struct info_options, json),
	 GW_OPTION_FLAG},
	{"sysfs-root", "DIR", "where mdev devices are looked for [/sys]",
	 offsetof(struct info_options, sysfs_root), GW_OPTION_STRING},
	{"help", NULL, "print this", offsetof(struct info_options, help), GW_OPTION_FLAG,
	 .letter = 'h'},
	{NULL},
};

/* -- as text ------------------------------------------------------------------------------- */

static void print_instance(const struct gw_compat_instance *instance)
{
	const char *profile = gw_compat_instance_profile(instance), *name, *value;
	char fingerprint[GW_FINGERPRINT_LEN + 1];

	gw_check_fingerprint(instance, NULL, fingerprint);
	printf("  an instance of %s", gw_compat_instance_model(instance));
	printf("%s%s\n    fingerprint %s\n", profile ? ", profile " : "", profile ? profile : "",
	       fingerprint);
	for (unsigned i = 0; (name = gw_compat_instance_param(instance, i, &value)); i++)
		printf("    %-24s %s\n", name, value);
	for (unsigned i = 0; (name = gw_compat_instance_unset(instance, i)); i++)
		printf("    %-24s not decided yet\n", name);
	for (unsigned i = 0; (name = gw_compat_instance_requires(instance, i)); i++)
		printf("    requires %s\n", name);
}

static void print_param(const struct gw_param *param)
{
	char accepted[256], off[GW_PARAM_VALUE_MAX] = "always stated";

	gw_param_describe(param, accepted, sizeof(accepted));
	if (!param->no_off)
		gw_param_format(param, param->off, off);
	printf("    %-24s %-32s off: %s\n", param->name, accepted, off);
}

static const struct gw_param *find_param(const struct gw_model *model, const char *name)
{
	const struct gw_param *param = model->params;

	while (strcmp(param->name, name) != 0)
		param++;
	return param;
}

static void print_profile(const struct gw_model *model, const struct gw_profile *profile)
{
	const char *separator = "";
	char value[GW_PARAM_VALUE_MAX];

	printf("    profile %s%s: ", profile->name,
	       profile->name == model->default_profile ? " (default)" : "");
	for (const struct gw_setting *s = profile->settings; s->name; s++) {
		gw_param_format(find_param(model, s->name), s->value, value);
		printf("%s%s=%s", separator, s->name, value);
		separator = " ";
	}
	printf("\n");
}

static void print_implementation(const struct gw_compat_implementation *implementation)
{
	const char *name = gw_compat_implementation_program(implementation, "name"), *word;
	const char *build = gw_compat_implementation_program(implementation, "build");
	const struct gw_model *model;

	printf("  ");
	gw_cli_print_text(name ? name : "an implementation without a name");
	printf(" ");
	gw_cli_print_text(build ? build : "");
	printf("\n");
	for (unsigned i = 0; (word = gw_compat_implementation_provides(implementation, i)); i++)
		printf("    provides %s\n", word);
	for (unsigned i = 0; (model = gw_compat_implementation_model(implementation, i)); i++) {
		int64_t room = gw_compat_implementation_available(implementation, model);

		printf("  model %s\n", model->name);
		if (room >= 0)
			printf("    room for %" PRId64 "\n", room);
		for (const struct gw_param *p = model->params; p->name; p++)
			print_param(p);
		for (const struct gw_profile *p = model->profiles; p->name; p++)
			print_profile(model, p);
	}
}

static void print_text(const struct gw_what *what, const char *name)
{
	gw_cli_print_text(name);
	printf(": %s\n", what->kind);
	for (unsigned i = 0; i < what->implementation_count; i++)
		print_implementation(what->implementations[i].implementation);
	for (unsigned i = 0; i < what->instance_count; i++)
		print_instance(what->instances[i]);
}

/* -- as documents -------------------------------------------------------------------------- */

static void print_document(json_t *document)
{
	json_dumpf(document, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(document);
}

static json_t *fingerprinted(const struct gw_compat_instance *instance)
{
	json_t *document = gw_compat_instance_json(instance);
	char fingerprint[GW_FINGERPRINT_LEN + 1];

	gw_check_fingerprint(instance, NULL, fingerprint);
	if (document)
		json_object_set_new(document, "fingerprint", json_string(fingerprint));
	return document;
}

/* A running back-end is both: what it could be, with what it is. */
static void print_json(const struct gw_what *what)
{
	for (unsigned i = 0; i < what->implementation_count; i++) {
		json_t *document = json_copy(what->implementations[i].document);
		json_t *instances = json_array();

		for (unsigned k = 0; k < what->instance_count; k++)
			json_array_append_new(instances, fingerprinted(what->instances[k]));
		if (what->instance_count)
			json_object_set(document, "instances", instances);
		json_decref(instances);
		print_document(document);
	}
	for (unsigned i = 0; !what->implementation_count && i < what->instance_count; i++)
		print_document(fingerprinted(what->instances[i]));
}

static int show(const char *name, const struct info_options *given)
{
	struct gw_what *what;

	if (gw_what_read(&what, name, given->sysfs_root))
		return gw_cli_complain("info", GW_EXIT_UNKNOWN);
	if (given->json)
		print_json(what);
	else
		print_text(what, name);
	gw_what_free(what);
	return GW_EXIT_OK;
}

int gw_cli_info(int argc, char **argv)
{
	struct info_options given = {0};
	const struct gw_option_table tables[] = {{"options", options, &given}, {NULL}};
	const struct gw_command_line line = {
		.program = "godwit info",
		.summary = "Show model and parameters of back-end programs, control sockets, "
			   "state files,\ndocuments, mdev parents and devices.",
		.operands = "WHAT...",
		.tables = tables,
	};
	int first, code = GW_EXIT_OK;

	if (gw_options_parse(&line, argc, argv, &first))
		return gw_cli_complain("info", GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (first == argc) {
		gw_fail(EINVAL, "of what? (see --help)");
		return gw_cli_complain("info", GW_EXIT_USAGE);
	}
	for (int i = first; i < argc; i++)
		code |= show(argv[i], &given);
	return code;
}
