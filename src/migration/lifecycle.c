/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/lifecycle.c - who owns a device that can move, and when it may run: two total tables.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "migration/lifecycle.h"

/*
 * A cell is a next state or a refusal. Zero is neither, so that a cell left out is found by the
 * test that walks all of them; that no row is left out is asserted below.
 */
#define TO(state)      (uint8_t)((state) + 1)
#define IS_REFUSAL(c)  ((c) >= REFUSALS)
#define REFUSALS       0x80
#define REFUSED(state) (uint8_t)(REFUSALS + (state))

enum refusal {
	REFUSE_RUNNING,
	REFUSE_NOT_FRESH,
	REFUSE_GONE,
	REFUSE_FAILED,
	REFUSE_UNDER_WAY,
	REFUSE_LOADING,
	REFUSE_NO_TRANSFER,
	REFUSE_NOTHING_TO_CHECK,
	REFUSE_TAKEN_BACK,
	REFUSE_PRECOPY,
	REFUSE_COUNT,
};

static const struct {
	int err;
	const char *text;
} refusals[] = {
	[REFUSE_RUNNING] = {EBUSY, "the device runs: all rings must be stopped first"},
	[REFUSE_NOT_FRESH] = {EEXIST, "the device has a state already: it must be reset first"},
	[REFUSE_GONE] = {EPERM, "the device moved away, and runs elsewhere"},
	[REFUSE_FAILED] = {EIO, "the device has failed: it must be reset first"},
	[REFUSE_UNDER_WAY] = {EBUSY, "a transfer is under way"},
	[REFUSE_LOADING] = {EBUSY, "a state is being loaded"},
	[REFUSE_NO_TRANSFER] = {EINVAL, "no such transfer is under way"},
	[REFUSE_NOTHING_TO_CHECK] = {ENODATA, "nothing was transferred since the last check"},
	[REFUSE_TAKEN_BACK] = {EALREADY, "the device was taken back and runs here"},
	[REFUSE_PRECOPY] = {EBUSY, "the stream is in phase running: phase stopped has to end it"},
};
static_assert(GW_ARRAY_LEN(refusals) == REFUSE_COUNT, "a sentence for each refusal");

/* What cells say, in four letters; a state that stays as it is names itself. */
#define FRSH TO(GW_DEVICE_FRESH)
#define RUNS TO(GW_DEVICE_RUNNING)
#define SUSP TO(GW_DEVICE_SUSPENDED)
#define FROZ TO(GW_DEVICE_FROZEN)
#define GONE TO(GW_DEVICE_GONE)
#define FAIL TO(GW_DEVICE_FAILED)
#define busy REFUSED(REFUSE_RUNNING)
#define full REFUSED(REFUSE_NOT_FRESH)
#define left REFUSED(REFUSE_GONE)
#define dead REFUSED(REFUSE_FAILED)
#define none REFUSED(REFUSE_NO_TRANSFER)
#define back REFUSED(REFUSE_TAKEN_BACK)

