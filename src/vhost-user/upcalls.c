/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/upcalls.c - what a device, which knows no transport, has to say to the one it has. */
#include <pthread.h>

#include "base/cleanup.h"
#include "godwit/device.h"
#include "vhost-user/upcalls.h"

/* A device may speak on any thread and at any time, also while its instance goes away: it is looked
 * up by its own pointer, twice. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gw_instance *instances;

void gw_upcalls_enlist(struct gw_instance *instance)
{
	GW_LOCK_SCOPE(&lock);
	instance->next = instances;
	instances = instance;
}

void gw_upcalls_delist(struct gw_instance *instance)
{
	GW_LOCK_SCOPE(&lock);
	struct gw_instance **at = &instances;

	while (*at && *at != instance)
		at = &(*at)->next;
	if (*at)
		*at = instance->next;
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
