/* SPDX-License-Identifier: BSD-3-Clause */
/* control/request.c - a line from a client to a request, and answers to lines. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "control/control.h"
#include "control/request.h"
#include "godwit/error.h"

/*
 * How deep the line nests. Jansson has a bound of its own, fixed when it was built and some
 * thousand levels deep; ours is looked at before it recurses. On what is no JSON the answer may be
 * wrong, which the parser finds anyway.
 */
static unsigned nesting(const char *line, size_t len)
{
	unsigned depth = 0, deepest = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char c = line[i];

		if (in_string && c == '\\')
			i++; /* whatever is escaped, it does not end the string */
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '{' || c == '['))
			deepest = ++depth > deepest ? depth : deepest;
		else if (!in_string && (c == '}' || c == ']') && depth)
			depth--;
	}
	return deepest;
}

static int parse_json(json_t **root, const char *line, size_t len)
{
	json_error_t error;

	if (nesting(line, len) > GW_CONTROL_DEPTH_MAX)
		return gw_fail(EINVAL, "the request nests deeper than %d levels",
			       GW_CONTROL_DEPTH_MAX);
	*root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (!*root)
		return gw_fail(EINVAL, "no JSON: %s", error.text);
	if (!json_is_object(*root)) {
		json_decref(*root);
		*root = NULL;
		return gw_fail(EINVAL, "a request is a JSON object");
	}
	return 0;
}

static bool is_member(const char *key)
{
	static const char *const known[] = {"execute", "arguments", "id"};

	for (size_t i = 0; i < GW_ARRAY_LEN(known); i++)
		if (!strcmp(key, known[i]))
			return true;
	return false;
}

static int check_members(json_t *root)
{
	const char *key;
	json_t *value;

	json_object_foreach(root, key, value)
	{
		if (!is_member(key))
			return gw_fail(EINVAL, "the request has an unexpected member '%.64s'", key);
	}
	return 0;
}

int gw_request_parse(struct gw_request *request, const char *line, size_t len)
{
	int err;

	*request = (struct gw_request){0};
	err = parse_json(&request->root, line, len);
	if (err)
		return err;
	request->id = json_object_get(request->root, "id");
	request->name = json_string_value(json_object_get(request->root, "execute"));
	request->arguments = json_object_get(request->root, "arguments");
	err = check_members(request->root);
	if (err)
		return err;
	if (!request->name)
		return gw_fail(EINVAL, "the request has no member 'execute' that is a string");
	if (request->arguments && !json_is_object(request->arguments))
		return gw_fail(EINVAL, "'arguments' is not an object");
	return 0;
}

json_t *gw_control_text(const char *text)
{
	json_t *string = json_string(text);
	GW_AUTO_FREE char *plain = NULL;

	if (string)
		return string;
	plain = strdup(text);
	for (char *c = plain; c && *c; c++)
		if ((unsigned char)*c > 127)
			*c = '?';
	return plain ? json_string(plain) : NULL;
}

static json_t *with_id(json_t *reply, json_t *id)
{
	if (reply && id)
		json_object_set(reply, "id", id);
	return reply;
}

json_t *gw_reply_return(json_t *id, json_t *result)
{
	return with_id(json_pack("{s:o}", "return", result ? result : json_object()), id);
}

json_t *gw_reply_error(json_t *id, const char *class, const char *sentence)
{
	return with_id(json_pack("{s:{s:s, s:o}}", "error", "class", class, "desc",
				 gw_control_text(sentence)),
		       id);
}
