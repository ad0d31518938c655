/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/compat/later.c - virtio-fs as it will be when there is more of FUSE to offer: a later
 * minor, and a flag that older ones have, too, and that the build of today does not take. The
 * program that src/daemon/godwit-fs.c makes with it, and with later-offers.c, is a later build. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "later.h"
#include "fs/fs.h"
#include "godwit/error.h"
#include "state/stream.h"

static struct gw_param params[GW_PARAMS_MAX + 1];
static struct gw_profile profiles[8];
static struct gw_model model;
static const struct gw_model *const models[] = {&model, NULL};
struct gw_device_ops later_ops;

/*
 * What it has to say more of a device, of its older profiles too: LATER_RECORD=optional in its
 * environment, if who does not know it can do without, or LATER_RECORD=mandatory.
 */
struct note {
	uint32_t number;
};

static const struct gw_field fields[] = {GW_FIELD(struct note, number, GW_FIELD_U32), {0}};

static const struct gw_layout layouts[] = {
	{.name = "gw_later_hint_v1",
	 .type = 0x1f0,
	 .optional = true,
	 .size = sizeof(struct note),
	 .fields = fields},
	{.name = "gw_later_thing_v1", .type = 0x1f1, .size = sizeof(struct note), .fields = fields},
};

static int save(void *dev, struct gw_state_writer *writer, enum gw_phase phase, size_t budget)
{
	const char *record = getenv("LATER_RECORD");
	int ret = fs_device_ops.save(dev, writer, phase, budget);

	if (ret || phase != GW_PHASE_STOPPED || !record)
		return ret;
	return gw_state_put(writer, &layouts[!strcmp(record, "mandatory")],
			    &(struct note){.number = 7});
}

/* As a later build has to be made: what is released stays, and what is new has a parameter. */
static const struct gw_setting newest[] = {
	{"state", 3},	       {"num-request-queues", 4}, {"submounts", 1}, {"max-write", 1048576},
	{"fuse-minor", LATER}, {"later-symlinks", true},  {NULL, 0},
};

/*
 * What a later build must not do, and another program of the same model may: LATER_NEEDS in its
 * environment makes a parameter that every source has to state, LATER_REFUSES a check by which two
 * values that are each accepted do not go together.
 */
static const struct gw_setting stating[] = {
	{"state", 3},
	{"num-request-queues", 4},
	{"later-needed", 2},
	{NULL, 0},
};

static int check(const struct gw_model *of, const struct gw_params *set)
{
	if (gw_params_get(set, "submounts", false) &&
	    gw_params_get(set, "num-request-queues", 1) > 1)
		return gw_fail(EINVAL, "parameter submounts: not with more than one queue");
	return fs_device_ops.check(of, set);
}

static void add_params(void)
{
	unsigned count = 0;

	for (const struct gw_param *p = fs_model.params; p->name; p++) {
		params[count] = *p;
		if (!strcmp(p->name, "fuse-minor"))
			params[count].max = LATER;
		count++;
	}
	params[count] = (struct gw_param){.name = "later-symlinks",
					  .doc = "The guest may cache where symbolic links lead.",
					  .type = GW_PARAM_BOOL};
	if (getenv("LATER_NEEDS"))
		params[count] = (struct gw_param){.name = "later-needed",
						  .doc = "Has no value that is off.",
						  .type = GW_PARAM_INT,
						  .no_off = true,
						  .min = 1,
						  .max = 3};
}

__attribute__((constructor)) static void make(void)
{
	unsigned count = 0;

	add_params();
	for (const struct gw_profile *p = fs_model.profiles; p->name && !getenv("LATER_NEEDS");
	     p++) {
		if (count + 2 >= sizeof(profiles) / sizeof(profiles[0]))
			abort();
		profiles[count++] = *p;
	}
	profiles[count] = (struct gw_profile){.name = "later",
					      .settings = getenv("LATER_NEEDS") ? stating : newest};
	model = (struct gw_model){.name = fs_model.name,
				  .params = params,
				  .profiles = profiles,
				  .default_profile = "later"};
	later_ops = fs_device_ops;
	later_ops.models = models;
	later_ops.save = save;
	if (getenv("LATER_REFUSES"))
		later_ops.check = check;
}
