/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/qmp/qmp.c - conversations with QEMUs and back-ends, several at a time. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdpass.h"
#include "cli/qmp/qmp.h"
#include "godwit/error.h"

/* Two QEMUs, the back-ends of both (MG_DEVICES_MAX each, and each twice), and the signals. */
#define POLLED_MAX 512
#define FIRST_SIZE 4096u
/* Who does not wait for answers does not wait for room either. */
#define SAY_MS 100

/* -- the end of a conversation -------------------------------------------------------------- */

static int over(struct gw_qmp *qmp, int err)
{
	gw_close(&qmp->fd);
	qmp->err = err;
	snprintf(qmp->reason, sizeof(qmp->reason), "%s", gw_last_error());
	return err;
}

static int is_over(const struct gw_qmp *qmp)
{
	return gw_fail(-qmp->err, "%s", qmp->reason);
}

/* -- messages ------------------------------------------------------------------------------- */

static void take_event(struct gw_qmp *qmp, const json_t *message, const char *name)
{
	if (qmp->group->on_event)
		qmp->group->on_event(qmp->group->opaque, qmp, name,
				     json_object_get(message, "data"));
}

/* Another's sentence, as one of ours: it must not steer a terminal. */
static int refuse(const char *sentence)
{
	char text[GW_QMP_REASON_MAX];

	snprintf(text, sizeof(text), "%s", sentence);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	return gw_fail(EREMOTEIO, "%s", text);
}

/* An answer to a request that was given up is dropped. */
static int take_reply(struct gw_qmp *qmp, json_t *message)
{
	const json_t *id = json_object_get(message, "id");

	const char *refusal =
		json_string_value(json_object_get(json_object_get(message, "error"), "desc"));

	if (!qmp->greeted && refusal)
		return gw_fail_in(refuse(refusal), "%s", qmp->where);
	if (!json_is_integer(id))
		return gw_fail(EPROTO, "%s: an answer that does not say to what", qmp->where);
	if (json_integer_value(id) == qmp->asked && !qmp->reply)
		qmp->reply = json_incref(message);
	return 0;
}

static int take_message(struct gw_qmp *qmp, json_t *message)
{
	const char *event = json_string_value(json_object_get(message, "event"));

	if (event)
		take_event(qmp, message, event);
	else if (json_is_object(json_object_get(message, "QMP")))
		qmp->greeted = true;
	else
		return take_reply(qmp, message);
	return 0;
}

static int parse_message(struct gw_qmp *qmp, size_t len)
{
	json_t *message;
	int err;

	if (strspn(qmp->in, " \t\r\n") >= len)
		return 0;
	message = json_loadb(qmp->in, len, JSON_REJECT_DUPLICATES, NULL);
	err = json_is_object(message)
		      ? take_message(qmp, message)
		      : gw_fail(EPROTO, "%s: what answers is no monitor and no control socket",
				qmp->where);
	json_decref(message);
	return err;
}

/* A message ends with a line, but a monitor may spread one over several (pretty=on): with the
 * first line at whose end no bracket is open. */
static bool find_end(struct gw_qmp *qmp)
{
	while (qmp->scanned < qmp->len) {
		char c = qmp->in[qmp->scanned++];

		if (qmp->escaped)
			qmp->escaped = false;
		else if (qmp->in_string && c == '\\')
			qmp->escaped = true;
		else if (c == '"')
			qmp->in_string = !qmp->in_string;
		else if (!qmp->in_string && (c == '{' || c == '['))
			qmp->depth++;
		else if (!qmp->in_string && (c == '}' || c == ']') && qmp->depth)
			qmp->depth--;
		else if (c == '\n' && !qmp->in_string && !qmp->depth)
			return true;
	}
	return false;
}

static int take_messages(struct gw_qmp *qmp)
{
	while (find_end(qmp)) {
		int err = parse_message(qmp, qmp->scanned);

		if (err)
			return err;
		qmp->len -= qmp->scanned;
		memmove(qmp->in, qmp->in + qmp->scanned, qmp->len);
		qmp->scanned = 0;
	}
	return 0;
}

/* There is always a zero behind what was received. */
static int make_room(struct gw_qmp *qmp)
{
	size_t size = GW_MAX(qmp->size * 2, FIRST_SIZE);
	char *in;

	if (qmp->len + 1 < qmp->size)
		return 0;
	if (size > GW_QMP_MESSAGE_MAX)
		return gw_fail(EPROTO, "%s: a message of more than %u bytes", qmp->where,
			       GW_QMP_MESSAGE_MAX);
	in = realloc(qmp->in, size);
	if (!in)
		return gw_fail(ENOMEM, "no memory for a message of %zu bytes", size);
	qmp->in = in;
	qmp->size = size;
	return 0;
}

