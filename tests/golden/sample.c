/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/golden/sample.c - a small stream with one of everything, for the tests of the stream. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "sample.h"

static const struct gw_field thing_fields[] = {
	GW_KEY(struct sample_thing, id, GW_FIELD_DELTA),
	GW_FIELD(struct sample_thing, u8, GW_FIELD_U8),
	GW_FIELD(struct sample_thing, u16, GW_FIELD_U16),
	GW_FIELD_SIZED(struct sample_thing, u32, GW_FIELD_U32, 1000000),
	GW_FIELD(struct sample_thing, u64, GW_FIELD_U64),
	GW_FIELD(struct sample_thing, i64, GW_FIELD_I64),
	GW_FIELD(struct sample_thing, delta, GW_FIELD_DELTA),
	GW_FIELD(struct sample_thing, flag, GW_FIELD_BOOL),
	GW_FIELD_SIZED(struct sample_thing, fixed, GW_FIELD_FIXED, 6),
	GW_FIELD_SIZED(struct sample_thing, bytes, GW_FIELD_BYTES, SAMPLE_BYTES_MAX),
	{0},
};
const struct gw_layout sample_thing_layout = {
	.name = "sample_thing_v1",
	.type = 0x100,
	.size = sizeof(struct sample_thing),
	.fields = thing_fields,
};

static const struct gw_field note_fields[] = {
	GW_KEY(struct sample_note, number, GW_FIELD_U32),
	GW_FIELD_SIZED(struct sample_note, text, GW_FIELD_BYTES, 100),
	{0},
};
const struct gw_layout sample_note_layout = {
	.name = "sample_note_v1",
	.type = 0x101,
	.optional = true,
	.size = sizeof(struct sample_note),
	.fields = note_fields,
};

static const struct gw_field setting_fields[] = {
	GW_FIELD(struct sample_setting, value, GW_FIELD_U32),
	{0},
};
const struct gw_layout sample_setting_layouts[2] = {
	{
		.name = "sample_setting_v1",
		.type = 0x102,
		.size = sizeof(struct sample_setting),
		.fields = setting_fields,
		.until = 1,
	},
	{
		.name = "sample_setting_v2",
		.type = 0x103,
		.size = sizeof(struct sample_setting),
		.fields = setting_fields,
		.since = 2,
	},
};

const uint8_t sample_key[GW_STATE_KEY_LEN] = "thirty-two bytes of a known key.";

struct gw_state_header sample_header(unsigned state)
{
	struct gw_state_header header = {
		.implementation = "sample 1",
		.mode = GW_MODE_STATEFUL,
		.prerequisites = "none",
	};

	for (unsigned i = 0; i < GW_STATE_ID_LEN; i++)
		header.id[i] = (uint8_t)(0xa0 + i);
	strcpy(header.model, "example.org/sample\nqueues=4\n");
	if (state > 1)
		sprintf(header.model + strlen(header.model), "state=%u\n", state);
	return header;
}

/* Written in phase running; the second is changed and the third is deleted in phase stopped. */
static const struct sample_thing things[] = {
	{.id = 1, .fixed = "abcdef", .bytes = {"", 0}},
	{.id = 1000,
	 .u8 = 255,
	 .u16 = 65535,
	 .u32 = 1000000,
	 .u64 = UINT64_MAX,
	 .i64 = INT64_MIN,
	 .delta = UINT64_MAX,
	 .flag = true,
	 .bytes = {"a name \xff\0with anything", 22}},
	{.id = 7, .i64 = -1, .delta = 5},
	{.id = UINT64_MAX, .u64 = 127, .i64 = 63, .delta = 6, .bytes = {"x", 1}},
};

static int put_changes(struct gw_state_writer *writer)
{
	struct sample_thing changed = things[1];
	int err;

	changed.u64 = 128;
	changed.i64 = INT64_MAX;
	err = gw_state_put(writer, &sample_thing_layout, &changed);
	if (!err)
		err = gw_state_delete(writer, &sample_thing_layout, &things[2]);
	for (unsigned i = 0; i < 2 && !err; i++)
		err = gw_state_put(writer, &sample_setting_layouts[i],
				   &(struct sample_setting){42 + i});
	return err;
}

static int put_all(struct gw_state_writer *writer)
{
	int err = gw_state_writer_phase(writer, GW_PHASE_RUNNING);

	for (size_t i = 0; i < GW_ARRAY_LEN(things) && !err; i++)
		err = gw_state_put(writer, &sample_thing_layout, &things[i]);
	if (!err)
		err = gw_state_put(writer, &sample_note_layout,
				   &(struct sample_note){.number = 1, .text = {"to skip", 7}});
	if (!err)
		err = gw_state_writer_phase(writer, GW_PHASE_STOPPED);
	if (!err)
		err = put_changes(writer);
	return err ? err : gw_state_writer_end(writer);
}

