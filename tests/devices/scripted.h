/* SPDX-License-Identifier: BSD-3-Clause */
/* devices/scripted.h - a device that does what a test tells it: be slow, fail, lie, die. */
#ifndef GW_TESTS_SCRIPTED_H
#define GW_TESTS_SCRIPTED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "godwit/device.h"

#define SCRIPTED_QUEUES 4

/* Its pages: a part of its state that changes while it runs, by the test's hand. */
#define SCRIPTED_PAGES 256

/* Where the process ends itself (abort()). */
enum script_point {
	SCRIPT_NEVER,
	SCRIPT_AT_ELEMENT, /* when it has one, not answered */
	SCRIPT_AT_SAVE,	   /* after half of the state */
	SCRIPT_AT_LOAD,
};

/*
 * It answers each element with a copy of what it holds. Its state is how many it answered, a seed
 * and a bulk of bytes made from the seed, which is how a test gets state of any size and still
 * knows whether all of it came.
 *
 * The script is given as host, in memory that a forked back-end shares; it may change at any time.
 */
struct script {
	/* What to do. */
	atomic_uint hold_ms; /* elements come back after so long, from another thread */
	atomic_bool hold;    /* elements come back when this is false again, last first */
	atomic_bool park;    /* at a stop park what is held */
	atomic_uint busy_ms; /* the queue's thread sleeps for so long at every element */
	atomic_int fail_save, fail_load; /* errno */
	atomic_uint save_pause_ms;	 /* before each piece of bulk */
	atomic_bool own_channel;
	atomic_int die; /* enum script_point */
	_Atomic uint64_t bulk_bytes;
	atomic_bool no_negotiate;   /* refuse features */
	atomic_bool fail;	    /* say at an element that it cannot go on */
	atomic_uint events;	    /* so many at the next element */
	atomic_bool hold_preflight; /* until this is false, or it is cancelled */
	atomic_int fail_preflight;  /* errno */
	atomic_uint obstacles;	    /* that a preflight finds */

	/* Of a save in phases. A page is as its version says; 0: it is not there. */
	_Atomic uint64_t page[SCRIPTED_PAGES];
	atomic_uint page_pause_ms;			     /* before each page */
	atomic_int fail_running, fail_iterate, fail_suspend; /* errno */

	/* What happened. */
	_Atomic uint64_t page_loaded[SCRIPTED_PAGES];
	atomic_uint running_saves, iterate_on, iterate_off;
	atomic_uint outcomes[GW_OUTCOME_UNKNOWN + 1];
	atomic_uint created, destroyed, resets, suspends;
	atomic_uint elements, again, parked, saves, loads;
	atomic_uint runs[GW_RUN_LOADED + 1];
	atomic_uint prepare_on, prepare_off;
	atomic_uint preflights;
	_Atomic uint64_t bulk_loaded;
	_Atomic uint64_t features;
};

/* The configuration space: the first is read-only, the second can be written. */
struct scripted_config {
	uint64_t answered;
	uint64_t seed;
};

extern const struct gw_device_ops scripted_ops;

#endif
