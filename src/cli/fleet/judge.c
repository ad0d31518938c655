/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/judge.c - which of many hosts can take an instance, and in which order. */
/*
 * Whoever lists the hosts appends them to the court's list; judges take the next one each, and the
 * lister is a judge, too, when it is ahead by much or done. With every FEW_HOSTS hosts one more
 * judge is worth its thread.
 */
#include "cli/fleet/judge.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/thread.h"
#include "godwit/error.h"
#include "model/alike.h"

#define JUDGES_MAX  16
#define FEW_HOSTS   64
#define BACKLOG_MAX 4096 /* hosts whose documents are in memory */
#define ROOM_FIRST  64

struct court {
	const char *where;
	const struct gw_compat_instance *source;
	pthread_t judges[JUDGES_MAX];
	unsigned judge_count, judges_wanted;
	struct gw_alike *own; /* the lister's, as a judge */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t news;
	struct gw_judgement list;
	size_t room, next; /* to be judged */
	bool closed;	   /* nobody comes any more */
};

/* -- one host ------------------------------------------------------------------------------ */

static void compare(const struct court *court, struct gw_alike *alike, struct gw_judged *judged)
{
	struct gw_compat_implementation *implementation = NULL;

	if (gw_alike_parse(alike, &implementation, judged->name, judged->text, judged->len)) {
		gw_compat_report_add(judged->report, GW_CANNOT_TELL, "", "%s", gw_last_error());
		return;
	}
	if (gw_compat_check(court->source, implementation, judged->report))
		gw_compat_report_add(judged->report, GW_CANNOT_TELL, "", "%s", gw_last_error());
	else if (gw_compat_report_verdict(judged->report) == GW_COMPATIBLE)
		gw_compat_rank(court->source, implementation, &judged->rank);
	gw_compat_implementation_free(implementation);
}

static void judge_one(const struct court *court, struct gw_alike *alike, struct gw_judged *judged)
{
	if (gw_compat_report_new(&judged->report))
		return;
	if (!judged->text && gw_host_read(court->where, judged->name, &judged->text, &judged->len))
		gw_compat_report_add(judged->report, GW_CANNOT_TELL, "", "%s", gw_last_error());
	else
		compare(court, alike, judged);
	free(gw_take_ptr(judged->text));
	judged->verdict = gw_compat_report_verdict(judged->report);
}

/* -- judges -------------------------------------------------------------------------------- */

/* NULL: nobody is there; if @wait, nobody will be. */
static struct gw_judged *next_host(struct court *court, bool wait)
{
	struct gw_judged *judged = NULL;

	pthread_mutex_lock(&court->lock);
	while (wait && !court->closed && court->next == court->list.count)
		pthread_cond_wait(&court->news, &court->lock);
	if (court->next < court->list.count)
		judged = court->list.judged[court->next++];
	pthread_mutex_unlock(&court->lock);
	return judged;
}

static void *judge_some(void *opaque)
{
	struct court *court = opaque;
	struct gw_alike *alike;
	struct gw_judged *judged;

	if (gw_alike_new(&alike))
		return NULL; /* others do its work */
	while ((judged = next_host(court, true)))
		judge_one(court, alike, judged);
	gw_alike_free(alike);
	return NULL;
}

static void engage_judge(struct court *court)
{
	if (!gw_thread_start(&court->judges[court->judge_count], GW_THREAD_POOL, "judge",
			     judge_some, court))
		court->judge_count++;
	else
		court->judges_wanted = court->judge_count;
}

static void dismiss(struct court *court, bool at_once)
{
	pthread_mutex_lock(&court->lock);
	court->closed = true;
	if (at_once)
		court->next = court->list.count;
	pthread_cond_broadcast(&court->news);
	pthread_mutex_unlock(&court->lock);
}

/* -- the list ------------------------------------------------------------------------------ */

static void free_judged(struct gw_judged *judged)
{
	gw_compat_report_free(judged->report);
	free(judged->name);
	free(judged->text);
	free(judged);
}

