/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/ask.h - one question to a daemon's control socket. */
#ifndef GW_CLI_ASK_H
#define GW_CLI_ASK_H

#include <jansson.h>

/*
 * Connect to the control socket at @path, execute @command, store what it returns in *@result (a
 * new reference). Events are passed over. -EREMOTEIO with the daemon's own sentence if it refuses,
 * -EOPNOTSUPP if it knows no such command, -EPROTO if it does not speak as docs/control.md says,
 * -ETIMEDOUT after ten seconds without an answer.
 */
int gw_cli_ask(const char *path, const char *command, json_t **result);
/* The same with more patience. */
int gw_cli_ask_long(const char *path, const char *command, unsigned seconds, json_t **result);
/* The same, and the descriptor @given (borrowed; -1: none) goes with the request. */
int gw_cli_ask_with(const char *path, const char *command, int given, unsigned seconds,
		    json_t **result);

/* The same with @arguments (borrowed), and without a descriptor. */
int gw_cli_ask_about(const char *path, const char *command, json_t *arguments, unsigned seconds,
		     json_t **result);

#endif
