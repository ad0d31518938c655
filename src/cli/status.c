/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/status.c - `godwit status`: what back-ends are doing, for people or as JSON. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "cli/ask.h"
#include "cli/command.h"
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

/* A daemon's text on a terminal: nothing in it may steer the terminal. */
static void print_text(const char *text)
{
	for (; text && *text; text++)
		putchar((unsigned char)*text < ' ' || *text == 127 ? '?' : *text);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "unknown";
}

static long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static void print_ring(const json_t *ring)
{
	printf("    ring %-10lld", number_of(ring, "index"));
	if (is_true(ring, "started"))
		printf("started");
	else
		printf("stopped at %lld", number_of(ring, "base"));
	printf(", %s", is_true(ring, "enabled") ? "enabled" : "disabled");
	printf(", %lld in flight", number_of(ring, "in_flight"));
	if (number_of(ring, "parked"))
		printf(", %lld parked", number_of(ring, "parked"));
	printf("%s\n", is_true(ring, "broken") ? ", broken" : "");
}

static void print_stop(const json_t *stop)
{
	printf("    waiting        ring %lld drains for ", number_of(stop, "ring"));
	print_text(text_of(stop, "for"));
	printf(", %lld in flight\n", number_of(stop, "in_flight"));
}

static void print_transfer(const json_t *transfer)
{
	const char *reason = text_of(transfer, "reason");

	if (!json_is_object(transfer))
		return;
	printf("    last ");
	print_text(text_of(transfer, "direction"));
	printf("      ");
	print_text(text_of(transfer, "result"));
	printf(", %lld bytes in %lld ms", number_of(transfer, "bytes"), number_of(transfer, "ms"));
	if (*text_of(transfer, "id")) {
		printf(", id ");
		print_text(text_of(transfer, "id"));
	}
	if (*reason && strcmp(reason, "unknown") != 0) {
		printf("\n                   ");
		print_text(reason);
	}
	printf("\n");
}

static void print_list(const json_t *list, void (*print)(const json_t *item))
{
	for (size_t i = 0; i < json_array_size(list); i++)
		print(json_array_get(list, i));
}

static void print_session(const json_t *session)
{
	printf("  ");
	print_text(text_of(session, "device"));
	printf(": ");
	print_text(text_of(session, "device_state"));
	printf(", transfer ");
	print_text(text_of(session, "transfer_state"));
	printf(", %s\n    model          ",
	       is_true(session, "connected") ? "connected" : "not connected");
	print_text(text_of(session, "model"));
	printf("\n");
	print_list(json_object_get(session, "rings"), print_ring);
	print_list(json_object_get(session, "stopping"), print_stop);
	print_transfer(json_object_get(session, "last_transfer"));
}

static void print_status(const char *path, const json_t *status)
{
	long long connections = number_of(status, "connections");

	printf("%s: ", path);
	print_text(text_of(status, "program"));
	printf(" ");
	print_text(text_of(status, "version"));
	printf(", %lld connection%s\n", connections, connections == 1 ? "" : "s");
	print_list(json_object_get(status, "sessions"), print_session);
}

static void print_json(const char *path, const char *key, json_t *value)
{
	json_t *line = json_pack("{s:o, s:o}", "socket", gw_control_text(path), key, value);

	if (line)
		json_dumpf(line, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(line);
}

static int show(const char *path, bool json)
{
	json_t *status = NULL;
	int err = gw_cli_ask(path, "query-status", &status);

	if (err && json)
		print_json(path, "error", gw_control_text(gw_last_error()));
	if (err)
		return gw_cli_complain("status", GW_EXIT_FAILED);
	if (json) {
		print_json(path, "status", status);
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
