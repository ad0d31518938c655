/* SPDX-License-Identifier: BSD-3-Clause */
/* state/foreign.c - a stream of another make: its bytes, whole, for a device that knows them. */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "state/reader_internal.h"

#define STEP (1024 * 1024)

static int grow(struct gw_state_reader *reader, size_t *room)
{
	size_t more = GW_MAX(*room, (size_t)STEP);
	size_t wanted = GW_MIN(*room + more, (size_t)GW_FOREIGN_MAX + 1);
	uint8_t *buf = gw_scratch_grow(&reader->memory, reader->buf, *room, wanted);

	if (!buf)
		return gw_fail(ENOMEM, "state reader: no memory");
	reader->buf = buf;
	*room = wanted;
	return 0;
}

/* It has no end of its own: only the end of file tells. */
static int read_all(struct gw_state_reader *reader)
{
	size_t room = reader->end;
	ssize_t n = 1;

	while (n) {
		if (reader->end > GW_FOREIGN_MAX)
			return gw_fail(EBADMSG, "more than %d bytes", GW_FOREIGN_MAX);
		if (reader->end == room && grow(reader, &room))
			return -ENOMEM;
		n = gw_channel_read(&reader->channel, reader->buf + reader->end,
				    room - reader->end);
		if (n < 0)
			return (int)n;
		reader->end += (size_t)n;
	}
	return 0;
}

int gw_reader_foreign(struct gw_state_reader *reader)
{
	const struct gw_foreign_format *format = reader->foreign;
	int err = 0;

	if (reader->mac)
		err = gw_fail(EBADMSG, "it has no MAC, but a key is set");
	if (!err)
		err = read_all(reader);
	if (!err)
		err = format->check(reader->buf, reader->end);
	if (err)
		return gw_fail_in(err, "stream without godwit's magic, read as one of %s",
				  format->name);
	reader->number = 1;
	reader->header.mode = GW_MODE_STATEFUL;
	strncpy(reader->header.implementation, format->name,
		sizeof(reader->header.implementation) - 1);
	gw_info("state stream: one of %s, %zu bytes", format->name, reader->end);
	return 0;
}

const struct gw_foreign_format *gw_state_reader_foreign(const struct gw_state_reader *reader,
							struct gw_bytes *bytes)
{
	*bytes = (struct gw_bytes){.data = reader->buf, .len = reader->end};
	return reader->foreign;
}

int gw_state_read_foreign(struct gw_state_reader *reader, const struct gw_foreign_format **format,
			  struct gw_bytes *bytes)
{
	*format = gw_state_reader_foreign(reader, bytes);
	if (!*format)
		return -ENOENT;
	reader->complete = true;
	return 0;
}

int gw_state_write_foreign(const struct gw_state_channel *config, const void *bytes, size_t len)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	struct gw_channel channel;
	int err = gw_channel_open(&channel, config, true);

	if (err)
		return err;
	err = gw_channel_write(&channel, &iov, 1, -1);
	gw_channel_close(&channel);
	return err;
}
