/* SPDX-License-Identifier: BSD-3-Clause */
/* devices/scripted-state.c - the scripted device's state: a few numbers, and bulk on demand. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "scripted-device.h"

#define PIECE 32768

struct numbers {
	uint64_t answered, seed, bulk_bytes;
};

static const struct gw_field numbers_fields[] = {
	GW_FIELD(struct numbers, answered, GW_FIELD_U64),
	GW_FIELD(struct numbers, seed, GW_FIELD_U64),
	GW_FIELD(struct numbers, bulk_bytes, GW_FIELD_U64),
	{NULL},
};

static const struct gw_layout numbers_layout = {
	.name = "scripted_numbers_v1",
	.type = GW_RECORD_DEVICE,
	.size = sizeof(struct numbers),
	.fields = numbers_fields,
};

struct bulk {
	uint64_t offset;
	struct gw_bytes bytes;
};

static const struct gw_field bulk_fields[] = {
	GW_KEY(struct bulk, offset, GW_FIELD_U64),
	GW_FIELD_SIZED(struct bulk, bytes, GW_FIELD_BYTES, PIECE),
	{NULL},
};

static const struct gw_layout bulk_layout = {
	.name = "scripted_bulk_v1",
	.type = GW_RECORD_DEVICE + 1,
	.size = sizeof(struct bulk),
	.fields = bulk_fields,
};

struct page {
	uint64_t index, version;
	struct gw_bytes bytes;
};

static const struct gw_field page_fields[] = {
	GW_KEY(struct page, index, GW_FIELD_U64),
	GW_FIELD(struct page, version, GW_FIELD_U64),
	GW_FIELD_SIZED(struct page, bytes, GW_FIELD_BYTES, PIECE),
	{NULL},
};

static const struct gw_layout page_layout = {
	.name = "scripted_page_v1",
	.type = GW_RECORD_DEVICE + 2,
	.size = sizeof(struct page),
	.fields = page_fields,
};

/* Cheap, and different for every seed and place. */
static void fill_piece(uint8_t *piece, uint64_t seed, uint64_t offset)
{
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) ^ offset;

	for (size_t i = 0; i < PIECE; i += sizeof(x)) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		memcpy(piece + i, &x, sizeof(x));
	}
}

static int save_bulk(struct scripted *device, struct gw_state_writer *writer,
		     const struct numbers *numbers)
{
	uint8_t piece[PIECE];
	int err = 0;

	for (uint64_t at = 0; at < numbers->bulk_bytes && !err; at += PIECE) {
		struct bulk bulk = {
			.offset = at,
			.bytes = {.data = piece,
				  .len = GW_MIN((uint64_t)PIECE, numbers->bulk_bytes - at)}};

		if (atomic_load(&device->script->die) == SCRIPT_AT_SAVE &&
		    at >= numbers->bulk_bytes / 2)
			abort();
		scripted_sleep(atomic_load(&device->script->save_pause_ms));
		fill_piece(piece, numbers->seed, at);
		err = gw_state_put(writer, &bulk_layout, &bulk);
	}
	return err;
}

static int save_page(struct scripted *device, struct gw_state_writer *writer, uint64_t index,
		     uint64_t version)
{
	uint8_t piece[PIECE];
	const struct page page = {
		.index = index, .version = version, .bytes = {.data = piece, .len = PIECE}};

	scripted_sleep(atomic_load(&device->script->page_pause_ms));
	if (!version)
		return gw_state_delete(writer, &page_layout, &page);
	fill_piece(piece, version, index);
	return gw_state_put(writer, &page_layout, &page);
}

/* Those that differ from what the stream says, each once a round, however often it changes; > 0:
 * not all of them for @budget. */
static int save_pages(struct scripted *device, struct gw_state_writer *writer, size_t budget)
{
	size_t done = 0;

	for (; device->page_next < SCRIPTED_PAGES; device->page_next++) {
		uint64_t i = device->page_next;
		uint64_t version = atomic_load(&device->script->page[i]);
		int err;

		if (version == atomic_load(&device->page_sent[i]))
			continue;
		if (done >= budget)
			return 1;
		err = save_page(device, writer, i, version);
		if (err)
			return err;
		atomic_store(&device->page_sent[i], version);
		done += PIECE;
	}
	device->page_next = 0;
	return 0;
}

static void forget_sent(struct scripted *device)
{
	for (unsigned i = 0; i < SCRIPTED_PAGES; i++)
		atomic_store(&device->page_sent[i], 0);
}

int scripted_iterate(void *opaque, bool on)
{
	struct scripted *device = opaque;
	int err = atomic_load(&device->script->fail_iterate);

	atomic_fetch_add(on ? &device->script->iterate_on : &device->script->iterate_off, 1);
	if (on && err)
		return gw_fail(err, "scripted: told not to iterate");
	forget_sent(device);
	device->page_next = 0;
	device->phased = on;
	return 0;
}

