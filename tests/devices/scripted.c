/* SPDX-License-Identifier: BSD-3-Clause */
/* devices/scripted.c - the device itself: queues and configuration. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "godwit/error.h"
#include "scripted-device.h"

static const struct gw_param params[] = {
	GW_PARAM_STATE_UP_TO(1),
	{.name = "colour", .doc = "means nothing", .type = GW_PARAM_INT, .min = 0, .max = 7},
	{NULL},
};
static const struct gw_setting v1[] = {{NULL, 0}};
static const struct gw_profile profiles[] = {{"v1", v1}, {NULL, NULL}};
static const struct gw_model model = {
	.name = "godwit-project.org/scripted",
	.params = params,
	.profiles = profiles,
	.default_profile = "v1",
};
static const struct gw_model *const models[] = {&model, NULL};

void scripted_sleep(unsigned ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	if (ms)
		nanosleep(&pause, NULL);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void answer(struct scripted *device, struct gw_elem *elem)
{
	size_t done = 0;
	char piece[4096];
	size_t got;

	while ((got = gw_elem_copy_from(elem, done, piece, sizeof(piece)))) {
		size_t put = gw_elem_copy_to(elem, done, piece, got);

		done += put;
		if (put < got)
			break;
	}
	atomic_fetch_add(&device->answered, 1);
	gw_elem_push(elem, done);
}

/* Takes all that is due off the list; the list is last in, first out. */
static struct held *take_due(struct scripted *device)
{
	struct held **at = &device->held, *due = NULL, **end = &due;
	int64_t now = now_ms();

	while (*at) {
		struct held *held = *at;

		if ((held->due ? held->due > now : atomic_load(&device->script->hold))) {
			at = &held->next;
			continue;
		}
		*at = held->next;
		held->next = NULL;
		*end = held;
		end = &held->next;
	}
	return due;
}

static void answer_all(struct scripted *device, struct held *due)
{
	while (due) {
		struct held *held = due;

		due = held->next;
		answer(device, held->elem);
		free(held);
	}
}

/* Ticks while it holds something: `hold` is a plain variable that nobody signals. */
static void *holder(void *opaque)
{
	struct scripted *device = opaque;

	pthread_mutex_lock(&device->lock);
	while (!device->ending) {
		struct held *due = take_due(device);
		bool holds = device->held;

		if (due) {
			pthread_mutex_unlock(&device->lock);
			answer_all(device, due);
			pthread_mutex_lock(&device->lock);
		} else if (holds) {
			pthread_mutex_unlock(&device->lock);
			scripted_sleep(1);
			pthread_mutex_lock(&device->lock);
		} else {
			pthread_cond_wait(&device->changed, &device->lock);
		}
	}
	pthread_mutex_unlock(&device->lock);
	return NULL;
}

static int create(void **out, const struct gw_params *own, const void *host)
{
	struct scripted *device = calloc(1, sizeof(*device));
	int err;

	if (!device)
		return gw_fail(ENOMEM, "scripted: no memory");
	device->script = (struct script *)host;
	device->seed = 1;
	pthread_mutex_init(&device->lock, NULL);
	pthread_cond_init(&device->changed, NULL);
	err = gw_thread_start(&device->holder, GW_THREAD_POOL, "scripted", holder, device);
	if (err) {
		free(device);
		return err;
	}
	atomic_fetch_add(&device->script->created, 1);
	*out = device;
	return 0;
}

static void destroy(void *opaque)
{
	struct scripted *device = opaque;

	{
		GW_LOCK_SCOPE(&device->lock);
		device->ending = true;
		pthread_cond_signal(&device->changed);
	}
	pthread_join(device->holder, NULL);
	atomic_fetch_add(&device->script->destroyed, 1);
	pthread_cond_destroy(&device->changed);
	pthread_mutex_destroy(&device->lock);
	free(device);
}

static int negotiated(void *opaque, uint64_t features)
{
	struct scripted *device = opaque;

	if (atomic_load(&device->script->no_negotiate))
		return gw_fail(EINVAL, "scripted: told to refuse features");
	atomic_store(&device->script->features, features);
	return 0;
}

static int config_get(void *opaque, size_t offset, void *buf, size_t len)
{
	struct scripted *device = opaque;
	struct scripted_config config = {.answered = atomic_load(&device->answered),
					 .seed = atomic_load(&device->seed)};

	memcpy(buf, (char *)&config + offset, len);
	return 0;
}

static int config_set(void *opaque, size_t offset, const void *buf, size_t len)
{
	struct scripted *device = opaque;
	uint64_t seed;

	if (offset != offsetof(struct scripted_config, seed) || len != sizeof(seed))
		return gw_fail(EINVAL, "scripted: %zu bytes at %zu cannot be written", len, offset);
	memcpy(&seed, buf, len);
	atomic_store(&device->seed, seed);
	return 0;
}

static int hold(struct scripted *device, struct gw_elem *elem, unsigned ms)
{
	struct held *held = calloc(1, sizeof(*held));

	if (!held)
		return -ENOMEM;
	held->elem = elem;
	held->due = ms ? now_ms() + ms : 0;
	GW_LOCK_SCOPE(&device->lock);
	held->next = device->held;
	device->held = held;
	pthread_cond_signal(&device->changed);
	return 0;
}

