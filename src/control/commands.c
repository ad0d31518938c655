/* SPDX-License-Identifier: BSD-3-Clause */
/* control/commands.c - the commands that were registered, and the answer to a line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "control/commands.h"
#include "control/request.h"
#include "godwit/error.h"

/* Those that the server itself answers. */
typedef int builtin_fn(const struct gw_commands *commands, const json_t *arguments,
		       bool *negotiated, json_t **result);

static int qmp_capabilities(const struct gw_commands *commands, const json_t *arguments,
			    bool *negotiated, json_t **result)
{
	/* The greeting offers none, so that none can be enabled. */
	if (json_array_size(json_object_get(arguments, "enable")))
		return gw_fail(EINVAL, "there are no capabilities to enable");
	*negotiated = true;
	return 0;
}

static int query_commands(const struct gw_commands *commands, const json_t *arguments,
			  bool *negotiated, json_t **result);

static const struct {
	const char *name;
	builtin_fn *fn;
} builtins[] = {
	{"qmp_capabilities", qmp_capabilities},
	{"query-commands", query_commands},
};

static int query_commands(const struct gw_commands *commands, const json_t *arguments,
			  bool *negotiated, json_t **result)
{
	*result = json_array();
	for (size_t i = 0; i < GW_ARRAY_LEN(builtins); i++)
		json_array_append_new(*result, json_pack("{s:s}", "name", builtins[i].name));
	for (unsigned i = 0; i < commands->count; i++)
		json_array_append_new(*result, json_pack("{s:s}", "name", commands->list[i].name));
	return 0;
}

static builtin_fn *find_builtin(const char *name)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(builtins); i++)
		if (!strcmp(builtins[i].name, name))
			return builtins[i].fn;
	return NULL;
}

static const struct gw_command *find(const struct gw_commands *commands, const char *name)
{
	for (unsigned i = 0; i < commands->count; i++)
		if (!strcmp(commands->list[i].name, name))
			return &commands->list[i];
	return NULL;
}

int gw_commands_add(struct gw_commands *commands, const char *name, gw_control_fn *fn, void *opaque)
{
	if (find_builtin(name) || find(commands, name))
		return gw_fail(EEXIST, "control command %s is there already", name);
	if (commands->count == GW_CONTROL_COMMANDS_MAX)
		return gw_fail(ENOSPC, "no room for control command %s", name);
	commands->list[commands->count++] = (struct gw_command){name, fn, opaque};
	return 0;
}

static json_t *failed(const struct gw_request *request, int err)
{
	const char *sentence = gw_last_error();

	return gw_reply_error(request->id, "GenericError", *sentence ? sentence : strerror(-err));
}

void gw_later_free(struct gw_later *later)
{
	if (!later)
		return;
	json_decref(later->id);
	free(later);
}

static json_t *postpone(const struct gw_commands *commands, const struct gw_request *request)
{
	commands->later->id = json_incref(request->id);
	return NULL;
}

static json_t *execute(struct gw_commands *commands, const struct gw_request *request,
		       bool *negotiated)
{
	const struct gw_command *command = find(commands, request->name);
	builtin_fn *builtin = find_builtin(request->name);
	json_t *result = NULL;
	int err;

	if (!command && !builtin) {
		gw_fail(ENOENT, "there is no command '%.64s'", request->name);
		return gw_reply_error(request->id, "CommandNotFound", gw_last_error());
	}
	gw_fail(0, "%s", ""); /* no sentence of an earlier failure */
	if (builtin)
		err = builtin(commands, request->arguments, negotiated, &result);
	else
		err = command->fn(command->opaque, request->arguments, &result);
	if (err == GW_CONTROL_LATER)
		return postpone(commands, request);
	if (!err)
		return gw_reply_return(request->id, result);
	json_decref(result);
	return failed(request, err);
}

json_t *gw_commands_answer(struct gw_commands *commands, const char *line, size_t len,
			   bool *negotiated, struct gw_later **later)
{
	struct gw_request request;
	int err = gw_request_parse(&request, line, len);
	json_t *reply = err ? failed(&request, err) : execute(commands, &request, negotiated);

	*later = gw_take_ptr(commands->later);
	if (reply) { /* it was not needed after all */
		gw_later_free(*later);
		*later = NULL;
	}
	json_decref(request.root);
	return reply;
}
