/* SPDX-License-Identifier: BSD-3-Clause */
/* common/operator.h - who sits at a control socket: asks, and hears events. */
#ifndef GW_TESTS_OPERATOR_H
#define GW_TESTS_OPERATOR_H

#include <jansson.h>
#include <stdio.h>

/* Connected, greeted, and listening to events. Fails the test after 10 s without an answer. */
struct operator
{
	FILE *lines;
};
void operator_open(struct operator* operator, const char * path);
void operator_close(struct operator* operator);

/* What @command returned; the caller's to release. Events that came before are passed over. */
json_t *operator_ask(struct operator* operator, const char * command);
void operator_say(struct operator* operator, const char * line);
/* The next line; the next that is no event, whatever it says; the next event. */
json_t *operator_line(struct operator* operator);
json_t *operator_reply(struct operator* operator);
json_t *operator_event(struct operator* operator);

/* @reply, which is released, is a refusal with a sentence that has @part. */
void operator_is_refusal(json_t *reply, const char *part);
/* @line is refused with a sentence that has @part. */
void operator_refused(struct operator* operator, const char * line, const char *part);
/* @line, a whole request, is done. */
void operator_do(struct operator* operator, const char * line);

/* query-status: its one session, until that is released. */
json_t *operator_session(struct operator* operator);
/* A number or object down a path of names: "details.inodes". Borrowed; fails the test if it is
 * not there. */
json_t *operator_at(const json_t *json, const char *path);

#endif