static int receive(struct gw_qmp *qmp)
{
	ssize_t n;
	int err = make_room(qmp);

	if (err)
		return err;
	n = recv(qmp->fd, qmp->in + qmp->len, qmp->size - 1 - qmp->len, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR
			       ? 0
			       : gw_fail(errno, "%s: %s", qmp->where, strerror(errno));
	if (n == 0)
		return gw_fail(ECONNRESET, "%s: the connection was closed", qmp->where);
	qmp->len += (size_t)n;
	qmp->in[qmp->len] = 0;
	return take_messages(qmp);
}

/* -- listening ------------------------------------------------------------------------------ */

static void take_signal(struct gw_qmp_group *group)
{
	struct signalfd_siginfo info;

	if (read(group->signals, &info, sizeof(info)) == sizeof(info))
		group->interrupts++;
}

/* One round: what each of them has to say by now, or says first within @ms. */
static void listen_once(struct gw_qmp_group *group, int ms)
{
	struct pollfd polled[POLLED_MAX] = {{.fd = group->signals, .events = POLLIN}};
	struct gw_qmp *of[POLLED_MAX];
	nfds_t count = 1;

	for (struct gw_qmp *qmp = group->first; qmp && count < POLLED_MAX; qmp = qmp->next) {
		if (qmp->fd < 0)
			continue;
		polled[count] = (struct pollfd){.fd = qmp->fd, .events = POLLIN};
		of[count++] = qmp;
	}
	if (poll(polled, count, ms) <= 0)
		return;
	group->heard_ns = gw_clock_ns();
	if (polled[0].revents & POLLIN)
		take_signal(group);
	for (nfds_t i = 1; i < count; i++) {
		int err = polled[i].revents ? receive(of[i]) : 0;

		if (err)
			over(of[i], err);
	}
}

static uint64_t deadline_after(unsigned ms)
{
	return gw_clock_ns() + (uint64_t)ms * GW_NS_PER_MS;
}

static unsigned patience_ms(const struct gw_qmp_group *group, unsigned times)
{
	return times * group->patience * 1000;
}

void gw_qmp_group_listen(struct gw_qmp_group *group, unsigned ms)
{
	listen_once(group, (int)ms);
}

/* Until it has greeted, or answered. */
static int await(struct gw_qmp *qmp, bool greeting, unsigned within_ms, uint64_t deadline)
{
	while (greeting ? !qmp->greeted : !qmp->reply) {
		int ms = gw_qmp_ms_until(deadline);

		if (qmp->fd < 0)
			return is_over(qmp);
		if (qmp->group->interrupts > qmp->group->tolerated)
			return gw_fail(ECANCELED, "interrupted");
		if (!ms)
			return gw_fail(ETIMEDOUT, "%s: %s within %g s", qmp->where,
				       greeting ? "no greeting (is somebody else connected?)"
						: "no answer",
				       within_ms / 1e3);
		listen_once(qmp->group, ms);
	}
	return 0;
}

/* -- asking --------------------------------------------------------------------------------- */

static int say(struct gw_qmp *qmp, const char *text, size_t len, uint64_t deadline)
{
	struct pollfd ready = {.fd = qmp->fd, .events = POLLOUT};

	while (len) {
		ssize_t n = send(qmp->fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return gw_fail(errno, "%s: %s", qmp->where, strerror(errno));
		if (n < 0 && !gw_qmp_ms_until(deadline))
			return gw_fail(ETIMEDOUT, "%s: it takes no more requests", qmp->where);
		if (n < 0)
			poll(&ready, 1, gw_qmp_ms_until(deadline));
		else
			text += n;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Whole, or not at all: what was asked before has been answered, so that there is room. */
static int say_with(struct gw_qmp *qmp, const char *text, size_t len, int given)
{
	ssize_t n = gw_fdpass_send(qmp->fd, text, len, &given, 1, 0);

	if (n == (ssize_t)len)
		return 0;
	return gw_fail(n < 0 ? errno : EPROTO, "%s: a descriptor could not be given: %s",
		       qmp->where, n < 0 ? strerror(errno) : "too long a request");
}

static int ask(struct gw_qmp *qmp, const char *command, json_t *arguments, int given,
	       uint64_t deadline)
{
	json_t *request = json_pack("{s:s, s:I}", "execute", command, "id", ++qmp->asked);
	GW_AUTO_FREE char *text = NULL;
	size_t len;
	int err;

	/* It may have come late, after all, to what was asked before and given up. */
	json_decref(gw_take_ptr(qmp->reply));
	if (arguments)
		json_object_set_new(request, "arguments", arguments);
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (!text)
		return gw_fail(ENOMEM, "no memory for a request");
	len = strlen(text);
	text[len++] = '\n'; /* in the place of its zero */
	err = given < 0 ? say(qmp, text, len, deadline) : say_with(qmp, text, len, given);
	/* What was said in part cannot be taken back. */
	return err ? over(qmp, err) : 0;
}

static int judge(struct gw_qmp *qmp, const char *command, const json_t *reply, json_t **result)
{
	const json_t *error = json_object_get(reply, "error");
	const char *class = json_string_value(json_object_get(error, "class"));
	const char *sentence = json_string_value(json_object_get(error, "desc"));
	json_t *value = json_object_get(reply, "return");

	if (value) {
		if (result)
			*result = json_incref(value);
		return 0;
	}
	if (class && !strcmp(class, "CommandNotFound"))
		return gw_fail(EOPNOTSUPP, "%s: there is no %s", qmp->where, command);
	if (sentence)
		return refuse(sentence);
	gw_fail(EPROTO, "%s: neither a result nor an error came back", qmp->where);
	return over(qmp, -EPROTO);
}

static int execute(struct gw_qmp *qmp, const char *command, json_t *arguments, int given,
		   unsigned ms, json_t **result)
{
	uint64_t deadline = deadline_after(ms);
	json_t *reply;
	int err;

	if (result)
		*result = NULL;
	if (qmp->fd < 0) {
		json_decref(arguments);
		return is_over(qmp);
	}
	err = ask(qmp, command, arguments, given, deadline);
	if (!err)
		err = await(qmp, false, ms, deadline);
	reply = gw_take_ptr(qmp->reply);
	if (!err)
		err = judge(qmp, command, reply, result);
	json_decref(reply);
	return err;
}

int gw_qmp_execute(struct gw_qmp *qmp, const char *command, json_t *arguments, json_t **result)
{
	return execute(qmp, command, arguments, -1, patience_ms(qmp->group, 1), result);
}

int gw_qmp_execute_long(struct gw_qmp *qmp, const char *command, json_t *arguments, unsigned times,
			json_t **result)
{
	return execute(qmp, command, arguments, -1, patience_ms(qmp->group, times), result);
}

int gw_qmp_execute_within(struct gw_qmp *qmp, const char *command, json_t *arguments, unsigned ms,
			  json_t **result)
{
	return execute(qmp, command, arguments, -1, ms, result);
}

int gw_qmp_execute_with(struct gw_qmp *qmp, const char *command, json_t *arguments, int given,
			unsigned times, json_t **result)
{
	return execute(qmp, command, arguments, given, patience_ms(qmp->group, times), result);
}

int gw_qmp_begin(struct gw_qmp *qmp, const char *command, json_t *arguments)
{
	if (qmp->fd >= 0)
		return ask(qmp, command, arguments, -1, deadline_after(SAY_MS));
	json_decref(arguments);
	return is_over(qmp);
}

int gw_qmp_take(struct gw_qmp *qmp, const char *command, json_t **result)
{
	json_t *reply = gw_take_ptr(qmp->reply);
	int err;

	if (result)
		*result = NULL;
	if (!reply)
		return qmp->fd < 0 ? is_over(qmp) : -EAGAIN;
	err = judge(qmp, command, reply, result);
	json_decref(reply);
	return err;
}

int gw_qmp_open(struct gw_qmp **out, struct gw_qmp_group *group, const char *where)
{
	return gw_qmp_open_within(out, group, where, patience_ms(group, 1));
}

int gw_qmp_open_within(struct gw_qmp **out, struct gw_qmp_group *group, const char *where,
		       unsigned ms)
{
	struct gw_qmp *qmp = calloc(1, sizeof(*qmp));
	uint64_t deadline = deadline_after(ms);
	int err;

	*out = NULL;
	if (!qmp)
		return gw_fail(ENOMEM, "no memory for a connection");
	*qmp = (struct gw_qmp){.next = group->first, .group = group, .fd = -1};
	snprintf(qmp->where, sizeof(qmp->where), "%s", where);
	group->first = qmp;
	err = gw_qmp_connect(&qmp->fd, where, deadline);
	qmp->is_qemu = !err && gw_qmp_peer_is_qemu(qmp->fd);
	if (!err)
		err = await(qmp, true, ms, deadline);
	if (!err)
		err = gw_qmp_execute_within(qmp, "qmp_capabilities", NULL, ms, NULL);
	if (err)
		gw_qmp_close(qmp);
	else
		*out = qmp;
	return err;
}

void gw_qmp_close(struct gw_qmp *qmp)
{
	struct gw_qmp **link = qmp ? &qmp->group->first : NULL;

	if (!qmp)
		return;
	while (*link && *link != qmp)
		link = &(*link)->next;
	if (*link)
		*link = qmp->next;
	gw_close(&qmp->fd);
	json_decref(qmp->reply);
	free(qmp->in);
	free(qmp);
}
