/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/judge.h - which of many hosts can take an instance, and in which order. */
#ifndef GW_CLI_FLEET_JUDGE_H
#define GW_CLI_FLEET_JUDGE_H

#include "cli/fleet/hosts.h"
#include "godwit/compat.h"

struct gw_judged {
	const struct gw_host *host;
	struct gw_compat_report *report; /* NULL: there was no memory */
	enum gw_verdict verdict;
	struct gw_compat_rank rank; /* of one that can */
};

/*
 * Read and compare the documents of all @hosts, on all processors. *@judged has one for each, to be
 * freed by gw_judged_free(): those that can take @source first, best first, then those that cannot,
 * then those of which nothing can be told, by name.
 */
int gw_judge(struct gw_judged **judged, const struct gw_hosts *hosts,
	     const struct gw_compat_instance *source);
void gw_judged_free(struct gw_judged *judged, size_t count);

#endif