static void say(struct scripted *device, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct gw_report *data = gw_report_new();

		gw_report_number(data, "number", i);
		gw_device_event(device, "SCRIPTED", data);
	}
}

static void queue_ready(void *opaque, struct gw_queue *queue)
{
	struct scripted *device = opaque;
	struct script *script = device->script;
	struct gw_elem *elem;

	while ((elem = gw_queue_pop(queue))) {
		unsigned ms = atomic_load(&script->hold_ms);

		atomic_fetch_add(&script->elements, 1);
		if (elem->flags & GW_ELEM_AGAIN)
			atomic_fetch_add(&script->again, 1);
		if (atomic_load(&script->die) == SCRIPT_AT_ELEMENT)
			abort();
		if (atomic_load(&script->fail))
			gw_device_failed(device);
		say(device, atomic_exchange(&script->events, 0));
		scripted_sleep(atomic_load(&script->busy_ms));
		if (!(ms || atomic_load(&script->hold)) || hold(device, elem, ms))
			answer(device, elem);
	}
}

static void queue_stop(void *opaque, struct gw_queue *queue)
{
	struct scripted *device = opaque;
	struct held *parked = NULL;

	if (atomic_load(&device->script->park)) {
		GW_LOCK_SCOPE(&device->lock);
		struct held **at = &device->held;

		while (*at) {
			struct held *held = *at;

			if (held->elem->queue != queue) {
				at = &held->next;
				continue;
			}
			*at = held->next;
			held->next = parked;
			parked = held;
		}
	}
	while (parked) {
		struct held *held = parked;

		parked = held->next;
		atomic_fetch_add(&device->script->parked, 1);
		gw_park(held->elem);
		free(held);
	}
	gw_queue_stopped(queue);
}

static void reset(void *opaque)
{
	struct scripted *device = opaque;

	atomic_store(&device->answered, 0);
	atomic_store(&device->seed, 1);
	atomic_fetch_add(&device->script->resets, 1);
}

static int prepare(void *opaque, bool on)
{
	struct scripted *device = opaque;

	atomic_fetch_add(on ? &device->script->prepare_on : &device->script->prepare_off, 1);
	return 0;
}

static int suspend(void *opaque)
{
	struct scripted *device = opaque;

	atomic_fetch_add(&device->script->suspends, 1);
	return -atomic_load(&device->script->fail_suspend);
}

static void run(void *opaque, enum gw_why why)
{
	struct scripted *device = opaque;

	atomic_fetch_add(&device->script->runs[why], 1);
}

static void outcome(void *opaque, enum gw_outcome outcome)
{
	struct scripted *device = opaque;

	atomic_fetch_add(&device->script->outcomes[outcome], 1);
}

static void find_obstacles(struct gw_report *report, unsigned count)
{
	gw_report_list(report, "cannot_travel");
	for (unsigned i = 0; i < count; i++) {
		gw_report_object(report, NULL);
		gw_report_text(report, "kind", "thing");
		gw_report_path(report, "path", "a\xff", 2);
		gw_report_text(report, "reason", "it is heavy");
		gw_report_end(report);
	}
	gw_report_end(report);
}

static int tell(void *opaque, enum gw_report_kind kind, struct gw_report *report)
{
	struct scripted *device = opaque;
	struct script *script = device->script;
	int err = atomic_load(&script->fail_preflight);

	if (kind != GW_REPORT_PREFLIGHT)
		return 0;
	atomic_fetch_add(&script->preflights, 1);
	while (atomic_load(&script->hold_preflight) && !gw_report_cancelled(report))
		scripted_sleep(1);
	find_obstacles(report, atomic_load(&script->obstacles));
	return err ? gw_fail(err, "scripted: no view from here") : 0;
}

static int channel(void *opaque, bool load, int *own, int *peer)
{
	struct scripted *device = opaque;
	int ends[2];

	if (!atomic_load(&device->script->own_channel))
		return -EOPNOTSUPP;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return gw_fail(errno, "scripted: %s", strerror(errno));
	*own = ends[0];
	*peer = ends[1];
	return 0;
}

const struct gw_device_ops scripted_ops = {
	.size = sizeof(struct gw_device_ops),
	.name = "scripted",
	.virtio_id = 0xffff,
	.max_queues = SCRIPTED_QUEUES,
	.config_len = sizeof(struct scripted_config),
	.ownership = GW_SHARED,
	.flags = GW_DEVICE_REPEATABLE,
	.models = models,
	.create = create,
	.destroy = destroy,
	.negotiated = negotiated,
	.config_get = config_get,
	.config_set = config_set,
	.queue_ready = queue_ready,
	.queue_stop = queue_stop,
	.reset = reset,
	.prepare = prepare,
	.save = scripted_save,
	.load = scripted_load,
	.suspend = suspend,
	.run = run,
	.outcome = outcome,
	.channel = channel,
	.report = tell,
	.pending = scripted_pending,
	.iterate = scripted_iterate,
};
