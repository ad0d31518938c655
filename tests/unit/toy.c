/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/toy.c - a device that does as it is told, for the tests of sessions. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "sample.h"
#include "toy.h"

struct toy *toy;

static const struct gw_param params[] = {
	{.name = "limit", .doc = "How many.", .type = GW_PARAM_INT, .off = 1, .min = 1, .max = 100},
	{.name = "state", .doc = "Layouts.", .type = GW_PARAM_INT, .off = 1, .min = 1, .max = 2},
	{0},
};
static const struct gw_setting settings[] = {{"limit", 8}, {0}};
static const struct gw_profile profiles[] = {{"v1", settings}, {0}};
const struct gw_model toy_model = {
	.name = "example.org/toy", .params = params, .profiles = profiles, .default_profile = "v1"};
static const struct gw_model *const models[] = {&toy_model, NULL};

struct toy_value {
	uint32_t value;
};
struct toy_filling {
	struct gw_bytes bytes;
};
#define FILLING_MAX 65536

static const struct gw_field value_fields[] = {
	GW_FIELD(struct toy_value, value, GW_FIELD_U32),
	{0},
};
static const struct gw_layout value_layout = {.name = "toy_value_v1",
					      .type = 0x100,
					      .size = sizeof(struct toy_value),
					      .fields = value_fields};
static const struct gw_field filling_fields[] = {
	GW_FIELD_SIZED(struct toy_filling, bytes, GW_FIELD_BYTES, FILLING_MAX),
	{0},
};
static const struct gw_layout filling_layout = {.name = "toy_filling_v1",
						.type = 0x101,
						.size = sizeof(struct toy_filling),
						.fields = filling_fields};

static int toy_create(void **dev, const struct gw_params *own, const void *host)
{
	toy = calloc(1, sizeof(*toy));
	*dev = toy;
	return 0;
}

static void toy_destroy(void *dev)
{
	free(dev);
	toy = NULL;
}

static void toy_reset(void *dev)
{
	toy->value = 0;
	toy->resets++;
}

static int toy_adopt(void *dev, const struct gw_params *own)
{
	toy->adopts++;
	if (toy->adopt_result)
		return gw_fail(-toy->adopt_result, "told not to adopt");
	toy->limit = (uint32_t)gw_params_get(own, "limit", 0);
	return 0;
}

static int toy_prepare(void *dev, bool on)
{
	toy->prepares++;
	return 0;
}

static int toy_save_state(void *dev, struct gw_state_writer *writer, enum gw_phase phase,
			  size_t budget)
{
	static const uint8_t filling[FILLING_MAX];
	int err = gw_state_put(writer, &value_layout, &(struct toy_value){toy->value});

	while (atomic_load(&toy->hang) && !err)
		err = gw_state_put(writer, &filling_layout,
				   &(struct toy_filling){{filling, FILLING_MAX}});
	for (size_t i = 0; i < toy->save_bytes && !err; i += FILLING_MAX)
		err = gw_state_put(writer, &filling_layout,
				   &(struct toy_filling){{filling, FILLING_MAX}});
	if (toy->save_result)
		return gw_fail(-toy->save_result, "told to fail at save");
	return err;
}

static int on_value(void *opaque, const void *object)
{
	*(uint32_t *)opaque = ((const struct toy_value *)object)->value;
	return 0;
}

static int on_filling(void *opaque, const void *object)
{
	return 0;
}

static int toy_load_state(void *dev, struct gw_state_reader *reader)
{
	static const struct gw_state_handler handlers[] = {
		{&value_layout, on_value, NULL}, {&filling_layout, on_filling, NULL}, {0}};
	uint32_t staged = 0;
	int err = toy->lie_about_load ? 0 : gw_state_read(reader, handlers, &staged);

	if (toy->load_result)
		return gw_fail(-toy->load_result, "told to fail at load");
	if (!err)
		toy->value = staged;
	return err;
}

