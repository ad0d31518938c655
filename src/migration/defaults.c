/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/defaults.c - what a device need not say: the one place of defaults. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "migration/session.h"

static const struct gw_model *const no_models[] = {NULL};

static int default_check(const struct gw_model *model, const struct gw_params *params)
{
	return 0;
}

static uint64_t default_features(void *dev)
{
	return 0;
}

static int default_negotiated(void *dev, uint64_t features)
{
	return 0;
}

static int default_config_get(void *dev, size_t offset, void *buf, size_t len)
{
	memset(buf, 0, len);
	return 0;
}

static int default_config_set(void *dev, size_t offset, const void *buf, size_t len)
{
	return gw_fail(EINVAL, "the device's configuration cannot be written");
}

static int default_queue_start(void *dev, struct gw_queue *queue)
{
	return 0;
}

static void default_queue_ready(void *dev, struct gw_queue *queue)
{
}

static void default_reset(void *dev)
{
}

static int default_adopt(void *dev, const struct gw_params *params)
{
	return 0;
}

static int default_prepare(void *dev, bool on)
{
	return 0;
}

static int default_save(void *dev, struct gw_state_writer *writer, enum gw_phase phase,
			size_t budget)
{
	return 0;
}

static int default_pending(void *dev, struct gw_pending *pending)
{
	*pending = (struct gw_pending){0};
	return 0;
}

static int default_save_foreign(void *dev, void **bytes, size_t *len)
{
	return -ENOENT;
}

/* A device without state: the stream must have none for it either. */
static int default_load(void *dev, struct gw_state_reader *reader)
{
	const struct gw_state_handler nothing = {0};

	return gw_state_read(reader, &nothing, NULL);
}

static int default_suspend(void *dev)
{
	return 0;
}

static void default_run(void *dev, enum gw_why why)
{
}

static void default_outcome(void *dev, enum gw_outcome outcome)
{
}

static void default_expect(void *dev, uint64_t state_bytes)
{
}

static unsigned default_queues(void *dev)
{
	return UINT_MAX;
}

static int default_report(void *dev, enum gw_report_kind kind, struct gw_report *report)
{
	return 0;
}

/* queue_stop is not here: its absence has a meaning (godwit/device.h). So has channel's. */
#define DEFAULT(ops, callback)                                \
	do {                                                  \
		if (!(ops)->callback)                         \
			(ops)->callback = default_##callback; \
	} while (0)

int gw_device_ops_complete(struct gw_device_ops *complete, const struct gw_device_ops *ops)
{
	memset(complete, 0, sizeof(*complete));
	if (ops->size < offsetof(struct gw_device_ops, features))
		return gw_fail(EINVAL, "device operations: size is %zu, at least %zu was expected",
			       ops->size, offsetof(struct gw_device_ops, features));
	memcpy(complete, ops, GW_MIN(ops->size, sizeof(*complete)));
	complete->size = sizeof(*complete);
	if (!ops->name || !ops->create || !ops->destroy)
		return gw_fail(EINVAL, "device %s: it needs a name, create and destroy",
			       ops->name ? ops->name : "?");
	if (!complete->models)
		complete->models = no_models;
	DEFAULT(complete, check);
	DEFAULT(complete, features);
	DEFAULT(complete, negotiated);
	DEFAULT(complete, config_get);
	DEFAULT(complete, config_set);
	DEFAULT(complete, queue_start);
	DEFAULT(complete, queue_ready);
	DEFAULT(complete, reset);
	DEFAULT(complete, adopt);
	DEFAULT(complete, prepare);
	DEFAULT(complete, save);
	DEFAULT(complete, save_foreign);
	DEFAULT(complete, pending);
	DEFAULT(complete, load);
	DEFAULT(complete, suspend);
	DEFAULT(complete, run);
	DEFAULT(complete, outcome);
	DEFAULT(complete, expect);
	DEFAULT(complete, queues);
	DEFAULT(complete, report);
	return 0;
}
