/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/checks_experimental.c - SUSPEND and ITERATIVE, where they are offered
 * (docs/protocol.md). */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

#define PATIENCE 5000

static void start(struct cf_run *run, struct cf_backend *backend, struct cf_guest *guest)
{
	struct gw_frontend_config config;
	struct gw_frontend *frontend;

	cf_backend_start(run, backend);
	config = cf_config(run, backend);
	config.experimental = GW_EXPERIMENTAL_SUSPEND | GW_EXPERIMENTAL_ITERATIVE;
	cf_ok(run, gw_frontend_new(&frontend, &config), "negotiate");
	cf_guest_on(run, frontend, guest);
	cf_guest_begin(guest);
}

/* Requests that came when they should not be looked at. */
static void is_not_answered(struct cf_run *run, struct cf_guest *guest, const char *while_)
{
	unsigned done;

	cf_guest_is_left_alone(guest, while_);
	done = cf_guest_gather(guest, 0);
	CF_EXPECT(run, !done, "%u requests were answered while %s", done, while_);
}

static void suspend_drains(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	start(run, &backend, &guest);
	cf_guest_works(&guest);
	cf_guest_post(&guest, CF_SLOTS / 2);
	cf_ok(run, gw_frontend_suspend(guest.frontend), "SUSPEND");
	cf_guest_gather(&guest, 0);
	/* Else there would be nothing that it could do. */
	cf_guest_post(&guest, CF_SLOTS / 2);
	is_not_answered(run, &guest, "the device was suspended");
	cf_ok(run, gw_frontend_resume(guest.frontend), "RESUME");
	cf_guest_collect(&guest);
	cf_guest_works(&guest);
}

static void suspend_answers(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	start(run, &backend, &guest);
	cf_ok(run, gw_frontend_suspend(guest.frontend), "SUSPEND");
	cf_answers(run, guest.frontend);
	cf_get(run, guest.frontend, GW_VU_GET_PROTOCOL_FEATURES);
	cf_ok(run, gw_frontend_suspend(guest.frontend), "SUSPEND once more");
	cf_ok(run, gw_frontend_resume(guest.frontend), "RESUME");
	cf_ok(run, gw_frontend_resume(guest.frontend), "RESUME once more");
	cf_guest_works(&guest);
}

static void suspend_remembers(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct pollfd call = {.fd = cf_eventfd(run), .events = POLLIN};

	start(run, &backend, &guest);
	cf_ok(run, gw_frontend_suspend(guest.frontend), "SUSPEND");
	cf_ok(run,
	      gw_frontend_send_ring_fd(guest.frontend, GW_VU_SET_VRING_CALL, guest.lane, call.fd),
	      "SET_VRING_CALL while suspended");
	cf_ok(run, gw_frontend_resume(guest.frontend), "RESUME");
	cf_guest_post(&guest, 1);
	CF_EXPECT(run, poll(&call, 1, PATIENCE) > 0,
		  "the call descriptor that was set while suspended is not signalled");
}

static void suspend_stop(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	start(run, &backend, &guest);
	cf_guest_works(&guest);
	cf_ok(run, gw_frontend_suspend(guest.frontend), "SUSPEND");
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop while suspended");
	cf_guest_post(&guest, 1);
	cf_ok(run, gw_frontend_resume(guest.frontend), "RESUME");
	is_not_answered(run, &guest, "its rings were stopped, and it was resumed");
	cf_guest_begin(&guest);
	cf_guest_kick(&guest);
	cf_guest_collect(&guest);
}

static void suspend_saves(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct cf_blob blob;

	start(run, &backend, &guest);
	cf_guest_works(&guest);
	cf_ok(run, gw_frontend_suspend(guest.frontend), "SUSPEND");
	cf_save(run, guest.frontend, &blob);
	CF_EXPECT(run, blob.len, "the state is empty");
	cf_ok(run, gw_frontend_resume(guest.frontend), "RESUME");
	cf_guest_works(&guest);
}

/* The guest works between all rounds. */
static int work(void *opaque, const struct gw_iterate_progress *progress)
{
	cf_guest_works(opaque);
	return 0;
}

static void iterate(struct cf_run *run, struct cf_guest *guest, int fd)
{
	const struct gw_iterate_config config = {
		.size = sizeof(config), .rounds = 4, .progress = work, .opaque = guest};

	cf_ok(run, gw_frontend_iterate(guest->frontend, fd, &config, NULL), "save in rounds");
}

static void iterative_moves(struct cf_run *run)
{
	struct cf_backend backend = {0}, other = {0};
	struct gw_frontend *there;
	struct cf_guest guest;
	GW_AUTO_FD int fd = cf_memfd(run, 0);
	const char *wrong;

	start(run, &backend, &guest);
	guest.work->memo(&guest);
	iterate(run, &guest, fd);
	there = cf_destination(run, guest.frontend, &other);
	lseek(fd, 0, SEEK_SET);
	cf_ok(run, gw_frontend_load(there, fd), "load what was saved in rounds");
	guest.frontend = there;
	cf_guest_begin(&guest);
	wrong = guest.work->recall(&guest);
	CF_EXPECT(run, !wrong, "after the move: %s", wrong);
}

