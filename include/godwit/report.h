/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit/report.h - what a device tells who operates it: named values, one by one. */
#ifndef GODWIT_REPORT_H
#define GODWIT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * A report is an object of named values, which may be objects and lists in turn; it ends up as JSON
 * on the control socket (docs/control.md). One thread at a time writes it.
 *
 * Nothing here fails: a report without memory, and NULL, swallow what they are given. A report is
 * bounded: when it is full, elements of lists are left out, and their number stands beside the list
 * as NAME_left_out. Names are of lower-case letters, digits and underscores, and mean the same for
 * ever.
 */
struct gw_report;

/* What a device's report() is asked for. */
enum gw_report_kind {
	/* What it is and has now. Control thread: at once, from counters. Not beside load. */
	GW_REPORT_STATUS,
	/* Counters and gauges by gw_report_metric(). Control thread, likewise. */
	GW_REPORT_STATS,
	/* What would happen if it moved now (godwit/device.h). A thread of its own, beside the
	 * queues'; may take its time, and looks at gw_report_cancelled() meanwhile. */
	GW_REPORT_PREFLIGHT,
};

/* @name is NULL inside a list. Numbers end at INT64_MAX. */
void gw_report_number(struct gw_report *report, const char *name, uint64_t value);
void gw_report_flag(struct gw_report *report, const char *name, bool value);
/* A text of this program's; bytes that are not UTF-8 become '?'. */
void gw_report_text(struct gw_report *report, const char *name, const char *text);
/* A file's name: any bytes. What is no printable UTF-8, and the backslash, is written \xNN. */
void gw_report_path(struct gw_report *report, const char *name, const char *path, size_t len);

/* What follows goes into an object, a list; gw_report_end() ends the innermost one. */
void gw_report_object(struct gw_report *report, const char *name);
void gw_report_list(struct gw_report *report, const char *name);
void gw_report_end(struct gw_report *report);

/* One sample, in the terms of Prometheus: @labels as text (op="read"), or NULL. A counter's name
 * ends in _total. All samples of a metric use the same @metric. */
struct gw_metric {
	const char *name;
	const char *help;
	bool counter; /* only ever grows */
};
void gw_report_metric(struct gw_report *report, const struct gw_metric *metric, const char *labels,
		      uint64_t value);

/* How many of something took how long: @counts[i] up to @bounds_ns[i], the last one all others. */
struct gw_histogram {
	unsigned count; /* of bounds; there is one more of @counts */
	const uint64_t *bounds_ns;
	const uint64_t *counts;
	uint64_t sum_ns;
};
/* The metric's name ends in _seconds. */
void gw_report_histogram(struct gw_report *report, const struct gw_metric *metric,
			 const char *labels, const struct gw_histogram *histogram);

/* Nobody waits for it any more: come back soon. */
bool gw_report_cancelled(const struct gw_report *report);

/* For gw_device_event(). NULL without memory, which is as good. */
struct gw_report *gw_report_new(void);
void gw_report_free(struct gw_report *report); /* NULL is allowed */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
