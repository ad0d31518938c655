/* SPDX-License-Identifier: BSD-3-Clause */
/* state/writer.c - objects into records, records into the channel. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "state/checksum.h"
#include "state/channel.h"
#include "state/describe.h"
#include "state/header.h"
#include "state/mac.h"
#include "state/record.h"

/*
 * Finished records wait in the buffer until there are so many bytes; a system call for less would
 * cost more than the copying.
 */
#define FLUSH_AT   (128 * 1024)
#define BUFFER_LEN (FLUSH_AT + GW_WIRE_PAYLOAD_MAX + GW_HEADER_MAX + GW_DESCRIPTION_MAX)

/* Records made ahead of time are handed on from where they lie, so many pieces in one call. */
#define PIECES_AT_ONCE 256

/* The buffer's pieces and the cuts between them. */
#define IOV_PIECES (2 * GW_WIRE_FIELDS_MAX + 1)

struct gw_state_writer {
	struct gw_channel channel;
	struct gw_mac *mac;
	unsigned number; /* the parameter `state` */

	/* The first failure, told again at every later call. */
	int error;
	char sentence[GW_ERROR_MAX];

	struct gw_sink sink;	      /* finished records, then the open one */
	const struct gw_layout *open; /* of the open record; NULL: none is open */
	size_t open_at;		      /* where its header is in the buffer */
	uint64_t previous[GW_WIRE_FIELDS_MAX];
	const struct gw_layout *announced[GW_WIRE_LAYOUTS_MAX];
	unsigned announced_count;

	uint64_t records;
	XXH3_state_t *sums; /* over the checksums of all records */
	XXH3_state_t *hash; /* of a record in pieces */
	uint64_t flushed;   /* bytes handed to the channel */
	bool phase_known, stopped, ended;
};

static int stick(struct gw_state_writer *writer, int err)
{
	if (err && !writer->error) {
		writer->error = err;
		memcpy(writer->sentence, gw_last_error(), sizeof(writer->sentence));
	}
	return err;
}

static int check_usable(const struct gw_state_writer *writer)
{
	if (writer->error)
		return gw_fail(-writer->error, "%s", writer->sentence);
	if (writer->ended)
		return gw_fail(EINVAL, "state stream: nothing can follow the end");
	return 0;
}

/* -- bytes --------------------------------------------------------------------------------- */

static unsigned gather(const struct gw_sink *sink, struct iovec iov[IOV_PIECES])
{
	unsigned n = 0;
	size_t at = 0;

	for (unsigned i = 0; i < sink->cut_count; i++) {
		const struct gw_cut *cut = &sink->cuts[i];

		iov[n++] = (struct iovec){sink->buf + at, cut->at - at};
		iov[n++] = (struct iovec){(void *)cut->data, cut->len};
		at = cut->at;
	}
	iov[n++] = (struct iovec){sink->buf + at, sink->len - at};
	return n;
}

/* Everything that leaves goes through here, so that the MAC is over all of it. */
static int flush(struct gw_state_writer *writer, int fd)
{
	struct iovec iov[IOV_PIECES];
	unsigned n = gather(&writer->sink, iov);
	int err = 0;

	for (unsigned i = 0; i < n && !err && writer->mac; i++)
		err = gw_mac_update(writer->mac, iov[i].iov_base, iov[i].iov_len);
	if (!err)
		err = gw_channel_write(&writer->channel, iov, n, fd);
	writer->flushed += writer->sink.len + writer->sink.cut_len;
	writer->sink.len = 0;
	writer->sink.cut_count = 0;
	writer->sink.cut_len = 0;
	return err;
}

