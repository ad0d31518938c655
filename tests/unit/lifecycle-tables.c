/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/lifecycle-tables.c - every state, every event: total, and no impossible pair. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "godwit/error.h"
#include "migration/lifecycle.h"

static void check_one(unsigned device, unsigned transfer, unsigned event)
{
	const struct gw_lifecycle before = {device, transfer};
	struct gw_lifecycle life = before;
	int err = gw_lifecycle_step(&life, event);

	assert_int_equal(gw_lifecycle_check(&before, event), err);
	if (err) {
		assert_true(err < 0 && gw_last_error()[0]);
		assert_memory_equal(&life, &before, sizeof(life)); /* neither of the two moved */
	} else {
		assert_true(gw_lifecycle_pair_is_possible(life.device, life.transfer));
	}
}

/* From every possible pair, not from the reachable ones alone. */
static void test_all_combinations(void **state)
{
	(void)state;
	for (unsigned d = 0; d < GW_DEVICE_STATES; d++) {
		for (unsigned t = 0; t < GW_TRANSFER_STATES; t++) {
			for (unsigned e = 0; e < GW_EVENTS; e++) {
				if (gw_lifecycle_pair_is_possible(d, t))
					check_one(d, t, e);
			}
		}
	}
}

static void test_out_of_range(void **state)
{
	const unsigned wild[] = {GW_EVENTS, GW_EVENTS + 1, 255, 1u << 31, UINT32_MAX};
	struct gw_lifecycle life;

	(void)state;
	for (unsigned i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		life = (struct gw_lifecycle){GW_DEVICE_FRESH, GW_TRANSFER_IDLE};
		assert_int_equal(gw_lifecycle_step(&life, wild[i]), -EINVAL);
		life.device = wild[i];
		assert_int_equal(gw_lifecycle_step(&life, GW_EVENT_CHECK), -EINVAL);
		life = (struct gw_lifecycle){GW_DEVICE_FRESH, wild[i]};
		assert_int_equal(gw_lifecycle_step(&life, GW_EVENT_CHECK), -EINVAL);
		assert_string_equal(gw_event_name(wild[i]), "?");
		assert_string_equal(gw_device_state_name(wild[i]), "?");
		assert_string_equal(gw_transfer_state_name(wild[i]), "?");
	}
	/* A pair that may not be is not stepped from. */
	life = (struct gw_lifecycle){GW_DEVICE_RUNNING, GW_TRANSFER_LOADING};
	assert_int_equal(gw_lifecycle_step(&life, GW_EVENT_RESET), -EINVAL);
}

static bool reached[GW_DEVICE_STATES][GW_TRANSFER_STATES];

static void reach(struct gw_lifecycle life)
{
	if (reached[life.device][life.transfer])
		return;
	reached[life.device][life.transfer] = true;
	for (unsigned e = 0; e < GW_EVENTS; e++) {
		struct gw_lifecycle next = life;

		if (!gw_lifecycle_step(&next, e))
			reach(next);
	}
}

/* What is called possible is what can happen from the beginning: no more, no less. */
static void test_reachable_pairs(void **state)
{
	(void)state;
	reach((struct gw_lifecycle){GW_DEVICE_FRESH, GW_TRANSFER_IDLE});
	for (unsigned d = 0; d < GW_DEVICE_STATES; d++) {
		for (unsigned t = 0; t < GW_TRANSFER_STATES; t++)
			assert_int_equal(reached[d][t], gw_lifecycle_pair_is_possible(d, t));
	}
}

/* A failed device and one that is gone come back by a reset only; a ring never revives them. */
static void test_no_owner_no_ring(void **state)
{
	const enum gw_device_state lost[] = {GW_DEVICE_GONE, GW_DEVICE_FAILED};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned e = 0; e < GW_EVENTS; e++) {
			struct gw_lifecycle life = {lost[i], GW_TRANSFER_IDLE};

			if (!gw_lifecycle_step(&life, e) && e != GW_EVENT_RESET)
				assert_int_equal(life.device, lost[i]);
		}
	}
}

#define END		    GW_EVENTS
#define REFUSED(event, err) (0x10000 + (event) + ((err) << 8))

