/* SPDX-License-Identifier: BSD-3-Clause */
/* model/document.c - untrusted JSON as a document: bounded, and what is wrong with it named. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "godwit/error.h"
#include "model/document.h"
#include "model/syntax.h"

/* Before a parser recurses into it. What is no JSON is counted too, and refused later. */
static bool is_too_deep(const char *text, size_t len)
{
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted) {
			i += text[i] == '\\';
			quoted = i < len && text[i] != '"';
		} else if (text[i] == '"') {
			quoted = true;
		} else if (text[i] == '{' || text[i] == '[') {
			if (++depth > GW_DOCUMENT_DEPTH_MAX)
				return true;
		} else if (depth && (text[i] == '}' || text[i] == ']')) {
			depth--;
		}
	}
	return false;
}

int gw_document_check(const char *name, const json_t *root)
{
	const json_t *format = json_object_get(root, "format");

	if (!json_is_object(root))
		return gw_fail(EBADMSG, "%s: it is no JSON object", name);
	if (!json_is_integer(format))
		return gw_document_wrong(&(struct gw_place){name}, "format", "a number");
	if (json_integer_value(format) != GW_DOCUMENT_FORMAT)
		return gw_fail(EBADMSG, "%s: its format is %lld, %d is what is known here", name,
			       (long long)json_integer_value(format), GW_DOCUMENT_FORMAT);
	return 0;
}

/* Parsers quote what they stumble over, which may be anything. */
static const char *printable(char *text)
{
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c == 127)
			*c = '?';
	return text;
}

int gw_document_parse(json_t **root, const char *name, const char *text, size_t len)
{
	json_error_t error;

	if (len > GW_DOCUMENT_MAX)
		return gw_fail(EFBIG, "%s: %zu bytes, %d are allowed", name, len, GW_DOCUMENT_MAX);
	if (is_too_deep(text, len))
		return gw_fail(EBADMSG, "%s: more than %d objects and arrays in each other", name,
			       GW_DOCUMENT_DEPTH_MAX);
	*root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	return *root ? 0
		     : gw_fail(EBADMSG, "%s: line %d: %s", name, error.line, printable(error.text));
}

int gw_document_load(json_t **root, const char *name, const char *text, size_t len)
{
	json_t *json;
	int err = gw_document_parse(&json, name, text, len);

	if (err)
		return err;
	err = gw_document_check(name, json);
	if (err)
		json_decref(json);
	else
		*root = json;
	return err;
}

int gw_document_wrong(const struct gw_place *place, const char *member, const char *expected)
{
	const char *parts[] = {place->model, place->list, place->item, member};
	char path[2 * GW_MODEL_NAME_MAX + 2 * GW_PARAM_NAME_MAX] = "";
	size_t len = 0;

	if (place->model)
		len = (size_t)snprintf(path, sizeof(path), "models");
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i] && len < sizeof(path))
			len += (size_t)snprintf(path + len, sizeof(path) - len, "%s%s",
						len ? "." : "", parts[i]);
	}
	return gw_fail(EBADMSG, "%s: member '%s' is not %s", place->document, path, expected);
}

bool gw_syntax_prerequisite(const char *text, size_t len)
{
	if (!len || len >= GW_REQUIRE_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 127)
			return false;
	return true;
}
