/* SPDX-License-Identifier: BSD-3-Clause */
/* relay/state.c - the relay's state: what the guest knows of each connection; the connections
 * themselves are handed over, or are no more. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "relay/internal.h"

struct gw_relay_v1 {
	uint32_t last_id;
};

static const struct gw_field relay_fields[] = {
	GW_FIELD(struct gw_relay_v1, last_id, GW_FIELD_U32),
	{.name = NULL},
};

const struct gw_layout gw_relay_v1 = {
	.name = "gw_relay_v1",
	.type = GW_RECORD_DEVICE,
	.size = sizeof(struct gw_relay_v1),
	.fields = relay_fields,
};

struct gw_relay_conn_v1 {
	uint32_t id, taken, credit;
	bool told, closing, ended;
	struct gw_bytes unsent;
};

static const struct gw_field conn_fields[] = {
	GW_KEY(struct gw_relay_conn_v1, id, GW_FIELD_U32),
	GW_FIELD_SIZED(struct gw_relay_conn_v1, taken, GW_FIELD_U32, RELAY_WINDOW),
	GW_FIELD_SIZED(struct gw_relay_conn_v1, credit, GW_FIELD_U32, RELAY_WINDOW),
	GW_FIELD(struct gw_relay_conn_v1, told, GW_FIELD_BOOL),
	GW_FIELD(struct gw_relay_conn_v1, closing, GW_FIELD_BOOL),
	GW_FIELD(struct gw_relay_conn_v1, ended, GW_FIELD_BOOL),
	GW_FIELD_SIZED(struct gw_relay_conn_v1, unsent, GW_FIELD_BYTES, RELAY_WINDOW),
	{.name = NULL},
};

const struct gw_layout gw_relay_conn_v1 = {
	.name = "gw_relay_conn_v1",
	.type = GW_RECORD_DEVICE + 1,
	.size = sizeof(struct gw_relay_conn_v1),
	.fields = conn_fields,
};

/* Comes last: it is acted upon when the rest is known. */
struct gw_relay_handover_v1 {
	uint8_t ticket[GW_TICKET_LEN];
};

static const struct gw_field handover_fields[] = {
	GW_FIELD_SIZED(struct gw_relay_handover_v1, ticket, GW_FIELD_FIXED, GW_TICKET_LEN),
	{.name = NULL},
};

const struct gw_layout gw_relay_handover_v1 = {
	.name = "gw_relay_handover_v1",
	.type = GW_RECORD_DEVICE + 2,
	.optional = true,
	.size = sizeof(struct gw_relay_handover_v1),
	.fields = handover_fields,
};

/* -- saved --------------------------------------------------------------------------------- */

static unsigned count_open(const struct relay *relay)
{
	unsigned count = 0;

	for (unsigned i = 0; i < RELAY_CONNS_MAX; i++)
		count += relay->conns[i].id && relay->conns[i].fd >= 0;
	return count;
}

static int put_conns(const struct relay *relay, struct gw_state_writer *writer)
{
	int err = 0;

	for (unsigned i = 0; i < RELAY_CONNS_MAX && !err; i++) {
		const struct relay_conn *conn = &relay->conns[i];
		const struct gw_relay_conn_v1 record = {
			.id = conn->id,
			.taken = conn->taken,
			.credit = conn->credit,
			.told = conn->told,
			.closing = conn->closing,
			.ended = conn->fd < 0,
			.unsent = {.data = (const uint8_t *)conn->unsent, .len = conn->unsent_len},
		};

		if (conn->id)
			err = gw_state_put(writer, &gw_relay_conn_v1, &record);
	}
	return err;
}

