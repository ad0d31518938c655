/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/guest.c - a guest that makes the requests of a device type. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/checked.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

/* What a device does late it does within so long. */
#define SILENCE_MS 250

void cf_guest_on(struct cf_run *run, struct gw_frontend *frontend, struct cf_guest *guest)
{
	*guest = (struct cf_guest){
		.run = run,
		.work = run->target->work,
		.frontend = frontend,
		.lane = run->target->work->queue,
	};
	for (unsigned i = 0; i < CF_SLOTS; i++) {
		guest->room[i] = gw_frontend_alloc(frontend, CF_SLOT_ROOM);
		CF_EXPECT(run, guest->room[i], "no guest memory for requests");
	}
}

void cf_guest_begin(struct cf_guest *guest)
{
	cf_ok(guest->run, gw_frontend_start(guest->frontend), "start the rings");
	if (guest->work->begin && !guest->begun)
		guest->work->begin(guest);
	guest->begun = true;
}

void cf_guest_start(struct cf_run *run, struct cf_backend *backend, struct cf_guest *guest)
{
	cf_guest_on(run, cf_negotiate(run, backend), guest);
	cf_guest_begin(guest);
}

void cf_guest_add(struct cf_guest *guest, unsigned queue, unsigned slot, const struct iovec *out,
		  unsigned out_count, const struct iovec *in, unsigned in_count)
{
	cf_ok(guest->run,
	      gw_driver_add(guest->frontend, queue, out, out_count, in, in_count,
			    guest->room[slot]),
	      "add a request");
	guest->out[slot] = true;
	guest->outstanding++;
}

void cf_guest_post(struct cf_guest *guest, unsigned count)
{
	for (unsigned slot = 0; slot < CF_SLOTS && count; slot++) {
		if (guest->out[slot])
			continue;
		guest->work->request(guest, slot);
		count--;
	}
	gw_driver_kick(guest->frontend, guest->lane);
}

static unsigned slot_of(struct cf_guest *guest, const void *token)
{
	for (unsigned i = 0; i < CF_SLOTS; i++)
		if (guest->room[i] == token && guest->out[i])
			return i;
	cf_fail(guest->run, "the device used a request that was not outstanding");
}

/* Takes what was used already. */
static void take(struct cf_guest *guest)
{
	uint32_t len;
	void *token;

	while (gw_driver_get(guest->frontend, guest->lane, &token, &len)) {
		unsigned slot = slot_of(guest, token);
		const char *wrong = guest->work->judge(guest, slot, len);

		guest->out[slot] = false;
		guest->len[slot] = len;
		guest->outstanding--;
		if (wrong)
			cf_fail(guest->run, "a request came back wrong: %s", wrong);
	}
}

unsigned cf_guest_gather(struct cf_guest *guest, unsigned ms)
{
	unsigned before = guest->outstanding;
	int64_t deadline = gw_now_ms() + ms;
	int err = 0;

	take(guest);
	while (guest->outstanding && gw_left_ms(deadline) && !err) {
		err = gw_driver_wait(guest->frontend, guest->lane, gw_left_ms(deadline));
		take(guest);
	}
	return before - guest->outstanding;
}

void cf_guest_collect(struct cf_guest *guest)
{
	cf_guest_gather(guest, guest->run->target->timeout_ms);
	CF_EXPECT(guest->run, !guest->outstanding, "%u requests were not answered within %u ms",
		  guest->outstanding, guest->run->target->timeout_ms);
}

void cf_guest_works(struct cf_guest *guest)
{
	cf_guest_post(guest, 1);
	cf_guest_collect(guest);
}

void cf_guest_kick(struct cf_guest *guest)
{
	CF_EXPECT(guest->run, !eventfd_write(guest->frontend->queues[guest->lane].kick, 1), "kick");
}

void cf_guest_is_left_alone(struct cf_guest *guest, const char *while_)
{
	size_t size;
	char *memory = gw_frontend_memory(guest->frontend, &size), *before = malloc(size);

	CF_EXPECT(guest->run, before, "no memory");
	memcpy(before, memory, size);
	cf_guest_kick(guest);
	cf_sleep_ms(SILENCE_MS);
	CF_EXPECT(guest->run, !memcmp(before, memory, size), "guest memory changed while %s",
		  while_);
	free(before);
}