/* clang-format off */
#define DEVICE_ROWS(ROW)                                                                           \
	/*  event             fresh running suspended frozen gone failed */                       \
	ROW(CONNECT,          FRSH, RUNS, SUSP, FROZ, GONE, FAIL)                                  \
	ROW(DISCONNECT,       FRSH, SUSP, SUSP, FROZ, GONE, FAIL)                                  \
	ROW(RING_ON,          RUNS, RUNS, RUNS, RUNS, left, dead)                                  \
	ROW(LAST_RING_OFF,    FRSH, SUSP, SUSP, FROZ, GONE, FAIL)                                  \
	ROW(RESET,            FRSH, busy, FRSH, FRSH, FRSH, FRSH)                                  \
	ROW(SAVE_RUNNING,     FRSH, RUNS, SUSP, FROZ, left, dead)                                  \
	ROW(SAVE_STOPPED,     FRSH, busy, SUSP, FROZ, left, dead)                                  \
	ROW(LOAD,             FRSH, busy, full, full, full, dead)                                  \
	ROW(SAVE_OK,          FRSH, busy, SUSP, FROZ, none, none)                                  \
	ROW(SAVE_OK_MOVING,   FRSH, busy, FROZ, FROZ, none, none)                                  \
	ROW(LOAD_OK,          SUSP, none, none, none, none, none)                                  \
	ROW(TRANSFER_BAD,     FRSH, RUNS, SUSP, FROZ, none, none)                                  \
	ROW(CHECK,            FRSH, RUNS, SUSP, FROZ, GONE, FAIL)                                  \
	ROW(CANCEL,           FRSH, RUNS, SUSP, FROZ, GONE, FAIL)                                  \
	ROW(SUSPEND,          FRSH, SUSP, SUSP, FROZ, left, dead)                                  \
	ROW(RESUME,           FRSH, RUNS, RUNS, RUNS, left, dead)                                  \
	ROW(OUTCOME_MOVED,    FRSH, back, GONE, GONE, GONE, FAIL)                                  \
	ROW(OUTCOME_FAILED,   FRSH, RUNS, SUSP, SUSP, left, FAIL)                                  \
	ROW(OUTCOME_COPIED,   FRSH, RUNS, SUSP, SUSP, left, FAIL)                                  \
	ROW(OUTCOME_TIMEOUT,  FRSH, RUNS, SUSP, FROZ, GONE, FAIL)                                  \
	ROW(CLAIM,            FRSH, busy, SUSP, SUSP, left, dead)                                  \
	ROW(TAKEN,            GONE, busy, GONE, GONE, GONE, FAIL)                                  \
	ROW(DEVICE_FAILED,    FAIL, FAIL, FAIL, FAIL, GONE, FAIL)
/* clang-format on */

#define IDLE TO(GW_TRANSFER_IDLE)
#define SAVG TO(GW_TRANSFER_SAVING)
#define SAVD TO(GW_TRANSFER_SAVED)
#define LDNG TO(GW_TRANSFER_LOADING)
#define LODD TO(GW_TRANSFER_LOADED)
#define BAD_ TO(GW_TRANSFER_FAILED)
#define PREC TO(GW_TRANSFER_PRECOPY)
#define ways REFUSED(REFUSE_UNDER_WAY)
#define wait REFUSED(REFUSE_LOADING)
#define ndat REFUSED(REFUSE_NOTHING_TO_CHECK)
#define goes REFUSED(REFUSE_PRECOPY)

/* clang-format off */
#define TRANSFER_ROWS(ROW)                                                                         \
	/*  event             idle saving saved loading loaded failed precopy */                   \
	ROW(CONNECT,          IDLE, ways, SAVD, ways, LODD, BAD_, ways)                            \
	ROW(DISCONNECT,       IDLE, IDLE, IDLE, IDLE, IDLE, IDLE, IDLE)                            \
	ROW(RING_ON,          IDLE, IDLE, IDLE, wait, IDLE, IDLE, PREC)                            \
	ROW(LAST_RING_OFF,    IDLE, SAVG, SAVD, LDNG, LODD, BAD_, PREC)                            \
	ROW(RESET,            IDLE, IDLE, IDLE, IDLE, IDLE, IDLE, IDLE)                            \
	ROW(SAVE_RUNNING,     PREC, PREC, PREC, PREC, PREC, PREC, PREC)                            \
	ROW(SAVE_STOPPED,     SAVG, SAVG, SAVG, SAVG, SAVG, SAVG, SAVG)                            \
	ROW(LOAD,             LDNG, LDNG, LDNG, LDNG, LDNG, LDNG, LDNG)                            \
	ROW(SAVE_OK,          none, SAVD, none, none, none, none, none)                            \
	ROW(SAVE_OK_MOVING,   none, SAVD, none, none, none, none, none)                            \
	ROW(LOAD_OK,          none, none, none, LODD, none, none, none)                            \
	ROW(TRANSFER_BAD,     none, BAD_, none, BAD_, none, none, BAD_)                            \
	ROW(CHECK,            ndat, SAVG, IDLE, LDNG, IDLE, IDLE, goes)                            \
	ROW(CANCEL,           IDLE, BAD_, SAVD, BAD_, LODD, BAD_, BAD_)                            \
	ROW(SUSPEND,          IDLE, SAVG, SAVD, LDNG, LODD, BAD_, PREC)                            \
	ROW(RESUME,           IDLE, IDLE, IDLE, wait, IDLE, IDLE, PREC)                            \
	ROW(OUTCOME_MOVED,    IDLE, ways, SAVD, ways, none, BAD_, ways)                            \
	ROW(OUTCOME_FAILED,   IDLE, ways, SAVD, ways, LODD, BAD_, ways)                            \
	ROW(OUTCOME_COPIED,   IDLE, ways, SAVD, ways, LODD, BAD_, ways)                            \
	ROW(OUTCOME_TIMEOUT,  IDLE, SAVG, SAVD, LDNG, LODD, BAD_, PREC)                            \
	ROW(CLAIM,            IDLE, SAVG, SAVD, ways, LODD, BAD_, PREC)                            \
	ROW(TAKEN,            IDLE, ways, IDLE, ways, IDLE, IDLE, ways)                            \
	ROW(DEVICE_FAILED,    IDLE, BAD_, SAVD, BAD_, BAD_, BAD_, BAD_)
