/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/checks_move.c - whole migrations: there, back, in a row, under load. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

#define CHAIN 4

static void recalls(struct cf_run *run, struct cf_guest *guest, const char *where)
{
	const char *wrong;

	cf_guest_works(guest);
	wrong = guest->work->memo ? guest->work->recall(guest) : NULL;
	CF_EXPECT(run, !wrong, "%s: %s", where, wrong);
}

static void start(struct cf_run *run, struct cf_backend *backend, struct cf_guest *guest)
{
	cf_guest_start(run, backend, guest);
	if (guest->work->memo)
		guest->work->memo(guest);
}

static void once(struct cf_run *run)
{
	struct cf_backend from = {0}, to;
	struct cf_guest guest;

	start(run, &from, &guest);
	cf_move(&guest, &to);
	recalls(run, &guest, "at the destination");
}

static void chain(struct cf_run *run)
{
	struct cf_backend from = {0}, to[CHAIN];
	struct cf_guest guest;

	start(run, &from, &guest);
	for (unsigned i = 0; i < CHAIN; i++) {
		cf_move(&guest, &to[i]);
		recalls(run, &guest, "after one migration of several");
	}
}

static void logged(struct cf_run *run)
{
	struct cf_backend from = {0}, to[2];
	struct cf_guest guest;

	start(run, &from, &guest);
	for (unsigned i = 0; i < 2; i++) {
		cf_ok(run, gw_frontend_log(guest.frontend, true), "switch logging on");
		cf_guest_works(&guest);
		cf_move(&guest, &to[i]);
		recalls(run, &guest, "after a migration with logging");
	}
}

/* What was taken is done at the source, what was not at the destination: nothing is lost. */
static void in_flight(struct cf_run *run)
{
	struct cf_backend from = {0}, to[CHAIN];
	struct cf_guest guest;

	start(run, &from, &guest);
	for (unsigned i = 0; i < CHAIN; i++) {
		cf_guest_post(&guest, CF_SLOTS);
		cf_move(&guest, &to[i]);
		/* Who does not look at a ring that starts fails ring-start-unkicked. */
		cf_guest_kick(&guest);
		cf_guest_collect(&guest);
	}
	recalls(run, &guest, "at the end");
}

static void cancelled(struct cf_run *run)
{
	struct cf_backend from = {0}, to;
	struct cf_guest guest;
	struct gw_frontend *there;

	start(run, &from, &guest);
	there = cf_move_stopped(&guest, &to);
	gw_frontend_free(there);
	cf_guest_begin(&guest);
	recalls(run, &guest, "at the source, after the destination was given up");
	cf_move(&guest, &to);
	recalls(run, &guest, "at the destination of the next attempt");
}

/* QEMU resets a device before it starts it, also where a state was loaded before. */
static void loaded_late(struct cf_run *run)
{
	struct cf_backend from = {0}, to;
	struct gw_frontend *there;
	struct cf_guest guest;
	struct cf_blob blob;

	start(run, &from, &guest);
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	cf_save(run, guest.frontend, &blob);
	there = cf_destination(run, guest.frontend, &to);
	cf_ok(run,
	      gw_frontend_tell(there, GW_VU_ACKED,
			       &(struct gw_vu_out){.request = GW_VU_RESET_DEVICE}),
	      "RESET_DEVICE before LOAD");
	cf_load(run, there, &blob);
	guest.frontend = there;
	cf_guest_begin(&guest);
	recalls(run, &guest, "at a destination that was reset before LOAD");
}

/* Snapshots: the state is kept, the guest goes on, and the copy starts later. */
static void snapshot(struct cf_run *run)
{
	struct cf_backend from = {0}, to;
	struct gw_frontend *there;
	struct cf_guest guest;
	struct cf_blob blob;

	start(run, &from, &guest);
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	cf_save(run, guest.frontend, &blob);
	cf_guest_begin(&guest);
	recalls(run, &guest, "at the source, after a snapshot");
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	there = cf_destination(run, guest.frontend, &to);
	cf_load(run, there, &blob);
	guest.frontend = there;
	cf_guest_begin(&guest);
	recalls(run, &guest, "in the snapshot");
}

static void never_run(struct cf_run *run)
{
	struct cf_backend from = {0}, to;
	struct gw_frontend *frontend = cf_negotiate(run, &from);
	struct cf_guest guest;
	struct cf_blob blob;

	cf_save(run, frontend, &blob);
	cf_backend_start(run, &to);
	frontend = cf_negotiate(run, &to);
	cf_load(run, frontend, &blob);
	cf_guest_on(run, frontend, &guest);
	cf_guest_begin(&guest);
	cf_guest_works(&guest);
}

/* How far a migration comes before it is given up. */
enum reached { STOPPED, SAVING, SAVED, NEGOTIATED, LOADING, HALF_LOADED, ALL_GIVEN, LOADED, ENDS };

