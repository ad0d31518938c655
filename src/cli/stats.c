/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/stats.c - `godwit stats`: counters of a back-end, as Prometheus reads them. */
#include <stdio.h>

#include "base/options.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "godwit/error.h"

struct stats_options {
	const char *socket;
	bool help;
};

#define AT(member) offsetof(struct stats_options, member)
static const struct gw_option options[] = {
	{"control-socket", "PATH", "of the back-end", AT(socket), GW_OPTION_STRING,
	 .required = true},
	{"help", NULL, "print this", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{NULL},
};

static int show(const char *path)
{
	json_t *result = NULL;
	int err = gw_cli_ask(path, "query-stats", &result);
	const char *text = json_string_value(json_object_get(result, "text"));

	if (!err && !text)
		err = gw_fail(EPROTO, "%s: it told no text", path);
	if (!err && (fputs(text, stdout) < 0 || fflush(stdout)))
		err = gw_fail(EIO, "standard output: it cannot be written");
	json_decref(result);
	return err ? gw_cli_complain("stats", GW_EXIT_FAILED) : GW_EXIT_OK;
}

int gw_cli_stats(int argc, char **argv)
{
	struct stats_options given = {0};
	const struct gw_option_table tables[] = {{"options", options, &given}, {NULL}};
	const struct gw_command_line line = {
		.program = "godwit stats",
		.summary = "Print the counters of a back-end as Prometheus reads them.",
		.tables = tables,
	};

	if (gw_options_parse(&line, argc, argv, NULL))
		return gw_cli_complain("stats", GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	return show(given.socket);
}
