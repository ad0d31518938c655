/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/trace/trace.h - messages between a front-end and a back-end: passed on, told, drawn. */
#ifndef GW_CLI_TRACE_TRACE_H
#define GW_CLI_TRACE_TRACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "vhost-user/wire.h"

enum tr_side { TR_FRONTEND, TR_BACKEND };
/* The socket that all begins with, and the one that SET_BACKEND_REQ_FD hands over. */
enum tr_channel { TR_MAIN, TR_BACK };

#define TR_PAYLOAD_MAX 4096
/* Of a payload, what is kept to be told. */
#define TR_KEPT_MAX 64
/* A trace that is read, or drawn, has no more messages. */
#define TR_MESSAGES_MAX 200000u
/* Traces in one picture: a source and a destination. */
#define TR_TRACES_MAX 2

struct tr_message {
	int64_t at; /* microseconds of CLOCK_REALTIME, so that traces of one host go together */
	enum tr_side from;
	enum tr_channel channel;
	unsigned trace; /* which of several */
	size_t order;	/* in its list, as it came */
	uint32_t request, flags, size;
	unsigned fds;
	uint8_t payload[TR_KEPT_MAX]; /* zero behind its end */
};

static inline bool tr_is_reply(const struct tr_message *message)
{
	return message->flags & GW_VU_REPLY;
}

/* The first bytes of the payload as a number: most replies are one. */
uint64_t tr_number(const struct tr_message *message);

/* describe.c: "SET_VRING_NUM", and "ring 0: 128"; empty where there is nothing to say. */
const char *tr_name(const struct tr_message *message);
#define TR_DETAIL_MAX 160
void tr_detail(const struct tr_message *message, char text[TR_DETAIL_MAX]);

/* lines.c: a message as a line of text, after @start; as JSON; and from that. */
void tr_print_text(const struct tr_message *message, int64_t start, FILE *out);
int tr_print_json(const struct tr_message *message, FILE *out);
/* -EINVAL with a sentence that names @path and @number, the line. */
int tr_parse(struct tr_message *message, const char *line, const char *path, unsigned number);

/*
 * relay.c: passes on what the two sockets say, descriptors too, until one of them ends. Both
 * descriptors are the caller's. @told is called for each message before it is passed on; its error
 * ends the relay.
 */
typedef int tr_told_fn(void *opaque, const struct tr_message *message);
int tr_relay(int frontend, int backend, tr_told_fn *told, void *opaque);

/*
 * Messages that are kept.
 */
struct tr_list {
	struct tr_message *at;
	size_t count, room;
};
int tr_list_add(struct tr_list *list, const struct tr_message *message);
void tr_list_free(struct tr_list *list);
/* The lines of @path as trace number @trace. */
int tr_list_read(struct tr_list *list, const char *path, unsigned trace);
/* By time. */
void tr_list_sort(struct tr_list *list);

/*
 * phases.c: what happened, from what was said.
 */
enum tr_phase_kind { TR_NEGOTIATE, TR_RUN, TR_STOP, TR_SAVE, TR_LOAD, TR_START, TR_PHASES };
struct tr_phase {
	enum tr_phase_kind kind;
	unsigned trace;
	size_t first, last; /* messages */
	bool ended;
};
#define TR_PHASES_MAX 256
struct tr_story {
	struct tr_phase phases[TR_PHASES_MAX];
	unsigned count;
	/* From the first ring stopped to the next one enabled, wherever that is: the longest. */
	bool has_blackout;
	size_t dark_from, dark_to;
};
void tr_story_tell(struct tr_story *story, const struct tr_list *list);
const char *tr_phase_name(enum tr_phase_kind kind);

/* svg.c: the sequence, its phases and the blackout. */
int tr_draw(const struct tr_list *list, unsigned traces, FILE *out);

#endif
