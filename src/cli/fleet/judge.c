/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/judge.c - which of many hosts can take an instance, and in which order. */
#include "cli/fleet/judge.h"

#include <errno.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/thread.h"
#include "godwit/error.h"

#define JUDGES_MAX 16
#define FEW_HOSTS  64 /* not worth a thread */

struct court {
	const struct gw_hosts *hosts;
	const struct gw_compat_instance *source;
	struct gw_judged *judged;
	atomic_size_t next;
};

static void compare(const struct court *court, struct gw_judged *judged, const char *text,
		    size_t len)
{
	struct gw_compat_implementation *implementation = NULL;

	if (gw_compat_implementation_parse(&implementation, judged->host->name, text, len)) {
		gw_compat_report_add(judged->report, GW_CANNOT_TELL, "", "%s", gw_last_error());
		return;
	}
	if (gw_compat_check(court->source, implementation, judged->report))
		gw_compat_report_add(judged->report, GW_CANNOT_TELL, "", "%s", gw_last_error());
	else if (gw_compat_report_verdict(judged->report) == GW_COMPATIBLE)
		gw_compat_rank(court->source, implementation, &judged->rank);
	gw_compat_implementation_free(implementation);
}

static void judge_one(const struct court *court, size_t i)
{
	struct gw_judged *judged = &court->judged[i];
	GW_AUTO_FREE char *text = NULL;
	size_t len;

	judged->host = &court->hosts->host[i];
	judged->verdict = GW_VERDICT_UNKNOWN;
	if (gw_compat_report_new(&judged->report))
		return;
	if (gw_host_read(court->hosts, judged->host, &text, &len))
		gw_compat_report_add(judged->report, GW_CANNOT_TELL, "", "%s", gw_last_error());
	else
		compare(court, judged, text, len);
	judged->verdict = gw_compat_report_verdict(judged->report);
}

static void *judge_some(void *opaque)
{
	struct court *court = opaque;
	size_t i;

	while ((i = atomic_fetch_add(&court->next, 1)) < court->hosts->count)
		judge_one(court, i);
	return NULL;
}

/* Those who can, those who cannot, those who do not say. */
static int by_rank(const void *left_ptr, const void *right_ptr)
{
	const struct gw_judged *left = left_ptr, *right = right_ptr;

	if (left->verdict != right->verdict)
		return left->verdict < right->verdict ? -1 : 1;
	if (left->verdict == GW_COMPATIBLE)
		return gw_compat_rank_compare(&left->rank, left->host->name, &right->rank,
					      right->host->name);
	return strcmp(left->host->name, right->host->name);
}

static unsigned judges_for(size_t hosts)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return hosts < FEW_HOSTS ? 0 : (unsigned)GW_MIN(processors - 1, (long)JUDGES_MAX);
}

int gw_judge(struct gw_judged **judged, const struct gw_hosts *hosts,
	     const struct gw_compat_instance *source)
{
	struct court court = {.hosts = hosts, .source = source};
	pthread_t threads[JUDGES_MAX];
	unsigned started = 0, wanted = judges_for(hosts->count);

	court.judged = calloc(hosts->count + 1, sizeof(*court.judged));
	if (!court.judged)
		return gw_fail(ENOMEM, "no memory for %zu hosts", hosts->count);
	json_object_seed(0); /* before there are threads */
	while (started < wanted &&
	       !gw_thread_start(&threads[started], GW_THREAD_POOL, "judge", judge_some, &court))
		started++;
	judge_some(&court);
	while (started)
		pthread_join(threads[--started], NULL);
	qsort(court.judged, hosts->count, sizeof(*court.judged), by_rank);
	*judged = court.judged;
	return 0;
}

void gw_judged_free(struct gw_judged *judged, size_t count)
{
	for (size_t i = 0; judged && i < count; i++)
		gw_compat_report_free(judged[i].report);
	free(judged);
}
