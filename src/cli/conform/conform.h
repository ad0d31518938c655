/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/conform.h - a check of a back-end: what it says, where from, and what it may use. */
#ifndef GW_CLI_CONFORM_CONFORM_H
#define GW_CLI_CONFORM_CONFORM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "vhost-user/frontend_internal.h"
#include "vhost-user/wire.h"

/* How binding the sentence of the specification is, or a good habit that it does not speak of. */
enum cf_level { CF_MUST, CF_SHOULD };

enum cf_verdict {
	CF_PASS,
	CF_FAIL,
	CF_SKIP, /* it does not apply to this back-end, or cannot be done with it */
};

/* What a check cannot do without; without it the check is skipped and says so. */
enum cf_needs {
	CF_NEEDS_WORK = 1 << 0,	 /* requests of a known device type */
	CF_NEEDS_EXEC = 1 << 1,	 /* a back-end of one's own: a second one, its process */
	CF_NEEDS_STATE = 1 << 2, /* DEVICE_STATE is offered */
	CF_NEEDS_LOG = 1 << 3,	 /* dirty logging is offered */
	CF_NEEDS_MEMO = 1 << 4,	 /* the type has inner state that requests can ask for */
};

#define CF_TEXT_MAX 512

struct cf_run;

struct cf_check {
	const char *name;
	const char *says;    /* what is expected: one sentence */
	const char *section; /* of the vhost-user specification, unless it names another */
	enum cf_level level;
	unsigned needs;
	uint64_t protocol; /* protocol features that must be offered */
	uint64_t virtio;   /* the same of virtio */
	void (*run)(struct cf_run *run);
};

/* Each ended by a NULL name. */
extern const struct cf_check cf_checks_features[], cf_checks_framing[], cf_checks_memory[],
	cf_checks_rings[], cf_checks_stop[], cf_checks_log[], cf_checks_state[],
	cf_checks_channel[], cf_checks_experimental[], cf_checks_load[], cf_checks_move[],
	cf_checks_hostile[];
extern const struct cf_check *const cf_all_checks[]; /* ended by NULL */

/*
 * Requests of a device type: the smallest that there are, and such whose answer depends on what the
 * device keeps inside (a memo), if the type has any.
 */
struct cf_guest;
struct cf_work {
	const char *name;
	unsigned queues; /* how many rings a driver needs */
	unsigned queue;	 /* the one that requests go to */
	bool drops;	 /* while that is disabled requests are answered, and come to nothing */
	/* What a driver says first; once for a device's life. May be NULL. */
	void (*begin)(struct cf_guest *guest);
	/* Makes one request available, as number @slot; below CF_SLOTS. */
	void (*request)(struct cf_guest *guest, unsigned slot);
	/* Is what the device wrote right? NULL, or what is wrong. */
	const char *(*judge)(struct cf_guest *guest, unsigned slot, uint32_t len);
	/* Leave something inside of the device; is it (still) there? May be NULL. */
	void (*memo)(struct cf_guest *guest);
	const char *(*recall)(struct cf_guest *guest);
};
#define CF_SLOTS     32
#define CF_SLOT_ROOM 8192
/* Entries of each ring: a request has up to three segments. */
#define CF_QUEUE_SIZE 128
/* By name; NULL: there is none of that name. */
const struct cf_work *cf_work_named(const char *name);
extern const struct cf_work cf_work_any, cf_work_fs, cf_work_net, cf_work_block;

/* Where back-ends come from; one of the two. */
struct cf_target {
	const char *socket; /* somebody else's, always the same */
	const char *exec;   /* a command in which {socket} stands for the path */
	const struct cf_work *work;
	unsigned timeout_ms; /* of one reply */
};

/* A back-end that is being talked to. */
struct cf_backend {
	pid_t pid; /* 0: somebody else's */
	char path[108];
};

/* One check, in a process of its own: what it leaves open ends with it. */
struct cf_run {
	const struct cf_target *target;
	const char *dir; /* for sockets */
	int verdict_fd;
	unsigned backends;
	pid_t newest; /* of these; what became of it is told with what failed */
	/* What the back-end offers, as found out before all checks. */
	uint64_t virtio, protocol;
};

/* verdict.c: these end the check. */
void cf_fail(struct cf_run *run, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));
void cf_skip(struct cf_run *run, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));
/* What a call of the library returned; < 0 fails the check with the sentence that it left. */
int cf_ok(struct cf_run *run, int result, const char *doing);
#define CF_EXPECT(run_, condition_, ...)              \
	do {                                          \
		if (!(condition_))                    \
			cf_fail((run_), __VA_ARGS__); \
	} while (0)

/* target.c: how the newest back-end ended, "it was ended by signal 11"; NULL: it did not, or not so
 * that it says anything. */
const char *cf_how_it_ended(const struct cf_run *run, char text[CF_TEXT_MAX]);

/* verdict.c: run @check with all that it may need known to be there; the text says why not. */
struct cf_result {
	enum cf_verdict verdict;
	char text[CF_TEXT_MAX];
	unsigned ms;
};
void cf_perform(const struct cf_check *check, const struct cf_run *offered,
		struct cf_result *result);

/*
 * target.c
 */

