/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/backend_internal.h - a back-end's own state: for backend*.c. */
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

/* backend_seats.c */
int gw_seat_new(struct gw_backend *backend, struct gw_seat **out);
void gw_seat_remove(struct gw_backend *backend, struct gw_seat *seat);
/* How many connections there is room for. */
unsigned gw_seats_max(const struct gw_backend *backend);
/* Where @dialog sits, or NULL. */
struct gw_seat *gw_seat_of(struct gw_backend *backend, const struct gw_dialog *dialog);
/* A free seat, or a new one, or NULL: then the dialog waits until one is free. */
int gw_seat_take(struct gw_backend *backend, struct gw_seat **seat);
/* backend_end.c: nobody is there, and nothing of who left still drains. */
bool gw_backend_is_quiet(const struct gw_backend *backend);
/* Ends the loop if there is nothing to wait for any more; @backend is a back-end. */
void gw_backend_maybe_end(void *backend);
/* One has left: what hangs is not waited for without end. */
void gw_backend_linger(struct gw_backend *backend);
/* Seats that nobody has any use for end. */
void gw_backend_sweep(struct gw_backend *backend);
/* backend_control.c: the control socket, if one was configured. */
int gw_backend_control_begin(struct gw_backend *backend);
/* The session that @arguments name by 'session', or the only one. */
int gw_backend_find_seat(const struct gw_backend *backend, const json_t *arguments,
			 struct gw_seat **seat);
/* backend_migration.c: have @arguments of @command no members but @names (ended by NULL)? A
 * misspelled one would else be taken for one that was left out. */
int gw_backend_only_members(const char *command, const json_t *arguments, const char *const *names);
/* backend_state.c: a stopped session's state into a descriptor, or out of one. */
int gw_backend_save_state(void *opaque, const json_t *arguments, json_t **result);
int gw_backend_load_state(void *opaque, const json_t *arguments, json_t **result);
/* backend_migration.c, likewise: what is left of a device that has moved. */
void gw_backend_moved(void *opaque);
/* backend_claim.c: stateless mode, as in struct gw_session_config; @opaque is a seat. */
struct gw_session *gw_backend_find_offer(void *opaque, const uint8_t *ticket);
int gw_backend_take_over(void *opaque);
/* backend_migration.c: commands about migration. */
gw_control_fn gw_backend_migration_expect;
gw_control_fn gw_backend_migration_outcome;
gw_control_fn gw_backend_migration_set;
/* backend_precopy.c: what goes ahead of a state. */
gw_control_fn gw_backend_precopy_load;
gw_control_fn gw_backend_precopy_read;
gw_control_fn gw_backend_precopy_save;
gw_control_fn gw_backend_precopy_write;
/* Of the session whose seat is @opaque: what is told on the control socket. */
void gw_backend_transfer_failed(void *opaque, const struct gw_transfer_info *info);
void gw_backend_device_event(void *opaque, const char *name, const struct gw_report *data);

#endif
