/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/dispatch.c - a message is checked against its row, handled, and answered. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/dispatch.h"
#include "vhost-user/recovery.h"

/* What a number that is in no table gets. */
static const struct gw_vu_row unknown_row = {"unknown request", NULL, 0, GW_VU_PAYLOAD_MAX};

/*
 * Admission: is this message, as it is, one that the handler may see?
 */
static uint32_t ring_index(const struct gw_call *call)
{
	if (call->row->shape == GW_VU_SHAPE_RING_FD)
		return (uint32_t)(call->payload->u64 & GW_VU_VRING_INDEX_MASK);
	return call->payload->state.index; /* the first word of an address, too */
}

struct gw_ring *gw_call_ring(const struct gw_dialog *dialog, const struct gw_call *call)
{
	return &dialog->instance->rings[ring_index(call)];
}

static int fits_any(const struct gw_dialog *dialog, struct gw_call *call)
{
	return 0;
}

static int fits_ring(const struct gw_dialog *dialog, struct gw_call *call)
{
	uint32_t index = ring_index(call);

	if (index >= dialog->instance->ring_count)
		return gw_fail(EINVAL,
			       "ring %u, but the device has %u; give it more, or ask for less",
			       index, dialog->instance->ring_count);
	return 0;
}

static int fits_ring_fd(const struct gw_dialog *dialog, struct gw_call *call)
{
	uint64_t value = call->payload->u64;

	if (value & ~(GW_VU_VRING_INDEX_MASK | GW_VU_VRING_NO_FD))
		return gw_fail(EINVAL,
			       "0x%" PRIx64 ", expected a ring's index and at most flag 0x%x",
			       value, (unsigned)GW_VU_VRING_NO_FD);
	if (!(value & GW_VU_VRING_NO_FD) && !call->fd_count)
		return gw_fail(EINVAL, "no descriptor came, and 0x%" PRIx64 " does not say so",
			       value);
	return fits_ring(dialog, call);
}

static int fits_table(const struct gw_dialog *dialog, struct gw_call *call)
{
	uint32_t count = call->payload->table.count;

	if (count > GW_VU_REGIONS_MAX)
		return gw_fail(EINVAL, "%u regions, expected at most %d", count, GW_VU_REGIONS_MAX);
	if (call->message->header.size !=
	    offsetof(struct gw_vu_mem_table, regions) + count * sizeof(struct gw_vu_region))
		return gw_fail(EINVAL, "%u bytes of payload do not hold %u regions",
			       call->message->header.size, count);
	if (call->fd_count < count)
		return gw_fail(EINVAL, "%u descriptors for %u regions", call->fd_count, count);
	return 0;
}

static int fits_config(const struct gw_dialog *dialog, struct gw_call *call)
{
	const struct gw_vu_config *config = &call->payload->config;

	if (config->size > GW_VU_CONFIG_MAX)
		return gw_fail(EINVAL, "%u bytes of configuration, expected at most %d",
			       config->size, GW_VU_CONFIG_MAX);
	if (call->message->header.size != offsetof(struct gw_vu_config, data) + config->size)
		return gw_fail(EINVAL, "%u bytes of payload do not hold %u of configuration",
			       call->message->header.size, config->size);
	return 0;
}

static int (*const fits[GW_VU_SHAPES])(const struct gw_dialog *, struct gw_call *) = {
	[GW_VU_SHAPE_ANY] = fits_any,	     [GW_VU_SHAPE_RING_STATE] = fits_ring,
	[GW_VU_SHAPE_RING_ADDR] = fits_ring, [GW_VU_SHAPE_RING_FD] = fits_ring_fd,
	[GW_VU_SHAPE_TABLE] = fits_table,    [GW_VU_SHAPE_CONFIG] = fits_config,
};

static int admit_gate(const struct gw_dialog *dialog, const struct gw_vu_row *row)
{
	uint64_t missing = row->protocol & ~dialog->protocol_features;

	if (missing)
		return gw_fail(EPROTO, "needs protocol feature %s, which is not negotiated",
			       gw_vu_protocol_feature_name((unsigned)__builtin_ctzll(missing)));
	missing = row->virtio & ~dialog->instance->features;
	if (missing)
		return gw_fail(EPROTO, "needs virtio feature bit %d, which is not negotiated",
			       __builtin_ctzll(missing));
	return 0;
}

