/* SPDX-License-Identifier: BSD-3-Clause */
/* control/control.c - the control socket: who may connect, what goes to all. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/socket.h"
#include "control/client.h"
#include "control/commands.h"
#include "control/control.h"
#include "control/request.h"
#include "godwit/error.h"

/* After accept() found no descriptor free: the level-triggered loop would spin otherwise. */
#define ACCEPT_PAUSE_MS 100

struct gw_control {
	struct gw_loop *loop;
	struct gw_listener listener;
	struct gw_source *accepting, *pause;
	char *program, *version;
	struct gw_commands commands;
	struct gw_client *clients[GW_CONTROL_CLIENTS_MAX];
};

static json_t *greeting(const struct gw_control *control)
{
	return json_pack("{s:{s:{s:s, s:s}, s:[]}}", "QMP", "version", "program", control->program,
			 "version", control->version, "capabilities");
}

/* A free place; the dead, whose callbacks are long over by now, make room. */
static struct gw_client **free_place(struct gw_control *control)
{
	struct gw_client **found = NULL;

	for (unsigned i = 0; i < GW_CONTROL_CLIENTS_MAX; i++) {
		struct gw_client **place = &control->clients[i];

		if (*place && gw_client_is_dead(*place)) {
			gw_client_free(*place);
			*place = NULL;
		}
		if (!*place)
			found = place;
	}
	return found;
}

static void turn_away(struct gw_control *control, int fd, const char *why)
{
	struct gw_client *client;

	gw_warn("control: a client is refused: %s", why);
	if (gw_client_new(&client, control->loop, &control->commands, fd))
		return;
	gw_client_send(client, gw_reply_error(NULL, "GenericError", why));
	gw_client_free(client);
}

static void admit(struct gw_control *control, int fd)
{
	struct gw_client **place = free_place(control);

	if (!gw_socket_peer_is_trusted(fd)) {
		turn_away(control, fd, "only for the user that runs this program, and root");
	} else if (!place) {
		turn_away(control, fd, "too many clients");
	} else if (gw_client_new(place, control->loop, &control->commands, fd)) {
		*place = NULL;
		gw_warn("control: %s", gw_last_error());
	} else {
		gw_client_send(*place, greeting(control));
	}
}

static void on_connect(void *opaque, int listening_fd, uint32_t events)
{
	struct gw_control *control = opaque;
	int fd, err = gw_socket_accept(listening_fd, &fd);

	if (!err) {
		admit(control, fd);
	} else if (err != -EAGAIN && err != -EINTR && err != -ECONNABORTED) {
		gw_warn("control: %s", gw_last_error());
		gw_source_set_events(control->accepting, 0);
		gw_timer_restart(control->pause, ACCEPT_PAUSE_MS);
	}
}

static void on_pause_over(void *opaque)
{
	struct gw_control *control = opaque;

	gw_source_set_events(control->accepting, EPOLLIN);
}

static int start(struct gw_control *control)
{
	int err = gw_loop_add_fd(control->loop, control->listener.fd, EPOLLIN, on_connect, control,
				 &control->accepting);

	/* Made now, since a timer needs a descriptor too; its first call changes nothing. */
	if (!err)
		err = gw_loop_add_timer(control->loop, ACCEPT_PAUSE_MS, on_pause_over, control,
					&control->pause);
	return err;
}

/* @listener is taken over, also on failure. */
static int make(struct gw_control **out, struct gw_loop *loop, struct gw_listener *listener,
		const char *program, const char *version)
{
	struct gw_control *control = calloc(1, sizeof(*control));
	int err;

	if (!control) {
		gw_close(&listener->fd);
		return gw_fail(ENOMEM, "control socket: no memory");
	}
	/* Once and now: objects are also made by other threads, which may not open /dev/urandom. */
	json_object_seed(0);
	control->loop = loop;
	control->listener = *listener;
	control->commands.given = -1;
	control->program = strdup(program ? program : "");
	control->version = strdup(version ? version : "");
	if (!control->program || !control->version)
		err = gw_fail(ENOMEM, "no memory");
	else
		err = start(control);
	if (err) {
		gw_control_free(control);
		return gw_fail_in(err, "control socket");
	}
	*out = control;
	return 0;
}

int gw_control_new(struct gw_control **out, struct gw_loop *loop, const char *path,
		   const char *program, const char *version)
{
	struct gw_listener listener;
	int err = gw_listener_open(&listener, path);

	if (err)
		return gw_fail_in(err, "control socket");
	return make(out, loop, &listener, program, version);
}

int gw_control_adopt(struct gw_control **out, struct gw_loop *loop, int fd, const char *program,
		     const char *version)
{
	struct gw_listener listener = {.fd = fd};

	return make(out, loop, &listener, program, version);
}

void gw_control_free(struct gw_control *control)
{
	if (!control)
		return;
	for (unsigned i = 0; i < GW_CONTROL_CLIENTS_MAX; i++)
		gw_client_free(control->clients[i]);
	gw_source_remove(control->accepting);
	gw_source_remove(control->pause);
	if (control->listener.path[0])
		gw_listener_close(&control->listener);
	else
		gw_close(&control->listener.fd);
	free(control->program);
	free(control->version);
	free(control);
}

int gw_control_register(struct gw_control *control, const char *name, gw_control_fn *fn,
			void *opaque)
{
	return gw_commands_add(&control->commands, name, fn, opaque);
}

struct gw_later *gw_control_later(struct gw_control *control)
{
	if (!control->commands.later)
		control->commands.later = calloc(1, sizeof(*control->commands.later));
	return control->commands.later;
}

int gw_control_take_fd(struct gw_control *control)
{
	return gw_take_fd(&control->commands.given);
}

static json_t *late_reply(const struct gw_later *later, int err, json_t *result)
{
	const char *sentence = gw_last_error();

	if (!err)
		return gw_reply_return(later->id, result);
	json_decref(result);
	return gw_reply_error(later->id, "GenericError", *sentence ? sentence : strerror(-err));
}

void gw_control_answer(struct gw_later *later, int err, json_t *result)
{
	json_t *reply = late_reply(later, err, result);

	if (later->client)
		gw_client_settle(later->client, reply);
	else
		json_decref(reply);
	gw_later_free(later);
}

static json_t *make_event(const char *name, json_t *data)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return json_pack("{s:s, s:O, s:{s:I, s:I}}", "event", name, "data", data, "timestamp",
			 "seconds", (json_int_t)now.tv_sec, "microseconds",
			 (json_int_t)(now.tv_nsec / 1000));
}

void gw_control_event(struct gw_control *control, const char *name, json_t *data)
{
	json_t *body = data ? data : json_object();
	json_t *event = make_event(name, body);

	for (unsigned i = 0; i < GW_CONTROL_CLIENTS_MAX; i++) {
		struct gw_client *client = control->clients[i];

		if (client && client->negotiated && !gw_client_is_dead(client))
			gw_client_send(client, json_incref(event));
	}
	json_decref(event);
	json_decref(body);
}
