/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/dispatch.h - a front-end's dialog with an instance: messages are admitted, handled,
 * answered. */
#ifndef GW_VHOST_USER_DISPATCH_H
#define GW_VHOST_USER_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "vhost-user/backend_req.h"
#include "vhost-user/conn.h"
#include "vhost-user/instance.h"
#include "vhost-user/messages.h"

/* The message being dealt with. A handler takes a descriptor by leaving -1; the rest are closed. */
struct gw_call {
	const struct gw_vu_row *row;
	const struct gw_message *message;
	const union gw_vu_payload *payload;
	int *fds; /* of the message; fds[0] is valid where the row asks for one */
	unsigned fd_count;

	union gw_vu_payload reply;
	uint32_t reply_size; /* of replies whose size varies */
	int reply_fd;
};

struct gw_recovery; /* recovery.h */

struct gw_dialog {
	struct gw_loop *loop;
	struct gw_conn *conn;
	struct gw_instance *instance; /* NULL until there is one that is free */
	struct gw_backend_req *backend_req;
	uint64_t offered_features;  /* protocol features, as they were when it was taken */
	uint64_t protocol_features; /* negotiated */
	struct gw_call call;
	bool in_call;
	int call_result;
	struct gw_recovery *recovery; /* NULL: it ends with the process */

	/* Called once: the connection is closed; the owner releases the instance. */
	void (*closed)(void *opaque, struct gw_dialog *dialog);
	void *opaque;
	struct gw_dialog *next; /* the owner's list */
};

/* Takes @fd over, also on failure. Messages wait until an instance is given. */
int gw_dialog_new(struct gw_dialog **dialog, struct gw_loop *loop, int fd,
		  void (*closed)(void *opaque, struct gw_dialog *dialog), void *opaque);
/* Messages are served from here on, for @instance. */
void gw_dialog_serve(struct gw_dialog *dialog, struct gw_instance *instance);
/* Handle @message, which was admitted and answered once before; its descriptors are taken over. */
int gw_dialog_replay(struct gw_dialog *dialog, struct gw_message *message);
/* Ends it; `closed` follows. */
void gw_dialog_close(struct gw_dialog *dialog);
/* Only when closed. NULL is allowed. */
void gw_dialog_free(struct gw_dialog *dialog);

/* The bits that GET_PROTOCOL_FEATURES offers to who takes @instance now. */
uint64_t gw_instance_offered_protocol(const struct gw_instance *instance);

/* End the call at hand with @result (0 or a negative errno with a sentence). A handler that
 * returned -EINPROGRESS calls it later; it fits gw_instance_done. @opaque is the dialog. */
void gw_call_finish(void *opaque, int result);

/*
 * For the beginning of a handler, before it has changed anything: if @event would cancel a transfer
 * under way, -EINPROGRESS, and the handler is called again when the transfer has ended. A device
 * may be slow to come back from save() or load(); the control thread does not wait for it.
 */
int gw_call_yield(struct gw_dialog *dialog, enum gw_event event);

/* Take the first descriptor out of the call. */
int gw_call_take_fd(struct gw_call *call);
/* The ring that the payload of a ring message names; the index was checked. */
struct gw_ring *gw_call_ring(const struct gw_dialog *dialog, const struct gw_call *call);

#endif