/* A load whose channel got @len bytes of the state. */
static void load_some(struct cf_run *run, struct gw_frontend *there, const struct cf_blob *blob,
		      size_t len)
{
	enum gw_transfer_reply reply;
	GW_AUTO_FD int channel = -1;

	cf_ok(run, gw_frontend_transfer_begin(there, true, GW_PHASE_STOPPED, &channel, &reply),
	      "SET_DEVICE_STATE_FD at the destination");
	/* Who has seen enough reads no further. */
	CF_EXPECT(run, write(channel, blob->bytes, len) >= 0 || errno == EPIPE,
		  "the channel to the destination: %s", strerror(errno));
}

static void destination_until(struct cf_run *run, struct cf_guest *guest, enum reached reached)
{
	struct cf_backend to;
	struct gw_frontend_config config;
	struct gw_frontend *there;
	struct cf_blob blob;

	cf_save(run, guest->frontend, &blob);
	cf_backend_start(run, &to);
	config = cf_config(run, &to);
	if (reached > SAVED) {
		cf_ok(run, gw_frontend_migrate(&there, guest->frontend, &config),
		      "negotiate with the destination");
		if (reached == LOADED)
			cf_load(run, there, &blob);
		else if (reached > NEGOTIATED)
			load_some(run, there, &blob,
				  reached == LOADING	   ? 0
				  : reached == HALF_LOADED ? blob.len / 2
							   : blob.len);
		gw_frontend_free(there);
		cf_not_crashed(run, &to);
	}
	free(blob.bytes);
}

static void given_up_anywhere(struct cf_run *run)
{
	struct cf_backend from = {0};
	struct cf_guest guest;

	start(run, &from, &guest);
	for (enum reached reached = STOPPED; reached < ENDS; reached++) {
		enum gw_transfer_reply reply;
		int channel;

		cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
		if (reached == SAVING) {
			cf_ok(run,
			      gw_frontend_transfer_begin(guest.frontend, false, GW_PHASE_STOPPED,
							 &channel, &reply),
			      "SET_DEVICE_STATE_FD at the source");
			gw_close(&channel);
			cf_verdict(run, guest.frontend);
		}
		if (reached > SAVING)
			destination_until(run, &guest, reached);
		cf_guest_begin(&guest);
		recalls(run, &guest, "at the source, after a migration that was given up");
	}
}

/* The guest may move although nobody has said CHECK at the source. */
static void same_socket(struct cf_run *run)
{
	struct cf_backend from = {0};
	struct gw_frontend_config config;
	struct gw_frontend *again;
	struct cf_guest guest;

	start(run, &from, &guest);
	gw_frontend_free(guest.frontend);
	config = cf_config(run, &from);
	config.timeout_ms = 1000;
	if (gw_frontend_new(&again, &config))
		cf_skip(run, "it ends with its front-end");
	cf_guest_on(run, again, &guest);
	guest.begun = false;
	cf_guest_begin(&guest);
	cf_guest_works(&guest);
}

#define MOVE  "Migrating back-end state"
#define NEEDS CF_NEEDS_STATE | CF_NEEDS_EXEC | CF_NEEDS_WORK
const struct cf_check cf_checks_move[] = {
	{"move", "a guest goes on at the destination", MOVE, CF_MUST, NEEDS, .run = once},
	{"move-chain", "and from there to the next one, and the next", MOVE, CF_MUST, NEEDS,
	 .run = chain},
	{"move-logged", "with logging, again and again", MOVE, CF_MUST, NEEDS | CF_NEEDS_LOG,
	 .run = logged},
	{"move-in-flight", "with requests in flight, none is lost", MOVE, CF_MUST, NEEDS,
	 .run = in_flight},
	{"move-given-up", "a loaded destination that goes away leaves the source as it was", MOVE,
	 CF_MUST, NEEDS, .run = cancelled},
	{"move-given-up-anywhere", "so does one that is given up after any of its messages", MOVE,
	 CF_MUST, NEEDS, .run = given_up_anywhere},
	{"move-reset", "RESET_DEVICE before LOAD does no harm", MOVE, CF_MUST, NEEDS,
	 .protocol = GW_VU_PF(RESET_DEVICE), .run = loaded_late},
	{"move-snapshot", "a state is good although its source went on", MOVE, CF_MUST, NEEDS,
	 .run = snapshot},
	{"move-fresh", "so is the state of a device that never ran", MOVE, CF_SHOULD, NEEDS,
	 .run = never_run},
	{"reconnect", "a front-end may leave and come back", "Communication", CF_SHOULD,
	 CF_NEEDS_WORK | CF_NEEDS_EXEC, .run = same_socket},
	{NULL},
};