static int admit_size(const struct gw_call *call)
{
	const struct gw_vu_row *row = call->row;
	uint32_t size = call->message->header.size;

	if (size >= row->min && size <= row->max)
		return 0;
	if (row->min == row->max)
		return gw_fail(EINVAL, "%u bytes of payload, expected %u", size, row->min);
	return gw_fail(EINVAL, "%u bytes of payload, expected %u to %u", size, row->min, row->max);
}

static int admit_fds(struct gw_call *call)
{
	if (call->message->fds_lost)
		return gw_fail(EINVAL, "descriptors were lost, at most %u are taken",
			       call->row->fds_max);
	if (call->fd_count < call->row->fds_min)
		return gw_fail(EINVAL, "%u descriptors, expected %u", call->fd_count,
			       call->row->fds_min);
	/* A front-end may leave strays of another channel; closing them is all they get. */
	if (call->fd_count > call->row->fds_max)
		gw_warn("vhost-user: %s: %u descriptors, expected at most %u; closing the others",
			call->row->name, call->fd_count, call->row->fds_max);
	while (call->fd_count > call->row->fds_max)
		gw_close(&call->fds[--call->fd_count]);
	return 0;
}

/* A phase of ours, to who agreed on it; all others hear what they always heard. */
static bool is_for_running(const struct gw_dialog *dialog, const struct gw_call *call)
{
	return call->payload->transfer.phase == GW_VU_STATE_RUNNING &&
	       dialog->protocol_features & GW_VU_PF(ITERATIVE);
}

static int admit_when(const struct gw_dialog *dialog, const struct gw_call *call)
{
	switch (call->row->when) {
	case GW_VU_WHEN_ANY:
		return 0;
	case GW_VU_WHEN_RING_STOPPED:
		if (gw_ring_is_started(gw_call_ring(dialog, call)))
			return gw_fail(EBUSY, "ring %u is started, expected stopped",
				       ring_index(call));
		return 0;
	case GW_VU_WHEN_ALL_STOPPED:
		if (gw_instance_any_started(dialog->instance))
			return gw_fail(EBUSY, "a ring is started, expected all stopped");
		return 0;
	case GW_VU_WHEN_PHASE:
		if (!is_for_running(dialog, call) && gw_instance_any_active(dialog->instance))
			return gw_fail(EBUSY, "a ring is started, expected all stopped");
		return 0;
	}
	return 0;
}

static int admit(const struct gw_dialog *dialog, struct gw_call *call)
{
	int err;

	if (call->row == &unknown_row)
		return gw_fail(ENOTSUP, "number %u", call->message->header.request);
	if (call->message->header.flags & GW_VU_REPLY)
		return gw_fail(EPROTO, "flags 0x%x mark a reply, expected a request",
			       call->message->header.flags);
	err = admit_gate(dialog, call->row);
	if (err)
		return err;
	if (!call->row->handle)
		return gw_fail(ENOTSUP, "not implemented");
	err = admit_size(call);
	if (!err)
		err = admit_fds(call);
	if (!err)
		err = fits[call->row->shape](dialog, call);
	return err ? err : admit_when(dialog, call);
}

/*
 * Replies.
 */
static bool ack_is_asked(const struct gw_dialog *dialog, const struct gw_call *call)
{
	if (!(call->message->header.flags & GW_VU_NEED_REPLY))
		return false;
	/* Who asks for an answer to something we never heard of waits for it, whatever we agreed.
	 */
	return call->row == &unknown_row || dialog->protocol_features & GW_VU_PF(REPLY_ACK);
}

static bool reply_is_due(const struct gw_dialog *dialog, const struct gw_call *call)
{
	switch (call->row->reply) {
	case GW_VU_REPLY_ACK:
		return ack_is_asked(dialog, call);
	case GW_VU_REPLY_ACK_LOG:
		return dialog->protocol_features & GW_VU_PF(LOG_SHMFD) ||
		       ack_is_asked(dialog, call);
	default:
		return true;
	}
}

