/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/state/objects.c - what a state comes down to, and how two of them differ. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/state/files.h"
#include "cli/state/unnamed.h"
#include "cli/state/value.h"
#include "godwit/error.h"
#include "state/walk.h"

/* More is no state that somebody would compare by eye. */
#define OBJECTS_MAX (16u << 20)

/* "gw_fs_name_v1 parent=1 name="a"", and " inode=7"; by key, later ones over earlier ones. */
struct object {
	char *key, *rest;
	uint32_t order;
	bool deleted;
	uint64_t file; /* without a name, with which it goes; 0: with none */
};

struct gw_objects {
	struct object *at;
	size_t count, room;
	struct gw_unnamed unnamed;
	uint32_t seen;
	bool failed;
};

static void put_bytes(FILE *out, const struct gw_bytes *bytes)
{
	const uint8_t *data = bytes->data;
	bool plain = true;

	for (size_t i = 0; i < bytes->len; i++)
		plain &= data[i] >= ' ' && data[i] < 0x7f && data[i] != '"';
	fputc(plain ? '"' : '<', out);
	for (size_t i = 0; i < bytes->len; i++)
		fprintf(out, plain ? "%c" : "%02x", data[i]);
	fputc(plain ? '"' : '>', out);
}

/* The fields that are keys, or those that are none. */
static char *text_of(const struct gw_layout *layout, const struct gw_value *values, bool keys)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	if (keys)
		fputs(layout->name, out);
	for (unsigned i = 0; layout->fields[i].name; i++) {
		const struct gw_field *field = &layout->fields[i];

		if (field->key != keys)
			continue;
		fprintf(out, " %s=", field->name);
		if (field->type == GW_FIELD_BYTES || field->type == GW_FIELD_FIXED)
			put_bytes(out, &values[i].bytes);
		else if (field->type == GW_FIELD_I64)
			fprintf(out, "%" PRId64, (int64_t)values[i].number);
		else
			fprintf(out, "%" PRIu64, values[i].number);
	}
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static bool make_room(struct gw_objects *objects)
{
	size_t room = objects->room ? objects->room * 2 : 1024;
	struct object *more;

	if (objects->count < objects->room)
		return true;
	more = room <= OBJECTS_MAX ? realloc(objects->at, room * sizeof(*more)) : NULL;
	if (!more)
		return false;
	objects->at = more;
	objects->room = room;
	return true;
}

static void keep(void *opaque, const struct gw_layout *layout, bool deleted,
		 const struct gw_value *values)
{
	struct gw_objects *objects = opaque;
	struct object object = {.order = objects->seen++, .deleted = deleted};
	bool taken = false;

	if (objects->failed || !make_room(objects) ||
	    gw_unnamed_take(&objects->unnamed, layout, deleted, values, object.order, &taken)) {
		objects->failed = true;
		return;
	}
	if (taken)
		return;
	object.file = gw_unnamed_file(layout, values);
	object.key = text_of(layout, values, true);
	object.rest = deleted ? NULL : text_of(layout, values, false);
	objects->failed = !object.key || (!deleted && !object.rest);
	objects->at[objects->count++] = object;
}

static int by_key(const void *a, const void *b)
{
	const struct object *one = a, *other = b;
	int order = strcmp(one->key, other->key);

	return order ? order : one->order < other->order ? -1 : 1;
}

static void drop(struct object *object)
{
	free(object->key);
	free(object->rest);
}

/* Content that lay over each other in pieces is there once, in blocks. */
static bool keep_block(struct gw_objects *objects, const struct gw_block *block)
{
	const struct gw_bytes bytes = {.data = block->bytes, .len = GW_BLOCK};
	struct object object = {.order = objects->seen++};
	size_t len;
	FILE *out;

	if (gw_block_is_empty(block))
		return true;
	out = make_room(objects) ? open_memstream(&object.rest, &len) : NULL;
	if (!out)
		return false;
	fputs(" data=", out);
	put_bytes(out, &bytes);
	if (!fclose(out) &&
	    asprintf(&object.key, "gw_fs_content_v1 inode=%" PRIu64 " offset=%" PRIu64, block->file,
		     block->number * GW_BLOCK) > 0) {
		objects->at[objects->count++] = object;
		return true;
	}
	free(object.rest);
	return false;
}

static int keep_content(struct gw_objects *objects)
{
	for (size_t i = 0; i < objects->unnamed.count; i++)
		if (!keep_block(objects, &objects->unnamed.blocks[i]))
			return gw_fail(ENOMEM, "no memory for a state");
	return 0;
}

static bool is_gone(const struct gw_objects *objects, const struct object *object)
{
	return object->deleted ||
	       (object->file && gw_unnamed_went(&objects->unnamed, object->file, object->order));
}

/* Of each key the last is left, and none of one that was deleted last. */
static void settle(struct gw_objects *objects)
{
	size_t kept = 0;

	if (objects->count)
		qsort(objects->at, objects->count, sizeof(*objects->at), by_key);
	for (size_t i = 0; i < objects->count; i++) {
		bool is_last = i + 1 == objects->count ||
			       strcmp(objects->at[i].key, objects->at[i + 1].key) != 0;

		if (is_last && !is_gone(objects, &objects->at[i]))
			objects->at[kept++] = objects->at[i];
		else
			drop(&objects->at[i]);
	}
	objects->count = kept;
}

int gw_objects_read(struct gw_objects **out, int fd)
{
	static const struct gw_state_visitor visitor = {.object = keep};
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct gw_objects *objects = calloc(1, sizeof(*objects));
	int err = objects ? gw_state_walk(&channel, &visitor, objects)
			  : gw_fail(ENOMEM, "no memory for a state");

	if (!err && objects->failed)
		err = gw_fail(ENOMEM,
			      "no memory for a state, or more than %u objects or %u blocks of "
			      "content",
			      OBJECTS_MAX, GW_BLOCKS_MAX);
	if (!err)
		err = keep_content(objects);
	if (err) {
		gw_objects_free(objects);
		return err;
	}
	settle(objects);
	*out = objects;
	return 0;
}

void gw_objects_free(struct gw_objects *objects)
{
	for (size_t i = 0; objects && i < objects->count; i++)
		drop(&objects->at[i]);
	if (objects) {
		gw_unnamed_fini(&objects->unnamed);
		free(objects->at);
	}
	free(objects);
}

static void tell(const struct object *object, const char *sign, bool json, FILE *out)
{
	json_t *line;

	if (!json) {
		fprintf(out, "%s %s%s\n", sign, object->key, object->rest);
		return;
	}
	line = json_pack("{s:s, s:s, s:s}", "in", *sign == '-' ? "first" : "second", "object",
			 object->key, "fields", object->rest + (*object->rest == ' '));
	if (line)
		json_dumpf(line, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(line);
}

bool gw_objects_diff(const struct gw_objects *one, const struct gw_objects *other, bool json,
		     FILE *out)
{
	size_t i = 0, j = 0;
	bool same = true;

	while (i < one->count || j < other->count) {
		int order = i == one->count	? 1
			    : j == other->count ? -1
						: strcmp(one->at[i].key, other->at[j].key);
		bool equal = !order && !strcmp(one->at[i].rest, other->at[j].rest);

		if (!equal && order <= 0)
			tell(&one->at[i], "-", json, out);
		if (!equal && order >= 0)
			tell(&other->at[j], "+", json, out);
		i += order <= 0;
		j += order >= 0;
		same &= equal;
	}
	return same;
}
