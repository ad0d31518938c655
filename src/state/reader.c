/* SPDX-License-Identifier: BSD-3-Clause */
/* state/reader.c - records out of a channel, each checked; nothing in a stream is believed. */
#include <endian.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "state/checksum.h"
#include "state/channel.h"
#include "state/header.h"
#include "state/mac.h"
#include "state/reader.h"
#include "state/reader_internal.h"
#include "state/record.h"

/* Room for some records: what is read at once, and the bound of reading ahead. */
#define BUFFER_LEN (512 * 1024)
static_assert(BUFFER_LEN > GW_WIRE_PAYLOAD_MAX + 64, "the largest record fits");
static_assert(BUFFER_LEN > GW_HEADER_MAX, "the largest header fits");

/* -- bytes --------------------------------------------------------------------------------- */

static int cut(const struct gw_state_reader *reader)
{
	return gw_fail(EBADMSG, "stream is cut after %llu bytes: it has no end",
		       (unsigned long long)reader->channel.moved);
}

/* All of it is there. */
static int need_mapped(struct gw_state_reader *reader, size_t len)
{
	if (reader->end - reader->start < len)
		return cut(reader);
	while (reader->ready < reader->start + len)
		gw_reader_make_ready(reader);
	return 0;
}

/* Makes @len bytes available at reader->buf + reader->start. */
static int need(struct gw_state_reader *reader, size_t len)
{
	if (reader->map)
		return need_mapped(reader, len);
	if (reader->start + len > BUFFER_LEN) {
		memmove(reader->buf, reader->buf + reader->start, reader->end - reader->start);
		reader->end -= reader->start;
		reader->start = 0;
	}
	while (reader->end - reader->start < len) {
		ssize_t n = gw_channel_read(&reader->channel, reader->buf + reader->end,
					    BUFFER_LEN - reader->end);

		if (n < 0)
			return (int)n;
		if (!n)
			return cut(reader);
		reader->end += (size_t)n;
	}
	return 0;
}

/* The bytes of the record handed out before are done with. */
static int consume(struct gw_state_reader *reader)
{
	size_t len = reader->held;

	reader->held = 0;
	reader->at += len;
	reader->start += len;
	if (reader->map)
		return gw_channel_passed(&reader->channel, len);
	if (reader->start == reader->end)
		reader->start = reader->end = 0;
	return 0;
}

static int need_end_of_file(struct gw_state_reader *reader)
{
	uint8_t byte;
	ssize_t n = 1;

	if (reader->start == reader->end && reader->map)
		n = gw_reader_map_has_grown(reader);
	else if (reader->start == reader->end)
		n = gw_channel_read(&reader->channel, &byte, 1);
	if (n < 0)
		return (int)n;
	return n ? gw_fail(EBADMSG, "stream goes on after its end") : 0;
}

/* -- framing records ----------------------------------------------------------------------- */

static int get_u64(const struct gw_record *record, const char *what, uint64_t *number)
{
	if (record->payload.end - record->payload.at != sizeof(*number))
		return gw_fail(EBADMSG, "%s record has a wrong length", what);
	memcpy(number, record->payload.at, sizeof(*number));
	*number = le64toh(*number);
	return 0;
}

/* A mark must have a MAC before it if there is a key; and a MAC has no other place. */
static int check_signed(struct gw_state_reader *reader)
{
	if (reader->mac && !reader->mac_before)
		return gw_fail(EBADMSG, "stream has no MAC before byte %llu, but a key is set",
			       (unsigned long long)reader->at);
	return 0;
}

static int on_phase(struct gw_state_reader *reader, const struct gw_record *record)
{
	uint64_t phase = 0;
	int err = get_u64(record, "phase", &phase);

	if (!err)
		err = check_signed(reader);
	if (!err && phase != GW_PHASE_STOPPED && phase != GW_PHASE_RUNNING)
		err = gw_fail(EBADMSG, "phase %llu is unknown", (unsigned long long)phase);
	if (!err && reader->phase_known && reader->phase == GW_PHASE_STOPPED)
		err = gw_fail(EBADMSG, "a phase follows the last one");
	if (err)
		return err;
	reader->phase = (enum gw_phase)phase;
	reader->phase_known = true;
	return 0;
}

static int on_mac(struct gw_state_reader *reader, const struct gw_record *record)
{
	uint8_t expected[GW_WIRE_MAC_LEN];
	int err;

	if (record->payload.end - record->payload.at != GW_WIRE_MAC_LEN)
		return gw_fail(EBADMSG, "MAC record has a wrong length");
	if (!reader->mac)
		return 0;
	err = gw_mac_get(reader->mac, expected);
	if (!err && CRYPTO_memcmp(expected, record->payload.at, sizeof(expected)))
		err = gw_fail(EBADMSG, "MAC at byte %llu does not match: another key, or a forgery",
			      (unsigned long long)reader->at);
	return err;
}