static int put_ticket(struct relay *relay, struct gw_state_writer *writer)
{
	struct gw_relay_handover_v1 record;
	int err = relay_offer(relay);

	if (!err) {
		memcpy(record.ticket, relay->ticket, sizeof(record.ticket));
		return gw_state_put(writer, &gw_relay_handover_v1, &record);
	}
	if (err != -ENOENT)
		return err;
	if (count_open(relay) && relay->host->on_unsavable == RELAY_UNSAVABLE_FAIL)
		return gw_fail(ENOTCONN,
			       "save: %u TCP connections go to another process of this host only, "
			       "and none is connected to --handover-socket "
			       "(--on-unsavable=drop closes them)",
			       count_open(relay));
	return 0;
}

int relay_save(void *dev, struct gw_state_writer *writer, enum gw_phase phase, size_t budget)
{
	struct relay *relay = dev;
	GW_LOCK_SCOPE(&relay->lock);
	const struct gw_relay_v1 record = {.last_id = relay->last_id};
	int err = relay->handed ? gw_fail(EBUSY, "save: the process before has not let go of it")
				: gw_state_put(writer, &gw_relay_v1, &record);

	if (!err)
		err = put_conns(relay, writer);
	relay_withdraw(relay);
	return err ? err : put_ticket(relay, writer);
}

/* -- loaded -------------------------------------------------------------------------------- */

#define LOST (-2) /* in place of a descriptor that has not come yet */

struct staged {
	struct relay *relay;
	struct relay as;  /* listener, token, last_id, conns, handed */
	uint32_t highest; /* id of a connection */
	bool has_ticket;
	uint8_t ticket[GW_TICKET_LEN];
	struct gw_handed handed;
};

static int stage_relay(void *opaque, const void *object)
{
	const struct gw_relay_v1 *record = object;
	struct staged *staged = opaque;

	staged->as.last_id = record->last_id;
	return 0;
}

static bool is_whole(const struct gw_relay_conn_v1 *record)
{
	return record->id && record->credit + record->unsent.len <= record->taken;
}

static int stage_conn(void *opaque, const void *object)
{
	const struct gw_relay_conn_v1 *record = object;
	struct staged *staged = opaque;
	struct relay_conn *conn;

	if (!is_whole(record) || relay_conn_find(&staged->as, record->id))
		return gw_fail(EBADMSG, "relay: connection %u cannot be as it is said", record->id);
	conn = relay_conn_new(&staged->as, record->id, -1);
	if (!conn)
		return gw_fail(E2BIG, "relay: no room for more than %d connections",
			       RELAY_CONNS_MAX);
	staged->highest = GW_MAX(staged->highest, record->id);
	conn->taken = record->taken;
	conn->credit = record->credit;
	conn->told = record->told;
	conn->closing = record->closing;
	conn->unsent_len = (uint32_t)record->unsent.len;
	memcpy(conn->unsent, record->unsent.data, record->unsent.len);
	/* Until it is known whether it came; one that has ended does not come. */
	conn->fd = record->ended ? -1 : LOST;
	return 0;
}

static int stage_ticket(void *opaque, const void *object)
{
	struct staged *staged = opaque;

	memcpy(staged->ticket, ((const struct gw_relay_handover_v1 *)object)->ticket,
	       sizeof(staged->ticket));
	staged->has_ticket = true;
	return 0;
}

static const struct gw_state_handler handlers[] = {
	{.layout = &gw_relay_v1, .put = stage_relay},
	{.layout = &gw_relay_conn_v1, .put = stage_conn},
	{.layout = &gw_relay_handover_v1, .put = stage_ticket},
	{.layout = NULL},
};

static bool is_socket(int fd, bool listening)
{
	int type = 0, accepts = 0;
	socklen_t len = sizeof(int), len2 = sizeof(int);

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_STREAM &&
	       !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len2) &&
	       !accepts == !listening;
}

/* The ticket proves who gave it, which is no reason to believe it. */
static int take_one(struct gw_handed *handed, struct gw_handed_item item, bool listening)
{
	struct gw_handed_entry *entry = gw_handed_find(handed, item);

	if (!entry || entry->fd < 0)
		return -1;
	if (is_socket(entry->fd, listening))
		return gw_take_fd(&entry->fd);
	gw_warn("relay: what was handed over is no %s", listening ? "port" : "connection");
	return -1;
}