/* clang-format on */

/* A row names its event once (a second one would be an overridden initialiser), all are there. */
#define AS_CELLS(event, ...) [GW_EVENT_##event] = {__VA_ARGS__},
#define AS_COUNT(event, ...) +1
static const uint8_t device_next[GW_EVENTS][GW_DEVICE_STATES] = {DEVICE_ROWS(AS_CELLS)};
static const uint8_t transfer_next[GW_EVENTS][GW_TRANSFER_STATES] = {TRANSFER_ROWS(AS_CELLS)};
static_assert(0 DEVICE_ROWS(AS_COUNT) == GW_EVENTS, "a row for each event");
static_assert(0 TRANSFER_ROWS(AS_COUNT) == GW_EVENTS, "a row for each event");
static_assert(GW_DEVICE_STATES == 6 && GW_TRANSFER_STATES == 7, "columns of the rows");

/* A device that runs is not loaded into; only a fresh one is; who does not own saves nothing. */
#define IDLE_BIT    (1u << GW_TRANSFER_IDLE)
#define SAVING_BIT  (1u << GW_TRANSFER_SAVING)
#define SAVED_BIT   (1u << GW_TRANSFER_SAVED)
#define LOADING_BIT (1u << GW_TRANSFER_LOADING)
#define LOADED_BIT  (1u << GW_TRANSFER_LOADED)
#define FAILED_BIT  (1u << GW_TRANSFER_FAILED)
#define PRECOPY_BIT (1u << GW_TRANSFER_PRECOPY)
static const unsigned possible_transfers[] = {
	[GW_DEVICE_FRESH] =
		IDLE_BIT | SAVING_BIT | SAVED_BIT | LOADING_BIT | FAILED_BIT | PRECOPY_BIT,
	[GW_DEVICE_RUNNING] = IDLE_BIT | FAILED_BIT | PRECOPY_BIT,
	[GW_DEVICE_SUSPENDED] =
		IDLE_BIT | SAVING_BIT | SAVED_BIT | LOADED_BIT | FAILED_BIT | PRECOPY_BIT,
	[GW_DEVICE_FROZEN] = IDLE_BIT | SAVING_BIT | SAVED_BIT | FAILED_BIT | PRECOPY_BIT,
	[GW_DEVICE_GONE] = IDLE_BIT | SAVED_BIT | FAILED_BIT,
	[GW_DEVICE_FAILED] = IDLE_BIT | SAVED_BIT | FAILED_BIT,
};
static_assert(GW_ARRAY_LEN(possible_transfers) == GW_DEVICE_STATES, "a row for each state");

static const char *const device_names[] = {
	[GW_DEVICE_FRESH] = "fresh",	     [GW_DEVICE_RUNNING] = "running",
	[GW_DEVICE_SUSPENDED] = "suspended", [GW_DEVICE_FROZEN] = "frozen",
	[GW_DEVICE_GONE] = "gone",	     [GW_DEVICE_FAILED] = "failed",
};
static_assert(GW_ARRAY_LEN(device_names) == GW_DEVICE_STATES, "a name for each state");

static const char *const transfer_names[] = {
	[GW_TRANSFER_IDLE] = "idle",	   [GW_TRANSFER_SAVING] = "saving",
	[GW_TRANSFER_SAVED] = "saved",	   [GW_TRANSFER_LOADING] = "loading",
	[GW_TRANSFER_LOADED] = "loaded",   [GW_TRANSFER_FAILED] = "failed",
	[GW_TRANSFER_PRECOPY] = "precopy",
};
static_assert(GW_ARRAY_LEN(transfer_names) == GW_TRANSFER_STATES, "a name for each state");

