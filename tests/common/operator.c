/* SPDX-License-Identifier: BSD-3-Clause */
/* common/operator.c - who sits at a control socket: asks, and hears events. */
#include "../unit/cmocka-all.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/socket.h"
#include "operator.h"

/* What a daemon sends at most. */
#define LINE_MAX_LEN (4 * 1024 * 1024)

json_t *operator_line(struct operator* operator)
{
	char *line = malloc(LINE_MAX_LEN);
	json_error_t error;
	json_t *json;

	assert_non_null(line);
	if (!fgets(line, LINE_MAX_LEN, operator->lines))
		fail_msg("the control socket says nothing more");
	json = json_loads(line, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		fail_msg("no JSON (%s): %.100s", error.text, line);
	free(line);
	return json;
}

void operator_say(struct operator* operator, const char * line)
{
	size_t len = strlen(line);

	assert_int_equal(send(fileno(operator->lines), line, len, MSG_NOSIGNAL), len);
}

void operator_open(struct operator* operator, const char * path)
{
	struct timeval patience = {.tv_sec = 10};
	int fd = -1;

	assert_int_equal(gw_socket_connect(&fd, path, 5000), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	operator->lines = fdopen(fd, "r");
	assert_non_null(operator->lines);
	json_decref(operator_line(operator)); /* the greeting */
	json_decref(operator_ask(operator, "qmp_capabilities"));
}

void operator_close(struct operator* operator)
{
	fclose(operator->lines);
	operator->lines = NULL;
}

json_t *operator_reply(struct operator* operator)
{
	json_t *line = operator_line(operator);

	while (json_object_get(line, "event")) {
		json_decref(line);
		line = operator_line(operator);
	}
	return line;
}

json_t *operator_event(struct operator* operator)
{
	json_t *line = operator_line(operator);

	while (!json_object_get(line, "event")) {
		json_decref(line);
		line = operator_line(operator);
	}
	return line;
}

json_t *operator_ask(struct operator* operator, const char * command)
{
	char line[128];
	json_t *reply, *result;

	snprintf(line, sizeof(line), "{\"execute\":\"%s\"}\n", command);
	operator_say(operator, line);
	reply = operator_reply(operator);
	result = json_incref(json_object_get(reply, "return"));
	if (!result)
		fail_msg("%s: %s", command, json_string_value(operator_at(reply, "error.desc")));
	json_decref(reply);
	return result;
}

static json_t *answer_to(struct operator* operator, const char * line)
{
	operator_say(operator, line);
	operator_say(operator, "\n");
	return operator_reply(operator);
}

void operator_is_refusal(json_t *reply, const char *part)
{
	const char *sentence = json_string_value(operator_at(reply, "error.desc"));

	assert_non_null(sentence);
	if (!strstr(sentence, part))
		fail_msg("'%s' has no '%s'", sentence, part);
	json_decref(reply);
}

void operator_refused(struct operator* operator, const char * line, const char *part)
{
	operator_is_refusal(answer_to(operator, line), part);
}

void operator_do(struct operator* operator, const char * line)
{
	json_t *reply = answer_to(operator, line);

	if (!json_object_get(reply, "return"))
		fail_msg("%s: %s", line, json_string_value(operator_at(reply, "error.desc")));
	json_decref(reply);
}

json_t *operator_session(struct operator* operator)
{
	json_t *status = operator_ask(operator, "query-status");
	json_t *sessions = operator_at(status, "sessions"), *session;

	assert_int_equal(json_array_size(sessions), 1);
	session = json_incref(json_array_get(sessions, 0));
	json_decref(status);
	return session;
}

json_t *operator_at(const json_t *json, const char *path)
{
	char names[128], *rest = names, *name;
	json_t *at = (json_t *)json;

	snprintf(names, sizeof(names), "%s", path);
	while (at && (name = strsep(&rest, ".")))
		at = json_object_get(at, name);
	if (!at)
		fail_msg("%s is missing", path);
	return at;
}