int sample_write(int fd, const uint8_t *key, unsigned state)
{
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1, .key = key};
	const struct gw_state_header header = sample_header(state);
	struct gw_state_writer *writer = NULL;
	int err = gw_state_writer_new(&writer, &channel, &header);

	if (!err)
		err = put_all(writer);
	gw_state_writer_free(writer);
	return err;
}

static unsigned find(const struct sample_result *result, uint64_t id)
{
	unsigned i = 0;

	while (i < result->count && result->things[i].id != id)
		i++;
	return i;
}

static int on_thing(void *opaque, const void *object)
{
	const struct sample_thing *thing = object;
	struct sample_result *result = opaque;
	unsigned i = find(result, thing->id);
	const uint8_t *bytes = thing->bytes.data;

	if (i == SAMPLE_THINGS_MAX)
		return -28; /* ENOSPC */
	result->count = GW_MAX(result->count, i + 1);
	result->things[i] = *thing;
	result->things[i].bytes.data = NULL;
	result->bytes_sum[i] = 0;
	for (size_t b = 0; b < thing->bytes.len; b++)
		result->bytes_sum[i] += bytes[b];
	return 0;
}

static int on_thing_gone(void *opaque, const void *object)
{
	const struct sample_thing *thing = object;
	struct sample_result *result = opaque;
	unsigned i = find(result, thing->id);

	if (i == result->count)
		return 0;
	result->count--;
	result->things[i] = result->things[result->count];
	result->bytes_sum[i] = result->bytes_sum[result->count];
	return 0;
}

static int on_setting_v1(void *opaque, const void *object)
{
	struct sample_result *result = opaque;

	result->settings_v1++;
	result->setting = ((const struct sample_setting *)object)->value;
	return 0;
}

static int on_setting_v2(void *opaque, const void *object)
{
	struct sample_result *result = opaque;

	result->settings_v2++;
	result->setting = ((const struct sample_setting *)object)->value;
	return 0;
}

/* The note is unknown here: it is optional. */
static const struct gw_state_handler handlers[] = {
	{&sample_thing_layout, on_thing, on_thing_gone},
	{&sample_setting_layouts[0], on_setting_v1, NULL},
	{&sample_setting_layouts[1], on_setting_v2, NULL},
	{0},
};

int sample_read(int fd, const uint8_t *key, struct sample_result *result)
{
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1, .key = key};
	struct gw_state_reader *reader = NULL;
	int err = gw_state_reader_new(&reader, &channel);

	memset(result, 0, sizeof(*result));
	if (!err)
		err = gw_state_read(reader, handlers, result);
	if (!err && (!gw_state_reader_is_complete(reader) ||
		     gw_state_reader_is_signed(reader) != (key != NULL)))
		err = -1;
	gw_state_reader_free(reader);
	return err;
}

static bool thing_is_right(const struct sample_result *result, const struct sample_thing *want)
{
	unsigned i = find(result, want->id);
	const struct sample_thing *got = &result->things[i];

	return i < result->count && got->u8 == want->u8 && got->u16 == want->u16 &&
	       got->u32 == want->u32 && got->u64 == want->u64 && got->i64 == want->i64 &&
	       got->delta == want->delta && got->flag == want->flag &&
	       !memcmp(got->fixed, want->fixed, sizeof(got->fixed)) &&
	       got->bytes.len == want->bytes.len;
}

bool sample_is_right(const struct sample_result *result, unsigned state)
{
	struct sample_thing changed = things[1];

	changed.u64 = 128;
	changed.i64 = INT64_MAX;
	return result->count == 3 && thing_is_right(result, &things[0]) &&
	       thing_is_right(result, &changed) && thing_is_right(result, &things[3]) &&
	       result->settings_v1 == (state == 1) && result->settings_v2 == (state == 2) &&
	       result->setting == 41 + state;
}

int sample_fd(const void *data, size_t len)
{
	int fd = memfd_create("sample", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET))
		abort();
	return fd;
}

uint8_t *sample_bytes(int fd, size_t *len)
{
	struct stat st;
	uint8_t *bytes;

	if (fstat(fd, &st) < 0)
		abort();
	*len = (size_t)st.st_size;
	bytes = malloc(*len + 1);
	if (!bytes || pread(fd, bytes, *len, 0) != (ssize_t)*len)
		abort();
	return bytes;
}
