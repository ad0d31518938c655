/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/backend_internal.h - a back-end's own state: for backend.c and backend_control.c. */
#ifndef GW_VHOST_USER_BACKEND_INTERNAL_H
#define GW_VHOST_USER_BACKEND_INTERNAL_H

#include "control/control.h"
#include "godwit/backend.h"
#include "migration/session.h"
#include "state/stream.h"
#include "vhost-user/dispatch.h"

#define GW_LISTENERS_MAX 4

/* A session and who sits there. Without reconnection it ends with the dialog, if it may. */
struct gw_seat {
	struct gw_seat *next;
	unsigned number; /* by which an operator names the session */
	struct gw_backend *backend;
	struct gw_session *session;
	struct gw_instance *instance;
	struct gw_dialog *dialog; /* NULL: nobody */
	bool releasing;		  /* the last one left, its rings still drain */
};

struct gw_backend {
	struct gw_loop *loop;
	struct gw_backend_config config;
	struct gw_device_ops ops;
	struct gw_params *params;
	char *program, *version;
	uint8_t key[GW_STATE_KEY_LEN];
	struct gw_control *control;
	struct gw_door *doors[GW_LISTENERS_MAX];
	unsigned door_count;
	struct gw_dialog *dialogs; /* in the order of coming */
	struct gw_seat *seats;
	unsigned seat_numbers;	      /* given so far */
	struct gw_recovery *recovery; /* NULL: nothing outlives the process */
	struct gw_source *end_timer, *linger_timer;
	bool freeing;
	bool timed_out;
};

/* backend_control.c: the control socket, if one was configured. */
int gw_backend_control_begin(struct gw_backend *backend);
/* The session that @arguments name by 'session', or the only one. */
int gw_backend_find_seat(const struct gw_backend *backend, const json_t *arguments,
			 struct gw_seat **seat);
/* backend_state.c: a stopped session's state into a descriptor, or out of one. */
int gw_backend_save_state(void *opaque, const json_t *arguments, json_t **result);
int gw_backend_load_state(void *opaque, const json_t *arguments, json_t **result);
/* Seats that nobody has any use for end. */
void gw_backend_sweep(struct gw_backend *backend);
/* backend_migration.c, likewise: what is left of a device that has moved. */
void gw_backend_moved(void *opaque);
/* backend_claim.c: stateless mode, as in struct gw_session_config; @opaque is a seat. */
struct gw_session *gw_backend_find_offer(void *opaque, const uint8_t *ticket);
int gw_backend_take_over(void *opaque);
/* backend_migration.c: commands about migration. */
gw_control_fn gw_backend_migration_outcome;
gw_control_fn gw_backend_migration_set;
/* Of the session whose seat is @opaque: what is told on the control socket. */
void gw_backend_transfer_failed(void *opaque, const struct gw_transfer_info *info);
void gw_backend_device_event(void *opaque, const char *name, const struct gw_report *data);

#endif