/* XXH3 of the open record, from its header on. Cuts all belong to the open record. */
static uint64_t checksum_open(const struct gw_state_writer *writer)
{
	const struct gw_sink *sink = &writer->sink;
	size_t at = writer->open_at;
	XXH3_state_t *hash = writer->hash;

	if (!sink->cut_count)
		return XXH3_64bits(sink->buf + at, sink->len - at);
	XXH3_64bits_reset(hash);
	for (unsigned i = 0; i < sink->cut_count; i++) {
		XXH3_64bits_update(hash, sink->buf + at, sink->cuts[i].at - at);
		XXH3_64bits_update(hash, sink->cuts[i].data, sink->cuts[i].len);
		at = sink->cuts[i].at;
	}
	XXH3_64bits_update(hash, sink->buf + at, sink->len - at);
	return XXH3_64bits_digest(hash);
}

static void record_begin(struct gw_state_writer *writer)
{
	writer->open_at = writer->sink.len;
	writer->sink.len += sizeof(struct gw_wire_record);
}

static size_t open_payload(const struct gw_state_writer *writer)
{
	return writer->sink.len - writer->open_at - sizeof(struct gw_wire_record) +
	       writer->sink.cut_len;
}

static void record_end(struct gw_state_writer *writer, unsigned type, unsigned flags)
{
	struct gw_sink *sink = &writer->sink;
	uint64_t sum;

	gw_record_frame(sink, writer->open_at, type, flags, open_payload(writer));
	sum = htole64(checksum_open(writer));
	memcpy(sink->buf + sink->len, &sum, sizeof(sum));
	sink->len += sizeof(sum);
	XXH3_64bits_update(writer->sums, &sum, sizeof(sum));
	writer->records++;
}

static int close_objects(struct gw_state_writer *writer)
{
	if (!writer->open)
		return 0;
	record_end(writer, writer->open->type, gw_record_flags(writer->open));
	writer->open = NULL;
	/* What lies outside the buffer is the caller's, and valid only until it gets back. */
	if (writer->sink.cut_count || writer->sink.len >= FLUSH_AT)
		return flush(writer, -1);
	return 0;
}

static void put_record(struct gw_state_writer *writer, unsigned type, const void *payload,
		       size_t len)
{
	record_begin(writer);
	if (len)
		memcpy(writer->sink.buf + writer->sink.len, payload, len);
	writer->sink.len += len;
	record_end(writer, type, 0);
}

/* -- objects ------------------------------------------------------------------------------- */

static int announce(struct gw_state_writer *writer, const struct gw_layout *layout)
{
	int err;

	for (unsigned i = 0; i < writer->announced_count; i++) {
		const struct gw_layout *known = writer->announced[i];

		if (known == layout)
			return 0;
		if (known->type == layout->type)
			return gw_fail(EINVAL, "record type 0x%x is both %s and %s", layout->type,
				       known->name, layout->name);
	}
	err = gw_layout_validate(layout);
	if (err)
		return err;
	if (writer->announced_count == GW_WIRE_LAYOUTS_MAX)
		return gw_fail(E2BIG, "state stream: more than %d layouts", GW_WIRE_LAYOUTS_MAX);
	writer->announced[writer->announced_count++] = layout;
	record_begin(writer);
	gw_description_encode(&writer->sink, layout);
	record_end(writer, GW_WIRE_LAYOUT, 0);
	return 0;
}

/* Records of @layout may follow. */
static int open_layout(struct gw_state_writer *writer, const struct gw_layout *layout)
{
	int err = close_objects(writer);

	if (!err && !writer->phase_known)
		err = gw_state_writer_phase(writer, GW_PHASE_STOPPED);
	return err ? err : announce(writer, layout);
}

static int open_objects(struct gw_state_writer *writer, const struct gw_layout *layout)
{
	int err;

	if (writer->open == layout)
		return 0;
	err = open_layout(writer, layout);
	if (err)
		return err;
	writer->open = layout;
	memset(writer->previous, 0, sizeof(writer->previous));
	record_begin(writer);
	return 0;
}

