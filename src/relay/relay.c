/* SPDX-License-Identifier: BSD-3-Clause */
/* relay/relay.c - a device whose things one side only may have: its life, its queues, its thread.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/thread.h"
#include "godwit/error.h"
#include "relay/internal.h"

/* Of the range for trials, like the null device's. */
#define RELAY_VIRTIO_ID 0x8001
/* While the process before has not let go: how often that is looked for, told or not. */
#define WAIT_MS 20

static const struct gw_param params[] = {
	GW_PARAM_STATE_UP_TO(1),
	{.name = NULL},
};

static const struct gw_profile profiles[] = {
	{.name = "v1", .settings = (const struct gw_setting[]){{"state", 1}, {.name = NULL}}},
	{.name = NULL},
};

static const struct gw_model model = {
	.name = "godwit-project.org/relay",
	.params = params,
	.profiles = profiles,
	.default_profile = "v1",
};

static const struct gw_model *const models[] = {&model, NULL};

/* -- the thread ---------------------------------------------------------------------------- */

void relay_wake(struct relay *relay)
{
	uint64_t one = 1;

	/* A full counter (EAGAIN) already wakes it. */
	if (write(relay->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		abort();
}

/* What it waits for. */
struct watch {
	struct pollfd fds[RELAY_CONNS_MAX + 5];
	nfds_t count;
	int ms;
};

static void add(struct watch *watch, int fd, short events)
{
	if (fd >= 0)
		watch->fds[watch->count++] = (struct pollfd){.fd = fd, .events = events};
}

static void watch_all(const struct relay *relay, struct watch *watch)
{
	watch->count = 0;
	watch->ms = relay->waiting ? WAIT_MS : -1;
	add(watch, relay->wake, POLLIN);
	if (relay->host->handover_fd > 0)
		add(watch, relay->host->handover_fd, POLLIN);
	add(watch, relay->peer, POLLIN);
	if (relay->waiting)
		add(watch, relay->source, POLLIN);
	if (!relay->live)
		return;
	add(watch, relay->listener, POLLIN);
	for (unsigned i = 0; i < RELAY_CONNS_MAX; i++) {
		if (relay->conns[i].id)
			add(watch, relay->conns[i].fd, relay_conn_events(relay, &relay->conns[i]));
	}
}

static void *run_thread(void *opaque)
{
	struct relay *relay = opaque;
	struct watch watch;
	uint64_t count;

	pthread_mutex_lock(&relay->lock);
	while (!relay->end) {
		watch_all(relay, &watch);
		pthread_mutex_unlock(&relay->lock);
		poll(watch.fds, watch.count, watch.ms);
		if (watch.fds[0].revents && read(relay->wake, &count, sizeof(count)) < 0)
			gw_debug("relay: woken for nothing");
		pthread_mutex_lock(&relay->lock);
		relay_handover_work(relay);
		if (relay->live)
			relay_work(relay);
	}
	pthread_mutex_unlock(&relay->lock);
	return NULL;
}

/* -- made and unmade ----------------------------------------------------------------------- */

static int begin_thread(struct relay *relay)
{
	relay->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (relay->wake < 0)
		return gw_fail(errno, "relay: eventfd: %s", strerror(errno));
	return gw_thread_start(&relay->thread, GW_THREAD_TRANSFER, "gw-relay", run_thread, relay);
}

static int relay_create(void **dev, const struct gw_params *unused, const void *host)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int err;

	if (!relay)
		return gw_fail(ENOMEM, "relay: no memory");
	relay->host = host;
	relay->listener = relay->token = relay->peer = relay->source = -1;
	for (unsigned i = 0; i < RELAY_CONNS_MAX; i++)
		relay->conns[i].fd = -1;
	relay->to_guest.last = &relay->to_guest.first;
	relay->from_guest.last = &relay->from_guest.first;
	relay->user = geteuid();
	if (relay->host->handover_peer_fd)
		relay->source = gw_take_fd(relay->host->handover_peer_fd);
	pthread_mutex_init(&relay->lock, NULL);
	pthread_cond_init(&relay->given, NULL);
	err = begin_thread(relay);
	if (err) {
		gw_close(&relay->wake);
		gw_close(&relay->source);
		free(relay);
		return err;
	}
	*dev = relay;
	return 0;
}

/* The port first: who has the token next finds nobody there. */
void relay_let_go(struct relay *relay)
{
	relay->live = relay->handed = relay->waiting = false;
	gw_close(&relay->listener);
	for (unsigned i = 0; i < RELAY_CONNS_MAX; i++)
		relay_conn_free(&relay->conns[i]);
	gw_close(&relay->token);
}

static void relay_destroy(void *dev)
{
	struct relay *relay = dev;

	pthread_mutex_lock(&relay->lock);
	relay->end = true;
	pthread_mutex_unlock(&relay->lock);
	relay_wake(relay);
	pthread_join(relay->thread, NULL);
	relay_withdraw(relay);
	relay_let_go(relay);
	gw_close(&relay->peer);
	gw_close(&relay->source);
	gw_close(&relay->wake);
	pthread_cond_destroy(&relay->given);
	pthread_mutex_destroy(&relay->lock);
	free(relay);
}

static void relay_reset(void *dev)
{
	struct relay *relay = dev;
	GW_LOCK_SCOPE(&relay->lock);

	relay_withdraw(relay);
	relay_let_go(relay);
	relay->last_id = 0;
}

/* -- whose it is --------------------------------------------------------------------------- */

/* The first time: the port is nobody's yet, or it is an error of the operator's. */
static int begin_fresh(struct relay *relay)
{
	int err = relay_token_make(relay);

	if (!err)
		err = relay_bind(relay);
	return err ? err : relay_listen(relay);
}

void relay_begin(struct relay *relay)
{
	relay->live = true;
	relay->waiting = relay->handed = false;
	gw_close(&relay->source);
	relay_wake(relay);
}

static void wait_for_source(struct relay *relay)
{
	relay->waiting = true;
	relay->waiting_ns = relay->told_ns = gw_clock_ns();
}

/* What came out of a stream is the process's before until that lets go, if it has handed it over.
 * Else it is on another host, frozen: it is here, and the other has to be told. */
static int begin_loaded(struct relay *relay)
{
	if (!relay->handed)
		return relay_listen(relay);
	wait_for_source(relay);
	relay_wake(relay);
	return 0;
}

static void relay_run(void *dev, enum gw_why why)
{
	struct relay *relay = dev;
	GW_LOCK_SCOPE(&relay->lock);
	int err = 0;

	/* Whatever was saved: it goes on here. */
	relay_withdraw(relay);
	if (why == GW_RUN_FRESH)
		err = begin_fresh(relay);
	else if (why == GW_RUN_LOADED)
		err = begin_loaded(relay);
	else if (relay->handed)
		wait_for_source(relay);
	else if (relay->token < 0)
		err = gw_fail(EPERM, "relay: what it had is another process's");
	if (err) {
		gw_error("%s", gw_last_error());
		gw_device_failed(relay);
		return;
	}
	if (!relay->waiting)
		relay_begin(relay);
	relay_wake(relay);
}

static int relay_suspend(void *dev)
{
	struct relay *relay = dev;
	GW_LOCK_SCOPE(&relay->lock);

	relay->live = relay->waiting = false;
	/* As long as the thread polls them, descriptors that are closed are not. */
	relay_wake(relay);
	return 0;
}

static void relay_outcome(void *dev, enum gw_outcome outcome)
{
	struct relay *relay = dev;
	GW_LOCK_SCOPE(&relay->lock);

	if (outcome == GW_OUTCOME_MOVED)
		relay_yield(relay);
	else if (outcome != GW_OUTCOME_UNKNOWN)
		relay_withdraw(relay);
}

/* -- queues -------------------------------------------------------------------------------- */

void relay_put(struct relay_elems *elems, struct gw_elem *elem)
{
	elem->device_data = NULL;
	*elems->last = elem;
	elems->last = (struct gw_elem **)(void *)&elem->device_data;
}

struct gw_elem *relay_take(struct relay_elems *elems)
{
	struct gw_elem *elem = elems->first;

	if (!elem)
		return NULL;
	elems->first = elem->device_data;
	if (!elems->first)
		elems->last = &elems->first;
	return elem;
}

static struct relay_elems *elems_of(struct relay *relay, const struct gw_queue *queue)
{
	return gw_queue_index(queue) ? &relay->from_guest : &relay->to_guest;
}

static void relay_queue_ready(void *dev, struct gw_queue *queue)
{
	struct relay *relay = dev;
	struct gw_elem *elem;
	GW_LOCK_SCOPE(&relay->lock);

	while ((elem = gw_queue_pop(queue)))
		relay_put(elems_of(relay, queue), elem);
	relay_wake(relay);
}

/* What was not answered stays open, and goes along. */
static void relay_queue_stop(void *dev, struct gw_queue *queue)
{
	struct relay *relay = dev;
	struct gw_elem *elem;
	GW_LOCK_SCOPE(&relay->lock);

	while ((elem = relay_take(elems_of(relay, queue))))
		gw_park(elem);
	gw_queue_stopped(queue);
}

/* -- told ---------------------------------------------------------------------------------- */

static int relay_report(void *dev, enum gw_report_kind kind, struct gw_report *report)
{
	struct relay *relay = dev;
	GW_LOCK_SCOPE(&relay->lock);
	unsigned count = 0;

	for (unsigned i = 0; i < RELAY_CONNS_MAX; i++)
		count += relay->conns[i].id != 0;
	if (kind == GW_REPORT_PREFLIGHT) {
		gw_report_list(report, "cannot_travel");
		if (count && relay->host->on_unsavable == RELAY_UNSAVABLE_FAIL &&
		    !relay_look_for_peer(relay)) {
			gw_report_object(report, NULL);
			gw_report_text(report, "kind", "connection");
			gw_report_text(report, "reason",
				       "TCP connections go to another process of this host only, "
				       "and none is connected to --handover-socket");
			gw_report_end(report);
		}
		gw_report_end(report);
	}
	if (kind == GW_REPORT_STATS)
		return 0;
	gw_report_flag(report, "live", relay->live);
	gw_report_flag(report, "waits_for_source", relay->waiting);
	gw_report_number(report, "waits_ms",
			 relay->waiting ? (gw_clock_ns() - relay->waiting_ns) / GW_NS_PER_MS : 0);
	gw_report_number(report, "relay_connections", count);
	return 0;
}

const struct gw_device_ops relay_device_ops = {
	.size = sizeof(struct gw_device_ops),
	.name = "relay",
	.virtio_id = RELAY_VIRTIO_ID,
	.max_queues = RELAY_QUEUES,
	.ownership = GW_EXCLUSIVE,
	.models = models,
	.create = relay_create,
	.destroy = relay_destroy,
	.queue_ready = relay_queue_ready,
	.queue_stop = relay_queue_stop,
	.reset = relay_reset,
	.save = relay_save,
	.load = relay_load,
	.suspend = relay_suspend,
	.run = relay_run,
	.outcome = relay_outcome,
	.report = relay_report,
};

/* -- configured ---------------------------------------------------------------------------- */

int relay_host_listen(struct relay_host *host, const char *text)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				       .ai_socktype = SOCK_STREAM};
	const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
	struct addrinfo *found = NULL;
	char address[INET6_ADDRSTRLEN + 2] = "127.0.0.1";
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (len > 1 && *text == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len >= sizeof(address))
		return gw_fail(EINVAL, "'%.64s' has no address that is one", text);
	if (len)
		snprintf(address, sizeof(address), "%.*s", (int)len, text);
	if (!*port || getaddrinfo(address, port, &hints, &found))
		return gw_fail(EINVAL, "'%.64s' is no port, ADDRESS:PORT or [ADDRESS]:PORT", text);
	memcpy(&host->address, found->ai_addr, found->ai_addrlen);
	host->address_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}
