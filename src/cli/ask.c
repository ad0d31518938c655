/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/ask.c - one question to a daemon's control socket. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fdpass.h"
#include "base/socket.h"
#include "cli/ask.h"
#include "control/control.h"
#include "godwit/error.h"

#define PATIENCE_S   10
#define MSEC_PER_SEC 1000
#define NSEC_PER_MS  1000000

/* A line may be as long as what a daemon would queue for us. */
struct conversation {
	int fd;
	const char *path;
	unsigned seconds; /* in all */
	long long deadline;
	char *in;
	size_t len; /* of what was received and not yet taken */
};

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (long long)MSEC_PER_SEC + now.tv_nsec / NSEC_PER_MS;
}

static int wait_for(const struct conversation *talk, short events)
{
	struct pollfd ready = {.fd = talk->fd, .events = events};
	long long left = talk->deadline - now_ms();

	if (left <= 0 || poll(&ready, 1, (int)left) == 0)
		return gw_fail(ETIMEDOUT, "%s: no answer within %u s", talk->path, talk->seconds);
	return 0;
}

static int say(struct conversation *talk, const char *text)
{
	size_t len = strlen(text), done = 0;
	int err = 0;

	while (!err && done < len) {
		ssize_t n = send(talk->fd, text + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			done += (size_t)n;
		else if (errno == EAGAIN || errno == EINTR)
			err = wait_for(talk, POLLOUT);
		else
			return gw_fail(errno, "%s: %s", talk->path, strerror(errno));
	}
	return err;
}

static int receive(struct conversation *talk)
{
	ssize_t n;
	int err = wait_for(talk, POLLIN);

	if (err)
		return err;
	if (talk->len == GW_CONTROL_OUTPUT_MAX)
		return gw_fail(EPROTO, "%s: a line of more than %d bytes", talk->path,
			       GW_CONTROL_OUTPUT_MAX);
	n = recv(talk->fd, talk->in + talk->len, GW_CONTROL_OUTPUT_MAX - talk->len, MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return gw_fail(errno, "%s: %s", talk->path, strerror(errno));
	if (!n)
		return gw_fail(ECONNRESET, "%s: closed without an answer", talk->path);
	talk->len += n > 0 ? (size_t)n : 0;
	return 0;
}

/* The next line as an object; the caller's to release. */
static int listen_to(struct conversation *talk, json_t **object)
{
	char *newline;
	size_t len;
	int err;

	while (!(newline = memchr(talk->in, '\n', talk->len))) {
		err = receive(talk);
		if (err)
			return err;
	}
	len = (size_t)(newline - talk->in);
	*object = json_loadb(talk->in, len, JSON_REJECT_DUPLICATES, NULL);
	talk->len -= len + 1;
	memmove(talk->in, newline + 1, talk->len);
	if (json_is_object(*object))
		return 0;
	json_decref(*object);
	*object = NULL;
	return gw_fail(EPROTO, "%s: what answers is no control socket", talk->path);
}

/* What a line that is no event says: a result, or the daemon's refusal. */
static int judge(const struct conversation *talk, const json_t *reply, json_t **result)
{
	const char *sentence =
		json_string_value(json_object_get(json_object_get(reply, "error"), "desc"));

	*result = json_incref(json_object_get(reply, "return"));
	if (*result)
		return 0;
	if (sentence)
		return gw_fail(EREMOTEIO, "%s: %.256s", talk->path, sentence);
	return gw_fail(EPROTO, "%s: neither a result nor an error came back", talk->path);
}

static int await_greeting(struct conversation *talk)
{
	json_t *greeting = NULL, *unused = NULL;
	int err = listen_to(talk, &greeting);

	if (!err && !json_is_object(json_object_get(greeting, "QMP"))) {
		err = judge(talk, greeting, &unused);
		if (!err)
			err = gw_fail(EPROTO, "%s: no greeting", talk->path);
	}
	json_decref(unused);
	json_decref(greeting);
	return err;
}

static int await_reply(struct conversation *talk, json_t **result)
{
	json_t *reply = NULL;
	int err;

	do {
		json_decref(reply);
		reply = NULL;
		err = listen_to(talk, &reply);
	} while (!err && json_object_get(reply, "event"));
	if (!err)
		err = judge(talk, reply, result);
	json_decref(reply);
	return err;
}

int gw_cli_ask(const char *path, const char *command, json_t **result)
{
	return gw_cli_ask_long(path, command, PATIENCE_S, result);
}

static int say_request(struct conversation *talk, const char *text, int fd)
{
	/* Whole, or not at all: it is the first that this socket carries. */
	if (fd >= 0 && gw_fdpass_send(talk->fd, text, strlen(text), &fd, 1, 0) < 0)
		return gw_fail(errno, "%s: %s", talk->path, strerror(errno));
	return fd >= 0 ? 0 : say(talk, text);
}

static int converse(const char *path, const char *text, int given, unsigned seconds,
		    json_t **result)
{
	GW_AUTO_FREE char *in = malloc(GW_CONTROL_OUTPUT_MAX);
	GW_AUTO_FD int fd = -1;
	struct conversation talk = {.path = path,
				    .seconds = seconds,
				    .deadline = now_ms() + seconds * (long long)MSEC_PER_SEC,
				    .in = in};
	int err;

	if (!in)
		return gw_fail(ENOMEM, "no memory");
	err = gw_socket_connect(&fd, path, 0);
	talk.fd = fd;
	if (!err)
		err = await_greeting(&talk);
	if (!err)
		err = say_request(&talk, text, given);
	return err ? err : await_reply(&talk, result);
}

int gw_cli_ask_long(const char *path, const char *command, unsigned seconds, json_t **result)
{
	return gw_cli_ask_with(path, command, -1, seconds, result);
}

int gw_cli_ask_with(const char *path, const char *command, int given, unsigned seconds,
		    json_t **result)
{
	char text[256];

	snprintf(text, sizeof(text), "{\"execute\":\"%s\"}\n", command);
	return converse(path, text, given, seconds, result);
}

int gw_cli_ask_about(const char *path, const char *command, json_t *arguments, unsigned seconds,
		     json_t **result)
{
	json_t *request = json_pack("{s:s, s:O}", "execute", command, "arguments", arguments);
	GW_AUTO_FREE char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;
	GW_AUTO_FREE char *text = NULL;

	json_decref(request);
	if (!line || asprintf(&text, "%s\n", line) < 0) {
		text = NULL;
		return gw_fail(ENOMEM, "no memory");
	}
	return converse(path, text, -1, seconds, result);
}