static int put_object(struct gw_state_writer *writer, const struct gw_layout *layout,
		      const void *object, enum gw_wire_op op)
{
	size_t bound;
	int err = check_usable(writer);

	if (err || !gw_layout_in_force(layout, writer->number))
		return err;
	err = open_objects(writer, layout);
	if (!err)
		err = gw_object_bound(layout, object, &bound);
	if (!err)
		err = gw_object_encode(&writer->sink, layout, object, op, writer->previous);
	if (!err && (writer->sink.cut_count || open_payload(writer) >= GW_WIRE_RECORD_TARGET))
		err = close_objects(writer);
	return stick(writer, err);
}

int gw_state_put(struct gw_state_writer *writer, const struct gw_layout *layout, const void *object)
{
	return put_object(writer, layout, object, GW_WIRE_PUT);
}

int gw_state_delete(struct gw_state_writer *writer, const struct gw_layout *layout,
		    const void *object)
{
	return put_object(writer, layout, object, GW_WIRE_DELETE);
}

/* Of records that were made before, the checksums are all there is to do. */
static void count_records(struct gw_state_writer *writer, const struct gw_bytes *piece)
{
	const uint8_t *at = piece->data, *end = at + piece->len;

	while (at < end) {
		at += gw_record_len(at);
		XXH3_64bits_update(writer->sums, at - GW_WIRE_SUM_LEN, GW_WIRE_SUM_LEN);
		writer->records++;
	}
}

static int write_pieces(struct gw_state_writer *writer, const struct gw_bytes *pieces, size_t count)
{
	struct iovec iov[PIECES_AT_ONCE];
	size_t len = 0;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		count_records(writer, &pieces[i]);
		iov[i] = (struct iovec){(void *)pieces[i].data, pieces[i].len};
		len += pieces[i].len;
		if (writer->mac)
			err = gw_mac_update(writer->mac, pieces[i].data, pieces[i].len);
	}
	if (!err)
		err = gw_channel_write(&writer->channel, iov, (unsigned)count, -1);
	writer->flushed += len;
	return err;
}

static int put_pieces(struct gw_state_writer *writer, const struct gw_layout *layout,
		      const struct gw_bytes *pieces, size_t count)
{
	int err = open_layout(writer, layout);

	if (!err)
		err = flush(writer, -1);
	for (size_t i = 0; i < count && !err; i += PIECES_AT_ONCE)
		err = write_pieces(writer, pieces + i, GW_MIN(count - i, (size_t)PIECES_AT_ONCE));
	return err;
}

int gw_state_put_records(struct gw_state_writer *writer, const struct gw_layout *layout,
			 const struct gw_bytes *pieces, size_t count)
{
	int err = check_usable(writer);

	if (err || !count || !gw_layout_in_force(layout, writer->number))
		return err;
	return stick(writer, put_pieces(writer, layout, pieces, count));
}

int gw_state_put_fd(struct gw_state_writer *writer, int fd)
{
	int err = check_usable(writer);

	if (err)
		return err;
	if (!writer->channel.passes_fds)
		return gw_fail(EOPNOTSUPP, "state channel passes no descriptors");
	err = close_objects(writer);
	if (!err)
		err = flush(writer, -1);
	if (!err) {
		put_record(writer, GW_WIRE_FD, NULL, 0);
		err = flush(writer, fd);
	}
	return stick(writer, err);
}

int gw_state_flush(struct gw_state_writer *writer)
{
	int err = check_usable(writer);

	if (!err)
		err = close_objects(writer);
	return err ? err : stick(writer, flush(writer, -1));
}

uint64_t gw_state_written(const struct gw_state_writer *writer)
{
	return writer->flushed + writer->sink.len + writer->sink.cut_len;
}

unsigned gw_state_number(const struct gw_state_writer *writer)
{
	return writer->number;
}

/* -- the frame ----------------------------------------------------------------------------- */

