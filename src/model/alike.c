/* SPDX-License-Identifier: BSD-3-Clause */
/* model/alike.c - models that were read before, known again by their text. */
/*
 * Hosts of a fleet differ in a few lines (boot, backing, room), and in their models hardly ever,
 * which are nine tenths of a document, and more of the work to read it. A JSON object ends where it
 * ends: where a text goes on with one that was whole elsewhere, that one stands here, too. So what
 * is read is the document with {} in its place. Whatever that leads to but success is nobody's
 * answer: then the document is read as if nothing had been known.
 */
#include "model/alike.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "model/compat.h"

#define KNOWN_MAX     64	   /* texts, for each of which an unknown one is compared */
#define KNOWN_BYTES   (512 * 1024) /* of all of them */
#define KNOWN_LEN_MAX (64 * 1024)  /* of one that is worth keeping */
#define STRANGERS_MAX 64	   /* in a row: in this fleet hardly anything is alike */
#define STRANGERS_ONE 16	   /* of so many is looked at then */
#define MEMBER	      "\"models\""

struct known {
	char *text; /* an object, from { to } */
	size_t len;
	struct gw_compat_implementation *models;
};

struct gw_alike {
	unsigned count;
	struct known known[KNOWN_MAX]; /* what was met last is first */
	size_t bytes;
	unsigned strangers; /* in a row */
};

int gw_alike_new(struct gw_alike **alike)
{
	*alike = calloc(1, sizeof(**alike));
	return *alike ? 0 : gw_fail(ENOMEM, "no memory for models");
}

static void forget_last(struct gw_alike *alike)
{
	struct known *known = &alike->known[--alike->count];

	alike->bytes -= known->len;
	free(known->text);
	gw_compat_implementation_free(known->models);
}

void gw_alike_free(struct gw_alike *alike)
{
	while (alike && alike->count)
		forget_last(alike);
	free(alike);
}

/* -- where in a text ----------------------------------------------------------------------- */

static size_t skip_space(const char *text, size_t len, size_t at)
{
	while (at < len &&
	       (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n'))
		at++;
	return at;
}

/* Behind the string that begins at @at; @len if it does not end. */
static size_t skip_string(const char *text, size_t len, size_t at)
{
	for (at++; at < len && text[at] != '"'; at++)
		at += text[at] == '\\';
	return at < len ? at + 1 : len;
}

/* Behind the object or array that begins at @at; @len if it does not end. */
static size_t skip_nested(const char *text, size_t len, size_t at)
{
	unsigned depth = 0;

	while (at < len) {
		char c = text[at];

		at = c == '"' ? skip_string(text, len, at) : at + 1;
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		if (!depth)
			return at;
	}
	return len;
}

/* Where the object "models" of the outermost object begins; @len: nowhere, as far as can be seen.
 */
static size_t find_models(const char *text, size_t len)
{
	size_t at = skip_space(text, len, 0);

	if (at == len || text[at++] != '{')
		return len;
	while (at < len) {
		size_t end = text[at] == '"' ? skip_string(text, len, at) : at + 1;

		if (text[at] == '{' || text[at] == '[') {
			at = skip_nested(text, len, at);
			continue;
		}
		if (end - at == strlen(MEMBER) && !memcmp(text + at, MEMBER, strlen(MEMBER))) {
			end = skip_space(text, len, end);
			if (end < len && text[end] == ':') {
				end = skip_space(text, len, end + 1);
				return end < len && text[end] == '{' ? end : len;
			}
		}
		at = end;
	}
	return len;
}

/* -- known --------------------------------------------------------------------------------- */

/* Goes to the front if it is there; NULL if not. */
static const struct known *recall(struct gw_alike *alike, const char *text, size_t len)
{
	for (unsigned i = 0; i < alike->count; i++) {
		struct known found = alike->known[i];

		if (found.len > len || memcmp(found.text, text, found.len) != 0)
			continue;
		memmove(alike->known + 1, alike->known, i * sizeof(found));
		alike->known[0] = found;
		return &alike->known[0];
	}
	return NULL;
}

/* Those that were met longest ago make room. No memory: nothing is kept. */
static void keep(struct gw_alike *alike, struct gw_compat_implementation *models, const char *text,
		 size_t len)
{
	struct known known = {.len = len, .models = models};

	if (len > KNOWN_LEN_MAX)
		return;
	known.text = malloc(len);
	if (!known.text)
		return;
	memcpy(known.text, text, len);
	models->holders++;
	while (alike->count == KNOWN_MAX || alike->bytes + len > KNOWN_BYTES)
		forget_last(alike);
	memmove(alike->known + 1, alike->known, alike->count * sizeof(known));
	alike->known[0] = known;
	alike->count++;
	alike->bytes += len;
}

/* What is around the models, read; true if all is well, and *@root then is to be released. */
static bool read_around(json_t **root, const char *name, const char *text, size_t len, size_t at,
			size_t models_len)
{
	static const char in_its_place[] = {'{', '}'};
	size_t behind = at + models_len, rest = len - behind, hole = sizeof(in_its_place);
	GW_AUTO_FREE char *around = malloc(at + hole + rest);
	const json_t *models;

	if (!around || len > GW_DOCUMENT_MAX)
		return false;
	memcpy(around, text, at);
	memcpy(around + at, in_its_place, hole);
	memcpy(around + at + hole, text + behind, rest);
	if (gw_document_load(root, name, around, at + hole + rest))
		return false;
	models = json_object_get(*root, "models");
	if (json_is_object(models) && !json_object_size(models))
		return true;
	json_decref(*root);
	return false;
}

static bool parse_around(const struct known *known,
			 struct gw_compat_implementation **implementation, const char *name,
			 const char *text, size_t len, size_t at)
{
	struct gw_compat_implementation *made = NULL;
	json_t *root;
	int err;

	if (!read_around(&root, name, text, len, at, known->len))
		return false;
	err = gw_compat_implementation_from_json(&made, name, root);
	json_decref(root);
	if (err)
		return false;
	made->lender = known->models;
	made->lender->holders++;
	made->models = known->models->models;
	made->count = known->models->count;
	*implementation = made;
	return true;
}

int gw_alike_parse(struct gw_alike *alike, struct gw_compat_implementation **implementation,
		   const char *name, const char *text, size_t len)
{
	bool look = alike->strangers < STRANGERS_MAX || alike->strangers % STRANGERS_ONE == 0;
	size_t at = look ? find_models(text, len) : len;
	const struct known *known = at < len ? recall(alike, text + at, len - at) : NULL;
	int err;

	alike->strangers = known ? 0 : alike->strangers + 1;
	if (known && parse_around(known, implementation, name, text, len, at))
		return 0;
	err = gw_compat_implementation_parse(implementation, name, text, len);
	if (!err && at < len && !known)
		keep(alike, *implementation, text + at, skip_nested(text, len, at) - at);
	return err;
}
