/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/qmp/qmp.h - conversations with QEMUs and back-ends, several at a time. */
#ifndef GW_CLI_QMP_QMP_H
#define GW_CLI_QMP_QMP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A QEMU's monitor and a back-end's control socket speak alike (docs/control.md). Nothing that they
 * say is believed: what cannot be read ends the conversation, and with it all that is asked there.
 */
#define GW_QMP_MESSAGE_MAX (4u * 1024 * 1024)
#define GW_QMP_WHERE_MAX   256
#define GW_QMP_REASON_MAX  512

struct gw_qmp;

typedef void gw_qmp_event_fn(void *opaque, struct gw_qmp *qmp, const char *name,
			     const json_t *data);

/*
 * Conversations that are listened to together: whoever owes an answer, the events of all are heard
 * when they come. An interrupt (a byte, or more, at @signals, a signalfd) beyond those that are
 * tolerated ends whatever is being waited for with -ECANCELED.
 */
struct gw_qmp_group {
	struct gw_qmp *first;
	int signals;	   /* -1: none */
	unsigned patience; /* seconds that an answer may take */
	unsigned interrupts, tolerated;
	uint64_t heard_ns; /* when what is being taken came: together, in no order, for all */
	gw_qmp_event_fn *on_event;
	void *opaque;
};

/* A conversation that is over stays in its group until it is closed, and knows why it is over. */
struct gw_qmp {
	struct gw_qmp *next;
	struct gw_qmp_group *group;
	void *owner; /* the caller's */
	char where[GW_QMP_WHERE_MAX];
	int fd; /* -1: over */
	int err;
	char reason[GW_QMP_REASON_MAX];
	char *in;
	size_t size, len, scanned;
	unsigned depth; /* of brackets, at @scanned */
	bool in_string, escaped, greeted;
	bool is_qemu;	  /* the process at the other end, as far as this host knows it */
	json_int_t asked; /* the id of the latest request */
	json_t *reply;	  /* to it */
};

/* connect.c: "PATH", "unix:PATH" or "tcp:HOST:PORT"; *@fd does not block. */
int gw_qmp_connect(int *fd, const char *where, uint64_t deadline);

/* Is it a QEMU of this host, and nothing that forwards to one elsewhere? */
bool gw_qmp_peer_is_qemu(int fd);
/* Of gw_clock_ns(), rounded up; 0 if it is over. */
int gw_qmp_ms_until(uint64_t deadline);

/*
 * Connect, take the greeting, and end the negotiation (qmp_capabilities). -ETIMEDOUT; -EPROTO if it
 * is no such socket.
 */
int gw_qmp_open(struct gw_qmp **qmp, struct gw_qmp_group *group, const char *where);
/* With @ms for each of the three, whatever the patience is. */
int gw_qmp_open_within(struct gw_qmp **qmp, struct gw_qmp_group *group, const char *where,
		       unsigned ms);
void gw_qmp_close(struct gw_qmp *qmp); /* NULL is allowed */
static inline bool gw_qmp_is_over(const struct gw_qmp *qmp)
{
	return !qmp || qmp->fd < 0;
}

/*
 * Execute @command; *@result (may be NULL) is a new reference. @arguments is taken over and may be
 * NULL. -EREMOTEIO with the other's own sentence if it refuses, -EOPNOTSUPP if there is no such
 * command; -ETIMEDOUT, after which the conversation goes on and the late answer is dropped;
 * -ECANCELED; -ECONNRESET or -EPROTO, after which it is over.
 */
int gw_qmp_execute(struct gw_qmp *qmp, const char *command, json_t *arguments, json_t **result);
/* With so many times the patience. */
int gw_qmp_execute_long(struct gw_qmp *qmp, const char *command, json_t *arguments, unsigned times,
			json_t **result);
/* With @ms of its own, whatever the patience is; 0: it is said, and no answer waited for. */
int gw_qmp_execute_within(struct gw_qmp *qmp, const char *command, json_t *arguments, unsigned ms,
			  json_t **result);
/* As with gw_qmp_execute_long(), and the descriptor @given (borrowed; -1: none) goes with the
 * request. */
int gw_qmp_execute_with(struct gw_qmp *qmp, const char *command, json_t *arguments, int given,
			unsigned times, json_t **result);

/*
 * The same in two parts, for who does not wait: say it (an error ends the conversation; @arguments
 * as above), and take the answer, -EAGAIN as long as there is none. One at a time.
 */
int gw_qmp_begin(struct gw_qmp *qmp, const char *command, json_t *arguments);
int gw_qmp_take(struct gw_qmp *qmp, const char *command, json_t **result);

/* Hear what all of them have to say by now, or say first within @ms. */
void gw_qmp_group_listen(struct gw_qmp_group *group, unsigned ms);

#endif
