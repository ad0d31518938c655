/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/checks_state.c - saving: when, how often, how it is refused, and going on after it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

/* A started and stopped guest with something inside the device, if its type has that. */
static void stopped(struct cf_run *run, struct cf_backend *backend, struct cf_guest *guest)
{
	cf_guest_start(run, backend, guest);
	if (guest->work->request)
		cf_guest_works(guest);
	if (guest->work->memo)
		guest->work->memo(guest);
	cf_ok(run, gw_frontend_stop(guest->frontend), "stop");
}

/* It starts again and knows what it knew. */
static void alive(struct cf_run *run, struct cf_guest *guest, const char *when)
{
	const char *wrong = NULL;

	cf_guest_begin(guest);
	if (guest->work->request)
		cf_guest_works(guest);
	if (guest->work->memo)
		wrong = guest->work->recall(guest);
	CF_EXPECT(run, !wrong, "%s: %s", when, wrong);
}

static void make_pipe(struct cf_run *run, int *ours, int *theirs, bool load)
{
	int ends[2];

	CF_EXPECT(run, !pipe2(ends, O_CLOEXEC), "pipe: %s", strerror(errno));
	*ours = ends[load ? 1 : 0];
	*theirs = ends[load ? 0 : 1];
}

static void fresh(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	struct cf_blob blob;

	cf_save(run, frontend, &blob);
}

static void snapshot(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct cf_blob blob;

	stopped(run, &backend, &guest);
	cf_save(run, guest.frontend, &blob);
}

static void logged(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct cf_blob blob;

	cf_guest_start(run, &backend, &guest);
	cf_ok(run, gw_frontend_log(guest.frontend, true), "switch logging on");
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	cf_save(run, guest.frontend, &blob);
}

static void reply_form(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	GW_AUTO_FD int ours = -1;
	GW_AUTO_FD int theirs = -1;
	GW_AUTO_FD int own = -1;
	uint64_t value;

	stopped(run, &backend, &guest);
	make_pipe(run, &ours, &theirs, false);
	value = cf_begin(run, guest.frontend, GW_VU_STATE_SAVE, GW_VU_STATE_STOPPED, theirs, &own);
	CF_EXPECT(run,
		  (value == GW_VU_STATE_ACCEPTED && own < 0) ||
			  (value == GW_VU_STATE_OWN_FD && own >= 0),
		  "the reply is 0x%llx %s a descriptor; 0x100 without or 0x0 with one",
		  (unsigned long long)value, own < 0 ? "without" : "with");
}

/* SAVE into a pipe that is full: a back-end that writes before it answers would wait for ever. */
static void save_blocked(struct cf_run *run, struct gw_frontend **frontend, int *ours)
{
	static struct cf_backend backend;
	struct cf_guest guest;
	GW_AUTO_FD int theirs = -1;
	GW_AUTO_FD int own = -1;
	char full[4096] = {0};

	stopped(run, &backend, &guest);
	make_pipe(run, ours, &theirs, false);
	fcntl(theirs, F_SETFL, O_NONBLOCK);
	while (write(theirs, full, sizeof(full)) > 0)
		;
	fcntl(theirs, F_SETFL, 0);
	cf_begin(run, guest.frontend, GW_VU_STATE_SAVE, GW_VU_STATE_STOPPED, theirs, &own);
	*frontend = guest.frontend;
}

static void reply_first(struct cf_run *run)
{
	struct gw_frontend *frontend;
	int ours;

	save_blocked(run, &frontend, &ours);
}

static void answers_meanwhile(struct cf_run *run)
{
	struct gw_frontend *frontend;
	int ours;

	save_blocked(run, &frontend, &ours);
	cf_answers(run, frontend);
}