static const char *const event_names[] = {
	[GW_EVENT_CONNECT] = "connect",
	[GW_EVENT_DISCONNECT] = "disconnect",
	[GW_EVENT_RING_ON] = "ring-on",
	[GW_EVENT_LAST_RING_OFF] = "last-ring-off",
	[GW_EVENT_RESET] = "reset",
	[GW_EVENT_SAVE_RUNNING] = "save-running",
	[GW_EVENT_SAVE_STOPPED] = "save-stopped",
	[GW_EVENT_LOAD] = "load",
	[GW_EVENT_SAVE_OK] = "save-ok",
	[GW_EVENT_SAVE_OK_MOVING] = "save-ok-moving",
	[GW_EVENT_LOAD_OK] = "load-ok",
	[GW_EVENT_TRANSFER_BAD] = "transfer-bad",
	[GW_EVENT_CHECK] = "check",
	[GW_EVENT_CANCEL] = "cancel",
	[GW_EVENT_SUSPEND] = "suspend",
	[GW_EVENT_RESUME] = "resume",
	[GW_EVENT_OUTCOME_MOVED] = "outcome-moved",
	[GW_EVENT_OUTCOME_FAILED] = "outcome-failed",
	[GW_EVENT_OUTCOME_COPIED] = "outcome-copied",
	[GW_EVENT_OUTCOME_TIMEOUT] = "outcome-timeout",
	[GW_EVENT_CLAIM] = "claim",
	[GW_EVENT_TAKEN] = "taken",
	[GW_EVENT_DEVICE_FAILED] = "device-failed",
};
static_assert(GW_ARRAY_LEN(event_names) == GW_EVENTS, "a name for each event");

static const char *name_in(const char *const *names, unsigned count, unsigned i)
{
	return i < count ? names[i] : "?";
}

const char *gw_device_state_name(enum gw_device_state state)
{
	return name_in(device_names, GW_DEVICE_STATES, (unsigned)state);
}

const char *gw_transfer_state_name(enum gw_transfer_state state)
{
	return name_in(transfer_names, GW_TRANSFER_STATES, (unsigned)state);
}

const char *gw_event_name(enum gw_event event)
{
	return name_in(event_names, GW_EVENTS, (unsigned)event);
}

bool gw_lifecycle_pair_is_possible(enum gw_device_state device, enum gw_transfer_state transfer)
{
	return (unsigned)device < GW_DEVICE_STATES && (unsigned)transfer < GW_TRANSFER_STATES &&
	       (possible_transfers[device] & 1u << transfer);
}

static int refuse(const struct gw_lifecycle *life, enum gw_event event, uint8_t cell)
{
	unsigned refusal = cell - REFUSALS;

	return gw_fail(refusals[refusal].err, "%s refused (device %s, transfer %s): %s",
		       gw_event_name(event), gw_device_state_name(life->device),
		       gw_transfer_state_name(life->transfer), refusals[refusal].text);
}

int gw_lifecycle_check(const struct gw_lifecycle *life, enum gw_event event)
{
	if (!gw_lifecycle_pair_is_possible(life->device, life->transfer) ||
	    (unsigned)event >= GW_EVENTS)
		return gw_fail(EINVAL, "event %s, device %s, transfer %s: no such thing",
			       gw_event_name(event), gw_device_state_name(life->device),
			       gw_transfer_state_name(life->transfer));
	if (IS_REFUSAL(device_next[event][life->device]))
		return refuse(life, event, device_next[event][life->device]);
	if (IS_REFUSAL(transfer_next[event][life->transfer]))
		return refuse(life, event, transfer_next[event][life->transfer]);
	return 0;
}

int gw_lifecycle_step(struct gw_lifecycle *life, enum gw_event event)
{
	const struct gw_lifecycle before = *life;
	int err = gw_lifecycle_check(life, event);

	if (err)
		return err;
	life->device = (enum gw_device_state)(device_next[event][before.device] - 1);
	life->transfer = (enum gw_transfer_state)(transfer_next[event][before.transfer] - 1);
	gw_debug("life cycle: %s: device %s to %s, transfer %s to %s", gw_event_name(event),
		 gw_device_state_name(before.device), gw_device_state_name(life->device),
		 gw_transfer_state_name(before.transfer), gw_transfer_state_name(life->transfer));
	return 0;
}