static int toy_suspend(void *dev)
{
	toy->suspends++;
	return 0;
}

static void toy_run(void *dev, enum gw_why why)
{
	toy->runs++;
	toy->why = why;
}

static void toy_outcome(void *dev, enum gw_outcome outcome)
{
	toy->outcomes++;
	toy->outcome = outcome;
}

static const struct gw_device_ops toy_ops = {
	.size = sizeof(toy_ops),
	.name = "toy",
	.max_queues = 2,
	.models = models,
	.create = toy_create,
	.destroy = toy_destroy,
	.reset = toy_reset,
	.adopt = toy_adopt,
	.prepare = toy_prepare,
	.save = toy_save_state,
	.load = toy_load_state,
	.suspend = toy_suspend,
	.run = toy_run,
	.outcome = toy_outcome,
};

static void on_failure(void *opaque, const struct gw_transfer_info *info)
{
	struct toy_rig *rig = opaque;

	rig->failures++;
	rig->failure = *info;
}

void toy_rig_new(struct toy_rig *rig, const struct gw_session_config *config,
		 enum gw_ownership ownership)
{
	struct gw_session_config own = config ? *config : (struct gw_session_config){0};
	struct gw_device_ops ops = toy_ops;

	memset(rig, 0, sizeof(*rig));
	ops.ownership = ownership;
	if (gw_loop_new(&rig->loop) || gw_device_ops_complete(&rig->ops, &ops))
		abort();
	own.loop = rig->loop;
	own.ops = &rig->ops;
	own.program = "toy";
	own.version = "1";
	own.transfer_failed = on_failure;
	own.opaque = rig;
	if (gw_session_new(&rig->session, &own) || gw_session_connect(rig->session))
		abort();
}

void toy_rig_free(struct toy_rig *rig)
{
	gw_session_free(rig->session);
	gw_loop_free(rig->loop);
}

int toy_begin(struct toy_rig *rig, bool load, int *fd)
{
	int ends[2], own_fd, err;

	if (pipe2(ends, O_CLOEXEC) < 0)
		abort();
	err = gw_session_transfer(rig->session, load, GW_PHASE_STOPPED, ends[load ? 0 : 1],
				  &own_fd);
	*fd = ends[load ? 1 : 0];
	if (err)
		gw_close(fd);
	return err;
}

static void on_verdict(void *opaque, int verdict)
{
	struct toy_rig *rig = opaque;

	rig->verdict = verdict;
	gw_loop_quit(rig->loop, 0);
}

int toy_check(struct toy_rig *rig)
{
	int err = gw_session_check(rig->session, on_verdict, rig);

	if (err != -EINPROGRESS)
		return err;
	gw_loop_run(rig->loop);
	return rig->verdict;
}

static void on_timer(void *opaque)
{
	gw_loop_quit(opaque, 0);
}

void toy_wait(struct toy_rig *rig, unsigned ms)
{
	struct gw_source *timer;

	if (gw_loop_add_timer(rig->loop, ms, on_timer, rig->loop, &timer))
		abort();
	gw_loop_run(rig->loop);
	gw_source_remove(timer);
}

/* A file in place of a pipe: it needs nobody at its other end. */
int toy_save(struct toy_rig *rig, uint8_t **bytes, size_t *len)
{
	int fd = sample_fd("", 0), own_fd;
	int err = gw_session_transfer(rig->session, false, GW_PHASE_STOPPED, dup(fd), &own_fd);

	if (!err)
		err = toy_check(rig);
	*bytes = sample_bytes(fd, len);
	gw_close(&fd);
	return err;
}

int toy_load(struct toy_rig *rig, const uint8_t *bytes, size_t len)
{
	int own_fd;
	int err = gw_session_transfer(rig->session, true, GW_PHASE_STOPPED, sample_fd(bytes, len),
				      &own_fd);

	return err ? err : toy_check(rig);
}
