/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/backend.c - listeners, dialogs and seats put together. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/backend_internal.h"
#include "vhost-user/listener.h"
#include "vhost-user/recovery.h"

/* How long gw_backend_free() waits for rings to drain. */
#define DRAIN_MS 1000
/*
 * Dialogs come and go.
 */
static void seat_dialog(struct gw_backend *backend, struct gw_dialog *dialog)
{
	struct gw_seat *seat;
	int err = gw_seat_take(backend, &seat);

	if (!err && !seat)
		return;
	if (!err)
		err = gw_instance_attach(seat->instance);
	if (err) {
		gw_error("vhost-user: a connection can not be served: %s", gw_last_error());
		gw_dialog_close(dialog);
		return;
	}
	seat->dialog = dialog;
	gw_dialog_serve(dialog, seat->instance);
}

static void seat_is_free(void *opaque, int result)
{
	struct gw_seat *seat = opaque;
	struct gw_backend *backend = seat->backend;

	seat->releasing = false;
	gw_backend_sweep(backend);
	for (struct gw_dialog *dialog = backend->dialogs; dialog; dialog = dialog->next) {
		if (!dialog->instance && !gw_conn_is_closed(dialog->conn))
			seat_dialog(backend, dialog);
	}
	gw_backend_maybe_end(backend);
}

static void on_dialog_closed(void *opaque, struct gw_dialog *dialog)
{
	struct gw_backend *backend = opaque;
	struct gw_seat *seat = gw_seat_of(backend, dialog);
	struct gw_dialog **at = &backend->dialogs;

	while (*at != dialog)
		at = &(*at)->next;
	*at = dialog->next;
	if (dialog->recovery)
		gw_recovery_end(dialog->recovery, dialog);
	if (seat) {
		seat->dialog = NULL;
		seat->releasing = true;
		if (gw_instance_release(seat->instance, seat_is_free, seat) != -EINPROGRESS)
			seat_is_free(seat, 0);
	}
	gw_dialog_free(dialog);
	gw_backend_linger(backend);
	gw_backend_maybe_end(backend);
}

static int dialog_add(struct gw_backend *backend, int fd, struct gw_dialog **dialog)
{
	struct gw_dialog **last = &backend->dialogs;
	int err = gw_dialog_new(dialog, backend->loop, fd, on_dialog_closed, backend);

	if (err)
		return err;
	while (*last)
		last = &(*last)->next;
	*last = *dialog;
	return 0;
}

static int dialog_begin(struct gw_backend *backend, int fd)
{
	struct gw_dialog *dialog;
	int err = dialog_add(backend, fd, &dialog);

	if (err)
		return err;
	if (backend->recovery && gw_recovery_begin(backend->recovery, dialog, fd))
		gw_error("recovery: this connection would not be survived: %s", gw_last_error());
	seat_dialog(backend, dialog);
	return 0;
}

/* The process before this one died with a front-end on the line. */
static int recover(struct gw_backend *backend)
{
	int fd = gw_recovery_take_connection(backend->recovery);
	struct gw_dialog *dialog;
	int err;

	if (fd < 0)
		return 0;
	err = dialog_add(backend, fd, &dialog);
	if (err)
		return err;
	gw_recovery_attach(backend->recovery, dialog, true);
	seat_dialog(backend, dialog);
	if (!gw_conn_is_closed(dialog->conn))
		err = gw_recovery_replay(backend->recovery, dialog);
	if (err)
		gw_dialog_close(dialog);
	else
		gw_info("recovery: goes on where the process before this one was");
	return err;
}

static int begin_recovery(struct gw_backend *backend)
{
	struct gw_fdstore *store = backend->config.fdstore;
	struct gw_unanswered unanswered = {.may_come = gw_recovery_is_unanswered};
	int err;

	if (!store)
		return 0;
	if (backend->config.max_connections > 1)
		return gw_fail(EINVAL, "recovery is for one connection at a time");
	if (backend->config.migration == GW_MIGRATION_STATELESS)
		return gw_fail(EINVAL,
			       "recovery is for one connection at a time, and the stateless "
			       "mode for two");
	err = gw_recovery_new(&backend->recovery, store);
	unanswered.opaque = backend->recovery;
	if (!err)
		err = gw_session_recover(backend->seats->session, store, &unanswered);
	if (!err)
		err = recover(backend);
	return err ? err : gw_fdstore_tell(store, "READY=1");
}

/* A front-end that closes and connects again at once may be accepted before its end is noticed. */
static unsigned count_present(const struct gw_backend *backend)
{
	unsigned count = 0;

	for (const struct gw_dialog *dialog = backend->dialogs; dialog; dialog = dialog->next)
		count += !gw_conn_is_left(dialog->conn);
	return count;
}

static void on_connection(void *opaque, int fd)
{
	struct gw_backend *backend = opaque;
	GW_AUTO_FD int owned = fd;

	if (count_present(backend) >= gw_seats_max(backend)) {
		gw_warn("vhost-user: a connection more than the %u that are served; closing it",
			gw_seats_max(backend));
		return;
	}
	gw_info("vhost-user: a front-end connected");
	if (dialog_begin(backend, gw_take_fd(&owned)))
		gw_error("vhost-user: a connection can not be served: %s", gw_last_error());
}

