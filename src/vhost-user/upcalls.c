/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/upcalls.c - what a device, which knows no transport, has to say to the one it has. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "godwit/device.h"
#include "godwit/error.h"
#include "vhost-user/upcalls.h"

/* A device may speak on any thread and at any time, also while its instance goes away: it is looked
 * up by its own pointer, twice. */
/* What waits for the control thread, of one device: a burst says little more than its beginning. */
#define NEWS_MAX     64
#define NAME_MAX_LEN 64

struct gw_device_news {
	struct gw_device_news *next;
	char name[NAME_MAX_LEN];
	struct gw_report *data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gw_instance *instances;

void gw_upcalls_enlist(struct gw_instance *instance)
{
	GW_LOCK_SCOPE(&lock);
	instance->news_end = &instance->news;
	instance->next = instances;
	instances = instance;
}

static void news_free(struct gw_device_news *news)
{
	while (news) {
		struct gw_device_news *next = news->next;

		gw_report_free(news->data);
		free(news);
		news = next;
	}
}

static struct gw_device_news *take_news_locked(struct gw_instance *instance)
{
	instance->news_end = &instance->news;
	instance->news_count = 0;
	return gw_take_ptr(instance->news);
}

void gw_upcalls_delist(struct gw_instance *instance)
{
	GW_LOCK_SCOPE(&lock);
	struct gw_instance **at = &instances;

	while (*at && *at != instance)
		at = &(*at)->next;
	if (*at)
		*at = instance->next;
	news_free(take_news_locked(instance));
}

static void set_device_locked(struct gw_instance *instance, const struct gw_instance *as)
{
	instance->dev = as->dev;
	instance->news = as->news;
	instance->news_end = as->news ? as->news_end : &instance->news;
	instance->news_count = as->news_count;
	instance->news_lost = as->news_lost;
}

void gw_upcalls_exchange(struct gw_instance *a, struct gw_instance *b)
{
	GW_LOCK_SCOPE(&lock);
	const struct gw_instance before = *a;

	set_device_locked(a, b);
	set_device_locked(b, &before);
}

static struct gw_instance *find_locked(const void *dev)
{
	struct gw_instance *instance = instances;

	while (instance && instance->dev != dev)
		instance = instance->next;
	return instance;
}

/* The control thread, on which instances come and go: none goes while its caller runs. */
static struct gw_instance *find(const void *dev)
{
	GW_LOCK_SCOPE(&lock);

	return find_locked(dev);
}

static void tell_front_end(void *dev)
{
	struct gw_instance *instance = find(dev);

	if (instance && instance->listener)
		instance->listener->config_changed(instance->listener_opaque);
}

static void end_instance(void *dev)
{
	struct gw_instance *instance = find(dev);

	if (instance)
		gw_instance_fail(instance);
}

static struct gw_device_news *take_news(struct gw_instance *instance)
{
	GW_LOCK_SCOPE(&lock);

	return take_news_locked(instance);
}

static void spread_news(void *dev)
{
	struct gw_instance *instance = find(dev);
	struct gw_device_news *news = instance ? take_news(instance) : NULL;

	for (struct gw_device_news *each = news; each; each = each->next)
		gw_session_event(instance->session, each->name, each->data);
	news_free(news);
}

static void post(void *dev, void (*fn)(void *dev))
{
	GW_LOCK_SCOPE(&lock);
	struct gw_instance *instance = find_locked(dev);

	if (instance)
		gw_loop_post(instance->loop, fn, dev);
}

void gw_config_changed(void *dev)
{
	post(dev, tell_front_end);
}

void gw_device_failed(void *dev)
{
	post(dev, end_instance);
}

static void settle(void *dev, enum gw_outcome outcome)
{
	struct gw_instance *instance = find(dev);

	if (instance && gw_session_outcome(instance->session, NULL, outcome))
		gw_info("%s", gw_last_error());
}

static void settle_moved(void *dev)
{
	settle(dev, GW_OUTCOME_MOVED);
}

static void settle_failed(void *dev)
{
	settle(dev, GW_OUTCOME_FAILED);
}

void gw_device_outcome(void *dev, enum gw_outcome outcome)
{
	post(dev, outcome == GW_OUTCOME_MOVED ? settle_moved : settle_failed);
}

/* Takes @news over if it is queued. */
static bool queue_news(void *dev, struct gw_device_news *news)
{
	GW_LOCK_SCOPE(&lock);
	struct gw_instance *instance = find_locked(dev);

	if (!instance)
		return false;
	if (instance->news_count == NEWS_MAX) {
		instance->news_lost++;
		return false;
	}
	*instance->news_end = news;
	instance->news_end = &news->next;
	if (!instance->news_count++)
		gw_loop_post(instance->loop, spread_news, dev);
	return true;
}

void gw_device_event(void *dev, const char *name, struct gw_report *data)
{
	struct gw_device_news *news = calloc(1, sizeof(*news));

	if (!news) {
		gw_report_free(data);
		return;
	}
	snprintf(news->name, sizeof(news->name), "%s", name);
	news->data = data;
	if (!queue_news(dev, news))
		news_free(news);
}

uint64_t gw_upcalls_lost(const struct gw_instance *instance)
{
	GW_LOCK_SCOPE(&lock);

	return instance->news_lost;
}
