/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/print.c - what a daemon said, on a terminal or as JSON. */
#include "cli/print.h"
#include "control/control.h"

void gw_cli_put_text(FILE *out, const char *text)
{
	for (; text && *text; text++)
		fputc((unsigned char)*text < ' ' || *text == 127 ? '?' : *text, out);
}

void gw_cli_print_text(const char *text)
{
	gw_cli_put_text(stdout, text);
}

void gw_cli_print_json(const char *path, const char *key, json_t *value)
{
	json_t *line = json_pack("{s:o, s:o}", "socket", gw_control_text(path), key, value);

	if (line)
		json_dumpf(line, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(line);
}

const char *gw_cli_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "unknown";
}

long long gw_cli_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

bool gw_cli_flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}
