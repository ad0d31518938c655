/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/status.c - `godwit status`: what back-ends are doing, for people or as JSON. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/options.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/print.h"
#include "control/control.h"
#include "godwit/error.h"

struct status_options {
	bool json, help;
};

static const struct gw_option options[] = {
	{"json", NULL, "one JSON object a line and socket", offsetof(struct status_options, json),
	 GW_OPTION_FLAG},
	{"help", NULL, "print this", offsetof(struct status_options, help), GW_OPTION_FLAG,
	 .letter = 'h'},
	{NULL},
};

static void print_ring(const json_t *ring)
{
	printf("    ring %-10lld", gw_cli_number(ring, "index"));
	if (gw_cli_flag(ring, "started"))
		printf("started");
	else
		printf("stopped at %lld", gw_cli_number(ring, "base"));
	printf(", %s", gw_cli_flag(ring, "enabled") ? "enabled" : "disabled");
	printf(", %lld in flight", gw_cli_number(ring, "in_flight"));
	if (gw_cli_number(ring, "parked"))
		printf(", %lld parked", gw_cli_number(ring, "parked"));
	printf("%s\n", gw_cli_flag(ring, "broken") ? ", broken" : "");
}

static void print_stop(const json_t *stop)
{
	printf("    waiting        ring %lld drains for ", gw_cli_number(stop, "ring"));
	gw_cli_print_text(gw_cli_text(stop, "for"));
	printf(", %lld in flight, for %lld ms\n", gw_cli_number(stop, "in_flight"),
	       gw_cli_number(stop, "ms"));
}

/* "stop_us": 1234 as "stop 1.234 ms". */
static void print_phases(const json_t *phases)
{
	const char *separator = "                   ", *name;
	json_t *value;

	json_object_foreach((json_t *)phases, name, value)
	{
		long long us = json_integer_value(value);
		char word[16];

		snprintf(word, sizeof(word), "%.*s", (int)strcspn(name, "_"), name);
		printf("%s", separator);
		gw_cli_print_text(word);
		printf(" %lld.%03lld ms", us / 1000, us % 1000);
		separator = ", ";
	}
	printf("%s", json_object_size(phases) ? "\n" : "");
}

static void print_transfer(const json_t *transfer)
{
	const char *reason = gw_cli_text(transfer, "reason");

	if (!json_is_object(transfer))
		return;
	printf("    last ");
	gw_cli_print_text(gw_cli_text(transfer, "direction"));
	printf("      ");
	gw_cli_print_text(gw_cli_text(transfer, "result"));
	printf(", %lld bytes in %lld ms", gw_cli_number(transfer, "bytes"),
	       gw_cli_number(transfer, "ms"));
	if (*gw_cli_text(transfer, "id")) {
		printf(", id ");
		gw_cli_print_text(gw_cli_text(transfer, "id"));
	}
	if (*reason && strcmp(reason, "unknown") != 0) {
		printf("\n                   ");
		gw_cli_print_text(reason);
	}
	printf("\n");
	print_phases(json_object_get(transfer, "phases"));
}

/* What the device says of itself: numbers and flags one a line; the rest is for --json. */
static void print_details(const json_t *details)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)details, name, value)
	{
		if (!json_is_integer(value) && !json_is_boolean(value))
			continue;
		printf("    ");
		gw_cli_print_text(name);
		printf("%*s", (int)GW_MAX(1, 15 - (int)strlen(name)), "");
		if (json_is_integer(value))
			printf("%lld\n", (long long)json_integer_value(value));
		else
			printf("%s\n", json_is_true(value) ? "yes" : "no");
	}
}

static void print_list(const json_t *list, void (*print)(const json_t *item))
{
	for (size_t i = 0; i < json_array_size(list); i++)
		print(json_array_get(list, i));
}

/* How it may migrate, and what it needs to be told. */
static void print_migration(const json_t *migration)
{
	const json_t *waits = json_object_get(migration, "waits");

	if (!json_is_object(migration))
		return;
	printf("    migration      ");
	gw_cli_print_text(gw_cli_text(migration, "mode"));
	if (json_is_string(json_object_get(migration, "outcome"))) {
		printf(", the last save ");
		gw_cli_print_text(gw_cli_text(migration, "outcome"));
	}
	printf("\n");
	if (!json_is_object(waits))
		return;
	printf("    waiting        for the ");
	gw_cli_print_text(gw_cli_text(waits, "for"));
	printf(" of ");
	gw_cli_print_text(gw_cli_text(waits, "id"));
	printf(", for %lld ms; in %lld ms: ", gw_cli_number(waits, "ms"),
	       gw_cli_number(waits, "left_ms"));
	gw_cli_print_text(gw_cli_text(waits, "then"));
	printf("\n");
}

static void print_session(const json_t *session)
{
	printf("  ");
	gw_cli_print_text(gw_cli_text(session, "device"));
	printf(": ");
	gw_cli_print_text(gw_cli_text(session, "device_state"));
	printf(", transfer ");
	gw_cli_print_text(gw_cli_text(session, "transfer_state"));
	printf(", %s\n    model          ",
	       gw_cli_flag(session, "connected") ? "connected" : "not connected");
	gw_cli_print_text(gw_cli_text(session, "model"));
	printf("\n");
	print_migration(json_object_get(session, "migration"));
	print_list(json_object_get(session, "rings"), print_ring);
	print_list(json_object_get(session, "stopping"), print_stop);
	print_details(json_object_get(session, "details"));
	print_transfer(json_object_get(session, "last_transfer"));
}

static void print_status(const char *path, const json_t *status)
{
	long long connections = gw_cli_number(status, "connections");

	printf("%s: ", path);
	gw_cli_print_text(gw_cli_text(status, "program"));
	printf(" ");
	gw_cli_print_text(gw_cli_text(status, "version"));
	printf(", %lld connection%s\n", connections, connections == 1 ? "" : "s");
	print_list(json_object_get(status, "sessions"), print_session);
}

static int show(const char *path, bool json)
{
	json_t *status = NULL;
	int err = gw_cli_ask(path, "query-status", &status);

	if (err && json)
		gw_cli_print_json(path, "error", gw_control_text(gw_last_error()));
	if (err)
		return gw_cli_complain("status", GW_EXIT_FAILED);
	if (json) {
		gw_cli_print_json(path, "status", status);
		return GW_EXIT_OK;
	}
	print_status(path, status);
	json_decref(status);
	return GW_EXIT_OK;
}

int gw_cli_status(int argc, char **argv)
{
	struct status_options given = {0};
	const struct gw_option_table tables[] = {{"options", options, &given}, {NULL}};
	const struct gw_command_line line = {
		.program = "godwit status",
		.summary = "Ask the control sockets of back-ends what they are doing.",
		.operands = "CONTROL-SOCKET...",
		.tables = tables,
	};
	int first, code = GW_EXIT_OK;

	if (gw_options_parse(&line, argc, argv, &first))
		return gw_cli_complain("status", GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (first == argc) {
		gw_fail(EINVAL, "which control socket? (see --help)");
		return gw_cli_complain("status", GW_EXIT_USAGE);
	}
	for (int i = first; i < argc; i++)
		code |= show(argv[i], given.json);
	return code;
}
