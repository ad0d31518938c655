/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/precopy.c - most of a state, ahead of it: made beside the guest, or kept by who waits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "migration/precopy.h"

/* So much at once; then it is looked whether somebody wants the device. */
#define BUDGET (256 * 1024)

/* -- the worker ---------------------------------------------------------------------------- */

static int check_going_on(const struct gw_precopy *precopy, const struct gw_state_writer *writer)
{
	if (atomic_load(&precopy->cancelled))
		return gw_fail(ECANCELED, "precopy: cancelled");
	if (gw_state_written(writer) > GW_AHEAD_MAX)
		return gw_fail(EFBIG, "precopy: the state has more than %llu bytes",
			       (unsigned long long)GW_AHEAD_MAX);
	return 0;
}

static int save_round(const struct gw_precopy *precopy, struct gw_state_writer *writer)
{
	int more = gw_state_writer_phase(writer, GW_PHASE_RUNNING);

	if (!more)
		more = 1;
	while (more > 0) {
		int err = check_going_on(precopy, writer);

		more = err ? err
			   : precopy->ops->save(precopy->dev, writer, GW_PHASE_RUNNING, BUDGET);
	}
	return more ? more : check_going_on(precopy, writer);
}

static int save(struct gw_precopy *precopy)
{
	struct gw_state_writer *writer = NULL;
	int err = gw_state_writer_new(&writer, &precopy->channel, &precopy->header);

	if (!err)
		err = save_round(precopy, writer);
	/* It says nothing of how things stood in the end: a stream has to have one. */
	if (!err)
		err = gw_state_writer_phase(writer, GW_PHASE_STOPPED);
	if (!err)
		err = gw_state_writer_end(writer);
	if (!err)
		precopy->bytes = gw_state_written(writer);
	gw_state_writer_free(writer);
	return err;
}

/* What else a load would look at waits for the load: parameters, prerequisites. */
static int check_header(const struct gw_precopy *precopy, const struct gw_state_header *header)
{
	const char *name = precopy->model ? precopy->model->name : "";
	size_t len = strcspn(header->model, "\n");

	if (header->mode != GW_MODE_STATEFUL)
		return gw_fail(EINVAL, "precopy: the stream has a ticket in place of a state");
	if (len != strlen(name) || memcmp(header->model, name, len) != 0)
		return gw_fail(EINVAL, "precopy: the stream is of model '%.*s', the device of '%s'",
			       (int)len, header->model, name);
	return 0;
}

static int load_device(struct gw_precopy *precopy, struct gw_state_reader *reader)
{
	int err = precopy->ops->precopy_load(precopy->dev, reader);

	if (err > 0)
		return gw_fail(EPROTO, "device %s: precopy_load returned %d", precopy->ops->name,
			       err);
	if (!err && !gw_state_reader_is_complete(reader))
		return gw_fail(EBADMSG,
			       "device %s keeps a stream that was not read to its end, or is bad",
			       precopy->ops->name);
	return err;
}

static int load(struct gw_precopy *precopy)
{
	struct gw_state_reader *reader = NULL;
	int err = gw_state_reader_new(&reader, &precopy->channel);

	if (!err)
		err = check_header(precopy, gw_state_reader_header(reader));
	if (!err && atomic_load(&precopy->cancelled))
		err = gw_fail(ECANCELED, "precopy: cancelled");
	if (!err)
		err = load_device(precopy, reader);
	if (!err)
		precopy->bytes = gw_state_reader_bytes(reader);
	gw_state_reader_free(reader);
	return err;
}

static void *work(void *opaque)
{
	struct gw_precopy *precopy = opaque;
	uint64_t one = 1;

	precopy->result = precopy->load ? load(precopy) : save(precopy);
	if (precopy->result)
		strncpy(precopy->reason, gw_last_error(), sizeof(precopy->reason) - 1);
	/* Here, since to give so much memory back takes its time. */
	if (precopy->load || precopy->result)
		gw_close(&precopy->channel.fd);
	atomic_store(&precopy->ended, true);
	/* A full counter (EAGAIN) already wakes the control thread. */
	if (write(precopy->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		abort();
	return NULL;
}

/* -- the control thread -------------------------------------------------------------------- */

int gw_precopy_start(struct gw_precopy **out, const struct gw_precopy *as)
{
	struct gw_precopy *precopy = malloc(sizeof(*precopy));
	int err;

	if (!precopy) {
		close(as->channel.fd);
		return gw_fail(ENOMEM, "precopy: no memory");
	}
	*precopy = *as;
	precopy->channel.cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (precopy->channel.cancel < 0)
		err = gw_fail(errno, "precopy: eventfd: %s", strerror(errno));
	else
		err = gw_thread_start(&precopy->thread, GW_THREAD_TRANSFER, "gw-precopy", work,
				      precopy);
	if (err)
		gw_precopy_free(gw_take_ptr(precopy));
	*out = precopy;
	return err;
}

bool gw_precopy_cancel(struct gw_precopy *precopy)
{
	if (atomic_load(&precopy->ended))
		return false;
	atomic_store(&precopy->cancelled, true);
	eventfd_write(precopy->channel.cancel, 1);
	if (precopy->load)
		precopy->ops->precopy_load(precopy->dev, NULL);
	return true;
}

void gw_precopy_join(struct gw_precopy *precopy)
{
	pthread_join(precopy->thread, NULL);
}

void gw_precopy_free(struct gw_precopy *precopy)
{
	if (!precopy)
		return;
	gw_close(&precopy->channel.fd);
	gw_close(&precopy->channel.cancel);
	free(precopy);
}