static void wait_idle(struct cf_run *run, struct cf_guest *guest)
{
	struct gw_iterate_pending pending = {0};

	for (unsigned ms = 0; ms < PATIENCE && !pending.idle; ms++) {
		cf_ok(run, gw_frontend_iterate_pending(guest->frontend, &pending), "PENDING");
		cf_sleep_ms(1);
	}
	CF_EXPECT(run, pending.idle, "the first round is not over after %d ms", PATIENCE);
}

static void iterative_order(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	GW_AUTO_FD int fd = cf_memfd(run, 0);
	int own;

	start(run, &backend, &guest);
	CF_EXPECT(run, gw_frontend_iterate_go_on(guest.frontend, GW_PHASE_RUNNING) < 0,
		  "a round was granted of a stream that was not begun");
	cf_ok(run, gw_frontend_iterate_begin(guest.frontend, fd, &own), "begin");
	wait_idle(run, &guest);
	CF_EXPECT(run, gw_frontend_transfer_check(guest.frontend) < 0,
		  "CHECK has a verdict on a stream in phase running");
	CF_EXPECT(run, gw_frontend_iterate_go_on(guest.frontend, GW_PHASE_STOPPED) < 0,
		  "phase stopped was granted while rings run");
	cf_ok(run, gw_frontend_iterate_go_on(guest.frontend, GW_PHASE_RUNNING), "another round");
	wait_idle(run, &guest);
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	cf_ok(run, gw_frontend_iterate_go_on(guest.frontend, GW_PHASE_STOPPED), "the rest");
	cf_ok(run, gw_frontend_transfer_check(guest.frontend), "CHECK");
	cf_guest_begin(&guest);
	cf_guest_works(&guest);
}

static void iterative_cancel(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	int own;

	start(run, &backend, &guest);
	for (unsigned waits = 0; waits < 2; waits++) {
		GW_AUTO_FD int fd = cf_memfd(run, 0);

		cf_ok(run, gw_frontend_iterate_begin(guest.frontend, fd, &own), "begin");
		if (waits)
			wait_idle(run, &guest);
		cf_ok(run, gw_frontend_iterate_cancel(guest.frontend), "CANCEL");
		CF_EXPECT(run, gw_frontend_transfer_check(guest.frontend) < 0,
			  "CHECK says that a cancelled stream is good");
		cf_guest_works(&guest);
	}
}

#define SUSPEND_TEXT   "docs/protocol.md: SUSPEND"
#define ITERATIVE_TEXT "docs/protocol.md: ITERATIVE"
#define WORK	       CF_NEEDS_WORK
const struct cf_check cf_checks_experimental[] = {
	{"suspend-drains", "SUSPEND waits for what is in flight, then there is silence",
	 SUSPEND_TEXT, CF_MUST, WORK, .protocol = GW_VU_PF(SUSPEND), .run = suspend_drains},
	{"suspend-answers", "a suspended device answers the front-end, and SUSPEND again",
	 SUSPEND_TEXT, CF_MUST, WORK, .protocol = GW_VU_PF(SUSPEND), .run = suspend_answers},
	{"suspend-remembers", "what is set up while suspended is in force at RESUME", SUSPEND_TEXT,
	 CF_MUST, WORK, .protocol = GW_VU_PF(SUSPEND), .run = suspend_remembers},
	{"suspend-stop", "a ring that is stopped while suspended is not resumed", SUSPEND_TEXT,
	 CF_MUST, WORK, .protocol = GW_VU_PF(SUSPEND), .run = suspend_stop},
	{"suspend-saves", "a suspended device is saved, and goes on", SUSPEND_TEXT, CF_MUST,
	 WORK | CF_NEEDS_STATE, .protocol = GW_VU_PF(SUSPEND), .run = suspend_saves},
	{"iterative-moves", "a state in rounds arrives", ITERATIVE_TEXT, CF_MUST,
	 WORK | CF_NEEDS_STATE | CF_NEEDS_EXEC | CF_NEEDS_MEMO, .protocol = GW_VU_PF(ITERATIVE),
	 .run = iterative_moves},
	{"iterative-order", "phases come in their order, and no verdict before the end",
	 ITERATIVE_TEXT, CF_MUST, WORK | CF_NEEDS_STATE, .protocol = GW_VU_PF(ITERATIVE),
	 .run = iterative_order},
	{"iterative-cancel", "a cancelled stream leaves the device as it was", ITERATIVE_TEXT,
	 CF_MUST, WORK | CF_NEEDS_STATE, .protocol = GW_VU_PF(ITERATIVE), .run = iterative_cancel},
	{NULL},
};
