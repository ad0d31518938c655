/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/control.c - any bytes as a line on the control socket: always one sane reply. */
#include <stdlib.h>

#include "control/commands.h"
#include "godwit/error.h"
#include "harness.h"

static int echo(void *opaque, const json_t *arguments, json_t **result)
{
	*result = arguments ? json_deep_copy(arguments) : NULL;
	return json_object_size(arguments) == 1 ? gw_fail(1, "one") : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gw_commands commands;
	struct gw_later *later;
	bool negotiated = false;
	json_t *reply;
	char *text;

	if (!commands.count)
		gw_commands_add(&commands, "echo", echo, NULL);
	reply = gw_commands_answer(&commands, (const char *)data, size, &negotiated, &later);
	text = json_dumps(reply, JSON_COMPACT);
	if (!text || !json_object_get(reply, "return") == !json_object_get(reply, "error"))
		abort();
	free(text);
	json_decref(reply);
	return 0;
}
