/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/ask.c - one question to a daemon's control socket. */
#include <errno.h>

#include "cli/ask.h"
#include "cli/qmp/qmp.h"
#include "godwit/error.h"

#define PATIENCE_S 10

/* @arguments is taken over. Who asked several daemons has to see which one refused. */
static int converse(const char *path, const char *command, json_t *arguments, int given,
		    unsigned seconds, json_t **result)
{
	struct gw_qmp_group group = {.signals = -1, .patience = seconds};
	struct gw_qmp *qmp;
	int err = gw_qmp_open(&qmp, &group, path);

	if (err) {
		json_decref(arguments);
		return err;
	}
	err = gw_qmp_execute_with(qmp, command, arguments, given, 1, result);
	gw_qmp_close(qmp);
	return err == -EREMOTEIO ? gw_fail_in(err, "%s", path) : err;
}

int gw_cli_ask(const char *path, const char *command, json_t **result)
{
	return converse(path, command, NULL, -1, PATIENCE_S, result);
}

int gw_cli_ask_long(const char *path, const char *command, unsigned seconds, json_t **result)
{
	return converse(path, command, NULL, -1, seconds, result);
}

int gw_cli_ask_with(const char *path, const char *command, int given, unsigned seconds,
		    json_t **result)
{
	return converse(path, command, NULL, given, seconds, result);
}

int gw_cli_ask_about(const char *path, const char *command, json_t *arguments, unsigned seconds,
		     json_t **result)
{
	return converse(path, command, json_incref(arguments), -1, seconds, result);
}