/* Sizes of replies, and what stands in them if the request failed. */
enum { VARIES = -1, NO_ERROR_FORM = -2 };
static const struct {
	int size;	/* VARIES: the handler says */
	int error_size; /* or NO_ERROR_FORM: the connection ends */
	uint64_t error; /* the first bytes; zeros follow */
} replies[GW_VU_REPLIES] = {
	[GW_VU_REPLY_ACK] = {8, 8, 1},
	[GW_VU_REPLY_ACK_LOG] = {8, 8, 1},
	[GW_VU_REPLY_VERDICT] = {8, 8, 1},
	[GW_VU_REPLY_TRANSFER] = {8, 8, GW_VU_STATE_REFUSED},
	[GW_VU_REPLY_VALUE] = {8, NO_ERROR_FORM, 0},
	[GW_VU_REPLY_STATE] = {sizeof(struct gw_vu_vring_state), NO_ERROR_FORM, 0},
	[GW_VU_REPLY_CONFIG] = {VARIES, 0, 0},
	[GW_VU_REPLY_INFLIGHT] = {sizeof(struct gw_vu_inflight), sizeof(struct gw_vu_inflight), 0},
	[GW_VU_REPLY_FD] = {0, 0, 0},
	[GW_VU_REPLY_SHMEM] = {sizeof(struct gw_vu_shmem_config), sizeof(struct gw_vu_shmem_config),
			       0},
	[GW_VU_REPLY_PENDING] = {sizeof(struct gw_vu_pending), 0, 0},
	[GW_VU_REPLY_SESSION] = {VARIES, NO_ERROR_FORM, 0},
};

static void answer_error(struct gw_dialog *dialog, struct gw_call *call)
{
	uint32_t request = call->message->header.request;
	int size = replies[call->row->reply].error_size;

	gw_close(&call->reply_fd);
	if (size == NO_ERROR_FORM) {
		gw_error("vhost-user: %s: its reply can not say that it failed; closing",
			 call->row->name);
		gw_conn_close(dialog->conn);
		return;
	}
	memset(&call->reply, 0, sizeof(call->reply));
	call->reply.u64 = replies[call->row->reply].error;
	gw_conn_reply(dialog->conn, request, &call->reply, (uint32_t)size, -1);
}

static void answer(struct gw_dialog *dialog, struct gw_call *call)
{
	int size = replies[call->row->reply].size;

	gw_conn_reply(dialog->conn, call->message->header.request, &call->reply,
		      size == VARIES ? call->reply_size : (uint32_t)size,
		      gw_take_fd(&call->reply_fd));
}

void gw_call_finish(void *opaque, int result)
{
	struct gw_dialog *dialog = opaque;
	struct gw_call *call = &dialog->call;

	dialog->in_call = false;
	dialog->call_result = result;
	if (result)
		gw_warn("vhost-user: %s: refused: %s", call->row->name, gw_last_error());
	if (!reply_is_due(dialog, call))
		gw_close(&call->reply_fd);
	else if (result)
		answer_error(dialog, call);
	else
		answer(dialog, call);
	gw_conn_next(dialog->conn);
}

/*
 * The way of a message.
 */
static void call_handler(void *opaque, int result)
{
	struct gw_dialog *dialog = opaque;

	if (!result)
		result = dialog->call.row->handle(dialog, &dialog->call);
	if (result != -EINPROGRESS)
		gw_call_finish(dialog, result);
}

int gw_call_yield(struct gw_dialog *dialog, enum gw_event event)
{
	return gw_session_yield(dialog->instance->session, event, call_handler, dialog);
}

/* To who did not agree on an experimental feature, its numbers are as unknown as any other. */
static const struct gw_vu_row *row_of(const struct gw_dialog *dialog, uint32_t request)
{
	const struct gw_vu_row *row = gw_vu_row(request);

	if (!row || (request >= GW_VU_EXPERIMENTAL && row->protocol & ~dialog->protocol_features))
		return &unknown_row;
	return row;
}

