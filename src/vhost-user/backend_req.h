/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/backend_req.h - the back-end channel: what we have to tell the front-end. */
#ifndef GW_VHOST_USER_BACKEND_REQ_H
#define GW_VHOST_USER_BACKEND_REQ_H

#include <stdbool.h>

#include "godwit/loop.h"

/*
 * Nothing here waits: the front-end may itself be waiting for us on the main channel. Of one kind
 * of message at most one is under way; what is asked meanwhile is sent once more after the answer.
 * While the device is suspended nothing is sent at all; what was asked waits. Control thread only.
 */
struct gw_backend_req;

/* Takes @fd over, also on failure. @ack: REPLY_ACK is negotiated, answers are asked for. */
int gw_backend_req_new(struct gw_backend_req **req, struct gw_loop *loop, int fd, bool ack);
/* NULL is allowed. */
void gw_backend_req_free(struct gw_backend_req *req);

/* The gate: false while all rings are stopped. */
void gw_backend_req_allow(struct gw_backend_req *req, bool allowed);
/* CONFIG_CHANGE_MSG, now or when it may be. */
void gw_backend_req_config_changed(struct gw_backend_req *req);

#endif