/*
 * The back-end itself.
 */
static int copy_params(struct gw_backend *backend, const struct gw_params *params)
{
	const struct gw_model *const *models = backend->ops.models;

	if (params)
		return gw_params_copy(&backend->params, params);
	if (models && models[0])
		return gw_params_new(&backend->params, models[0]);
	return gw_fail(EINVAL, "device %s has no model", backend->ops.name);
}

static int copy_config(struct gw_backend *backend, const struct gw_backend_config *config)
{
	memcpy(&backend->config, config, GW_MIN(config->size, sizeof(*config)));
	config = &backend->config;
	backend->config.max_connections = GW_MAX(config->max_connections, 1U);
	backend->program = strdup(config->program ? config->program : "godwit");
	backend->version = strdup(config->version ? config->version : GODWIT_VERSION);
	if (config->state_key)
		memcpy(backend->key, config->state_key, sizeof(backend->key));
	if (!backend->program || !backend->version)
		return gw_fail(ENOMEM, "back-end: no memory");
	return 0;
}

static int begin(struct gw_backend *backend, const struct gw_backend_config *config)
{
	struct gw_seat *seat;
	int err = copy_config(backend, config);

	if (!err)
		err = gw_device_ops_complete(&backend->ops, backend->config.ops);
	if (!err)
		err = copy_params(backend, backend->config.params);
	/* Made now and not at the first connection: what can not be served is said at once. */
	if (!err)
		err = gw_seat_new(backend, &seat);
	if (!err)
		err = gw_backend_control_begin(backend);
	return err ? err : begin_recovery(backend);
}

int gw_backend_new(struct gw_backend **out, struct gw_loop *loop,
		   const struct gw_backend_config *config)
{
	struct gw_backend *backend = calloc(1, sizeof(*backend));
	int err;

	if (!backend)
		return gw_fail(ENOMEM, "back-end: no memory");
	backend->loop = loop;
	err = begin(backend, config);
	if (err) {
		gw_backend_free(backend);
		return err;
	}
	*out = backend;
	return 0;
}

static int add_door(struct gw_backend *backend, struct gw_door *door, int err)
{
	if (!err)
		backend->doors[backend->door_count++] = door;
	return err;
}

static int door_is_free(const struct gw_backend *backend)
{
	if (backend->door_count == GW_LISTENERS_MAX)
		return gw_fail(ENOSPC, "more than %d sockets to listen on", GW_LISTENERS_MAX);
	return 0;
}

int gw_backend_listen(struct gw_backend *backend, const char *path)
{
	struct gw_door *door = NULL;
	int err = door_is_free(backend);

	if (!err)
		err = gw_door_open(&door, backend->loop, path, on_connection, backend);
	return add_door(backend, door, err);
}

int gw_backend_adopt_fd(struct gw_backend *backend, int fd)
{
	GW_AUTO_FD int owned = fd;
	struct gw_door *door = NULL;
	socklen_t len = sizeof(int);
	int listening, err;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0)
		return gw_fail(errno, "descriptor %d is no socket: %s", fd, strerror(errno));
	if (!listening)
		return dialog_begin(backend, gw_take_fd(&owned));
	err = door_is_free(backend);
	if (!err)
		err = gw_door_adopt(&door, backend->loop, gw_take_fd(&owned), on_connection,
				    backend);
	return add_door(backend, door, err);
}

static void drain_timed_out(void *opaque)
{
	struct gw_backend *backend = opaque;

	backend->timed_out = true;
	gw_loop_quit(backend->loop, 0);
}

static void drain(struct gw_backend *backend)
{
	struct gw_source *timer = NULL;

	backend->freeing = true;
	for (struct gw_dialog *dialog = backend->dialogs; dialog; dialog = dialog->next)
		gw_dialog_close(dialog);
	if (gw_backend_is_quiet(backend))
		return;
	if (gw_loop_add_timer(backend->loop, DRAIN_MS, drain_timed_out, backend, &timer))
		return;
	while (!gw_backend_is_quiet(backend) && !backend->timed_out)
		gw_loop_run(backend->loop);
	gw_source_remove(timer);
}

void gw_backend_free(struct gw_backend *backend)
{
	if (!backend)
		return;
	while (backend->door_count)
		gw_door_free(backend->doors[--backend->door_count]);
	gw_source_remove(backend->end_timer);
	gw_source_remove(backend->linger_timer);
	backend->linger_timer = NULL;
	gw_control_free(backend->control);
	backend->control = NULL;
	drain(backend);
	gw_recovery_clear(backend->recovery);
	if (!gw_backend_is_quiet(backend)) {
		/* Its threads use the memory; it ends with the process. */
		gw_error("vhost-user: the device did not drain within %d ms", DRAIN_MS);
		return;
	}
	while (backend->seats)
		gw_seat_remove(backend, backend->seats);
	gw_recovery_free(backend->recovery);
	gw_params_free(backend->params);
	free(backend->program);
	free(backend->version);
	free(backend);
}
