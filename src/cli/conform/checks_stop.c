/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/checks_stop.c - stopping: positions, drain, silence, and going on. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

#define ROUNDS 50

/* Split rings: the position is the available index, 16 bits. */
static void base_counts(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	unsigned done = 0, begun;
	uint32_t base;

	cf_guest_start(run, &backend, &guest);
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	begun = gw_frontend_base(guest.frontend, guest.lane);
	cf_guest_begin(&guest);
	for (unsigned i = 0; i < ROUNDS; i++, done += 3) {
		cf_guest_post(&guest, 3);
		cf_guest_collect(&guest);
	}
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	base = gw_frontend_base(guest.frontend, guest.lane);
	CF_EXPECT(run, base == ((begun + done) & 0xffff),
		  "position %u after %u requests that began at %u", base, done, begun);
}

static void goes_on(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	cf_guest_start(run, &backend, &guest);
	for (unsigned i = 0; i < ROUNDS; i++) {
		cf_guest_post(&guest, 5);
		cf_guest_collect(&guest);
		cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
		cf_guest_begin(&guest);
	}
	cf_guest_works(&guest);
}

/* GET_VRING_BASE is answered after all that was taken is done: what is not, was never taken. */
static void drains(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	cf_guest_start(run, &backend, &guest);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t taken, base = 0;

		cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
		base = gw_frontend_base(guest.frontend, guest.lane);
		cf_guest_begin(&guest);
		cf_guest_post(&guest, CF_SLOTS);
		cf_ok(run, gw_frontend_stop(guest.frontend), "stop with requests in flight");
		taken = (gw_frontend_base(guest.frontend, guest.lane) - base) & 0xffff;
		cf_guest_gather(&guest, 0);
		CF_EXPECT(run, CF_SLOTS - guest.outstanding == taken,
			  "%u requests were taken, %u are answered", taken,
			  CF_SLOTS - guest.outstanding);
		cf_guest_begin(&guest);
		/* What was not taken is another check's: ring-start-unkicked. */
		cf_guest_kick(&guest);
		cf_guest_collect(&guest);
	}
}

static void stopped_twice(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct gw_vu_vring_state ask = {0}, first = {0};

	cf_guest_start(run, &backend, &guest);
	cf_guest_works(&guest);
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	ask.index = guest.lane;
	cf_ok(run,
	      gw_frontend_ask(guest.frontend,
			      &(struct gw_vu_out){.request = GW_VU_GET_VRING_BASE,
						  .payload = &ask,
						  .len = sizeof(ask)},
			      &first, sizeof(first), NULL),
	      "GET_VRING_BASE of a stopped ring");
	CF_EXPECT(run, first.num == gw_frontend_base(guest.frontend, guest.lane),
		  "position %u, then %u", gw_frontend_base(guest.frontend, guest.lane), first.num);
}

/* Guest memory and the call descriptor, while the guest goes on adding and kicking. */
static void silent(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct pollfd poller = {.events = POLLIN};

	cf_guest_start(run, &backend, &guest);
	cf_guest_works(&guest);
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	poller.fd = guest.frontend->queues[guest.lane].call;
	for (eventfd_t ignored; !eventfd_read(poller.fd, &ignored);)
		;
	for (unsigned i = 0; i < 8; i++)
		guest.work->request(&guest, i);
	cf_guest_is_left_alone(&guest, "all was stopped");
	CF_EXPECT(run, !poll(&poller, 1, 0), "the guest was notified while all was stopped");
}

/* The front-end's kick comes with the ring's start, before it is enabled. */
static void kicked_stopped(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	cf_guest_start(run, &backend, &guest);
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	cf_guest_post(&guest, 8);
	cf_guest_begin(&guest);
	cf_guest_collect(&guest);
}

static void answers_stopped(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	cf_guest_start(run, &backend, &guest);
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	cf_answers(run, guest.frontend);
	cf_get(run, guest.frontend, GW_VU_GET_PROTOCOL_FEATURES);
	cf_ok(run,
	      gw_frontend_send_ring_fd(guest.frontend, GW_VU_SET_VRING_CALL, guest.lane,
				       guest.frontend->queues[guest.lane].call),
	      "SET_VRING_CALL while stopped");
	cf_guest_begin(&guest);
	cf_guest_works(&guest);
}

static void memo_kept(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	const char *wrong;

	cf_guest_start(run, &backend, &guest);
	guest.work->memo(&guest);
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	cf_guest_begin(&guest);
	wrong = guest.work->recall(&guest);
	CF_EXPECT(run, !wrong, "after stop and start: %s", wrong);
}

static void reset_works(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	cf_guest_start(run, &backend, &guest);
	cf_guest_works(&guest);
	cf_ok(run, gw_frontend_reset_device(guest.frontend), "RESET_DEVICE");
	guest.begun = false;
	cf_guest_begin(&guest);
	cf_guest_works(&guest);
}

static void status_zero(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	uint64_t zero = 0;
	const char *wrong;

	cf_guest_start(run, &backend, &guest);
	guest.work->memo(&guest);
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	cf_tell(run, guest.frontend, GW_VU_SET_STATUS, &zero, sizeof(zero), NULL, 0);
	cf_guest_begin(&guest);
	wrong = guest.work->recall(&guest);
	CF_EXPECT(run, !wrong, "after SET_STATUS(0) between stop and start: %s", wrong);
}

#define BASE "Front-end message types: VHOST_USER_GET_VRING_BASE"
#define WORK CF_NEEDS_WORK
const struct cf_check cf_checks_stop[] = {
	{"stop-base", "the position counts the requests that were taken", BASE, CF_MUST, WORK,
	 .run = base_counts},
	{"stop-goes-on", "a ring goes on from its position, any number of times", BASE, CF_MUST,
	 WORK, .run = goes_on},
	{"stop-drains", "what was taken is answered before the position is told", BASE, CF_MUST,
	 WORK, .run = drains},
	{"stop-twice", "a stopped ring tells its position again", BASE, CF_SHOULD, WORK,
	 .run = stopped_twice},
	{"stop-silent", "with all rings stopped nothing is written and nobody notified",
	 "Suspended device state", CF_MUST, WORK, .run = silent},
	{"stop-kicked", "what came while all was stopped is answered after the start", BASE,
	 CF_SHOULD, WORK, .run = kicked_stopped},
	{"stop-answers", "requests of the front-end are answered all the same",
	 "Suspended device state", CF_MUST, WORK, .run = answers_stopped},
	{"stop-keeps", "the device knows what it knew before", "Suspended device state", CF_MUST,
	 WORK | CF_NEEDS_MEMO, .run = memo_kept},
	{"reset-device", "a device that was reset can be used anew",
	 "Front-end message types: VHOST_USER_RESET_DEVICE", CF_MUST, WORK,
	 .protocol = GW_VU_PF(RESET_DEVICE), .run = reset_works},
	{"status-zero", "SET_STATUS(0) between stop and start loses no state",
	 "Front-end message types: VHOST_USER_SET_STATUS", CF_SHOULD, WORK | CF_NEEDS_MEMO,
	 .protocol = GW_VU_PF(STATUS), .run = status_zero},
	{NULL},
};
