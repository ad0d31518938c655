/* SPDX-License-Identifier: BSD-3-Clause */
/* control/client.c - one connection to the control socket: lines in, lines out, both bounded. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fdpass.h"
#include "control/client.h"
#include "control/request.h"
#include "godwit/error.h"

#define OUT_SIZE_MIN 4096

static void drop(struct gw_client *client, const char *why)
{
	if (gw_client_is_dead(client))
		return;
	if (why)
		gw_warn("control: a client is dropped: %s", why);
	gw_source_remove(client->source);
	client->source = NULL;
	gw_close(&client->fd);
	gw_close(&client->given);
	client->out_len = 0;
	if (client->later)
		client->later->client = NULL;
	client->later = NULL;
}

static bool make_room(struct gw_client *client, size_t len)
{
	size_t size = GW_MAX(client->out_size, (size_t)OUT_SIZE_MIN);
	char *larger;

	if (client->out_start) {
		memmove(client->out, client->out + client->out_start, client->out_len);
		client->out_start = 0;
	}
	while (size < client->out_len + len)
		size *= 2;
	if (size == client->out_size)
		return true;
	larger = realloc(client->out, size);
	if (!larger)
		return false;
	client->out = larger;
	client->out_size = size;
	return true;
}

static void queue_bytes(struct gw_client *client, const char *bytes, size_t len)
{
	if (gw_client_is_dead(client))
		return;
	if (len > GW_CONTROL_OUTPUT_MAX - client->out_len) {
		drop(client, "it does not read what it is sent");
		return;
	}
	if (!make_room(client, len)) {
		drop(client, "no memory");
		return;
	}
	memcpy(client->out + client->out_len, bytes, len);
	client->out_len += len;
}

static void flush(struct gw_client *client)
{
	while (client->out_len) {
		ssize_t n = send(client->fd, client->out + client->out_start, client->out_len,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			drop(client, NULL); /* gone: nothing to tell anybody */
		if (n < 0)
			return;
		client->out_start += (size_t)n;
		client->out_len -= (size_t)n;
	}
	client->out_start = 0;
}

static void watch(struct gw_client *client)
{
	uint32_t events = client->out_len ? EPOLLOUT : client->later ? 0 : EPOLLIN;

	if (!gw_client_is_dead(client) && gw_source_set_events(client->source, events))
		drop(client, gw_last_error());
}

void gw_client_send(struct gw_client *client, json_t *value)
{
	GW_AUTO_FREE char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	bool waiting = client->out_len;

	json_decref(value);
	if (!text) {
		drop(client, "no memory");
		return;
	}
	text[len] = '\n'; /* instead of its NUL */
	queue_bytes(client, text, len + 1);
	/* If something waited already, lines may wait behind it: on_client() sends and goes on. */
	if (waiting || gw_client_is_dead(client))
		return;
	flush(client);
	watch(client);
}

static void answer(struct gw_client *client, size_t len)
{
	struct gw_later *later;
	json_t *reply;

	client->commands->given = gw_take_fd(&client->given);
	reply = gw_commands_answer(client->commands, client->in, len, &client->negotiated, &later);
	/* It stays for a later line: a command before the one that it is for may have come with it.
	 */
	client->given = gw_take_fd(&client->commands->given);
	if (gw_client_is_dead(client))
		gw_close(&client->given);

	if (!later) {
		gw_client_send(client, reply);
	} else if (!gw_client_is_dead(client)) {
		later->client = client;
		client->later = later;
	}
}

/* Answers the first line of the buffer, if there is a whole one, and takes it out. */
static bool answer_line(struct gw_client *client)
{
	char *newline = memchr(client->in, '\n', client->in_len);
	size_t len = newline ? (size_t)(newline - client->in) : 0;

	if (!newline)
		return false;
	if (strspn(client->in, " \t\r") < len) /* not blank */
		answer(client, len);
	client->in_len -= len + 1;
	memmove(client->in, newline + 1, client->in_len);
	return true;
}

static void answer_lines(struct gw_client *client)
{
	while (!gw_client_is_dead(client) && !client->out_len && !client->later &&
	       answer_line(client))
		;
	if (gw_client_is_dead(client) || client->out_len || client->later)
		return;
	if (client->in_len == sizeof(client->in)) {
		gw_client_send(client, gw_reply_error(NULL, "GenericError",
						      "the line is longer than a request may be"));
		drop(client, "its line is too long");
	} else if (client->hung_up) {
		drop(client, NULL);
	}
}

static void receive(struct gw_client *client)
{
	unsigned count;
	int given;
	ssize_t n = gw_fdpass_recv(client->fd, client->in + client->in_len,
				   sizeof(client->in) - client->in_len, &given, 1, &count,
				   MSG_DONTWAIT);

	if (count) {
		gw_close(&client->given);
		client->given = given;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		drop(client, NULL);
		return;
	}
	client->hung_up = !n;
	client->in_len += (size_t)n;
	answer_lines(client);
}

static void on_client(void *opaque, int fd, uint32_t events)
{
	struct gw_client *client = opaque;

	if (client->out_len) {
		flush(client);
		if (!gw_client_is_dead(client) && !client->out_len)
			answer_lines(client);
	} else if (client->later) {
		if (events & (EPOLLHUP | EPOLLERR))
			drop(client, NULL);
	} else {
		receive(client);
	}
	watch(client);
}

void gw_client_settle(struct gw_client *client, json_t *reply)
{
	client->later = NULL;
	gw_client_send(client, reply);
	answer_lines(client); /* what came meanwhile */
	watch(client);
}

int gw_client_new(struct gw_client **out, struct gw_loop *loop, struct gw_commands *commands,
		  int fd)
{
	struct gw_client *client = calloc(1, sizeof(*client));
	int err;

	if (!client) {
		gw_close(&fd);
		return gw_fail(ENOMEM, "control client: no memory");
	}
	client->commands = commands;
	client->fd = fd;
	client->given = -1;
	err = gw_loop_add_fd(loop, fd, EPOLLIN, on_client, client, &client->source);
	if (err) {
		gw_client_free(client);
		return err;
	}
	*out = client;
	return 0;
}

void gw_client_free(struct gw_client *client)
{
	if (!client)
		return;
	drop(client, NULL);
	free(client->out);
	free(client);
}
