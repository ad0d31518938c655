/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/report.h - the inside of what godwit/report.h writes: JSON, bounded. */
#ifndef GW_MIGRATION_REPORT_H
#define GW_MIGRATION_REPORT_H

#include <jansson.h>
#include <stdatomic.h>

#include "godwit/report.h"

/* Of JSON, roughly: well below what a client of the control socket may be sent at once. */
#define GW_REPORT_BYTES_MAX (1024 * 1024)
#define GW_REPORT_DEPTH_MAX 8
#define GW_REPORT_NAME_MAX  64

struct gw_report_level {
	json_t *value;	   /* an object or a list; NULL: it was left out, as is all in it */
	const char *name;  /* in the level above; the writer's constant */
	uint64_t left_out; /* elements, of a list */
};

struct gw_report {
	struct gw_report_level levels[GW_REPORT_DEPTH_MAX]; /* 0: the report */
	unsigned depth;					    /* levels open */
	unsigned too_deep;				    /* and beyond them */
	size_t bytes;
	bool failed;	    /* no memory, or too deep */
	const char *labels; /* of all metrics that follow, or NULL */
	_Atomic bool cancelled;
};

void gw_report_cancel(struct gw_report *report); /* any thread */
/* What was written, a new reference; NULL: it could not be. */
json_t *gw_report_json(const struct gw_report *report);
/* The metrics of a report as Prometheus' text format has them (0.0.4); to free. NULL: no memory. */
char *gw_report_exposition(const struct gw_report *report);

#endif
