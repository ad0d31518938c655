/* SPDX-License-Identifier: BSD-3-Clause */
/* devices/scripted-device.h - the scripted device's own structure. */
#ifndef GW_TESTS_SCRIPTED_DEVICE_H
#define GW_TESTS_SCRIPTED_DEVICE_H

#include <pthread.h>

#include "scripted.h"

struct held {
	struct held *next;
	struct gw_elem *elem;
	int64_t due; /* CLOCK_MONOTONIC in ms, 0: when `hold` is false */
};

struct scripted {
	struct script *script;
	_Atomic uint64_t answered, seed;
	_Atomic uint64_t page_sent[SCRIPTED_PAGES]; /* versions that the stream holds */
	unsigned page_next;			    /* of this round */
	bool phased;
	pthread_t holder;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct held *held;
	bool ending;
};

void scripted_sleep(unsigned ms);
int scripted_save(void *opaque, struct gw_state_writer *writer, enum gw_phase phase, size_t budget);
int scripted_pending(void *opaque, struct gw_pending *pending);
int scripted_iterate(void *opaque, bool on);
int scripted_load(void *opaque, struct gw_state_reader *reader);

#endif
