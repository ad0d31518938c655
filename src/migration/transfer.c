/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/transfer.c - one transfer: a worker thread between a device and a stream. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/thread.h"
#include "godwit/error.h"
#include "migration/transfer.h"

void gw_transfer_print_id(char text[2 * GW_STATE_ID_LEN + 1], const uint8_t id[GW_STATE_ID_LEN])
{
	for (unsigned i = 0; i < GW_STATE_ID_LEN; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
}

int gw_transfer_new(struct gw_transfer **out, bool load, int taken)
{
	GW_AUTO_FD int fd = taken;
	GW_AUTO_FREE struct gw_transfer *transfer = calloc(1, sizeof(*transfer));
	int err = 0;

	if (!transfer)
		return gw_fail(ENOMEM, "transfer: no memory");
	transfer->cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	transfer->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (transfer->cancel < 0 || transfer->told < 0)
		err = errno;
	if (!err)
		err = pthread_mutex_init(&transfer->lock, NULL);
	if (!err)
		err = pthread_cond_init(&transfer->answered, NULL);
	if (err) {
		gw_close(&transfer->cancel);
		gw_close(&transfer->told);
		return gw_fail(err, "transfer: %s", strerror(err));
	}
	transfer->load = load;
	transfer->channel = (struct gw_state_channel){
		.fd = gw_take_fd(&fd), .cancel = transfer->cancel, .moved = &transfer->moved};
	gw_parked_init(&transfer->parked);
	gw_parked_init(&transfer->staged.list);
	*out = gw_take_ptr(transfer);
	return 0;
}

void gw_transfer_free(struct gw_transfer *transfer)
{
	if (!transfer)
		return;
	gw_close(&transfer->channel.fd);
	gw_close(&transfer->cancel);
	gw_close(&transfer->told);
	gw_parked_clear(&transfer->parked);
	gw_parked_clear(&transfer->staged.list);
	pthread_cond_destroy(&transfer->answered);
	pthread_mutex_destroy(&transfer->lock);
	free(transfer);
}

static void ring(int eventfd_)
{
	uint64_t one = 1;

	/* A full counter (EAGAIN) already wakes whoever waits. */
	if (write(eventfd_, &one, sizeof(one)) < 0 && errno != EAGAIN)
		abort();
}

/* -- the worker ---------------------------------------------------------------------------- */

static int save_stream(struct gw_transfer *transfer, struct gw_state_writer *writer)
{
	int err = gw_state_writer_phase(writer, GW_PHASE_STOPPED);

	if (transfer->header.mode == GW_MODE_STATELESS)
		return err ? err : gw_state_writer_end(writer);
	if (!err)
		err = gw_parked_save(&transfer->parked, writer);
	if (!err) {
		transfer->device_ns = gw_clock_ns();
		err = transfer->ops->save(transfer->dev, writer, GW_PHASE_STOPPED, SIZE_MAX);
		if (err > 0)
			err = gw_fail(EPROTO, "device %s wants to save more after the last phase",
				      transfer->ops->name);
	}
	return err ? err : gw_state_writer_end(writer);
}

/* -ENOENT: the operator wants a stream of ours. */
static int save_foreign(struct gw_transfer *transfer)
{
	GW_AUTO_FREE void *bytes = NULL;
	size_t len = 0;
	int err;

	transfer->device_ns = gw_clock_ns();
	err = transfer->ops->save_foreign(transfer->dev, &bytes, &len);

	if (err)
		return err;
	if (transfer->parked.first)
		return gw_fail(EINVAL, "save: requests stay open, which only a stream of godwit's "
				       "own can say");
	return gw_state_write_foreign(&transfer->channel, bytes, len);
}

static int save(struct gw_transfer *transfer)
{
	struct gw_state_writer *writer = NULL;
	bool stateless = transfer->header.mode == GW_MODE_STATELESS;
	int err = stateless || transfer->phased ? -ENOENT : save_foreign(transfer);

	if (err != -ENOENT)
		return err;
	err = gw_state_writer_new(&writer, &transfer->channel, &transfer->header);
	if (!err && transfer->phased)
		err = gw_transfer_precopy(transfer, writer);
	if (!err)
		err = save_stream(transfer, writer);
	gw_state_writer_free(writer);
	return err;
}

/* Until the control thread has answered, or cancels. */
static int ask_to_adopt(struct gw_transfer *transfer)
{
	GW_LOCK_SCOPE(&transfer->lock);

	transfer->adopt = GW_ADOPT_ASKED;
	ring(transfer->wake);
	while (transfer->adopt == GW_ADOPT_ASKED && !transfer->cancelled)
		pthread_cond_wait(&transfer->answered, &transfer->lock);
	if (transfer->cancelled)
		return gw_fail(ECANCELED, "load: cancelled");
	if (transfer->adopt_result)
		return gw_fail(-transfer->adopt_result, "%s", transfer->adopt_reason);
	return 0;
}

static int load_device(struct gw_transfer *transfer, struct gw_state_reader *reader)
{
	int err;

	gw_state_reader_set_own(reader, gw_parked_handlers, &transfer->staged);
	transfer->device_ns = gw_clock_ns();
	err = transfer->ops->load(transfer->dev, reader);
	if (err)
		return err < 0 ? err
			       : gw_fail(EPROTO, "device %s: load returned %d", transfer->ops->name,
					 err);
	transfer->device_loaded = true;
	if (!gw_state_reader_is_complete(reader))
		return gw_fail(EBADMSG,
			       "device %s took a stream for good that was not read to "
			       "its end, or is bad",
			       transfer->ops->name);
	return transfer->journaling
		       ? gw_journaling_checkpoint(transfer->journaling, &transfer->header)
		       : 0;
}

/* The device's state is where it is; what the stream has beside its ticket would be lost. */
static int load_ticket(struct gw_state_reader *reader)
{
	static const struct gw_state_handler nothing[] = {{.layout = NULL}};

	return gw_state_read(reader, nothing, NULL);
}

static int load(struct gw_transfer *transfer)
{
	struct gw_state_reader *reader = NULL;
	int err;

	transfer->channel.foreign = transfer->ops->foreign;
	err = gw_state_reader_new(&reader, &transfer->channel);
	if (!err) {
		transfer->header = *gw_state_reader_header(reader);
		transfer->reader = reader;
		err = ask_to_adopt(transfer);
	}
	if (!err)
		err = transfer->header.mode == GW_MODE_STATELESS ? load_ticket(reader)
								 : load_device(transfer, reader);
	gw_state_reader_free(reader);
	return err;
}

static void *work(void *opaque)
{
	struct gw_transfer *transfer = opaque;
	int err = transfer->load ? load(transfer) : save(transfer);

	/* The peer waits for the end of file: before anyone is told, and on failure as well. */
	gw_close(&transfer->channel.fd);
	transfer->result = err;
	transfer->whole = !err;
	if (err)
		strncpy(transfer->reason, gw_last_error(), sizeof(transfer->reason) - 1);
	transfer->end_ns = gw_clock_ns();
	atomic_store(&transfer->done, true);
	ring(transfer->wake);
	return NULL;
}

/* -- the control thread -------------------------------------------------------------------- */

int gw_transfer_start(struct gw_transfer *transfer)
{
	transfer->begin_ns = gw_clock_ns();
	return gw_thread_start(&transfer->thread, GW_THREAD_TRANSFER,
			       transfer->load ? "gw-load" : "gw-save", work, transfer);
}

bool gw_transfer_asks(struct gw_transfer *transfer)
{
	GW_LOCK_SCOPE(&transfer->lock);

	return transfer->adopt == GW_ADOPT_ASKED;
}

void gw_transfer_answer(struct gw_transfer *transfer, int result)
{
	GW_LOCK_SCOPE(&transfer->lock);

	transfer->adopt_result = result;
	if (result)
		strncpy(transfer->adopt_reason, gw_last_error(),
			sizeof(transfer->adopt_reason) - 1);
	transfer->adopt = GW_ADOPT_ANSWERED;
	pthread_cond_signal(&transfer->answered);
}

void gw_transfer_cancel(struct gw_transfer *transfer)
{
	GW_LOCK_SCOPE(&transfer->lock);

	transfer->cancelled = true;
	ring(transfer->cancel);
	pthread_cond_signal(&transfer->answered);
}

void gw_transfer_join(struct gw_transfer *transfer)
{
	pthread_join(transfer->thread, NULL);
}
