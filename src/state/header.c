/* SPDX-License-Identifier: BSD-3-Clause */
/* state/header.c - the front of a stream, and the list of formats that can be told apart by it. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "state/checksum.h"
#include "state/header.h"

static_assert(GW_STATE_ID_LEN == sizeof(((struct gw_wire_header *)0)->id), "id is wire format");

static bool probe_own(const uint8_t *magic)
{
	return !memcmp(magic, GW_WIRE_MAGIC, GW_WIRE_MAGIC_LEN);
}

/*
 * Whose stream is it? Asked in order. (Formats of other makes, which have no header, are known by
 * the devices that can read them: foreign.c.)
 */
static const struct stream_format {
	const char *name;
	bool (*probe)(const uint8_t *magic);
} stream_formats[] = {
	{"godwit", probe_own},
};

int gw_header_probe(const uint8_t magic[GW_WIRE_MAGIC_LEN])
{
	for (size_t i = 0; i < GW_ARRAY_LEN(stream_formats); i++) {
		if (stream_formats[i].probe(magic))
			return 0;
	}
	return gw_fail(EBADMSG,
		       "stream begins with %02x%02x%02x%02x%02x%02x%02x%02x: no format "
		       "that is known here",
		       magic[0], magic[1], magic[2], magic[3], magic[4], magic[5], magic[6],
		       magic[7]);
}

/* Texts end up in logs and on terminals. */
static int check_text(const char *what, const uint8_t *text, size_t len, bool lines)
{
	for (size_t i = 0; i < len; i++) {
		if ((text[i] < ' ' && !(lines && text[i] == '\n')) || text[i] == 0x7f)
			return gw_fail(EBADMSG, "header: %s has the byte 0x%02x", what, text[i]);
	}
	return 0;
}

static bool mode_is_known(unsigned mode)
{
	return mode == GW_MODE_STATEFUL || mode == GW_MODE_STATELESS;
}

static size_t append(uint8_t *buf, size_t at, const char *text, size_t len)
{
	memcpy(buf + at, text, len);
	return at + len;
}

int gw_header_encode(const struct gw_state_header *header, uint8_t buf[GW_HEADER_MAX])
{
	size_t implementation = strnlen(header->implementation, sizeof(header->implementation));
	size_t prerequisites = strnlen(header->prerequisites, sizeof(header->prerequisites));
	size_t model = strnlen(header->model, sizeof(header->model));
	struct gw_wire_header wire = {
		.magic = {0},
		.format = htole16(GW_WIRE_FORMAT),
		.oldest = htole16(GW_WIRE_OLDEST),
		.fixed = htole16(sizeof(wire)),
		.mode = htole16((uint16_t)header->mode),
		.implementation_len = htole16((uint16_t)implementation),
		.prerequisites_len = htole16((uint16_t)prerequisites),
		.model_len = htole32((uint32_t)model),
	};
	size_t at = sizeof(wire), end;
	uint64_t sum;

	if (!mode_is_known(header->mode) || implementation == sizeof(header->implementation) ||
	    prerequisites == sizeof(header->prerequisites) || model == sizeof(header->model))
		return gw_fail(EINVAL, "state header: unknown mode %d or a text without end",
			       (int)header->mode);
	memcpy(wire.magic, GW_WIRE_MAGIC, GW_WIRE_MAGIC_LEN);
	memcpy(wire.id, header->id, sizeof(wire.id));
	memcpy(wire.ticket, header->ticket, sizeof(wire.ticket));
	memcpy(buf, &wire, sizeof(wire));
	at = append(buf, at, header->implementation, implementation);
	at = append(buf, at, header->model, model);
	at = append(buf, at, header->prerequisites, prerequisites);
	end = gw_round_up(at, GW_WIRE_ALIGN);
	memset(buf + at, 0, end - at);
	sum = htole64(XXH3_64bits(buf, end));
	memcpy(buf + end, &sum, sizeof(sum));
	return (int)(end + sizeof(sum));
}