/* How many wait for a judge with it, 0 if there is no memory. */
static size_t append(struct court *court, struct gw_judged *judged)
{
	size_t waiting = 0;

	pthread_mutex_lock(&court->lock);
	if (court->list.count == court->room) {
		size_t room = court->room ? court->room * 2 : ROOM_FIRST;
		struct gw_judged **more =
			reallocarray(court->list.judged, room, sizeof(struct gw_judged *));

		court->list.judged = more ? more : court->list.judged;
		court->room = more ? room : court->room;
	}
	if (court->list.count < court->room) {
		court->list.judged[court->list.count++] = judged;
		waiting = court->list.count - court->next;
		pthread_cond_signal(&court->news);
	}
	pthread_mutex_unlock(&court->lock);
	return waiting;
}

/* @text is taken over, also on failure. */
static struct gw_judged *new_judged(const char *name, char *text, size_t len)
{
	struct gw_judged *judged = calloc(1, sizeof(*judged));

	if (!judged) {
		free(text);
		return NULL;
	}
	*judged = (struct gw_judged){
		.name = strdup(name), .text = text, .len = len, .verdict = GW_VERDICT_UNKNOWN};
	if (judged->name)
		return judged;
	free_judged(judged);
	return NULL;
}

static int summon(void *opaque, const char *name, char *text, size_t len)
{
	struct court *court = opaque;
	struct gw_judged *judged = new_judged(name, text, len);
	size_t waiting = judged ? append(court, judged) : 0;

	if (!waiting) {
		if (judged)
			free_judged(judged);
		return gw_fail(ENOMEM, "no memory for hosts");
	}
	if (court->judge_count < court->judges_wanted && court->judge_count < JUDGES_MAX &&
	    court->list.count >= (size_t)FEW_HOSTS * (court->judge_count + 1))
		engage_judge(court);
	if (waiting > BACKLOG_MAX && (judged = next_host(court, false)))
		judge_one(court, court->own, judged);
	return 0;
}

/* Those who can, those who cannot, those who do not say. */
static int by_rank(const void *left_ptr, const void *right_ptr)
{
	const struct gw_judged *left = *(struct gw_judged *const *)left_ptr;
	const struct gw_judged *right = *(struct gw_judged *const *)right_ptr;

	if (left->verdict != right->verdict)
		return left->verdict < right->verdict ? -1 : 1;
	if (left->verdict == GW_COMPATIBLE)
		return gw_compat_rank_compare(&left->rank, left->name, &right->rank, right->name);
	return strcmp(left->name, right->name);
}

static int hold_court(struct court *court, const struct gw_etcd_access *access)
{
	struct gw_judged *judged;
	int err = gw_hosts_each(court->where, access, summon, court);

	dismiss(court, err != 0);
	while ((judged = next_host(court, false)))
		judge_one(court, court->own, judged);
	while (court->judge_count)
		pthread_join(court->judges[--court->judge_count], NULL);
	if (court->list.count)
		qsort(court->list.judged, court->list.count, sizeof(*court->list.judged), by_rank);
	return err;
}

static unsigned processors(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	return count > 0 ? (unsigned)count : 1;
}

int gw_judge(struct gw_judgement *judgement, const char *where, const struct gw_etcd_access *access,
	     const struct gw_compat_instance *source)
{
	struct court court = {
		.where = where,
		.source = source,
		.judges_wanted = processors(),
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.news = PTHREAD_COND_INITIALIZER,
	};
	int err = gw_alike_new(&court.own);

	json_object_seed(0); /* before there are threads */
	if (!err)
		err = hold_court(&court, access);
	gw_alike_free(court.own);
	*judgement = court.list;
	return err;
}

void gw_judgement_free(struct gw_judgement *judgement)
{
	for (size_t i = 0; i < judgement->count; i++)
		free_judged(judgement->judged[i]);
	free(judgement->judged);
	*judgement = (struct gw_judgement){0};
}
