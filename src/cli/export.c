/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/export.c - `godwit export`: what a host can be, for schedulers that exist. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "cli/command.h"
#include "cli/export/export.h"
#include "cli/what/what.h"
#include "godwit/error.h"

#define OPERANDS_MAX 64 /* back-ends of one host */

struct export_options {
	bool selector, help;
	const char *profile, *model, *node, *expiry, *sysfs_root;
	unsigned generation;
	struct gw_texts aliases;
};

#define AT(member) offsetof(struct export_options, member)
static const struct gw_option options[] = {
	{"selector", NULL, "what asks for such a host: WHAT is an instance", AT(selector),
	 GW_OPTION_FLAG},
	{"profile", "NAME", "with --selector: as this profile makes it", AT(profile),
	 GW_OPTION_STRING},
	{"model", "NAME", "and it has several models: of this one", AT(model), GW_OPTION_STRING},
	{"alias", "PAIR", "MODEL=ALIAS: what a model is called", AT(aliases), GW_OPTION_LIST},
	{"node", "NAME", "dra: the node that it is about", AT(node), GW_OPTION_STRING},
	{"generation", "N", "dra, placement: of pool or provider [0]", AT(generation),
	 GW_OPTION_NUMBER, .max = 1u << 30},
	{"expiry", "TIME", "nfd: when it is out of date, RFC 3339", AT(expiry), GW_OPTION_STRING},
	{"sysfs-root", "DIR", "where mdev parents are looked for [/sys]", AT(sysfs_root),
	 GW_OPTION_STRING},
	{"help", NULL, "print this", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{NULL},
};

static const struct gw_export_format *const formats[] = {&gw_export_nfd, &gw_export_labels,
							 &gw_export_dra, &gw_export_placement};

static const struct gw_export_format *find_format(const char *name)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(formats); i++)
		if (!strcmp(formats[i]->name, name))
			return formats[i];
	return NULL;
}

/* "2026-09-01T00:00:00Z" */
static bool is_time(const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
	size_t i = 0;

	for (; text[i] && form[i]; i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	return !text[i] && !form[i];
}

static int check_options(const struct export_options *given)
{
	if (given->expiry && !is_time(given->expiry))
		return gw_fail(EINVAL, "option --expiry: '%.32s' is not like 2026-09-01T00:00:00Z",
			       given->expiry);
	if ((given->profile || given->model) && !given->selector)
		return gw_fail(EINVAL, "options --profile and --model go with --selector");
	return given->node ? gw_export_node_check(given->node) : 0;
}

/* What nobody decided yet may become anything, and no token says that. */
static int check_decided(const struct gw_compat_instance *instance)
{
	const char *unset = gw_compat_instance_unset(instance, 0);

	return unset ? gw_fail(EOPNOTSUPP, "%s: parameter %s is not decided yet",
			       gw_compat_instance_name(instance), unset)
		     : 0;
}

/* A selector that cannot be made is no answer: whoever schedules without it must not think so. */
static int select_hosts(struct gw_what *what, const char *name,
			const struct gw_export_format *format, struct gw_export *export,
			const struct export_options *given)
{
	if (given->profile && gw_what_take_profile(what, name, given->model, given->profile))
		return gw_cli_complain("export", GW_EXIT_UNKNOWN);
	export->instance = gw_what_instance(what, name);
	if (!export->instance || check_decided(export->instance))
		return gw_cli_complain("export", GW_EXIT_UNKNOWN);
	export->profile =
		given->profile ? given->profile : gw_compat_instance_profile(export->instance);
	return format->selector(export) ? gw_cli_complain("export", GW_EXIT_UNKNOWN) : GW_EXIT_OK;
}

static int tell_host(const struct gw_export_format *format, struct gw_export *export,
		     char *const *names)
{
	for (unsigned i = 0; i < export->what_count; i++)
		if (!export->whats[i]->implementation_count) {
			gw_fail(EINVAL, "%s: it is an instance, and no implementation", names[i]);
			return gw_cli_complain("export", GW_EXIT_UNKNOWN);
		}
	return format->host(export) ? gw_cli_complain("export", GW_EXIT_FAILED) : GW_EXIT_OK;
}

static int run(const struct gw_export_format *format, char *const *names, unsigned count,
	       const struct export_options *given)
{
	struct gw_what *whats[OPERANDS_MAX];
	struct gw_export export = {.whats = whats,
				   .aliases = &given->aliases,
				   .node = given->node,
				   .expiry = given->expiry,
				   .generation = given->generation,
				   .out = stdout};
	int err = 0, code;

	while (export.what_count < count && !err) {
		err = gw_what_read(&whats[export.what_count], names[export.what_count],
				   given->sysfs_root);
		export.what_count += !err;
	}
	if (err)
		code = gw_cli_complain("export", GW_EXIT_UNKNOWN);
	else
		code = given->selector ? select_hosts(whats[0], names[0], format, &export, given)
				       : tell_host(format, &export, names);
	while (export.what_count)
		gw_what_free(whats[--export.what_count]);
	return code;
}

int gw_cli_export(int argc, char **argv)
{
	struct export_options given = {0};
	const struct gw_option_table tables[] = {{"options", options, &given}, {NULL}};
	const struct gw_command_line line = {
		.program = "godwit export",
		.summary = "What a host can be, in the words of a scheduler: nfd, labels, dra, "
			   "placement.",
		.operands = "FORMAT WHAT...",
		.tables = tables,
	};
	int first;

	if (gw_options_parse(&line, argc, argv, &first))
		return gw_cli_complain("export", GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (argc - first < 2 || !find_format(argv[first]) ||
	    argc - first - 1 > (given.selector ? 1 : OPERANDS_MAX)) {
		gw_fail(EINVAL, "nfd, labels, dra or placement, and of what? (see --help)");
		return gw_cli_complain("export", GW_EXIT_USAGE);
	}
	if (check_options(&given))
		return gw_cli_complain("export", GW_EXIT_USAGE);
	return run(find_format(argv[first]), argv + first + 1, (unsigned)(argc - first - 1),
		   &given);
}
