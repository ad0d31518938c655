/* SPDX-License-Identifier: BSD-3-Clause */
/* model/alike.c - models that were read before, known again by their text. */
/*
 * Hosts of a fleet differ in a few lines (boot, backing), and in their models hardly ever but for
 * how much room there is, which are nine tenths of a document, and more of the work to read it. A
 * JSON object ends where it ends: where a text goes on with one that was whole elsewhere, that one
 * stands here, too, and so it does with another number in one place. So what is read is the
 * document with {} instead. Whatever that leads to but success is nobody's answer: then the
 * document is read as if nothing had been known.
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
#define ROOM	      "\"available_instances\""
#define ROOM_DIGITS   9
#define DECIMAL	      10

struct known {
	char *text; /* an object, from { to } */
	size_t len;
	size_t gap, gap_len; /* where in it how much room there is stands; 0: nowhere */
	unsigned model;	     /* of which */
	struct gw_compat_implementation *models;
};

/* A text that was known again. */
struct seen {
	const struct known *known;
	size_t len;
	int64_t room; /* what stands in its gap */
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

/* -- how much room there is ---------------------------------------------------------------- */

/* A number as JSON has it at @at, if it is small enough to be one of instances. */
static bool read_room(const char *text, size_t len, size_t at, int64_t *room, size_t *room_len)
{
	size_t digits = 0;

	*room = 0;
	for (; at + digits < len && digits <= ROOM_DIGITS && text[at + digits] >= '0' &&
	       text[at + digits] <= '9';
	     digits++)
		*room = *room * DECIMAL + (text[at + digits] - '0');
	*room_len = digits;
	return digits && digits <= ROOM_DIGITS && (text[at] != '0' || digits == 1);
}

/* The first number that may say so; 0: there is none. */
static size_t find_room(const char *text, size_t len, int64_t *room, size_t *room_len)
{
	const char *member = memmem(text, len, ROOM, strlen(ROOM));
	size_t at = member ? skip_space(text, len, (size_t)(member - text) + strlen(ROOM)) : len;

	if (at >= len || text[at] != ':')
		return 0;
	at = skip_space(text, len, at + 1);
	return read_room(text, len, at, room, room_len) ? at : 0;
}

/* Which model it is whose room is @room in one and @other in the other, and nothing else differs in
 * that; -1: there is none. */
static int model_of_room(const struct gw_compat_implementation *one, int64_t room,
			 const struct gw_compat_implementation *two, int64_t other)
{
	int found = -1;

	if (one->count != two->count)
		return -1;
	for (unsigned i = 0; i < one->count; i++) {
		if (one->models[i].available == two->models[i].available)
			continue;
		if (found >= 0 || one->models[i].available != room ||
		    two->models[i].available != other)
			return -1;
		found = (int)i;
	}
	return found;
}

/*
 * Looking does not tell what a number is for: the member may be one of a parameter's, or a part of
 * a sentence. So @document, in which the models begin at @at, is read with another number there.
 */
static void find_gap(struct known *known, const char *document, size_t len, size_t at)
{
	struct gw_compat_implementation *other = NULL;
	GW_AUTO_FREE char *changed = malloc(len);
	int64_t room = 0;
	size_t room_len = 0, gap = find_room(document + at, known->len, &room, &room_len);
	int64_t digit = room == 1 ? 2 : 1;
	int model;

	if (!changed || !gap)
		return;
	memcpy(changed, document, at + gap);
	changed[at + gap] = (char)('0' + digit);
	memcpy(changed + at + gap + 1, document + at + gap + room_len, len - at - gap - room_len);
	if (gw_compat_implementation_parse(&other, "", changed, len - room_len + 1))
		return;
	model = model_of_room(known->models, room, other, digit);
	gw_compat_implementation_free(other);
	if (model < 0)
		return;
	known->gap = gap;
	known->gap_len = room_len;
	known->model = (unsigned)model;
}

/* -- known --------------------------------------------------------------------------------- */

/* Does @text go on with it? */
static bool matches(const struct known *known, const char *text, size_t len, struct seen *seen)
{
	size_t before = known->gap ? known->gap : known->len, gap_len = 0;
	size_t after = known->len - before - known->gap_len;

	if (before > len || memcmp(known->text, text, before) != 0)
		return false;
	if (known->gap && !read_room(text, len, before, &seen->room, &gap_len))
		return false;
	if (after > len - before - gap_len ||
	    memcmp(known->text + known->len - after, text + before + gap_len, after) != 0)
		return false;
	seen->len = before + gap_len + after;
	return true;
}

/* What is found goes to the front. */
static bool recall(struct gw_alike *alike, const char *text, size_t len, struct seen *seen)
{
	for (unsigned i = 0; i < alike->count; i++) {
		struct known found = alike->known[i];

		if (!matches(&found, text, len, seen))
			continue;
		memmove(alike->known + 1, alike->known, i * sizeof(found));
		alike->known[0] = found;
		seen->known = &alike->known[0];
		return true;
	}
	return false;
}

/* Those that were met longest ago make room. No memory: nothing is kept. */
static void keep(struct gw_alike *alike, struct gw_compat_implementation *models,
		 const char *document, size_t document_len, size_t at)
{
	size_t len = skip_nested(document, document_len, at) - at;
	struct known known = {.len = len, .models = models};

	if (len > KNOWN_LEN_MAX)
		return;
	known.text = malloc(len);
	if (!known.text)
		return;
	memcpy(known.text, document + at, len);
	find_gap(&known, document, document_len, at);
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

static bool parse_around(const struct seen *seen, struct gw_compat_implementation **implementation,
			 const char *name, const char *text, size_t len, size_t at)
{
	struct gw_compat_implementation *made = NULL;
	json_t *root;
	int err;

	if (!read_around(&root, name, text, len, at, seen->len))
		return false;
	err = gw_compat_implementation_from_json(&made, name, root);
	json_decref(root);
	if (!err)
		err = gw_compat_implementation_borrow(made, seen->known->models);
	if (err) {
		gw_compat_implementation_free(made);
		return false;
	}
	if (seen->known->gap)
		made->models[seen->known->model].available = seen->room;
	*implementation = made;
	return true;
}

int gw_alike_parse(struct gw_alike *alike, struct gw_compat_implementation **implementation,
		   const char *name, const char *text, size_t len)
{
	bool look = alike->strangers < STRANGERS_MAX || alike->strangers % STRANGERS_ONE == 0;
	size_t at = look ? find_models(text, len) : len;
	struct seen seen = {0};
	bool is_known = at < len && recall(alike, text + at, len - at, &seen);
	int err;

	alike->strangers = is_known ? 0 : alike->strangers + 1;
	if (is_known && parse_around(&seen, implementation, name, text, len, at))
		return 0;
	err = gw_compat_implementation_parse(implementation, name, text, len);
	if (!err && at < len && !is_known)
		keep(alike, *implementation, text, len, at);
	return err;
}