static int on_end(struct gw_state_reader *reader, const struct gw_record *record)
{
	struct gw_wire_end end;
	int err = check_signed(reader);

	if (err)
		return err;
	if (record->payload.end - record->payload.at != sizeof(end))
		return gw_fail(EBADMSG, "end record has a wrong length");
	memcpy(&end, record->payload.at, sizeof(end));
	if (le64toh(end.records) != reader->records ||
	    le64toh(end.sums) != XXH3_64bits_digest(reader->sums))
		return gw_fail(EBADMSG, "end record tells of %llu records, %llu were read",
			       (unsigned long long)le64toh(end.records),
			       (unsigned long long)reader->records);
	if (!reader->phase_known || reader->phase != GW_PHASE_STOPPED)
		return gw_fail(EBADMSG, "stream ends before phase stopped");
	return 0;
}

static int on_fd(struct gw_state_reader *reader, const struct gw_record *record)
{
	if (record->payload.at != record->payload.end)
		return gw_fail(EBADMSG, "descriptor record has a wrong length");
	if (reader->fds_told == reader->channel.fd_count)
		return gw_fail(EBADMSG, "a descriptor is missing at byte %llu",
			       (unsigned long long)reader->at);
	reader->fds_told++;
	return 0;
}

/* -- records ------------------------------------------------------------------------------- */

static int check_padding(const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		if (*at++)
			return gw_fail(EBADMSG, "padding is not zero");
	}
	return 0;
}

/* What is inside is looked at only once the checksum is good. */
static int check_record(struct gw_state_reader *reader, const struct gw_wire_record *wire,
			struct gw_record *record)
{
	const uint8_t *at = reader->buf + reader->start;
	size_t len = le32toh(wire->length);
	size_t sum_at = sizeof(*wire) + gw_round_up(len, GW_WIRE_ALIGN);
	uint64_t sum;

	memcpy(&sum, at + sum_at, sizeof(sum));
	if (le64toh(sum) != XXH3_64bits(at, sum_at))
		return gw_fail(EBADMSG, "checksum does not match");
	if (le16toh(wire->flags) & ~GW_WIRE_FLAGS)
		return gw_fail(EBADMSG, "flags are 0x%x, 0x%x are known", le16toh(wire->flags),
			       GW_WIRE_FLAGS);
	record->type = le16toh(wire->type);
	record->optional = le16toh(wire->flags) & GW_WIRE_OPTIONAL;
	record->payload = (struct gw_cursor){at + sizeof(*wire), at + sizeof(*wire) + len};
	/* The end record is checked against the sum of what came before it. */
	if (record->type != GW_WIRE_END) {
		XXH3_64bits_update(reader->sums, &sum, sizeof(sum));
		reader->records++;
	}
	return check_padding(record->payload.end, at + sum_at);
}

static int fetch(struct gw_state_reader *reader, struct gw_record *record)
{
	struct gw_wire_record wire;
	size_t len;
	int err = need(reader, sizeof(wire));

	if (err)
		return err;
	memcpy(&wire, reader->buf + reader->start, sizeof(wire));
	len = le32toh(wire.length);
	if (len > GW_WIRE_PAYLOAD_MAX)
		return gw_fail(EBADMSG, "it has %zu bytes, at most %d are allowed", len,
			       GW_WIRE_PAYLOAD_MAX);
	len = sizeof(wire) + gw_round_up(len, GW_WIRE_ALIGN) + GW_WIRE_SUM_LEN;
	err = need(reader, len);
	if (!err)
		err = check_record(reader, &wire, record);
	reader->held = len;
	return err;
}

static int (*const framing[])(struct gw_state_reader *reader, const struct gw_record *record) = {
	[GW_WIRE_PHASE] = on_phase,
	[GW_WIRE_MAC] = on_mac,
	[GW_WIRE_END] = on_end,
	[GW_WIRE_FD] = on_fd,
};

static int play(struct gw_state_reader *reader, const struct gw_record *record)
{
	bool was_mac = reader->mac_before;
	int err = 0;

	if (was_mac && record->type != GW_WIRE_PHASE && record->type != GW_WIRE_END)
		return gw_fail(EBADMSG, "a MAC stands before neither a phase nor the end");
	if (record->type < GW_ARRAY_LEN(framing) && framing[record->type])
		err = framing[record->type](reader, record);
	reader->mac_before = record->type == GW_WIRE_MAC;
	if (!err && record->type >= GW_WIRE_OBJECTS && !reader->phase_known)
		err = gw_fail(EBADMSG, "objects come before the first phase");
	return err;
}

int gw_reader_next(struct gw_state_reader *reader, struct gw_record *record)
{
	int err = reader->error;

	if (err)
		return gw_fail(-err, "%s", reader->sentence);
	if (reader->ended)
		return -ENODATA;
	/* The MAC covers a record only once the next one is wanted: a MAC record is itself
	 * compared with all that was before it. */
	err = gw_mac_update(reader->mac, reader->buf + reader->start, reader->held);
	if (!err)
		err = consume(reader);
	if (!err)
		err = fetch(reader, record);
	if (!err) {
		record->at = reader->at;
		err = play(reader, record);
	}
	if (!err && record->type == GW_WIRE_END) {
		reader->ended = true;
		consume(reader);
		err = need_end_of_file(reader);
		reader->complete = !err;
		err = err ? err : -ENODATA;
	}
	if (err && err != -ENODATA)
		return gw_reader_stick(reader, gw_fail_in(err, "record %llu at byte %llu",
							  (unsigned long long)reader->records,
							  (unsigned long long)reader->at));
	return err;
}