int scripted_pending(void *opaque, struct gw_pending *pending)
{
	struct scripted *device = opaque;

	*pending = (struct gw_pending){0};
	for (unsigned i = 0; i < SCRIPTED_PAGES; i++) {
		uint64_t sent = atomic_load(&device->page_sent[i]);

		if (atomic_load(&device->script->page[i]) == sent)
			continue;
		*(sent ? &pending->dirty : &pending->initial) += PIECE;
	}
	return 0;
}

static int save_running(struct scripted *device, struct gw_state_writer *writer, size_t budget)
{
	int err = atomic_load(&device->script->fail_running);

	atomic_fetch_add(&device->script->running_saves, 1);
	return err ? gw_fail(err, "scripted: told to fail") : save_pages(device, writer, budget);
}

int scripted_save(void *opaque, struct gw_state_writer *writer, enum gw_phase phase, size_t budget)
{
	struct scripted *device = opaque;
	struct numbers numbers = {.answered = atomic_load(&device->answered),
				  .seed = atomic_load(&device->seed),
				  .bulk_bytes = atomic_load(&device->script->bulk_bytes)};
	int err;

	if (phase == GW_PHASE_RUNNING)
		return save_running(device, writer, budget);
	if (!device->phased)
		forget_sent(device);
	device->page_next = 0; /* the last round may have been cut short */
	err = gw_state_put(writer, &numbers_layout, &numbers);
	atomic_fetch_add(&device->script->saves, 1);
	if (!err)
		err = save_pages(device, writer, SIZE_MAX);
	if (!err)
		err = save_bulk(device, writer, &numbers);
	if (!err && atomic_load(&device->script->fail_save))
		err = gw_fail(atomic_load(&device->script->fail_save), "scripted: told to fail");
	return err;
}

struct staged {
	struct numbers numbers;
	uint64_t bulk_bytes;
	uint64_t pages[SCRIPTED_PAGES];
};

static int put_page(void *opaque, const void *object)
{
	struct staged *staged = opaque;
	const struct page *page = object;
	uint8_t piece[PIECE];

	fill_piece(piece, page->version, page->index);
	if (page->index >= SCRIPTED_PAGES || page->bytes.len != PIECE ||
	    memcmp(piece, page->bytes.data, PIECE) != 0)
		return gw_fail(EBADMSG, "scripted: page %llu is not what was saved",
			       (unsigned long long)page->index);
	staged->pages[page->index] = page->version;
	return 0;
}

static int remove_page(void *opaque, const void *object)
{
	struct staged *staged = opaque;
	const struct page *page = object;

	if (page->index >= SCRIPTED_PAGES || !staged->pages[page->index])
		return gw_fail(EBADMSG, "scripted: page %llu was not there",
			       (unsigned long long)page->index);
	staged->pages[page->index] = 0;
	return 0;
}

static int put_numbers(void *opaque, const void *object)
{
	((struct staged *)opaque)->numbers = *(const struct numbers *)object;
	return 0;
}

static int put_bulk(void *opaque, const void *object)
{
	struct staged *staged = opaque;
	const struct bulk *bulk = object;
	uint8_t piece[PIECE];

	fill_piece(piece, staged->numbers.seed, bulk->offset);
	if (bulk->offset != staged->bulk_bytes || memcmp(piece, bulk->bytes.data, bulk->bytes.len))
		return gw_fail(EBADMSG, "scripted: bulk at %llu is not what was saved",
			       (unsigned long long)bulk->offset);
	staged->bulk_bytes += bulk->bytes.len;
	return 0;
}

int scripted_load(void *opaque, struct gw_state_reader *reader)
{
	static const struct gw_state_handler handlers[] = {
		{.layout = &numbers_layout, .put = put_numbers},
		{.layout = &bulk_layout, .put = put_bulk},
		{.layout = &page_layout, .put = put_page, .remove = remove_page},
		{NULL},
	};
	struct scripted *device = opaque;
	struct staged staged = {0};
	int err = gw_state_read(reader, handlers, &staged);

	if (atomic_load(&device->script->die) == SCRIPT_AT_LOAD)
		abort();
	if (!err && atomic_load(&device->script->fail_load))
		err = gw_fail(atomic_load(&device->script->fail_load), "scripted: told to fail");
	if (!err && staged.bulk_bytes != staged.numbers.bulk_bytes)
		err = gw_fail(EBADMSG, "scripted: bulk is incomplete");
	if (err)
		return err;
	atomic_store(&device->answered, staged.numbers.answered);
	atomic_store(&device->seed, staged.numbers.seed);
	atomic_store(&device->script->bulk_loaded, staged.bulk_bytes);
	for (unsigned i = 0; i < SCRIPTED_PAGES; i++)
		atomic_store(&device->script->page_loaded[i], staged.pages[i]);
	atomic_fetch_add(&device->script->loads, 1);
	return 0;
}