static void take_handed(struct staged *staged)
{
	struct relay *as = &staged->as;

	as->listener = take_one(&staged->handed,
				(struct gw_handed_item){.kind = RELAY_HANDED_LISTENER}, true);
	for (unsigned i = 0; i < RELAY_CONNS_MAX; i++) {
		const struct gw_handed_item item = {.kind = RELAY_HANDED_CONN,
						    .id = as->conns[i].id};

		int fd = -1;

		if (item.id && as->conns[i].fd == LOST)
			fd = take_one(&staged->handed, item, false);
		if (fd >= 0)
			as->conns[i].fd = fd;
	}
}

static int receive(struct staged *staged)
{
	int err;

	if (!staged->has_ticket)
		return 0;
	err = relay_receive(staged->relay, staged->ticket, &staged->as.token, &staged->handed);
	if (err) {
		gw_warn("load: %s", gw_last_error());
		gw_close(&staged->as.token);
		return 0;
	}
	/* Without a token it was never owned: the source never ran. */
	staged->as.handed = staged->as.token >= 0;
	take_handed(staged);
	return 0;
}

/* Those that did not come. */
static int settle_lost(struct staged *staged)
{
	unsigned lost = 0;

	for (unsigned i = 0; i < RELAY_CONNS_MAX; i++) {
		struct relay_conn *conn = &staged->as.conns[i];

		if (!conn->id || conn->fd != LOST)
			continue;
		conn->fd = -1;
		lost++;
	}
	if (lost && staged->relay->host->on_unsavable == RELAY_UNSAVABLE_FAIL)
		return gw_fail(ENOTCONN,
			       "load: %u TCP connections did not come along "
			       "(--on-unsavable=drop goes on without them)",
			       lost);
	if (lost)
		gw_warn("load: %u TCP connections did not come along", lost);
	return 0;
}

/* All that may fail is done now, and nothing is live: a port that is bound answers nobody. */
static int make_ready(struct staged *staged)
{
	int err;

	staged->as.host = staged->relay->host;
	if (staged->highest > staged->as.last_id)
		return gw_fail(EBADMSG, "relay: connection %u, and %u is said to be the last",
			       staged->highest, staged->as.last_id);
	err = receive(staged);
	if (!err)
		err = settle_lost(staged);
	if (!err && staged->as.listener < 0)
		err = relay_bind(&staged->as);
	if (!err && staged->as.token < 0)
		err = relay_token_make(&staged->as);
	return err;
}

static void swap_in(struct relay *relay, struct staged *staged)
{
	GW_LOCK_SCOPE(&relay->lock);

	relay->listener = staged->as.listener;
	relay->token = staged->as.token;
	relay->last_id = staged->as.last_id;
	relay->handed = staged->as.handed;
	memcpy(relay->conns, staged->as.conns, sizeof(relay->conns));
}

static void drop(struct staged *staged)
{
	gw_close(&staged->as.listener);
	gw_close(&staged->as.token);
	for (unsigned i = 0; i < RELAY_CONNS_MAX; i++) {
		staged->as.conns[i].fd = GW_MAX(staged->as.conns[i].fd, -1);
		relay_conn_free(&staged->as.conns[i]);
	}
}

int relay_load(void *dev, struct gw_state_reader *reader)
{
	GW_AUTO_FREE struct staged *staged = calloc(1, sizeof(*staged));
	struct relay *relay = dev;
	int err;

	if (!staged)
		return gw_fail(ENOMEM, "load: no memory");
	staged->relay = relay;
	staged->as.listener = staged->as.token = -1;
	err = gw_state_read(reader, handlers, staged);
	if (!err)
		err = make_ready(staged);
	if (err)
		drop(staged);
	else
		swap_in(relay, staged);
	gw_handed_clear(&staged->handed);
	return err;
}
