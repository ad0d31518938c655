/* SPDX-License-Identifier: BSD-3-Clause */
/* control/control.h - the control socket that every daemon has, in QMP's manner. */
#ifndef GW_CONTROL_CONTROL_H
#define GW_CONTROL_CONTROL_H

#include <jansson.h>

#include "godwit/loop.h"

/*
 * Newline-delimited JSON on a Unix socket (docs/control.md): a greeting, qmp_capabilities accepted,
 * {"execute": NAME, "arguments": {...}, "id": ...} answered by {"return": ...} or {"error":
 * {"class", "desc"}}, events with a timestamp. Only for the user that started the daemon, and root
 * (SO_PEERCRED). Knows no commands: upper layers register theirs. Control thread only.
 */
#define GW_CONTROL_CLIENTS_MAX 16
#define GW_CONTROL_LINE_MAX    (64 * 1024)
#define GW_CONTROL_OUTPUT_MAX  (4 * 1024 * 1024) /* a client that does not read is dropped */
#define GW_CONTROL_DEPTH_MAX   32

struct gw_control;

int gw_control_new(struct gw_control **control, struct gw_loop *loop, const char *path,
		   const char *program, const char *version);
/* The same on a listening socket that is there already, and whose name stays. Takes @fd over, also
 * on failure. */
int gw_control_adopt(struct gw_control **control, struct gw_loop *loop, int fd, const char *program,
		     const char *version);
/* Closes clients (what was queued is sent if it can be at once), removes the socket if it was made
 * here. */
void gw_control_free(struct gw_control *control);

/* @text as a JSON string; if it is no UTF-8 (a file's name may be anything), '?' stands for each
 * byte above 127. NULL: no memory. */
json_t *gw_control_text(const char *text);

/* Sets *@result (a new reference, sent as "return"; NULL: {}) and returns 0, or a negative errno
 * with a sentence, sent as "error". @arguments is an object or NULL. */
typedef int gw_control_fn(void *opaque, const json_t *arguments, json_t **result);

/*
 * A command that cannot answer at once calls gw_control_later() and returns GW_CONTROL_LATER; then
 * gw_control_answer(), once, from the control thread: with 0 and a result (taken over), or a
 * negative errno and a sentence. The client gets no further answers before that, and may be gone
 * by then; so may the whole server.
 */
#define GW_CONTROL_LATER 1
struct gw_later;
struct gw_later *gw_control_later(struct gw_control *control); /* NULL: no memory */
void gw_control_answer(struct gw_later *later, int err, json_t *result);

/* The descriptor that came with the command being executed (the caller's from now on), or -1. */
int gw_control_take_fd(struct gw_control *control);

/* -EEXIST for a name that is taken. */
int gw_control_register(struct gw_control *control, const char *name, gw_control_fn *fn,
			void *opaque);
/* To all clients that have sent qmp_capabilities. Takes over @data (an object or NULL). */
void gw_control_event(struct gw_control *control, const char *name, json_t *data);

#endif