/* A stream of a later format is readable if it says so; what it added is skipped. */
static int check_format(const struct gw_wire_header *wire)
{
	unsigned format = le16toh(wire->format), oldest = le16toh(wire->oldest);
	unsigned fixed = le16toh(wire->fixed);

	if (!format || !oldest || oldest > format)
		return gw_fail(EBADMSG, "header: format %u, readable from %u on", format, oldest);
	if (oldest > GW_WIRE_FORMAT)
		return gw_fail(EBADMSG,
			       "stream has format %u, readable from %u on; this build reads %d",
			       format, oldest, GW_WIRE_FORMAT);
	if (fixed < sizeof(*wire) || fixed > GW_WIRE_FIXED_MAX ||
	    (format <= GW_WIRE_FORMAT && fixed != sizeof(*wire)))
		return gw_fail(EBADMSG, "header: texts begin at %u, %zu was expected", fixed,
			       sizeof(*wire));
	return 0;
}

int gw_header_length(const struct gw_wire_header *wire)
{
	size_t implementation = le16toh(wire->implementation_len);
	size_t prerequisites = le16toh(wire->prerequisites_len);
	size_t model = le32toh(wire->model_len);
	int err = check_format(wire);

	if (err)
		return err;
	if (implementation >= GW_STATE_NAME_MAX || prerequisites >= GW_STATE_NAME_MAX ||
	    model >= GW_CANONICAL_MAX)
		return gw_fail(EBADMSG, "header: texts of %zu, %zu and %zu bytes", implementation,
			       model, prerequisites);
	return (int)(gw_round_up(le16toh(wire->fixed) + implementation + prerequisites + model,
				 GW_WIRE_ALIGN) +
		     GW_WIRE_SUM_LEN);
}

static int take_text(const uint8_t **at, size_t len, const char *what, char *to)
{
	int err = check_text(what, *at, len, !strcmp(what, "model"));

	if (err)
		return err;
	memcpy(to, *at, len);
	to[len] = 0;
	*at += len;
	return 0;
}

static int check_rest(const struct gw_wire_header *wire, const uint8_t *at, const uint8_t *end)
{
	if (!mode_is_known(le16toh(wire->mode)))
		return gw_fail(EBADMSG, "header: mode %u is unknown", le16toh(wire->mode));
	if (wire->reserved && le16toh(wire->format) <= GW_WIRE_FORMAT)
		return gw_fail(EBADMSG, "header: reserved bytes are not zero");
	while (at < end) {
		if (*at++)
			return gw_fail(EBADMSG, "header: padding is not zero");
	}
	return 0;
}

int gw_header_decode(const uint8_t *buf, size_t len, struct gw_state_header *header)
{
	const uint8_t *end = buf + len - GW_WIRE_SUM_LEN;
	struct gw_wire_header wire;
	const uint8_t *at;
	uint64_t sum;
	int err;

	memcpy(&wire, buf, sizeof(wire));
	memcpy(&sum, end, sizeof(sum));
	if (le64toh(sum) != XXH3_64bits(buf, len - GW_WIRE_SUM_LEN))
		return gw_fail(EBADMSG, "header: checksum does not match");
	at = buf + le16toh(wire.fixed);
	memset(header, 0, sizeof(*header));
	err = take_text(&at, le16toh(wire.implementation_len), "implementation",
			header->implementation);
	if (!err)
		err = take_text(&at, le32toh(wire.model_len), "model", header->model);
	if (!err)
		err = take_text(&at, le16toh(wire.prerequisites_len), "prerequisites",
				header->prerequisites);
	if (!err)
		err = check_rest(&wire, at, end);
	header->mode = (enum gw_state_mode)le16toh(wire.mode);
	memcpy(header->id, wire.id, sizeof(header->id));
	memcpy(header->ticket, wire.ticket, sizeof(header->ticket));
	return err;
}

int gw_header_state_number(const char *model)
{
	static const char prefix[] = "\nstate=";
	const char *at = strstr(model, prefix);
	char *end;
	unsigned long number;

	if (!at)
		return 1;
	at += sizeof(prefix) - 1;
	number = strtoul(at, &end, 10);
	if (*at < '0' || *at > '9' || *end != '\n' || number < 1 || number > UINT16_MAX)
		return gw_fail(EBADMSG, "header: parameter state is no number from 1 to %d",
			       UINT16_MAX);
	return (int)number;
}