bool gw_reader_is_next(const struct gw_state_reader *reader, uint16_t type)
{
	size_t at = reader->start + reader->held, left = reader->end - at;
	struct gw_wire_record wire;

	if (left < sizeof(wire))
		return false;
	memcpy(&wire, reader->buf + at, sizeof(wire));
	return le16toh(wire.type) == type && le32toh(wire.length) <= GW_WIRE_PAYLOAD_MAX &&
	       left >= gw_record_len(reader->buf + at);
}

int gw_reader_stick(struct gw_state_reader *reader, int err)
{
	if (!reader->error) {
		reader->error = err;
		memcpy(reader->sentence, gw_last_error(), sizeof(reader->sentence));
	}
	reader->complete = false;
	return err;
}

enum gw_phase gw_reader_phase(const struct gw_state_reader *reader)
{
	return reader->phase;
}

/* -- the header ---------------------------------------------------------------------------- */

static int read_header(struct gw_state_reader *reader)
{
	const uint8_t *at = reader->buf; /* nothing was consumed: it stays at the front */
	struct gw_wire_header wire;
	int len, number;
	int err = gw_header_probe(at);

	if (!err)
		err = need(reader, sizeof(wire));
	if (err)
		return err;
	memcpy(&wire, at, sizeof(wire));
	len = gw_header_length(&wire);
	if (len < 0)
		return len;
	err = need(reader, (size_t)len);
	if (!err)
		err = gw_header_decode(at, (size_t)len, &reader->header);
	if (err)
		return err;
	number = gw_header_state_number(reader->header.model);
	if (number < 0)
		return number;
	reader->number = (unsigned)number;
	XXH3_64bits_update(reader->sums, at + len - GW_WIRE_SUM_LEN, GW_WIRE_SUM_LEN);
	reader->held = (size_t)len;
	return 0;
}

static const struct gw_foreign_format *whose(const struct gw_state_reader *reader)
{
	const struct gw_foreign_format *format = reader->channel.config.foreign;

	while (format && format->name && !format->begins(reader->buf, reader->end))
		format++;
	return format && format->name ? format : NULL;
}

/* Ours by its magic, else perhaps another make's. */
static int read_front(struct gw_state_reader *reader)
{
	int err = need(reader, GW_WIRE_MAGIC_LEN);

	if (err)
		return err;
	if (memcmp(reader->buf, GW_WIRE_MAGIC, GW_WIRE_MAGIC_LEN) != 0)
		reader->foreign = whose(reader);
	return reader->foreign ? gw_reader_foreign(reader) : read_header(reader);
}

int gw_state_reader_new(struct gw_state_reader **out, const struct gw_state_channel *channel)
{
	struct gw_state_reader *reader = calloc(1, sizeof(*reader));
	int err;

	*out = NULL;
	if (!reader)
		return gw_fail(ENOMEM, "state reader: no memory");
	err = gw_channel_open(&reader->channel, channel, false);
	if (err) {
		free(reader);
		return err;
	}
	err = gw_reader_map(reader);
	if (!reader->map)
		reader->buf = gw_scratch_take(&reader->memory, BUFFER_LEN);
	reader->sums = XXH3_createState();
	if (!reader->buf || !reader->sums)
		err = gw_fail(ENOMEM, "state reader: no memory");
	if (!err)
		err = gw_mac_new(&reader->mac, channel->key);
	if (!err) {
		XXH3_64bits_reset(reader->sums);
		err = read_front(reader);
	}
	if (err)
		gw_state_reader_free(gw_take_ptr(reader));
	*out = reader;
	return err;
}

void gw_state_reader_free(struct gw_state_reader *reader)
{
	if (!reader)
		return;
	gw_channel_close(&reader->channel);
	gw_mac_free(reader->mac);
	XXH3_freeState(reader->sums);
	for (unsigned i = 0; i < reader->table_count; i++)
		free(reader->table[i].name);
	gw_reader_unmap(reader);
	gw_scratch_free(&reader->memory);
	free(reader);
}

const struct gw_state_header *gw_state_reader_header(const struct gw_state_reader *reader)
{
	return &reader->header;
}

bool gw_state_reader_is_complete(const struct gw_state_reader *reader)
{
	return reader->complete;
}

bool gw_state_reader_is_signed(const struct gw_state_reader *reader)
{
	return reader->complete && reader->mac;
}

uint64_t gw_state_reader_bytes(const struct gw_state_reader *reader)
{
	return reader->channel.moved;
}

unsigned gw_state_read_number(const struct gw_state_reader *reader)
{
	return reader->number;
}

int gw_state_take_fd(struct gw_state_reader *reader)
{
	if (!reader->fds_told)
		return -ENOENT;
	reader->fds_told--;
	return gw_channel_take_fd(&reader->channel);
}
