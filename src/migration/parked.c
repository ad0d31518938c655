/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/parked.c - parked elements between two starts, and in the stream (gw_parked_v1). */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "migration/parked.h"

struct gw_parked_item {
	struct gw_parked_item *next;
	unsigned queue;
	struct gw_parked parked; /* its segs are those below */
	struct gw_parked_seg segs[];
};

void gw_parked_init(struct gw_parked_list *list)
{
	*list = (struct gw_parked_list){0};
	list->last = &list->first;
}

void gw_parked_clear(struct gw_parked_list *list)
{
	while (list->first) {
		struct gw_parked_item *item = list->first;

		list->first = item->next;
		free(item);
	}
	gw_parked_init(list);
}

static struct gw_parked_item *item_new(unsigned queue, const struct gw_parked *parked)
{
	size_t len = parked->count * sizeof(parked->segs[0]);
	struct gw_parked_item *item = malloc(sizeof(*item) + len);

	if (!item)
		return NULL;
	*item = (struct gw_parked_item){.queue = queue, .parked = *parked};
	item->parked.segs = item->segs;
	if (len)
		memcpy(item->segs, parked->segs, len);
	return item;
}

static void link_item(struct gw_parked_list *list, struct gw_parked_item *item)
{
	*list->last = item;
	list->last = &item->next;
	list->bytes += sizeof(*item) + item->parked.count * sizeof(item->segs[0]);
}

int gw_parked_append(struct gw_parked_list *list, unsigned queue, const struct gw_parked *parked)
{
	struct gw_parked_item *item;

	if (!parked->count || parked->count > GW_ELEM_SEGS_MAX)
		return gw_fail(EINVAL, "parked element %u of queue %u: %u segments", parked->id,
			       queue, parked->count);
	item = item_new(queue, parked);
	if (!item)
		return gw_fail(ENOMEM, "parked element of queue %u: no memory", queue);
	link_item(list, item);
	return 0;
}

int gw_parked_copy(struct gw_parked_list *to, const struct gw_parked_list *from)
{
	int err = 0;

	gw_parked_init(to);
	for (const struct gw_parked_item *i = from->first; i && !err; i = i->next)
		err = gw_parked_append(to, i->queue, &i->parked);
	if (err)
		gw_parked_clear(to);
	return err;
}

void gw_parked_move(struct gw_parked_list *to, struct gw_parked_list *from)
{
	gw_parked_clear(to);
	if (!from->first)
		return;
	*to = *from;
	gw_parked_init(from);
}

bool gw_parked_has(const struct gw_parked_list *list, unsigned queue)
{
	for (const struct gw_parked_item *item = list->first; item; item = item->next) {
		if (item->queue == queue)
			return true;
	}
	return false;
}

int gw_parked_hand_out(struct gw_parked_list *list, unsigned queue,
		       int (*fn)(void *opaque, const struct gw_parked *parked), void *opaque)
{
	struct gw_parked_list rest;
	struct gw_parked_item *next;
	int err = 0;

	gw_parked_init(&rest);
	for (struct gw_parked_item *item = list->first; item; item = next) {
		next = item->next;
		item->next = NULL;
		if (item->queue == queue && !err)
			err = fn(opaque, &item->parked);
		if (item->queue == queue && !err)
			free(item);
		else
			link_item(&rest, item);
	}
	gw_parked_init(list);
	gw_parked_move(list, &rest);
	return err;
}

/* -- in the stream ------------------------------------------------------------------------- */

struct wire_seg {
	uint64_t gpa;
	uint32_t len;
	uint32_t writable;
};
static_assert(sizeof(struct wire_seg) == 16, "a segment is wire format");

struct parked_v1 {
	uint32_t queue;
	uint16_t id;
	uint16_t descs;
	struct gw_bytes segs; /* struct wire_seg, little-endian, in the order of the chain */
};

static const struct gw_field parked_fields[] = {
	GW_KEY(struct parked_v1, queue, GW_FIELD_U32),
	GW_KEY(struct parked_v1, id, GW_FIELD_U16),
	GW_FIELD(struct parked_v1, descs, GW_FIELD_U16),
	GW_FIELD_SIZED(struct parked_v1, segs, GW_FIELD_BYTES,
		       GW_ELEM_SEGS_MAX * sizeof(struct wire_seg)),
	{0},
};

const struct gw_layout gw_parked_layout = {
	.name = "gw_parked_v1",
	.type = GW_RECORD_PARKED,
	.size = sizeof(struct parked_v1),
	.fields = parked_fields,
};

static int save_one(const struct gw_parked_item *item, struct gw_state_writer *writer)
{
	struct wire_seg segs[GW_ELEM_SEGS_MAX];
	const struct gw_parked *parked = &item->parked;

	for (unsigned i = 0; i < parked->count; i++)
		segs[i] = (struct wire_seg){.gpa = htole64(parked->segs[i].gpa),
					    .len = htole32(parked->segs[i].len),
					    .writable = htole32(parked->segs[i].writable)};
	return gw_state_put(writer, &gw_parked_layout,
			    &(struct parked_v1){
				    .queue = item->queue,
				    .id = parked->id,
				    .descs = parked->descs,
				    .segs = {segs, parked->count * sizeof(segs[0])},
			    });
}

int gw_parked_save(const struct gw_parked_list *list, struct gw_state_writer *writer)
{
	int err = 0;

	for (const struct gw_parked_item *i = list->first; i && !err; i = i->next)
		err = save_one(i, writer);
	return err;
}

static int parse_segs(struct gw_bytes bytes, struct gw_parked_seg *segs)
{
	for (size_t i = 0; i < bytes.len / sizeof(struct wire_seg); i++) {
		struct wire_seg wire;
		uint64_t end;

		memcpy(&wire, (const char *)bytes.data + i * sizeof(wire), sizeof(wire));
		segs[i] = (struct gw_parked_seg){.gpa = le64toh(wire.gpa),
						 .len = le32toh(wire.len),
						 .writable = le32toh(wire.writable)};
		if (segs[i].writable > 1 || gw_add_overflows(segs[i].gpa, segs[i].len, &end))
			return gw_fail(EBADMSG, "segment %zu cannot be right", i);
	}
	return 0;
}

/* That it lies inside guest memory is found at the start: there may be none yet. An id that is
 * there twice is refused then, too. */
static int stage(void *opaque, const void *object)
{
	struct gw_parked_staging *staging = opaque;
	const struct parked_v1 *wire = object;
	struct gw_parked_seg segs[GW_ELEM_SEGS_MAX];
	size_t count = wire->segs.len / sizeof(struct wire_seg);
	int err = 0;

	if (wire->queue >= staging->queues || !count || wire->segs.len % sizeof(struct wire_seg))
		err = gw_fail(EBADMSG, "%u queues, %zu bytes of segments", staging->queues,
			      wire->segs.len);
	if (!err && staging->list.bytes > GW_PARKED_BYTES_MAX)
		err = gw_fail(EBADMSG, "more than %d bytes of parked elements",
			      GW_PARKED_BYTES_MAX);
	if (!err)
		err = parse_segs(wire->segs, segs);
	if (!err)
		err = gw_parked_append(&staging->list, wire->queue,
				       &(struct gw_parked){.id = wire->id,
							   .descs = wire->descs,
							   .count = (unsigned)count,
							   .segs = segs});
	return err ? gw_fail_in(err, "parked element %u of queue %u", wire->id, wire->queue) : 0;
}

const struct gw_state_handler gw_parked_handlers[] = {
	{.layout = &gw_parked_layout, .put = stage},
	{0},
};
