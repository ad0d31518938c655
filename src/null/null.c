/* SPDX-License-Identifier: BSD-3-Clause */
/* null/null.c - the smallest device there can be: read it to write one of your own. */
#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "godwit/error.h"
#include "null/null.h"

/* No device type of VIRTIO 1.3, section 5, is this one; the range from 0x8000 on is for trials. */
#define NULL_VIRTIO_ID 0x8000

#define CONFIG_LEN 8

/*
 * The queue's thread counts while the control thread shows the count in configuration space, hence
 * atomic; and while a transfer thread may send it ahead of time. Load runs only while no queue is
 * started.
 */
struct null_device {
	_Atomic uint64_t served;
	/* Of a save in phases: what the stream says of it so far. */
	_Atomic bool is_sent;
	_Atomic uint64_t sent;
	/* What came ahead of a state is kept. */
	_Atomic bool is_ahead;
};

/* The model: what must match for this device to move. */
static const struct gw_param params[] = {
	GW_PARAM_STATE_UP_TO(1),
	{.name = NULL},
};

static const struct gw_profile profiles[] = {
	{.name = "v1", .settings = (const struct gw_setting[]){{"state", 1}, {.name = NULL}}},
	{.name = NULL},
};

static const struct gw_model model = {
	.name = "godwit-project.org/null",
	.params = params,
	.profiles = profiles,
	.default_profile = "v1",
};

static const struct gw_model *const models[] = {&model, NULL};

/*
 * The state: one record of one number. The table is all there is to say about its bytes; writing
 * and reading both walk it. Once released it never changes; its successor is gw_null_count_v2.
 */
struct gw_null_count_v1 {
	uint64_t served;
};

static const struct gw_field count_fields[] = {
	GW_FIELD(struct gw_null_count_v1, served, GW_FIELD_U64),
	{.name = NULL},
};

const struct gw_layout gw_null_layout = {
	.name = "gw_null_count_v1",
	.type = GW_RECORD_DEVICE,
	.size = sizeof(struct gw_null_count_v1),
	.fields = count_fields,
};

/* @params and @host are of no use to this device: it has no choices. */
static int null_create(void **dev, const struct gw_params *unused, const void *host)
{
	struct null_device *null = calloc(1, sizeof(*null));

	if (!null)
		return gw_fail(ENOMEM, "null device: no memory");
	*dev = null;
	return 0;
}

static void null_destroy(void *dev)
{
	free(dev);
}

static int null_config_get(void *dev, size_t offset, void *buf, size_t len)
{
	struct null_device *null = dev;
	uint64_t config = htole64(atomic_load(&null->served));

	/* The library has checked offset and len against config_len. */
	memcpy(buf, (const char *)&config + offset, len);
	return 0;
}

static int null_config_set(void *dev, size_t offset, const void *buf, size_t len)
{
	struct null_device *null = dev;
	uint64_t config = htole64(atomic_load(&null->served));

	memcpy((char *)&config + offset, buf, len);
	atomic_store(&null->served, le64toh(config));
	return 0;
}

/* The queue's thread: pop until there is nothing more, push each back. */
static size_t echo(struct gw_elem *elem)
{
	char piece[4096];
	size_t done = 0, n;

	/* Guest memory changes under us, so it is copied piece by piece and never looked at twice.
	 */
	while ((n = gw_elem_copy_from(elem, done, piece, sizeof(piece)))) {
		size_t written = gw_elem_copy_to(elem, done, piece, n);

		done += written;
		if (written < n)
			break;
	}
	return done;
}

static void null_queue_ready(void *dev, struct gw_queue *queue)
{
	struct null_device *null = dev;
	struct gw_elem *elem;

	while ((elem = gw_queue_pop(queue))) {
		atomic_fetch_add(&null->served, 1);
		gw_elem_push(elem, echo(elem));
	}
}

static void null_reset(void *dev)
{
	struct null_device *null = dev;

	atomic_store(&null->served, 0);
}

/* What is sent is forgotten: from here on nothing is, or nobody asks any more. */
static int null_iterate(void *dev, bool on)
{
	struct null_device *null = dev;

	atomic_store(&null->is_sent, false);
	return 0;
}