/* A back-end that listens; another one each time, where they can be started. */
void cf_backend_start(struct cf_run *run, struct cf_backend *backend);
/* The one whose socket is given, or that was started. */
struct gw_frontend_config cf_config(const struct cf_run *run, const struct cf_backend *backend);
/* Connected, nothing said. */
struct gw_frontend *cf_connect(struct cf_run *run, struct cf_backend *backend);
/* Negotiated; no ring is set up. */
struct gw_frontend *cf_negotiate(struct cf_run *run, struct cf_backend *backend);
/* Fails the check if the back-end was ended by a signal, now or within a moment. */
void cf_not_crashed(struct cf_run *run, struct cf_backend *backend);
/* And if it does not answer on this connection any more. */
void cf_answers(struct cf_run *run, struct gw_frontend *frontend);
unsigned cf_open_descriptors(const struct cf_backend *backend); /* 0: cannot be told */

/* What the back-end offers, into @run; false with the reason: it cannot be talked to at all. */
bool cf_probe(struct cf_run *run, char text[CF_TEXT_MAX]);

/*
 * guest.c: a guest that makes the target's requests.
 */
struct cf_guest {
	struct cf_run *run;
	const struct cf_work *work;
	struct gw_frontend *frontend;
	bool begun;
	char *room[CF_SLOTS]; /* in guest memory: the request, then the answer */
	bool out[CF_SLOTS];
	uint32_t len[CF_SLOTS]; /* of the answer */
	unsigned outstanding;
	unsigned lane; /* of the type's queues */
	uint64_t memo[4];
};

#define CF_ANSWER_AT (CF_SLOT_ROOM / 2) /* in a room: what the device writes */

/* A started back-end, and a guest that has begun to use it. */
void cf_guest_start(struct cf_run *run, struct cf_backend *backend, struct cf_guest *guest);
/* The same on @frontend, that is negotiated and whose rings are not started. */
void cf_guest_on(struct cf_run *run, struct gw_frontend *frontend, struct cf_guest *guest);
void cf_guest_begin(struct cf_guest *guest);
/* Segments of a request: @out from the room's beginning, @in at CF_ANSWER_AT. */
void cf_guest_add(struct cf_guest *guest, unsigned queue, unsigned slot, const struct iovec *out,
		  unsigned out_count, const struct iovec *in, unsigned in_count);
/* Add @count requests, no more than there are slots free, and kick; collect answers until none is
 * outstanding, and judge them. */
void cf_guest_post(struct cf_guest *guest, unsigned count);
void cf_guest_collect(struct cf_guest *guest);
void cf_guest_kick(struct cf_guest *guest);
/* One request there and back. */
void cf_guest_works(struct cf_guest *guest);
/* Answers that are there within @ms. */
unsigned cf_guest_gather(struct cf_guest *guest, unsigned ms);
/* Kicks, and waits: nothing of guest memory may change meanwhile. @while_: for the sentence. */
void cf_guest_is_left_alone(struct cf_guest *guest, const char *while_);

/*
 * raw.c: messages as bytes.
 */
int cf_eventfd(struct cf_run *run);
int cf_memfd(struct cf_run *run, size_t size);
/* Send with NEED_REPLY where REPLY_ACK is negotiated; the acknowledgement, or 0 without. */
uint64_t cf_tell(struct cf_run *run, struct gw_frontend *frontend, uint32_t request,
		 const void *payload, uint32_t len, const int *fds, unsigned fd_count);
uint64_t cf_get(struct cf_run *run, struct gw_frontend *frontend, uint32_t request);
/* What comes within @ms: the reply's request number, or 0 for silence, or -1 for the end. */
int cf_listen(struct gw_frontend *frontend, unsigned ms, uint64_t *value);
uint64_t cf_ring_state(struct cf_run *run, struct gw_frontend *frontend, uint32_t request,
		       unsigned queue, uint32_t num);

/*
 * state.c: device states.
 */
struct cf_blob {
	uint8_t *bytes;
	size_t len;
};
/* Of a stopped guest, through a pipe; both replies must say yes. */
void cf_save(struct cf_run *run, struct gw_frontend *frontend, struct cf_blob *blob);
/* 0 if CHECK said yes, else what went wrong, in the library's words. */
int cf_try_load(struct cf_run *run, struct gw_frontend *frontend, const void *bytes, size_t len);
void cf_load(struct cf_run *run, struct gw_frontend *frontend, const struct cf_blob *blob);
/* SAVE, answered with its first reply, on a descriptor of the caller's. */
uint64_t cf_begin(struct cf_run *run, struct gw_frontend *frontend, uint32_t direction,
		  uint32_t phase, int fd, int *own);
uint64_t cf_verdict(struct cf_run *run, struct gw_frontend *frontend);
/* A back-end of its own, with all that was negotiated with @from's and neither state nor rings. */
struct gw_frontend *cf_destination(struct cf_run *run, struct gw_frontend *from,
				   struct cf_backend *to);
/* The guest stops, its state goes to a back-end of its own, where it starts again. */
void cf_move(struct cf_guest *guest, struct cf_backend *to);
/* The same without the last step: @to is loaded and not started. */
struct gw_frontend *cf_move_stopped(struct cf_guest *guest, struct cf_backend *to);

void cf_sleep_ms(unsigned ms);

#endif