static void begin_call(struct gw_dialog *dialog, struct gw_message *message)
{
	struct gw_call *call = &dialog->call;

	call->row = row_of(dialog, message->header.request);
	call->message = message;
	call->payload = &message->payload;
	call->fds = message->fds;
	call->fd_count = message->fd_count;
	memset(&call->reply, 0, sizeof(call->reply));
	call->reply_size = 0;
	call->reply_fd = -1;
	dialog->in_call = true;
}

static void handle(struct gw_dialog *dialog, struct gw_message *message)
{
	struct gw_call *call = &dialog->call;

	begin_call(dialog, message);
	gw_recovery_call(dialog, call);
	gw_debug("vhost-user: %s (%u), flags 0x%x, %u bytes, %u descriptors", call->row->name,
		 message->header.request, message->header.flags, message->header.size,
		 message->fd_count);
	call_handler(dialog, admit(dialog, call));
}

int gw_dialog_replay(struct gw_dialog *dialog, struct gw_message *message)
{
	struct gw_call *call = &dialog->call;
	int err;

	begin_call(dialog, message);
	err = call->row->handle
		      ? call->row->handle(dialog, call)
		      : gw_fail(EPROTO, "message %u is none that is kept", message->header.request);
	dialog->in_call = false;
	for (unsigned i = 0; i < message->fd_count; i++)
		gw_close(&message->fds[i]);
	if (err == -EINPROGRESS)
		err = gw_fail(EBUSY, "it takes its time");
	return err ? gw_fail_in(err, "%s", call->row->name) : 0;
}

static void on_message(void *opaque, struct gw_message *message)
{
	struct gw_dialog *dialog = opaque;

	if (dialog->instance)
		handle(dialog, message);
}

static void on_activity(void *opaque, bool active)
{
	struct gw_dialog *dialog = opaque;

	if (dialog->backend_req)
		gw_backend_req_allow(dialog->backend_req, active);
}

static void on_config_changed(void *opaque)
{
	struct gw_dialog *dialog = opaque;

	if (dialog->backend_req && dialog->protocol_features & GW_VU_PF(CONFIG))
		gw_backend_req_config_changed(dialog->backend_req);
}

static const struct gw_instance_listener instance_listener = {.activity = on_activity,
							      .config_changed = on_config_changed};

void gw_dialog_serve(struct gw_dialog *dialog, struct gw_instance *instance)
{
	struct gw_message *waiting = gw_conn_waiting(dialog->conn);

	dialog->instance = instance;
	dialog->offered_features = gw_instance_offered_protocol(instance);
	instance->listener = &instance_listener;
	instance->listener_opaque = dialog;
	/* The first message may have come while an earlier front-end still drained. */
	if (waiting)
		handle(dialog, waiting);
}

int gw_call_take_fd(struct gw_call *call)
{
	return call->fd_count ? gw_take_fd(&call->fds[0]) : -1;
}

static void on_closed(void *opaque)
{
	struct gw_dialog *dialog = opaque;

	gw_backend_req_free(dialog->backend_req);
	dialog->backend_req = NULL;
	dialog->closed(dialog->opaque, dialog);
}

static const struct gw_conn_events conn_events = {.message = on_message, .closed = on_closed};

int gw_dialog_new(struct gw_dialog **out, struct gw_loop *loop, int fd,
		  void (*closed)(void *opaque, struct gw_dialog *dialog), void *opaque)
{
	GW_AUTO_FD int owned = fd;
	struct gw_dialog *dialog = calloc(1, sizeof(*dialog));
	int err;

	if (!dialog)
		return gw_fail(ENOMEM, "connection: no memory");
	dialog->loop = loop;
	dialog->closed = closed;
	dialog->opaque = opaque;
	dialog->call.reply_fd = -1;
	err = gw_conn_new(&dialog->conn, loop, gw_take_fd(&owned), &conn_events, dialog);
	if (err) {
		free(dialog);
		return err;
	}
	*out = dialog;
	return 0;
}

void gw_dialog_close(struct gw_dialog *dialog)
{
	gw_conn_close(dialog->conn);
}

void gw_dialog_free(struct gw_dialog *dialog)
{
	if (!dialog)
		return;
	gw_close(&dialog->call.reply_fd);
	gw_conn_free(dialog->conn);
	free(dialog);
}