/* Each path: events, then where it ends. A refused event must be refused with that errno. */
static const struct path {
	const char *name;
	enum gw_device_state device;
	enum gw_transfer_state transfer;
	unsigned events[16];
} paths[] = {
	{"moves away and fails there",
	 GW_DEVICE_RUNNING,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_CONNECT, GW_EVENT_RESET, GW_EVENT_RING_ON, GW_EVENT_LAST_RING_OFF,
	  GW_EVENT_SAVE_STOPPED, GW_EVENT_SAVE_OK, GW_EVENT_CHECK, GW_EVENT_RING_ON, END}},
	{"arrives",
	 GW_DEVICE_RUNNING,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_CONNECT, GW_EVENT_RESET, GW_EVENT_LOAD, GW_EVENT_LOAD_OK, GW_EVENT_CHECK,
	  GW_EVENT_RING_ON, END}},
	{"a snapshot before it ever ran",
	 GW_DEVICE_FRESH,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_CONNECT, GW_EVENT_SAVE_STOPPED, GW_EVENT_SAVE_OK, GW_EVENT_CHECK, END}},
	{"saved twice",
	 GW_DEVICE_SUSPENDED,
	 GW_TRANSFER_SAVED,
	 {GW_EVENT_RING_ON, GW_EVENT_LAST_RING_OFF, GW_EVENT_SAVE_STOPPED, GW_EVENT_SAVE_OK,
	  GW_EVENT_SAVE_STOPPED, GW_EVENT_SAVE_OK, END}},
	{"not saved, loaded or reset while it runs",
	 GW_DEVICE_RUNNING,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_RING_ON, REFUSED(GW_EVENT_SAVE_STOPPED, EBUSY), REFUSED(GW_EVENT_LOAD, EBUSY),
	  REFUSED(GW_EVENT_RESET, EBUSY), END}},
	{"loaded into only while fresh",
	 GW_DEVICE_FRESH,
	 GW_TRANSFER_LOADING,
	 {GW_EVENT_RING_ON, GW_EVENT_LAST_RING_OFF, REFUSED(GW_EVENT_LOAD, EEXIST), GW_EVENT_RESET,
	  GW_EVENT_LOAD, END}},
	{"no ring while loading",
	 GW_DEVICE_FRESH,
	 GW_TRANSFER_LOADING,
	 {GW_EVENT_LOAD, REFUSED(GW_EVENT_RING_ON, EBUSY), END}},
	{"a load that failed leaves it fresh",
	 GW_DEVICE_FRESH,
	 GW_TRANSFER_LOADING,
	 {GW_EVENT_LOAD, GW_EVENT_TRANSFER_BAD, GW_EVENT_CHECK, GW_EVENT_LOAD, END}},
	{"a ring ends a save",
	 GW_DEVICE_RUNNING,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_RING_ON, GW_EVENT_LAST_RING_OFF, GW_EVENT_SAVE_STOPPED, GW_EVENT_RING_ON,
	  REFUSED(GW_EVENT_CHECK, ENODATA), END}},
	{"a second request ends the first",
	 GW_DEVICE_FRESH,
	 GW_TRANSFER_LOADING,
	 {GW_EVENT_SAVE_STOPPED, GW_EVENT_LOAD, GW_EVENT_LOAD, END}},
	{"a reset ends a load",
	 GW_DEVICE_FRESH,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_LOAD, GW_EVENT_RESET, REFUSED(GW_EVENT_CHECK, ENODATA), END}},
	{"exclusive: moved",
	 GW_DEVICE_GONE,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_RING_ON, GW_EVENT_LAST_RING_OFF, GW_EVENT_SAVE_STOPPED, GW_EVENT_SAVE_OK_MOVING,
	  GW_EVENT_CHECK, GW_EVENT_OUTCOME_MOVED, REFUSED(GW_EVENT_RING_ON, EPERM),
	  REFUSED(GW_EVENT_SAVE_STOPPED, EPERM), GW_EVENT_DISCONNECT, END}},
	{"exclusive: taken back by its ring, and it is too late for another outcome",
	 GW_DEVICE_RUNNING,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_RING_ON, GW_EVENT_LAST_RING_OFF, GW_EVENT_SAVE_STOPPED, GW_EVENT_SAVE_OK_MOVING,
	  GW_EVENT_CHECK, GW_EVENT_DISCONNECT, GW_EVENT_CONNECT, GW_EVENT_RING_ON,
	  REFUSED(GW_EVENT_OUTCOME_MOVED, EALREADY), END}},
	{"exclusive: nobody told",
	 GW_DEVICE_FROZEN,
	 GW_TRANSFER_SAVED,
	 {GW_EVENT_RING_ON, GW_EVENT_LAST_RING_OFF, GW_EVENT_SAVE_STOPPED, GW_EVENT_SAVE_OK_MOVING,
	  GW_EVENT_OUTCOME_TIMEOUT, END}},
	{"claimed by another front-end",
	 GW_DEVICE_RUNNING,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_RING_ON, GW_EVENT_LAST_RING_OFF, GW_EVENT_CLAIM, GW_EVENT_DISCONNECT,
	  GW_EVENT_CONNECT, GW_EVENT_RING_ON, END}},
	{"not claimed while it runs",
	 GW_DEVICE_RUNNING,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_RING_ON, REFUSED(GW_EVENT_CLAIM, EBUSY), REFUSED(GW_EVENT_TAKEN, EBUSY), END}},
	{"claimed while its source asks for the verdict",
	 GW_DEVICE_SUSPENDED,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_RING_ON, GW_EVENT_LAST_RING_OFF, GW_EVENT_SAVE_STOPPED, GW_EVENT_CLAIM,
	  GW_EVENT_SAVE_OK, GW_EVENT_CHECK, END}},
	{"what was claimed is elsewhere",
	 GW_DEVICE_GONE,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_LOAD, GW_EVENT_LOAD_OK, GW_EVENT_TAKEN, REFUSED(GW_EVENT_RING_ON, EPERM),
	  GW_EVENT_RESET, GW_EVENT_TAKEN, END}},
	{"suspended and resumed",
	 GW_DEVICE_RUNNING,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_RING_ON, GW_EVENT_SUSPEND, GW_EVENT_SAVE_STOPPED, GW_EVENT_SAVE_OK,
	  GW_EVENT_RESUME, END}},
	{"sent while it ran, then the rest",
	 GW_DEVICE_SUSPENDED,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_RING_ON, GW_EVENT_SAVE_RUNNING, REFUSED(GW_EVENT_CHECK, EBUSY),
	  GW_EVENT_SAVE_RUNNING, GW_EVENT_LAST_RING_OFF, GW_EVENT_SAVE_STOPPED, GW_EVENT_SAVE_OK,
	  GW_EVENT_CHECK, END}},
	{"rings come and go while it is sent",
	 GW_DEVICE_RUNNING,
	 GW_TRANSFER_PRECOPY,
	 {GW_EVENT_SAVE_RUNNING, GW_EVENT_RING_ON, GW_EVENT_LAST_RING_OFF, GW_EVENT_RING_ON,
	  GW_EVENT_SUSPEND, GW_EVENT_RESUME, REFUSED(GW_EVENT_SAVE_STOPPED, EBUSY),
	  REFUSED(GW_EVENT_LOAD, EBUSY), REFUSED(GW_EVENT_SAVE_OK, EBUSY), END}},
	{"a ring ends the rest",
	 GW_DEVICE_RUNNING,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_RING_ON, GW_EVENT_SAVE_RUNNING, GW_EVENT_SUSPEND, GW_EVENT_SAVE_STOPPED,
	  GW_EVENT_RING_ON, END}},
	{"given up while it ran",
	 GW_DEVICE_RUNNING,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_RING_ON, GW_EVENT_SAVE_RUNNING, GW_EVENT_CANCEL, GW_EVENT_CHECK, END}},
	{"not out of what is gone",
	 GW_DEVICE_GONE,
	 GW_TRANSFER_SAVED,
	 {GW_EVENT_RING_ON, GW_EVENT_LAST_RING_OFF, GW_EVENT_SAVE_RUNNING, GW_EVENT_SAVE_STOPPED,
	  GW_EVENT_SAVE_OK_MOVING, GW_EVENT_OUTCOME_MOVED, REFUSED(GW_EVENT_SAVE_RUNNING, EPERM),
	  END}},
	{"failed, and reset",
	 GW_DEVICE_FRESH,
	 GW_TRANSFER_IDLE,
	 {GW_EVENT_RING_ON, GW_EVENT_DEVICE_FAILED, REFUSED(GW_EVENT_SAVE_STOPPED, EIO),
	  REFUSED(GW_EVENT_RING_ON, EIO), GW_EVENT_RESET, END}},
};

static void walk(const struct path *path)
{
	struct gw_lifecycle life = {GW_DEVICE_FRESH, GW_TRANSFER_IDLE};

	for (const unsigned *e = path->events; *e != END; e++) {
		bool refused = *e & 0x10000;
		int want = refused ? -(int)(*e >> 8 & 0xff) : 0;

		if (gw_lifecycle_step(&life, *e & 0xff) != want)
			fail_msg("%s: step %d", path->name, (int)(e - path->events));
	}
	if (life.device != path->device || life.transfer != path->transfer)
		fail_msg("%s: ends %s, %s", path->name, gw_device_state_name(life.device),
			 gw_transfer_state_name(life.transfer));
}

static void test_paths(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		walk(&paths[i]);
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned e = 0; e < GW_EVENTS; e++)
		assert_string_not_equal(gw_event_name(e), "?");
	assert_string_equal(gw_event_name(GW_EVENT_LAST_RING_OFF), "last-ring-off");
	assert_string_equal(gw_device_state_name(GW_DEVICE_FROZEN), "frozen");
	assert_string_equal(gw_transfer_state_name(GW_TRANSFER_LOADED), "loaded");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_combinations),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_reachable_pairs),
		cmocka_unit_test(test_no_owner_no_ring),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
