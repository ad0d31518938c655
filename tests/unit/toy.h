/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/toy.h - a device that does as it is told, for the tests of sessions. */
#ifndef GW_TESTS_UNIT_TOY_H
#define GW_TESTS_UNIT_TOY_H

#include <stdatomic.h>

#include "godwit/loop.h"
#include "migration/session.h"

/* What it was told, and what happened to it. */
struct toy {
	_Atomic uint32_t value; /* its state */
	uint32_t limit;		/* its parameter, as adopted */
	/* instructions */
	int save_result, load_result, adopt_result;
	_Atomic size_t save_bytes; /* so much filling after the value */
	bool lie_about_load;	   /* load() reads nothing and says it is good */
	_Atomic bool hang; /* save() does not return before this is false, or the stream fails */
	/* seen */
	unsigned runs, suspends, resets, adopts, outcomes, prepares;
	enum gw_why why;
	enum gw_outcome outcome;
};

/* The one instance there is, made by create(). */
extern struct toy *toy;
extern const struct gw_model toy_model;

/* A session with a loop of its own; @config may be NULL. */
struct toy_rig {
	struct gw_loop *loop;
	struct gw_device_ops ops;
	struct gw_session *session;
	int verdict; /* of the last toy_check() */
	unsigned failures;
	struct gw_transfer_info failure;
};
void toy_rig_new(struct toy_rig *rig, const struct gw_session_config *config,
		 enum gw_ownership ownership);
void toy_rig_free(struct toy_rig *rig);

/* Begin a transfer; save: *@fd is where to read, load: where to write. */
int toy_begin(struct toy_rig *rig, bool load, int *fd);
/* CHECK, and run the loop until the verdict is there. */
int toy_check(struct toy_rig *rig);
/* Run the loop for so long. */
void toy_wait(struct toy_rig *rig, unsigned ms);
/* Save whole, to memory (to free); load whole. Return the verdict. */
int toy_save(struct toy_rig *rig, uint8_t **bytes, size_t *len);
int toy_load(struct toy_rig *rig, const uint8_t *bytes, size_t len);

#endif