/* Stands before each PHASE mark and the end, if there is a key. */
static int put_mac(struct gw_state_writer *writer)
{
	uint8_t mac[GW_WIRE_MAC_LEN];
	int err;

	if (!writer->mac)
		return 0;
	err = flush(writer, -1);
	if (!err)
		err = gw_mac_get(writer->mac, mac);
	if (!err)
		put_record(writer, GW_WIRE_MAC, mac, sizeof(mac));
	return err;
}

static int mark_phase(struct gw_state_writer *writer, enum gw_phase phase)
{
	uint64_t number = htole64(phase);
	int err = close_objects(writer);

	if (!err && writer->stopped)
		err = gw_fail(EINVAL, "state stream: no phase can follow the last one");
	if (!err)
		err = put_mac(writer);
	if (err)
		return err;
	put_record(writer, GW_WIRE_PHASE, &number, sizeof(number));
	writer->phase_known = true;
	writer->stopped = phase == GW_PHASE_STOPPED;
	return flush(writer, -1);
}

int gw_state_writer_phase(struct gw_state_writer *writer, enum gw_phase phase)
{
	int err = check_usable(writer);

	return err ? err : stick(writer, mark_phase(writer, phase));
}

static int put_end(struct gw_state_writer *writer)
{
	struct gw_wire_end end;
	int err = close_objects(writer);

	if (!err && !writer->phase_known)
		err = mark_phase(writer, GW_PHASE_STOPPED);
	if (!err && !writer->stopped)
		err = gw_fail(EINVAL, "state stream: it ends before phase stopped");
	if (!err)
		err = put_mac(writer);
	if (err)
		return err;
	end = (struct gw_wire_end){.records = htole64(writer->records),
				   .sums = htole64(XXH3_64bits_digest(writer->sums))};
	put_record(writer, GW_WIRE_END, &end, sizeof(end));
	return flush(writer, -1);
}

int gw_state_writer_end(struct gw_state_writer *writer)
{
	int err = check_usable(writer);

	if (!err)
		err = stick(writer, put_end(writer));
	writer->ended = !err;
	return err;
}

static int put_header(struct gw_state_writer *writer, const struct gw_state_header *header)
{
	int number = gw_header_state_number(header->model);
	int len = number < 0 ? number : gw_header_encode(header, writer->sink.buf);

	if (len < 0)
		return len;
	writer->number = (unsigned)number;
	writer->sink.len = (size_t)len;
	XXH3_64bits_update(writer->sums, writer->sink.buf + len - GW_WIRE_SUM_LEN, GW_WIRE_SUM_LEN);
	return flush(writer, -1);
}

int gw_state_writer_new(struct gw_state_writer **out, const struct gw_state_channel *channel,
			const struct gw_state_header *header)
{
	struct gw_state_writer *writer = calloc(1, sizeof(*writer));
	int err;

	*out = NULL;
	if (!writer)
		return gw_fail(ENOMEM, "state writer: no memory");
	err = gw_channel_open(&writer->channel, channel, true);
	if (err) {
		free(writer);
		return err;
	}
	writer->sink.buf = malloc(BUFFER_LEN);
	writer->sums = XXH3_createState();
	writer->hash = XXH3_createState();
	if (!writer->sink.buf || !writer->sums || !writer->hash)
		err = gw_fail(ENOMEM, "state writer: no memory");
	if (!err)
		err = gw_mac_new(&writer->mac, channel->key);
	if (!err) {
		XXH3_64bits_reset(writer->sums);
		err = put_header(writer, header);
	}
	if (err)
		gw_state_writer_free(gw_take_ptr(writer));
	*out = writer;
	return err;
}

void gw_state_writer_free(struct gw_state_writer *writer)
{
	if (!writer)
		return;
	gw_channel_close(&writer->channel);
	gw_mac_free(writer->mac);
	XXH3_freeState(writer->sums);
	XXH3_freeState(writer->hash);
	free(writer->sink.buf);
	free(writer);
}