static void end_of_file(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	GW_AUTO_FD int channel = -1;
	enum gw_transfer_reply reply;
	struct pollfd poller = {.events = POLLIN};
	char bytes[65536];
	ssize_t got;

	stopped(run, &backend, &guest);
	cf_ok(run,
	      gw_frontend_transfer_begin(guest.frontend, false, GW_PHASE_STOPPED, &channel, &reply),
	      "SET_DEVICE_STATE_FD");
	poller.fd = channel;
	do {
		CF_EXPECT(run, poll(&poller, 1, (int)run->target->timeout_ms) > 0,
			  "the end of the state did not come within %u ms: is a descriptor still "
			  "open?",
			  run->target->timeout_ms);
		got = read(channel, bytes, sizeof(bytes));
	} while (got > 0);
	CF_EXPECT(run, !cf_verdict(run, guest.frontend), "CHECK says that the state is bad");
}

/* A request that is to be refused, and does no harm. */
static void refused(struct cf_run *run, struct cf_guest *guest, struct cf_backend *backend,
		    uint32_t direction, uint32_t phase, bool with_fd)
{
	GW_AUTO_FD int ours = -1;
	GW_AUTO_FD int theirs = -1;
	GW_AUTO_FD int own = -1;
	uint64_t value;

	make_pipe(run, &ours, &theirs, false);
	value = cf_begin(run, guest->frontend, direction, phase, with_fd ? theirs : -1, &own);
	cf_not_crashed(run, backend);
	CF_EXPECT(run, value & GW_VU_STATE_ERROR_MASK, "it was accepted (0x%llx)",
		  (unsigned long long)value);
	CF_EXPECT(run, own < 0 && value & GW_VU_STATE_NO_FD,
		  "a refusal (0x%llx) came with a descriptor, or without bit 8",
		  (unsigned long long)value);
	cf_answers(run, guest->frontend);
}

static void running(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	cf_guest_start(run, &backend, &guest);
	refused(run, &guest, &backend, GW_VU_STATE_SAVE, GW_VU_STATE_STOPPED, true);
	cf_guest_works(&guest);
}

static void phase_unknown(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	stopped(run, &backend, &guest);
	refused(run, &guest, &backend, GW_VU_STATE_SAVE, 77, true);
	alive(run, &guest, "after it");
}

static void direction_unknown(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	stopped(run, &backend, &guest);
	refused(run, &guest, &backend, 77, GW_VU_STATE_STOPPED, true);
	alive(run, &guest, "after it");
}

static void no_descriptor(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	stopped(run, &backend, &guest);
	refused(run, &guest, &backend, GW_VU_STATE_SAVE, GW_VU_STATE_STOPPED, false);
	alive(run, &guest, "after it");
}

static void check_alone(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	uint64_t verdict;

	stopped(run, &backend, &guest);
	verdict = cf_verdict(run, guest.frontend);
	CF_EXPECT(run, verdict, "CHECK_DEVICE_STATE without a transfer says that all is well");
}

static void twice(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct cf_blob first, second;

	stopped(run, &backend, &guest);
	cf_save(run, guest.frontend, &first);
	cf_save(run, guest.frontend, &second);
	CF_EXPECT(run, first.len == second.len, "%zu bytes, then %zu", first.len, second.len);
}

static void resumes(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct cf_blob blob;

	stopped(run, &backend, &guest);
	for (unsigned i = 0; i < 5; i++) {
		cf_save(run, guest.frontend, &blob);
		alive(run, &guest, "after a save");
		cf_ok(run, gw_frontend_stop(guest.frontend), "stop again");
	}
}

static void cancelled(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct cf_blob blob;

	stopped(run, &backend, &guest);
	for (unsigned i = 0; i < 10; i++) {
		GW_AUTO_FD int channel = -1;
		enum gw_transfer_reply reply;
		char byte;

		cf_ok(run,
		      gw_frontend_transfer_begin(guest.frontend, false, GW_PHASE_STOPPED, &channel,
						 &reply),
		      "SET_DEVICE_STATE_FD");
		if (i % 2 && read(channel, &byte, 1) < 0)
			cf_sleep_ms(10);
		gw_close(&channel);
		cf_verdict(run, guest.frontend);
	}
	cf_save(run, guest.frontend, &blob);
	alive(run, &guest, "after ten saves that were cancelled");
}

