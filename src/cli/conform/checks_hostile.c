/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/checks_hostile.c - a front-end that makes mistakes: none of them ends the back-end
 * by a signal. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

#define KNOWN	   GW_VU_REQUESTS
#define UNKNOWN	   200
#define LEAK_TRIES 64
/* How long silence is taken for the end of what a back-end has to say. */
#define SEEN_MS 20

/* A front-end that ends what it began in the middle: each try has a back-end of its own. */
static struct gw_frontend *another(struct cf_run *run, struct cf_backend *backend)
{
	*backend = (struct cf_backend){0};
	return cf_negotiate(run, backend);
}

static void hit(struct cf_run *run, uint32_t request, uint32_t flags, const void *payload,
		uint32_t len, const int *fds, unsigned fd_count)
{
	struct cf_backend backend;
	struct gw_frontend *frontend = another(run, &backend);
	uint64_t value;

	gw_frontend_send_raw(frontend, request, flags, payload, len, fds, fd_count);
	gw_frontend_send_raw(frontend, GW_VU_GET_FEATURES, GW_VU_VERSION, NULL, 0, NULL, 0);
	/* An answer, or the end of the connection: in both cases it has seen what was sent. */
	while (cf_listen(frontend, SEEN_MS, &value) > 0)
		;
	gw_frontend_free(frontend);
	cf_not_crashed(run, &backend);
}

static void unknown_told(struct cf_run *run)
{
	struct cf_backend backend;
	struct gw_frontend *frontend = another(run, &backend);
	uint64_t value;
	int got;

	gw_frontend_send_raw(frontend, UNKNOWN, GW_VU_VERSION | GW_VU_NEED_REPLY, NULL, 0, NULL, 0);
	got = cf_listen(frontend, run->target->timeout_ms, &value);
	cf_not_crashed(run, &backend);
	CF_EXPECT(run, got == UNKNOWN && value,
		  "an unknown request with NEED_REPLY was %s; expected a reply other than 0",
		  !got	    ? "ignored"
		  : got < 0 ? "answered by closing"
			    : "answered by 0");
	cf_answers(run, frontend);
}

static void unknown_silent(struct cf_run *run)
{
	hit(run, UNKNOWN, GW_VU_VERSION, NULL, 0, NULL, 0);
}

/* Requests without the payload and descriptors that they should have. */
static void bare(struct cf_run *run)
{
	for (uint32_t request = 1; request < KNOWN; request++)
		hit(run, request, GW_VU_VERSION, NULL, 0, NULL, 0);
}

/* With a payload of the wrong length, and bytes that mean nothing. */
static void odd(struct cf_run *run)
{
	char payload[64];

	memset(payload, 0xff, sizeof(payload));
	for (uint32_t request = 1; request < KNOWN; request++)
		hit(run, request, GW_VU_VERSION, payload, 3 + request % 61, NULL, 0);
}

static void full(struct cf_run *run)
{
	char payload[256];

	memset(payload, 0xff, sizeof(payload));
	for (uint32_t request = 1; request < KNOWN; request++)
		hit(run, request, GW_VU_VERSION | GW_VU_NEED_REPLY, payload, sizeof(payload), NULL,
		    0);
}

static void too_long(struct cf_run *run)
{
	const struct gw_vu_header header = {
		.request = GW_VU_SET_FEATURES, .flags = GW_VU_VERSION, .size = UINT32_MAX};
	struct cf_backend backend;
	struct gw_frontend *frontend = another(run, &backend);
	char junk[8192] = {0};

	send(gw_frontend_socket(frontend), &header, sizeof(header), MSG_NOSIGNAL);
	for (unsigned i = 0; i < 16; i++)
		send(gw_frontend_socket(frontend), junk, sizeof(junk), MSG_NOSIGNAL | MSG_DONTWAIT);
	cf_not_crashed(run, &backend);
}

static void version(struct cf_run *run)
{
	hit(run, GW_VU_GET_FEATURES, 3, NULL, 0, NULL, 0);
}

static void is_reply(struct cf_run *run)
{
	hit(run, GW_VU_GET_FEATURES, GW_VU_REPLY_FLAGS, NULL, 0, NULL, 0);
}

static void half(struct cf_run *run)
{
	const struct gw_vu_header header = {
		.request = GW_VU_SET_FEATURES, .flags = GW_VU_VERSION, .size = 8};

	for (size_t len = 1; len < sizeof(header) + 1; len++) {
		struct cf_backend backend;
		struct gw_frontend *frontend = another(run, &backend);

		send(gw_frontend_socket(frontend), &header, len, MSG_NOSIGNAL);
		gw_frontend_free(frontend);
		cf_not_crashed(run, &backend);
	}
}

/* Eight descriptors with a request that takes none, and with one that takes one. */
static void surplus(struct cf_run *run)
{
	uint64_t value = GW_VU_VRING_NO_FD;
	int fds[GW_VU_FDS_MAX];

	for (unsigned i = 0; i < GW_VU_FDS_MAX; i++)
		fds[i] = cf_eventfd(run);
	hit(run, GW_VU_GET_FEATURES, GW_VU_VERSION, NULL, 0, fds, GW_VU_FDS_MAX);
	value = 0;
	hit(run, GW_VU_SET_VRING_CALL, GW_VU_VERSION, &value, sizeof(value), fds, GW_VU_FDS_MAX);
	hit(run, GW_VU_SET_MEM_TABLE, GW_VU_VERSION, &value, sizeof(value), fds, GW_VU_FDS_MAX);
}

