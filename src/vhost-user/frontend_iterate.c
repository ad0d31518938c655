/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/frontend_iterate.c - a state is sent in rounds beside its guest, then the rest. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "godwit/error.h"
#include "vhost-user/frontend_internal.h"

#define BLACKOUT_MS_DEFAULT 300
#define ROUNDS_DEFAULT	    30
#define LOOK_MS		    1
/* What moves faster than it can be timed tells nothing of the bandwidth. */
#define MEASURE_BYTES (64 * 1024)
#define PIECE	      (256 * 1024)

static int agreed(const struct gw_frontend *frontend)
{
	if (gw_frontend_has(frontend, GW_VU_PF(ITERATIVE)))
		return 0;
	return gw_fail(EOPNOTSUPP, "iterative migration: it was not agreed on with the back-end");
}

int gw_frontend_iterate_begin(struct gw_frontend *frontend, int fd, int *own_fd)
{
	enum gw_transfer_reply reply;
	int err = agreed(frontend);

	*own_fd = -1;
	if (!err)
		err = gw_frontend_transfer_offer(frontend, false, GW_PHASE_RUNNING, fd, own_fd,
						 &reply);
	return err;
}

int gw_frontend_iterate_pending(struct gw_frontend *frontend, struct gw_iterate_pending *pending)
{
	struct gw_vu_pending answer;
	int err = agreed(frontend);

	if (!err)
		err = gw_frontend_ask(
			frontend, &(struct gw_vu_out){.request = GW_VU_GET_DEVICE_STATE_PENDING},
			&answer, sizeof(answer), NULL);
	if (!err)
		*pending = (struct gw_iterate_pending){.initial = answer.initial,
						       .dirty = answer.dirty,
						       .sent = answer.sent,
						       .idle = answer.flags & GW_VU_PENDING_IDLE};
	return err;
}

int gw_frontend_iterate_go_on(struct gw_frontend *frontend, enum gw_phase phase)
{
	const struct gw_vu_device_state state = {.direction = GW_VU_STATE_SAVE,
						 .phase = (uint32_t)phase};
	uint64_t value;
	int err = agreed(frontend);

	if (!err)
		err = gw_frontend_ask(frontend,
				      &(struct gw_vu_out){.request = GW_VU_SET_DEVICE_STATE_FD,
							  .payload = &state,
							  .len = sizeof(state)},
				      &value, sizeof(value), NULL);
	if (!err && value != GW_VU_STATE_ACCEPTED)
		err = gw_fail(EIO, "SET_DEVICE_STATE_FD: the back-end does not go on (0x%llx)",
			      (unsigned long long)value);
	return err;
}

int gw_frontend_iterate_cancel(struct gw_frontend *frontend)
{
	uint64_t verdict;
	int err = agreed(frontend);

	if (!err)
		err = gw_frontend_get_u64(frontend, GW_VU_CANCEL_DEVICE_STATE, &verdict);
	if (!err && verdict)
		err = gw_fail(EIO, "CANCEL_DEVICE_STATE: the back-end refused it (%llu)",
			      (unsigned long long)verdict);
	return err;
}

/*
 * All of it.
 */
struct iteration {
	struct gw_frontend *frontend;
	struct gw_iterate_config config;
	int to, from; /* from: the back-end's own descriptor, or -1 */
	struct gw_iterate_progress at;
	uint64_t began_ns, began_sent; /* of this round */
};

static void complete(struct gw_iterate_config *complete, const struct gw_iterate_config *config)
{
	*complete = (struct gw_iterate_config){0};
	if (config)
		memcpy(complete, config, GW_MIN(config->size, sizeof(*complete)));
	if (!complete->blackout_ms)
		complete->blackout_ms = BLACKOUT_MS_DEFAULT;
	if (!complete->rounds)
		complete->rounds = ROUNDS_DEFAULT;
}

/* What the back-end's own descriptor holds goes where it is wanted. */
static int forward(struct iteration *it, int timeout_ms)
{
	struct pollfd poller = {.fd = it->from, .events = POLLIN};
	ssize_t moved;

	if (it->from < 0) {
		nanosleep(&(struct timespec){.tv_nsec = timeout_ms * 1000000L}, NULL);
		return 0;
	}
	if (poll(&poller, 1, timeout_ms) <= 0 || !(poller.revents & POLLIN))
		return 0;
	moved = gw_frontend_move(it->frontend, it->from, it->to, PIECE);
	return moved < 0 ? (int)moved : 0;
}