/*
 * The transfer thread. Saving changes nothing: the device may go on here. In phase RUNNING a queue
 * may count meanwhile; what the stream says then is put right by what comes later, since a later
 * object replaces an earlier one. In phase STOPPED nothing moves, and what is said last is true.
 */
static int null_save(void *dev, struct gw_state_writer *writer, enum gw_phase phase, size_t budget)
{
	struct null_device *null = dev;
	struct gw_null_count_v1 count = {.served = atomic_load(&null->served)};
	bool phased = phase == GW_PHASE_RUNNING || atomic_load(&null->is_sent);

	if (atomic_load(&null->is_sent) && atomic_load(&null->sent) == count.served)
		return 0;
	atomic_store(&null->sent, count.served);
	atomic_store(&null->is_sent, phased);
	return gw_state_put(writer, &gw_null_layout, &count);
}

/* What saving would still have to send. */
#define RECORD_BYTES 32

static int null_pending(void *dev, struct gw_pending *pending)
{
	struct null_device *null = dev;
	bool is_sent = atomic_load(&null->is_sent);
	bool differs = atomic_load(&null->sent) != atomic_load(&null->served);

	*pending = (struct gw_pending){.initial = is_sent ? 0 : RECORD_BYTES,
				       .dirty = is_sent && differs ? RECORD_BYTES : 0};
	return 0;
}

/* What was read, kept apart until the whole stream has been found good. */
struct staged {
	bool seen;
	uint64_t served;
};

static int stage_count(void *opaque, const void *object)
{
	const struct gw_null_count_v1 *count = object;
	struct staged *staged = opaque;

	staged->seen = true;
	staged->served = count->served;
	return 0;
}

static const struct gw_state_handler handlers[] = {
	{.layout = &gw_null_layout, .put = stage_count},
	{.layout = NULL},
};

static int null_load(void *dev, struct gw_state_reader *reader)
{
	struct null_device *null = dev;
	struct staged staged = {0};
	int err = gw_state_read(reader, handlers, &staged);

	if (err)
		return err;
	if (!staged.seen)
		return gw_fail(EBADMSG, "null device: the stream holds no count");
	/* Now, and only now, the device changes. */
	atomic_store(&null->served, staged.served);
	atomic_store(&null->is_ahead, false);
	return 0;
}

/*
 * A state of one number has nothing to go ahead of it: sending is as in phases, and what comes is
 * read, so that it is known to be good, and only its being there is remembered.
 */
static int null_precopy_load(void *dev, struct gw_state_reader *reader)
{
	struct null_device *null = dev;
	struct staged staged = {0};
	int err = reader ? gw_state_read(reader, handlers, &staged) : 0;

	atomic_store(&null->is_ahead, !err && staged.seen);
	return err;
}

/* What the operator may know: `godwit status` and `godwit stats` show it. */
static int null_report(void *opaque, enum gw_report_kind kind, struct gw_report *report)
{
	static const struct gw_metric requests = {"godwit_null_requests_total",
						  "Requests that were answered.", true};
	struct null_device *device = opaque;
	uint64_t served = atomic_load(&device->served);

	if (kind == GW_REPORT_STATUS) {
		gw_report_number(report, "served", served);
		gw_report_flag(report, "ahead", atomic_load(&device->is_ahead));
	} else if (kind == GW_REPORT_STATS) {
		gw_report_metric(report, &requests, NULL, served);
	}
	return 0;
}

const struct gw_device_ops gw_null_ops = {
	.size = sizeof(struct gw_device_ops),
	.name = "null",
	.virtio_id = NULL_VIRTIO_ID,
	.max_queues = 1,
	.config_len = CONFIG_LEN,
	.ownership = GW_SHARED,
	/* An echo may be given twice. */
	.flags = GW_DEVICE_REPEATABLE,
	.models = models,
	.create = null_create,
	.destroy = null_destroy,
	.config_get = null_config_get,
	.config_set = null_config_set,
	.queue_ready = null_queue_ready,
	.reset = null_reset,
	.save = null_save,
	.pending = null_pending,
	.load = null_load,
	.report = null_report,
	.iterate = null_iterate,
	.precopy = null_iterate,
	.precopy_load = null_precopy_load,
};