static void leaks(struct cf_run *run)
{
	struct cf_backend backend;
	struct gw_frontend *frontend = another(run, &backend);
	unsigned before, after;
	int fds[2] = {cf_eventfd(run), cf_eventfd(run)};

	cf_answers(run, frontend);
	before = cf_open_descriptors(&backend);
	if (!before)
		cf_skip(run, "its descriptors cannot be counted");
	for (unsigned i = 0; i < LEAK_TRIES; i++)
		gw_frontend_send_raw(frontend, GW_VU_GET_FEATURES, GW_VU_VERSION, NULL, 0, fds, 2);
	for (unsigned i = 0; i < LEAK_TRIES; i++) {
		uint64_t value;

		if (cf_listen(frontend, run->target->timeout_ms, &value) < 0)
			cf_skip(run, "it closes the connection");
	}
	after = cf_open_descriptors(&backend);
	CF_EXPECT(run, after < before + LEAK_TRIES, "%u descriptors were open, now %u", before,
		  after);
}

/* The front-end goes away after each step of a normal life. */
static void leaves(struct cf_run *run)
{
	for (unsigned step = 0; step < 8; step++) {
		struct cf_backend backend = {0};
		struct cf_guest guest;
		struct gw_frontend *frontend =
			step ? cf_negotiate(run, &backend) : cf_connect(run, &backend);

		if (step > 1)
			cf_ok(run, gw_frontend_tell_memory(frontend), "guest memory");
		if (step > 2) {
			cf_guest_on(run, frontend, &guest);
			cf_guest_begin(&guest);
		}
		if (step > 3)
			cf_guest_post(&guest, CF_SLOTS);
		if (step > 4)
			cf_ok(run, gw_frontend_enable(frontend, guest.lane, false), "disable");
		if (step > 5)
			cf_ok(run, gw_frontend_stop(frontend), "stop");
		if (step > 6)
			cf_ok(run, gw_frontend_enable(frontend, guest.lane, true), "enable");
		gw_frontend_free(frontend);
		cf_not_crashed(run, &backend);
	}
}

/* What is not started, and one that was and stopped: the first may be loaded, the other saved. */
static struct gw_frontend *transferable(struct cf_run *run, struct cf_backend *backend, bool load)
{
	struct cf_guest guest;

	if (load)
		return cf_negotiate(run, backend);
	cf_guest_start(run, backend, &guest);
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	return guest.frontend;
}

/* With the channel open, and closed. */
static void leaves_saving(struct cf_run *run)
{
	for (unsigned step = 0; step < 4; step++) {
		struct cf_backend backend = {0};
		struct gw_frontend *frontend = transferable(run, &backend, step > 1);
		enum gw_transfer_reply reply;
		int channel = -1;

		cf_ok(run,
		      gw_frontend_transfer_begin(frontend, step > 1, GW_PHASE_STOPPED, &channel,
						 &reply),
		      "SET_DEVICE_STATE_FD");
		if (step % 2)
			gw_close(&channel);
		gw_frontend_free(frontend);
		cf_not_crashed(run, &backend);
		gw_close(&channel);
		cf_not_crashed(run, &backend);
	}
}

#define ROBUST "Communication"
#define EXEC   CF_NEEDS_EXEC
const struct cf_check cf_checks_hostile[] = {
	{"hostile-unknown", "an unknown request is answered by an error where an answer is due",
	 "VHOST_USER_PROTOCOL_F_REPLY_ACK", CF_SHOULD, EXEC, .protocol = GW_VU_PF(REPLY_ACK),
	 .run = unknown_told},
	{"hostile-unknown-silent", "and does no harm where none is due", ROBUST, CF_MUST, EXEC,
	 .run = unknown_silent},
	{"hostile-bare", "requests without payload and descriptors do no harm", ROBUST, CF_MUST,
	 EXEC, .run = bare},
	{"hostile-odd", "nor do payloads of a wrong length", ROBUST, CF_MUST, EXEC, .run = odd},
	{"hostile-full", "nor long ones that mean nothing", ROBUST, CF_MUST, EXEC, .run = full},
	{"hostile-long", "nor one of four gigabytes", ROBUST, CF_MUST, EXEC, .run = too_long},
	{"hostile-version", "nor an unknown version", "Message Specification: Header", CF_MUST,
	 EXEC, .run = version},
	{"hostile-reply", "nor a reply that nobody asked for", "Message Specification: Header",
	 CF_MUST, EXEC, .run = is_reply},
	{"hostile-half", "nor the end of the connection within a message", ROBUST, CF_MUST, EXEC,
	 .run = half},
	{"hostile-surplus", "nor descriptors that no request needs", ROBUST, CF_MUST, EXEC,
	 .run = surplus},
	{"hostile-leak", "which are closed", ROBUST, CF_SHOULD, EXEC, .run = leaks},
	{"leave", "the front-end may leave at any time", ROBUST, CF_MUST, EXEC | CF_NEEDS_WORK,
	 .run = leaves},
	{"leave-saving", "also while a state is saved or loaded", "Migrating back-end state",
	 CF_MUST, EXEC | CF_NEEDS_WORK | CF_NEEDS_STATE, .run = leaves_saving},
	{NULL},
};
