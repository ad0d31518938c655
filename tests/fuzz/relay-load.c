/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/relay-load.c - any sequence of the relay's records: loaded or refused, and saved
 * again. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../common/load.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "harness.h"
#include "relay/relay.h"
#include "state/stream.h"

/*
 * Framing and checksums are right, or nothing behind them would ever be reached. The first byte is
 * what the operator says of what does not come along; then a record is a byte, its layout (modulo;
 * the top bit: taken back), and its fields: a number is a byte n < 5 and n bytes little-endian,
 * bytes are two bytes n and n bytes.
 */
struct input {
	const uint8_t *at, *end;
};

static const struct gw_layout *const layouts[] = {&gw_relay_v1, &gw_relay_conn_v1,
						  &gw_relay_handover_v1};
static struct relay_host host;

static uint32_t take_number(struct input *in, unsigned count)
{
	uint32_t number = 0;

	for (unsigned i = 0; i < count; i++)
		number |= (uint32_t)(in->at < in->end ? *in->at++ : 0) << 8 * i;
	return number;
}

static void take_field(struct input *in, const struct gw_field *field, char *object)
{
	struct gw_bytes bytes = {.data = in->at};
	uint32_t number;

	if (field->type == GW_FIELD_BYTES || field->type == GW_FIELD_FIXED) {
		size_t len = GW_MIN((size_t)take_number(in, 2), (size_t)field->max);

		bytes.data = in->at;
		bytes.len = GW_MIN(len, (size_t)(in->end - in->at));
		in->at += bytes.len;
		if (field->type == GW_FIELD_BYTES)
			*(struct gw_bytes *)(object + field->offset) = bytes;
		else
			memcpy(object + field->offset, bytes.data, bytes.len);
		return;
	}
	number = take_number(in, take_number(in, 1) % 5);
	if (field->type == GW_FIELD_BOOL)
		object[field->offset] = number & 1;
	else if (field->type == GW_FIELD_U32)
		memcpy(object + field->offset, &number, sizeof(number));
	else
		abort();
}

static void put_records(struct input *in, struct gw_state_writer *writer)
{
	while (in->at < in->end) {
		_Alignas(8) char object[128] = {0};
		uint8_t which = (uint8_t)take_number(in, 1);
		const struct gw_layout *layout = layouts[(which & 0x7f) % GW_ARRAY_LEN(layouts)];

		if (layout->size > sizeof(object))
			abort();
		for (const struct gw_field *field = layout->fields; field->name; field++)
			take_field(in, field, object);
		if (which & 0x80)
			gw_state_delete(writer, layout, object);
		else
			gw_state_put(writer, layout, object);
	}
}

static int stream_of(struct input *in)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	const struct gw_state_header header = {.implementation = "fuzz",
					       .mode = GW_MODE_STATEFUL,
					       .model = "godwit-project.org/relay\n"};
	struct gw_state_writer *writer = NULL;

	if (fd < 0 || gw_state_writer_new(&writer, &channel, &header) ||
	    gw_state_writer_phase(writer, GW_PHASE_STOPPED))
		abort();
	put_records(in, writer);
	gw_state_writer_end(writer);
	gw_state_writer_free(writer);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* What was loaded can be saved, and what is saved then can be loaded. */
static void save_and_load(void *dev)
{
	GW_AUTO_FD int fd = memfd_create("state", MFD_CLOEXEC);
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	const struct gw_state_header header = {.implementation = "fuzz",
					       .mode = GW_MODE_STATEFUL,
					       .model = "godwit-project.org/relay\n"};
	struct gw_state_writer *writer = NULL;
	void *other = NULL;

	if (gw_state_writer_new(&writer, &channel, &header) ||
	    gw_state_writer_phase(writer, GW_PHASE_STOPPED) ||
	    relay_device_ops.save(dev, writer, GW_PHASE_STOPPED, SIZE_MAX) ||
	    gw_state_writer_end(writer))
		abort();
	gw_state_writer_free(writer);
	lseek(fd, 0, SEEK_SET);
	if (relay_device_ops.create(&other, NULL, &host) ||
	    load_device(&relay_device_ops, other, fd))
		abort();
	relay_device_ops.destroy(other);
}

static void quiet(void *opaque, enum gw_log_level level, const char *line)
{
	(void)opaque;
	(void)level;
	(void)line;
}

static void set_up(void)
{
	gw_log_set_sink(quiet, NULL);
	if (relay_host_listen(&host, "127.0.0.1:0"))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {.at = data + 1, .end = data + size};
	void *dev = NULL;
	int fd;

	if (!host.address_len)
		set_up();
	if (!size)
		return 0;
	host.on_unsavable = data[0] & 1 ? RELAY_UNSAVABLE_DROP : RELAY_UNSAVABLE_FAIL;
	fd = stream_of(&in);
	if (relay_device_ops.create(&dev, NULL, &host))
		abort();
	if (!load_device(&relay_device_ops, dev, fd))
		save_and_load(dev);
	relay_device_ops.destroy(dev);
	close(fd);
	return 0;
}