/* The guest goes on without anybody having asked for the verdict. */
static void unchecked(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	enum gw_transfer_reply reply;
	GW_AUTO_FD int channel = -1;

	stopped(run, &backend, &guest);
	cf_ok(run,
	      gw_frontend_transfer_begin(guest.frontend, false, GW_PHASE_STOPPED, &channel, &reply),
	      "SET_DEVICE_STATE_FD");
	gw_close(&channel);
	alive(run, &guest, "after a save that nobody asked the verdict of");
}

static void memo_reset(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct cf_blob before, after;

	stopped(run, &backend, &guest);
	cf_save(run, guest.frontend, &before);
	cf_ok(run, gw_frontend_reset_device(guest.frontend), "RESET_DEVICE");
	guest.begun = false;
	cf_guest_begin(&guest);
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	cf_save(run, guest.frontend, &after);
	CF_EXPECT(run, before.len != after.len || memcmp(before.bytes, after.bytes, after.len) != 0,
		  "the state after a reset is the one before it");
	cf_guest_begin(&guest);
	cf_guest_works(&guest);
}

#define SAVE  "Migrating back-end state"
#define STATE CF_NEEDS_STATE
#define WORK  CF_NEEDS_WORK | CF_NEEDS_STATE
const struct cf_check cf_checks_state[] = {
	{"save-fresh", "a device that never ran has a state, too: no ring is started", SAVE,
	 CF_SHOULD, STATE, .run = fresh},
	{"save", "the state of a stopped device is saved, also with logging off", SAVE, CF_MUST,
	 STATE, .run = snapshot},
	{"save-logged", "and with logging on", SAVE, CF_MUST, STATE | CF_NEEDS_LOG, .run = logged},
	{"save-reply", "the reply has one of the forms that there are", SAVE, CF_MUST, STATE,
	 .run = reply_form},
	{"save-reply-first", "it comes before the state: nobody reads that yet", SAVE, CF_MUST,
	 STATE, .run = reply_first},
	{"save-answers", "other requests are answered meanwhile", SAVE, CF_SHOULD, STATE,
	 .run = answers_meanwhile},
	{"save-end", "the state ends with the end of the file", SAVE, CF_MUST, STATE,
	 .run = end_of_file},
	{"save-running", "while a ring runs nothing is saved", SAVE, CF_SHOULD, WORK,
	 .run = running},
	{"save-phase", "an unknown phase is refused", SAVE, CF_MUST, STATE, .run = phase_unknown},
	{"save-direction", "so is an unknown direction", SAVE, CF_SHOULD, STATE,
	 .run = direction_unknown},
	{"save-no-fd", "so is a transfer without a descriptor", SAVE, CF_SHOULD, STATE,
	 .run = no_descriptor},
	{"check-alone", "without a transfer CHECK_DEVICE_STATE says no", SAVE, CF_SHOULD, STATE,
	 .run = check_alone},
	{"save-twice", "a state can be saved twice, and is the same", SAVE, CF_SHOULD, STATE,
	 .run = twice},
	{"save-resume", "the device goes on after a save, any number of times", SAVE, CF_MUST,
	 STATE, .run = resumes},
	{"save-cancel", "a save can be cancelled by closing its channel", SAVE, CF_MUST, STATE,
	 .run = cancelled},
	{"save-unchecked", "and the device started without CHECK", SAVE, CF_SHOULD, STATE,
	 .run = unchecked},
	{"save-reset", "RESET_DEVICE forgets the state", SAVE, CF_SHOULD, WORK | CF_NEEDS_MEMO,
	 .protocol = GW_VU_PF(RESET_DEVICE), .run = memo_reset},
	{NULL},
};
