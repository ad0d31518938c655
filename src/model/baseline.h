/* SPDX-License-Identifier: BSD-3-Clause */
/* model/baseline.h - the largest profile that all of a set of implementations can run. */
#ifndef GW_MODEL_BASELINE_H
#define GW_MODEL_BASELINE_H

#include "godwit/compat.h"

/* One assignment that some implementation has a name for. */
struct gw_candidate {
	const char *profile;
	unsigned owner; /* the first implementation that has it */
	char *form;	/* canonical */
	struct gw_compat_instance *instance;
	struct gw_compat_report **reports; /* of each implementation: may it be one there? */
	unsigned refused;		   /* how many of them say anything but yes */
};

/*
 * Every profile of @model in any of the implementations, each assignment once, the largest first:
 * the one with most parameters that are not off, then the one with the greater values by the order
 * of their names. The first that nobody refuses is the baseline. Room is not asked for. The order
 * of the implementations makes no difference but for whose names are given.
 */
struct gw_baseline {
	unsigned count, implementation_count;
	struct gw_candidate *candidates;
};

/* NULL @model: the one that they have; -EINVAL with a sentence if there are several or none.
 * @implementations must outlive it. */
int gw_baseline_new(struct gw_baseline **baseline,
		    const struct gw_compat_implementation *const *implementations, unsigned count,
		    const char *model);
void gw_baseline_free(struct gw_baseline *baseline);

/* Its index; -1: there is none. */
int gw_baseline_chosen(const struct gw_baseline *baseline);

#endif
