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
	bool *refuses;			   /* of each implementation: no one of its host says yes */
	bool refused;			   /* by some host */
};

/* An implementation, and which of the hosts, numbered from 0, has it. They come host by host. */
struct gw_hosted {
	const struct gw_compat_implementation *implementation;
	unsigned host;
};

/*
 * Every profile of @model in any of the implementations, each assignment once, the largest first:
 * the one with most parameters that are not off, then the one with the greater values by the order
 * of their names. The first that every host can run, by one of its implementations, is the
 * baseline; what instances of any of them would require has to be wherever they may go. Room is not
 * asked for. The order of hosts makes no difference but for whose names are given.
 */
struct gw_baseline {
	unsigned count, implementation_count;
	struct gw_candidate *candidates;
};

/* NULL @model: the one that they have; -EINVAL with a sentence if there are several or none.
 * @implementations must outlive it. */
int gw_baseline_new(struct gw_baseline **baseline, const struct gw_hosted *implementations,
		    unsigned count, const char *model);
void gw_baseline_free(struct gw_baseline *baseline);

/* Its index; -1: there is none. */
int gw_baseline_chosen(const struct gw_baseline *baseline);

#endif
