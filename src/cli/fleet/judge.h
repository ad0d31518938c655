/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/judge.h - which of many hosts can take an instance, and in which order. */
#ifndef GW_CLI_FLEET_JUDGE_H
#define GW_CLI_FLEET_JUDGE_H

#include "cli/fleet/hosts.h"
#include "godwit/compat.h"

struct gw_judged {
	char *name; /* of the host */
	char *text; /* its document, until it is judged; NULL: in its file */
	size_t len;
	struct gw_compat_report *report; /* NULL: there was no memory */
	enum gw_verdict verdict;
	struct gw_compat_rank rank; /* of one that can */
};

/* One for each host: those that can take the instance first, best first, then those that cannot,
 * then those of which nothing can be told, by name. */
struct gw_judgement {
	size_t count;
	struct gw_judged **judged;
};

/*
 * Read and compare the documents of all hosts at @where (gw_hosts_each()), on all processors, while
 * they come. Negative errno with a sentence: it cannot be told who is there. To be freed by
 * gw_judgement_free(), also on failure.
 */
int gw_judge(struct gw_judgement *judgement, const char *where, const struct gw_etcd_access *access,
	     const struct gw_compat_instance *source);
void gw_judgement_free(struct gw_judgement *judgement);

#endif
