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

int scripted_save(void *opaque, struct gw_state_writer *writer, enum gw_phase phase, size_t budget)
{
	struct scripted *device = opaque;
	struct numbers numbers = {.answered = atomic_load(&device->answered),
				  .seed = atomic_load(&device->seed),
				  .bulk_bytes = atomic_load(&device->script->bulk_bytes)};
	int err = gw_state_put(writer, &numbers_layout, &numbers);

	atomic_fetch_add(&device->script->saves, 1);
	if (!err)
		err = save_bulk(device, writer, &numbers);
	if (!err && atomic_load(&device->script->fail_save))
		err = gw_fail(atomic_load(&device->script->fail_save), "scripted: told to fail");
	return err;
}

struct staged {
	struct numbers numbers;
	uint64_t bulk_bytes;
};

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
	atomic_fetch_add(&device->script->loads, 1);
	return 0;
}
