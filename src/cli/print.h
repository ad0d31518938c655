/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/print.h - what a daemon said, on a terminal or as JSON. */
#ifndef GW_CLI_PRINT_H
#define GW_CLI_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Nothing in what others said may steer the terminal. NULL is nothing. */
void gw_cli_put_text(FILE *out, const char *text);
void gw_cli_print_text(const char *text); /* on standard output */
/* {"socket": @path, @key: @value} on a line; @value is taken over. */
void gw_cli_print_json(const char *path, const char *key, json_t *value);

/* Members that may be missing, or of another type: "unknown", 0, false. */
const char *gw_cli_text(const json_t *object, const char *key);
long long gw_cli_number(const json_t *object, const char *key);
bool gw_cli_flag(const json_t *object, const char *key);

#endif
