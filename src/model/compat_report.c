/* SPDX-License-Identifier: BSD-3-Clause */
/* model/compat_report.c - all reasons of a comparison. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "model/document.h"

struct gw_compat_report {
	unsigned count, room;
	struct gw_compat_reason *reasons;
};

int gw_compat_report_new(struct gw_compat_report **report)
{
	*report = calloc(1, sizeof(**report));
	return *report ? 0 : gw_fail(ENOMEM, "report: no memory");
}

void gw_compat_report_free(struct gw_compat_report *report)
{
	for (unsigned i = 0; report && i < report->count; i++) {
		free((char *)report->reasons[i].subject);
		free((char *)report->reasons[i].text);
	}
	if (report)
		free(report->reasons);
	free(report);
}

static bool make_room(struct gw_compat_report *report)
{
	unsigned room = report->room ? 2 * report->room : 8;
	struct gw_compat_reason *more;

	if (report->count < report->room)
		return true;
	more = reallocarray(report->reasons, room, sizeof(*more));
	if (!more)
		return false;
	report->reasons = more;
	report->room = room;
	return true;
}

int gw_compat_report_add(struct gw_compat_report *report, enum gw_refusal code, const char *subject,
			 const char *format, ...)
{
	GW_AUTO_FREE char *copy = strdup(subject);
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0 || !copy || !make_room(report)) {
		if (len >= 0)
			free(text);
		return gw_fail(ENOMEM, "report: no memory");
	}
	report->reasons[report->count++] =
		(struct gw_compat_reason){.code = code, .subject = gw_take_ptr(copy), .text = text};
	return 0;
}

enum gw_verdict gw_compat_report_verdict(const struct gw_compat_report *report)
{
	enum gw_verdict verdict = GW_COMPATIBLE;

	for (unsigned i = 0; i < report->count; i++) {
		if (report->reasons[i].code != GW_CANNOT_TELL)
			return GW_INCOMPATIBLE;
		verdict = GW_VERDICT_UNKNOWN;
	}
	return verdict;
}

unsigned gw_compat_report_count(const struct gw_compat_report *report)
{
	return report->count;
}

const struct gw_compat_reason *gw_compat_report_reason(const struct gw_compat_report *report,
						       unsigned i)
{
	return &report->reasons[i];
}

const char *gw_verdict_name(enum gw_verdict verdict)
{
	switch (verdict) {
	case GW_COMPATIBLE:
		return "compatible";
	case GW_INCOMPATIBLE:
		return "incompatible";
	case GW_VERDICT_UNKNOWN:
		break;
	}
	return "cannot-tell";
}

json_t *gw_compat_report_json(const struct gw_compat_report *report)
{
	json_t *reasons = json_array();

	for (unsigned i = 0; i < report->count; i++) {
		const struct gw_compat_reason *reason = &report->reasons[i];

		json_array_append_new(reasons, json_pack("{s:s, s:s, s:s}", "code",
							 gw_refusal_name(reason->code), "subject",
							 reason->subject, "text", reason->text));
	}
	return json_pack("{s:s, s:o}", "verdict", gw_verdict_name(gw_compat_report_verdict(report)),
			 "reasons", reasons);
}