/* The estimate grows with what was seen; the newest counts half. */
static void measure(struct iteration *it)
{
	uint64_t bytes = it->at.sent - it->began_sent;
	uint64_t ns = gw_clock_ns() - it->began_ns;
	uint64_t seen = ns ? bytes * (GW_NS_PER_MS * 1000) / ns : 0;

	if (bytes >= MEASURE_BYTES && seen)
		it->at.bandwidth = it->at.bandwidth ? (it->at.bandwidth + seen) / 2 : seen;
}

static uint64_t rest_us(const struct gw_iterate_progress *at)
{
	uint64_t left = at->initial + at->dirty;

	if (!left)
		return 0;
	return at->bandwidth ? left * 1000000 / at->bandwidth : UINT64_MAX;
}

static int look(struct iteration *it, bool *idle)
{
	struct gw_iterate_pending pending;
	int err = gw_frontend_iterate_pending(it->frontend, &pending);

	if (err)
		return err;
	*idle = pending.idle;
	it->at.initial = pending.initial;
	it->at.dirty = pending.dirty;
	it->at.sent = pending.sent;
	it->at.rest_us = rest_us(&it->at);
	return 0;
}

/* A destination that is behind would be waited for by a guest that stands still. */
static int wait_for_destination(struct iteration *it)
{
	struct gw_iterate_pending there = {0};
	int err = 0;

	while (!err && it->config.destination && !(there.idle && there.sent >= it->at.sent)) {
		err = forward(it, LOOK_MS);
		if (!err)
			err = gw_frontend_iterate_pending(it->config.destination, &there);
		if (!err && it->config.progress)
			err = it->config.progress(it->config.opaque, &it->at);
	}
	return err;
}

/* With what changed meanwhile looked at once more: that is what is decided upon. */
static int finish_round(struct iteration *it)
{
	bool idle = false;
	int err = 0;

	while (!err && !idle) {
		err = forward(it, LOOK_MS);
		if (!err)
			err = look(it, &idle);
		if (!err && idle)
			measure(it);
		if (!err && it->config.progress)
			err = it->config.progress(it->config.opaque, &it->at);
	}
	if (!err)
		err = wait_for_destination(it);
	return err ? err : look(it, &idle);
}

static bool is_little(const struct iteration *it)
{
	if (it->config.destination && it->at.round == 1)
		return false;
	return it->at.rest_us <= it->config.blackout_ms * UINT64_C(1000);
}

static int rounds(struct iteration *it)
{
	for (;;) {
		int err;

		it->at.round++;
		it->began_ns = gw_clock_ns();
		it->began_sent = it->at.sent;
		err = finish_round(it);
		if (err || is_little(it))
			return err;
		if (it->at.round == it->config.rounds)
			return it->config.converge
				       ? gw_fail(ETIME,
						 "iterative migration: after %u rounds the rest "
						 "would still take %llu us",
						 it->at.round, (unsigned long long)it->at.rest_us)
				       : 0;
		err = gw_frontend_iterate_go_on(it->frontend, GW_PHASE_RUNNING);
		if (err)
			return err;
	}
}

static int send_rest(struct iteration *it)
{
	int err = it->config.stop ? it->config.stop(it->config.opaque)
				  : gw_frontend_stop(it->frontend);

	if (!err)
		err = gw_frontend_iterate_go_on(it->frontend, GW_PHASE_STOPPED);
	if (!err && it->from >= 0)
		err = gw_frontend_copy(it->frontend, it->from, "back-end's state", it->to,
				       "saved state");
	it->at.stopped = !err;
	return err ? err : gw_frontend_transfer_check(it->frontend);
}

/* Why it ended is known by its verdict, if the back-end ended it. */
static int give_up(struct iteration *it, int err)
{
	char sentence[GW_ERROR_MAX];

	snprintf(sentence, sizeof(sentence), "%s", gw_last_error());
	if (it->frontend->out_of_step)
		return err;
	gw_frontend_iterate_cancel(it->frontend);
	gw_frontend_transfer_check(it->frontend);
	return gw_fail(-err, "%s", sentence);
}

int gw_frontend_iterate(struct gw_frontend *frontend, int fd,
			const struct gw_iterate_config *config, struct gw_iterate_progress *result)
{
	struct iteration it = {.frontend = frontend, .to = fd, .from = -1};
	int err;

	complete(&it.config, config);
	it.at.bandwidth = it.config.bandwidth;
	err = gw_frontend_iterate_begin(frontend, fd, &it.from);
	if (err)
		return err;
	err = rounds(&it);
	if (!err)
		err = send_rest(&it);
	gw_close(&it.from);
	if (result)
		*result = it.at;
	return err ? give_up(&it, err) : 0;
}
