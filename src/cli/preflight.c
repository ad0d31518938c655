/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/preflight.c - `godwit preflight`: would it survive a move, and how long would that take? */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/print.h"
#include "godwit/error.h"

/* It looks at every file that the guest knows. */
#define PATIENCE_S 600
#define US_PER_S   1000000

struct preflight_options {
	const char *socket;
	const char *bandwidth;
	bool json, help;
};

#define AT(member) offsetof(struct preflight_options, member)
static const struct gw_option options[] = {
	{"control-socket", "PATH", "of the back-end", AT(socket), GW_OPTION_STRING,
	 .required = true},
	{"bandwidth", "RATE", "bytes a second of the migration; with K, M, G", AT(bandwidth),
	 GW_OPTION_STRING},
	{"json", NULL, "all that the back-end says, as one JSON object", AT(json), GW_OPTION_FLAG},
	{"help", NULL, "print this", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{NULL},
};

/* "100M", "100M/s" */
static int parse_bandwidth(const char *text, uint64_t *bandwidth)
{
	static const char units[] = "KMG";
	const char *unit;
	char *end = NULL;
	double value = text ? strtod(text, &end) : 0;

	*bandwidth = 0;
	if (!text)
		return 0;
	unit = *end ? strchr(units, *end) : NULL;
	for (int i = 0; unit && i <= unit - units; i++)
		value *= 1024;
	end += unit != NULL;
	if (!(value >= 1 && value < 1e15) || (*end && strcmp(end, "/s")))
		return gw_fail(EINVAL, "option --bandwidth: '%s' is no number of bytes a second",
			       text);
	*bandwidth = (uint64_t)value;
	return 0;
}

static long long on_its_way_us(long long bytes, uint64_t bandwidth)
{
	return bandwidth ? (long long)((double)bytes * US_PER_S / (double)bandwidth) : 0;
}

static void print_ms(long long us)
{
	printf("%lld.%03lld ms", us / 1000, us % 1000);
}

static void print_obstacles(const json_t *session)
{
	const json_t *list = json_object_get(session, "cannot_travel");
	long long more = gw_cli_number(session, "cannot_travel_left_out");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *obstacle = json_array_get(list, i);

		printf("    ");
		gw_cli_print_text(gw_cli_text(obstacle, "kind"));
		printf(" ");
		gw_cli_print_text(gw_cli_text(obstacle, "path"));
		printf(": ");
		gw_cli_print_text(gw_cli_text(obstacle, "reason"));
		printf("\n");
	}
	if (more)
		printf("    and %lld more\n", more);
}

static void print_sizes(const json_t *session, uint64_t bandwidth)
{
	long long state = gw_cli_number(session, "state_bytes");
	long long orphans = gw_cli_number(session, "orphan_bytes");

	printf("  state          %lld bytes, %lld of them of files without a name\n", state,
	       orphans);
	if (gw_cli_number(session, "unsynced_files"))
		printf("  unsynced       %lld open files\n",
		       gw_cli_number(session, "unsynced_files"));
	if (gw_cli_number(session, "locks"))
		printf("  locks          %lld\n", gw_cli_number(session, "locks"));
	if (gw_cli_number(session, "lost"))
		printf("  lost           %lld inodes that are gone already\n",
		       gw_cli_number(session, "lost"));
	printf("  blackout       about ");
	print_ms(gw_cli_number(session, "blackout_us") + on_its_way_us(state, bandwidth));
	if (bandwidth) {
		printf(", of which ");
		print_ms(on_its_way_us(orphans, bandwidth));
		printf(" for files without a name");
	}
	printf("%s\n                 ", bandwidth ? "" : ", and what the bytes take on their way");
	gw_cli_print_text(gw_cli_text(session, "estimate"));
	printf("\n");
}

static void print_session(const json_t *session, uint64_t bandwidth)
{
	printf("%s\n",
	       gw_cli_flag(session, "can_travel") ? "it can move" : "it cannot move as it is:");
	print_obstacles(session);
	print_sizes(session, bandwidth);
}

/* "No" only if a back-end said so: an answer that cannot be read is no answer. */
static int judge(const json_t *result, int *code)
{
	const json_t *sessions = json_object_get(result, "sessions");

	if (!json_array_size(sessions))
		return gw_fail(EPROTO, "the back-end told of no device");
	*code = GW_EXIT_OK;
	for (size_t i = 0; i < json_array_size(sessions); i++) {
		const json_t *can = json_object_get(json_array_get(sessions, i), "can_travel");

		if (!json_is_boolean(can))
			return gw_fail(EPROTO, "the back-end did not tell whether it can move");
		if (!json_is_true(can))
			*code = GW_EXIT_FAILED;
	}
	return 0;
}

static int show(const struct preflight_options *given, uint64_t bandwidth)
{
	json_t *result = NULL;
	int code = GW_EXIT_UNKNOWN;
	int err = gw_cli_ask_long(given->socket, "preflight", PATIENCE_S, &result);

	if (!err)
		err = judge(result, &code);
	if (err && given->json)
		gw_cli_print_json(given->socket, "error", json_string(gw_last_error()));
	if (!err && given->json)
		gw_cli_print_json(given->socket, "preflight", json_incref(result));
	for (size_t i = 0;
	     !err && !given->json && i < json_array_size(json_object_get(result, "sessions")); i++)
		print_session(json_array_get(json_object_get(result, "sessions"), i), bandwidth);
	json_decref(result);
	return err ? gw_cli_complain("preflight", GW_EXIT_UNKNOWN) : code;
}

int gw_cli_preflight(int argc, char **argv)
{
	struct preflight_options given = {0};
	const struct gw_option_table tables[] = {{"options", options, &given}, {NULL}};
	const struct gw_command_line line = {
		.program = "godwit preflight",
		.summary = "Ask a back-end what would not survive a migration now.",
		.tables = tables,
	};
	uint64_t bandwidth;

	if (gw_options_parse(&line, argc, argv, NULL))
		return gw_cli_complain("preflight", GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (parse_bandwidth(given.bandwidth, &bandwidth))
		return gw_cli_complain("preflight", GW_EXIT_USAGE);
	return show(&given, bandwidth);
}
