/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/iterative.c - a state that is sent while its device runs: rounds, the rest, and all that
 * can come in between. */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "echo.h"
#include "provoke.h"
#include "vhost-user/frontend_internal.h"

#define BOTH (GW_EXPERIMENTAL_ITERATIVE | GW_EXPERIMENTAL_SUSPEND)

static struct gw_frontend_config config_for(const struct peer *peer)
{
	struct gw_frontend_config config = peer_config(peer);

	config.experimental = BOTH;
	return config;
}

static void serve(struct peer *peer, bool reconnect)
{
	peer_start(peer, &(struct peer_options){.experimental = BOTH, .reconnect = reconnect});
}

static struct gw_frontend *make(const struct peer *peer)
{
	struct gw_frontend_config config = config_for(peer);
	struct gw_frontend *frontend;

	ok(gw_frontend_new(&frontend, &config));
	return frontend;
}

static struct gw_frontend *start(struct peer *peer)
{
	struct gw_frontend *frontend;

	serve(peer, false);
	frontend = make(peer);
	ok(gw_frontend_start(frontend));
	return frontend;
}

static void end(struct peer *peer, struct gw_frontend *frontend)
{
	gw_frontend_free(frontend);
	assert_int_equal(peer_join(peer), 0);
}

static void touch(struct peer *peer, unsigned from, unsigned count, uint64_t version)
{
	for (unsigned i = from; i < from + count; i++)
		atomic_store(&peer->script->page[i % SCRIPTED_PAGES], version);
}

static void wait_idle(struct gw_frontend *frontend)
{
	struct gw_iterate_pending pending = {0};

	for (unsigned i = 0; i < 5000 && !pending.idle; i++) {
		ok(gw_frontend_iterate_pending(frontend, &pending));
		sleep_ms(!pending.idle);
	}
	assert_true(pending.idle);
}

/* The destination's pages are those that the source had when it stood still. */
static void assert_same_pages(const struct peer *from, const struct peer *to)
{
	for (unsigned i = 0; i < SCRIPTED_PAGES; i++)
		assert_int_equal(atomic_load(&to->script->page_loaded[i]),
				 atomic_load(&from->script->page[i]));
}

/*
 * Rounds by hand: what changes between two of them is sent once more, what is removed is taken
 * back, and the guest works all the time. The destination reads from the first byte.
 */
static void by_hand(void **state)
{
	struct gw_frontend_config config;
	struct gw_iterate_pending pending;
	struct gw_frontend *from, *to;
	enum gw_transfer_reply reply;
	struct echo echo;
	struct peer a, b;
	int ends[2], own;
	uint64_t sent;

	from = start(&a);
	echo_init(&echo, from);
	touch(&a, 0, 40, 1);
	serve(&b, false);
	config = config_for(&b);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	ok(gw_frontend_await(&to, from, &config));
	assert_int_equal(gw_frontend_take_over(to, from), -EBUSY);
	ok(gw_frontend_transfer_offer(to, true, GW_PHASE_STOPPED, ends[0], &own, &reply));
	close(ends[0]);
	ok(gw_frontend_iterate_begin(from, ends[1], &own));
	close(ends[1]);
	assert_int_equal(own, -1);
	echo_once(&echo, from, 0, 1);
	wait_idle(from);
	ok(gw_frontend_iterate_pending(from, &pending));
	assert_int_equal(pending.initial + pending.dirty, 0);
	assert_true(pending.sent > 40 * 32768);
	sent = pending.sent;

	touch(&a, 0, 3, 2);
	touch(&a, 3, 2, 0);
	touch(&a, 100, 1, 1);
	ok(gw_frontend_iterate_pending(from, &pending));
	assert_int_equal(pending.dirty, 5 * 32768);
	assert_int_equal(pending.initial, 32768);
	assert_true(pending.idle && pending.sent == sent); /* it waits to be told */
	echo_once(&echo, from, 0, 2);
	ok(gw_frontend_iterate_go_on(from, GW_PHASE_RUNNING));
	wait_idle(from);
	ok(gw_frontend_iterate_pending(from, &pending));
	assert_int_equal(pending.initial + pending.dirty, 0);
	assert_true(pending.sent > sent + 4 * 32768 && pending.sent < sent + 5 * 32768);

	touch(&a, 0, 1, 7);
	ok(gw_frontend_stop(from));
	sent = pending.sent;
	ok(gw_frontend_iterate_go_on(from, GW_PHASE_STOPPED));
	ok(gw_frontend_transfer_check(from));
	ok(gw_frontend_transfer_check(to));
	assert_same_pages(&a, &b);
	assert_int_equal(atomic_load(&a.script->iterate_on), 1);
	assert_int_equal(atomic_load(&a.script->iterate_off), 1);
	assert_int_equal(atomic_load(&a.script->outcomes[GW_OUTCOME_FAILED]), 0);
	ok(gw_frontend_take_over(to, from));
	ok(gw_frontend_start(to));
	echo_once(&echo, to, 0, 3);
	assert_int_equal(atomic_load(&b.script->runs[GW_RUN_LOADED]), 1);
	gw_frontend_free(to);
	peer_join(&b);
	end(&a, from);
}

/*
 * The driver.
 */
struct route {
	struct peer a, b;
	struct gw_frontend *from, *to;
	struct echo echo;
	int pipe;
	unsigned calls, cancel_at; /* of progress */
	unsigned changes;
	uint64_t version;
};

static void route_begin(struct route *route)
{
	struct gw_frontend_config config;
	enum gw_transfer_reply reply;
	int ends[2], own;

	*route = (struct route){.pipe = -1, .version = 100};
	route->from = start(&route->a);
	echo_init(&route->echo, route->from);
	serve(&route->b, true);
	config = config_for(&route->b);
	ok(gw_frontend_new(&route->to, &config));
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	ok(gw_frontend_transfer_offer(route->to, true, GW_PHASE_STOPPED, ends[0], &own, &reply));
	close(ends[0]);
	route->pipe = ends[1];
}

static void route_end(struct route *route)
{
	gw_close(&route->pipe);
	gw_frontend_free(route->to);
	peer_stop(&route->b);
	end(&route->a, route->from);
}

/* The guest works and changes things, as often as it is looked at. */
static int on_progress(void *opaque, const struct gw_iterate_progress *progress)
{
	struct route *route = opaque;

	if (route->cancel_at && ++route->calls >= route->cancel_at)
		return -ECANCELED;
	echo_once(&route->echo, route->from, 0, progress->round);
	touch(&route->a, progress->round * 8, route->changes, ++route->version);
	return 0;
}

static int stop_by_suspending(void *opaque)
{
	struct route *route = opaque;

	return gw_frontend_suspend(route->from);
}

static struct gw_iterate_config plan(struct route *route)
{
	return (struct gw_iterate_config){.size = sizeof(struct gw_iterate_config),
					  .blackout_ms = 10,
					  .progress = on_progress,
					  .opaque = route};
}

static void assert_arrives(struct route *route)
{
	gw_close(&route->pipe);
	ok(gw_frontend_transfer_check(route->to));
	assert_same_pages(&route->a, &route->b);
}

static void driven(void **state)
{
	struct gw_iterate_progress result;
	struct gw_iterate_config config;
	struct route route;

	route_begin(&route);
	config = plan(&route);
	config.destination = route.to;
	touch(&route.a, 0, SCRIPTED_PAGES, 1);
	ok(gw_frontend_iterate(route.from, route.pipe, &config, &result));
	assert_true(result.stopped && result.round >= 2 && result.bandwidth);
	assert_true(result.sent > UINT64_C(32768) * SCRIPTED_PAGES);
	assert_arrives(&route);
	ok(gw_frontend_start(route.from)); /* a copy: it goes on */
	echo_once(&route.echo, route.from, 0, 5);
	route_end(&route);
}

static void driven_and_suspended(void **state)
{
	struct gw_iterate_config config;
	struct route route;

	route_begin(&route);
	config = plan(&route);
	config.stop = stop_by_suspending;
	touch(&route.a, 0, 20, 1);
	ok(gw_frontend_iterate(route.from, route.pipe, &config, NULL));
	assert_arrives(&route);
	ok(gw_frontend_resume(route.from));
	echo_once(&route.echo, route.from, 0, 5);
	route_end(&route);
}

/* At a bandwidth at which the rest never fits, rounds are bounded. */
static void bounded(void **state)
{
	struct gw_iterate_progress result;
	struct gw_iterate_config config;
	struct route route;

	route_begin(&route);
	config = plan(&route);
	config.blackout_ms = 1;
	config.rounds = 4;
	config.converge = true;
	route.changes = 64;
	atomic_store(&route.a.script->page_pause_ms, 1);
	touch(&route.a, 0, 64, 1);
	assert_int_equal(gw_frontend_iterate(route.from, route.pipe, &config, &result), -ETIME);
	assert_int_equal(result.round, 4);
	assert_false(result.stopped);
	echo_once(&route.echo, route.from, 0, 9); /* it was never stopped */
	assert_int_equal(atomic_load(&route.a.script->outcomes[GW_OUTCOME_FAILED]), 1);
	gw_close(&route.pipe);
	assert_int_equal(gw_frontend_transfer_check(route.to), -EIO);
	route_end(&route);

	route_begin(&route);
	config = plan(&route);
	config.blackout_ms = 1;
	config.rounds = 3;
	route.changes = 64;
	atomic_store(&route.a.script->page_pause_ms, 1);
	touch(&route.a, 0, 64, 1);
	ok(gw_frontend_iterate(route.from, route.pipe, &config, &result));
	assert_int_equal(result.round, 3);
	assert_arrives(&route);
	route_end(&route);
}

/*
 * How fast its reader is decides when the guest is stopped: so that what is left takes no longer
 * than it may stand still.
 */
#define SLOW 20000000u /* bytes a second */

static void *read_slowly(void *opaque)
{
	const int *fd = opaque;
	uint64_t began = gw_clock_ns(), total = 0;
	char bytes[65536];
	ssize_t len;

	while ((len = read(*fd, bytes, sizeof(bytes))) > 0) {
		total += (uint64_t)len;
		while (total * 1000 / SLOW > (gw_clock_ns() - began) / GW_NS_PER_MS)
			sleep_ms(1);
	}
	return NULL;
}

/* A quarter of all in the first rounds, then nothing. */
static int changes_less(void *opaque, const struct gw_iterate_progress *progress)
{
	struct route *route = opaque;

	touch(&route->a, 0, progress->round < 3 ? SCRIPTED_PAGES / 4 : 0, ++route->version);
	return 0;
}

static void stopped_when_little_is_left(void **state)
{
	struct route route = {.version = 1};
	struct gw_iterate_progress result;
	struct gw_iterate_config config = plan(&route);
	struct gw_frontend *frontend;
	pthread_t reader;
	int ends[2];

	config.progress = changes_less;
	config.blackout_ms = 20;
	frontend = start(&route.a);
	touch(&route.a, 0, SCRIPTED_PAGES, 1);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_slowly, &ends[0]), 0);
	ok(gw_frontend_iterate(frontend, ends[1], &config, &result));
	close(ends[1]);
	pthread_join(reader, NULL);
	close(ends[0]);
	/* A machine with much to do is slower; a MiB is in the pipe without having been read. */
	assert_in_range(result.bandwidth, SLOW / 100, 2 * SLOW);
	assert_true(result.stopped && result.rest_us <= 20000);
	assert_in_range(result.round, 3, 5);
	end(&route.a, frontend);
}

/* Whenever it is given up: nothing is lost, and the next one is whole. */
static void cancelled_at_every_look(void **state)
{
	for (unsigned at = 1; at < 12; at++) {
		struct gw_iterate_config config;
		struct route route;
		int err;

		route_begin(&route);
		config = plan(&route);
		config.blackout_ms = 1;
		config.bandwidth = 1;
		config.rounds = 5;
		route.changes = 3;
		route.cancel_at = at;
		touch(&route.a, 0, 9, 1);
		err = gw_frontend_iterate(route.from, route.pipe, &config, NULL);
		assert_true(err == -ECANCELED || !err);
		if (err) {
			echo_once(&route.echo, route.from, 0, 9);
			assert_int_equal(gw_frontend_transfer_check(route.from), -EIO);
			gw_close(&route.pipe);
			assert_int_equal(gw_frontend_transfer_check(route.to), -EIO);
			assert_int_equal(atomic_load(&route.a.script->outcomes[GW_OUTCOME_FAILED]),
					 1);
			assert_int_equal(atomic_load(&route.a.script->iterate_off), 1);
		}
		route_end(&route);
	}
}

/* A destination that can not take it says so while the guest still runs at the source. */
static void refused_early(void **state)
{
	struct gw_iterate_progress result = {0};
	struct gw_iterate_config config;
	struct route route;

	route_begin(&route);
	gw_frontend_free(route.to);
	peer_stop(&route.b);
	gw_close(&route.pipe);
	{
		enum gw_transfer_reply reply;
		int ends[2], own;

		peer_start(&route.b, &(struct peer_options){.reconnect = true,
							    .params = "colour=3",
							    .experimental = BOTH});
		route.to = make(&route.b);
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		ok(gw_frontend_transfer_offer(route.to, true, GW_PHASE_STOPPED, ends[0], &own,
					      &reply));
		close(ends[0]);
		route.pipe = ends[1];
	}
	config = plan(&route);
	config.bandwidth = 1; /* never little enough: it goes on for ever, but for the refusal */
	config.blackout_ms = 1;
	config.rounds = 1000;
	route.changes = 8;
	touch(&route.a, 0, SCRIPTED_PAGES, 1);
	assert_int_equal(gw_frontend_iterate(route.from, route.pipe, &config, &result), -EIO);
	assert_false(result.stopped);
	assert_int_equal(gw_frontend_transfer_check(route.to), -EIO);
	echo_once(&route.echo, route.from, 0, 3);
	assert_int_equal(atomic_load(&route.a.script->outcomes[GW_OUTCOME_FAILED]), 1);
	route_end(&route);
}

/* The back-end's own descriptor is copied to where it is wanted. */
static void own_channel(void **state)
{
	struct gw_iterate_config config;
	struct route route;

	route_begin(&route);
	atomic_store(&route.a.script->own_channel, true);
	config = plan(&route);
	touch(&route.a, 0, SCRIPTED_PAGES, 1);
	ok(gw_frontend_iterate(route.from, route.pipe, &config, NULL));
	assert_arrives(&route);
	route_end(&route);
}

/* Into a file, and loaded from it: phases are nothing to who reads. */
static void into_a_file(void **state)
{
	struct gw_iterate_progress result;
	struct gw_frontend *frontend;
	struct peer peer;
	GW_AUTO_FD int stream = memfd_create("stream", MFD_CLOEXEC);

	frontend = start(&peer);
	touch(&peer, 0, 10, 3);
	ok(gw_frontend_iterate(frontend, stream, NULL, &result));
	assert_int_equal(lseek(stream, 0, SEEK_END), lseek(stream, 0, SEEK_CUR));
	assert_true((uint64_t)lseek(stream, 0, SEEK_CUR) > result.sent);
	ok(gw_frontend_reset_device(frontend));
	lseek(stream, 0, SEEK_SET);
	ok(gw_frontend_load(frontend, stream));
	assert_same_pages(&peer, &peer);
	end(&peer, frontend);
}

/* A device that knows no phases is asked for nothing while it runs. */
static void device_without_phases(void **state)
{
	static struct gw_device_ops plain;
	struct gw_frontend_config config;
	struct gw_iterate_progress result;
	struct gw_frontend *frontend;
	struct peer peer;
	GW_AUTO_FD int stream = memfd_create("stream", MFD_CLOEXEC);

	plain = scripted_ops;
	plain.iterate = NULL;
	peer_start(&peer, &(struct peer_options){.experimental = BOTH, .ops = &plain});
	config = config_for(&peer);
	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_start(frontend));
	touch(&peer, 0, 10, 3);
	ok(gw_frontend_iterate(frontend, stream, NULL, &result));
	assert_int_equal(result.round, 1);
	assert_int_equal(atomic_load(&peer.script->running_saves), 0);
	ok(gw_frontend_reset_device(frontend));
	lseek(stream, 0, SEEK_SET);
	ok(gw_frontend_load(frontend, stream));
	assert_same_pages(&peer, &peer);
	end(&peer, frontend);
}

/* A failure of the device's: told by the verdict, and the guest never noticed. */
static void device_fails(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;
	GW_AUTO_FD int stream = memfd_create("stream", MFD_CLOEXEC);

	frontend = start(&peer);
	echo_init(&echo, frontend);
	atomic_store(&peer.script->fail_running, ENOSPC);
	assert_int_equal(gw_frontend_iterate(frontend, stream, NULL, NULL), -EIO);
	echo_once(&echo, frontend, 0, 1);
	atomic_store(&peer.script->fail_running, 0);
	atomic_store(&peer.script->fail_iterate, EPERM);
	assert_int_equal(gw_frontend_iterate(frontend, stream, NULL, NULL), -EIO);
	atomic_store(&peer.script->fail_iterate, 0);
	echo_once(&echo, frontend, 0, 2);
	assert_int_equal(ftruncate(stream, 0), 0);
	lseek(stream, 0, SEEK_SET);
	ok(gw_frontend_iterate(frontend, stream, NULL, NULL));
	end(&peer, frontend);
}

/* What is parked when it stands still is in the rest. */
static void parked_travels(void **state)
{
	struct gw_frontend_config config;
	struct route route;
	struct gw_iterate_config iterate;

	route_begin(&route);
	atomic_store(&route.a.script->hold, true);
	atomic_store(&route.a.script->park, true);
	iterate = plan(&route);
	iterate.progress = NULL;
	echo_add(&route.echo, route.from, 0, 4, 300, 2);
	ok(gw_driver_kick(route.from, 0));
	wait_until(&route.a.script->elements, 1);
	ok(gw_frontend_iterate(route.from, route.pipe, &iterate, NULL));
	gw_close(&route.pipe);
	ok(gw_frontend_transfer_check(route.to));
	gw_frontend_free(route.to);
	/* The next front-end of that back-end is the guest's. */
	config = config_for(&route.b);
	ok(gw_frontend_migrate(&route.to, route.from, &config));
	ok(gw_frontend_start(route.to));
	echo_take(route.to, 0);
	assert_int_equal(atomic_load(&route.b.script->again), 1);
	route_end(&route);
}

/*
 * Every message in every state of a save.
 */
enum where { NOTHING, ROUND, WAITING, STOPPED_WAITING, REST, SAVED, FAILED, WHERES };
static const char *const where_names[] = {"nothing", "round", "waiting", "stopped, waiting",
					  "rest",    "saved", "failed"};

enum said {
	SAY_RUNNING_FD,
	SAY_RUNNING,
	SAY_STOPPED_FD,
	SAY_STOPPED,
	SAY_LOAD_FD,
	SAY_LOAD,
	SAY_LOAD_RUNNING,
	SAY_PENDING,
	SAY_CHECK,
	SAY_CANCEL,
	SAY_SUSPEND,
	SAY_RESUME,
	SAIDS,
};
static const char *const said_names[] = {
	"SAVE running with descriptor",
	"SAVE running",
	"SAVE stopped with descriptor",
	"SAVE stopped",
	"LOAD",
	"LOAD without descriptor",
	"LOAD in phase running",
	"PENDING",
	"CHECK",
	"CANCEL",
	"SUSPEND",
	"RESUME",
};

/* Is it granted (y) or refused (n)? In a round, while waiting and before, the device runs. */
static const char expected[SAIDS][WHERES + 1] = {
	[SAY_RUNNING_FD] = "yyyyyyy",	[SAY_RUNNING] = "nyyynnn", [SAY_STOPPED_FD] = "nnnyyyn",
	[SAY_STOPPED] = "nnnynnn",	[SAY_LOAD_FD] = "nnnnnnn", [SAY_LOAD] = "nnnnnnn",
	[SAY_LOAD_RUNNING] = "nnnnnnn", [SAY_PENDING] = "nyyyynn", [SAY_CHECK] = "nnnnyyn",
	[SAY_CANCEL] = "yyyyyyy",	[SAY_SUSPEND] = "yyyyyyy", [SAY_RESUME] = "yyyyyyy",
};

static void bring_to(struct peer *peer, struct gw_frontend *frontend, enum where where, int fd)
{
	int own;

	ok(gw_frontend_start(frontend));
	/* So many that a pipe which nobody reads is full before they are all there. */
	touch(peer, 0, SCRIPTED_PAGES, where == ROUND ? 2 : 0);
	if (where == NOTHING)
		return;
	if (where == FAILED)
		atomic_store(&peer->script->fail_running, EIO);
	ok(gw_frontend_iterate_begin(frontend, fd, &own));
	if (where == FAILED) {
		struct gw_iterate_pending pending;

		while (!gw_frontend_iterate_pending(frontend, &pending))
			sleep_ms(1);
		atomic_store(&peer->script->fail_running, 0);
		return;
	}
	if (where == ROUND)
		return;
	wait_idle(frontend);
	if (where == WAITING)
		return;
	ok(gw_frontend_stop(frontend));
	if (where == STOPPED_WAITING)
		return;
	atomic_store(&peer->script->bulk_bytes, where == REST ? 16 << 20 : 0);
	ok(gw_frontend_iterate_go_on(frontend, GW_PHASE_STOPPED));
	for (unsigned i = 0; where == SAVED && i < 5000; i++) {
		struct gw_iterate_pending pending;

		if (gw_frontend_iterate_pending(frontend, &pending))
			break;
		sleep_ms(1);
	}
}

static bool transfer(struct gw_frontend *frontend, uint32_t direction, uint32_t phase, bool with_fd)
{
	const struct gw_vu_device_state payload = {.direction = direction, .phase = phase};
	struct provoked provoked =
		provoke(frontend, &(struct provocation){.request = GW_VU_SET_DEVICE_STATE_FD,
							.payload = &payload,
							.len = sizeof(payload),
							.fd_count = with_fd});

	assert_int_equal(provoked.answer, ANSWER_GIVEN);
	return provoked.payload.u64 == GW_VU_STATE_ACCEPTED;
}

static bool plainly(struct gw_frontend *frontend, uint32_t request)
{
	struct provoked provoked = provoke(frontend, &(struct provocation){.request = request});

	assert_int_equal(provoked.answer, ANSWER_GIVEN);
	return !says_error(gw_vu_row(request), &provoked);
}

static bool say(struct gw_frontend *frontend, enum said said)
{
	switch (said) {
	case SAY_RUNNING_FD:
	case SAY_RUNNING:
		return transfer(frontend, GW_VU_STATE_SAVE, GW_VU_STATE_RUNNING,
				said == SAY_RUNNING_FD);
	case SAY_STOPPED_FD:
	case SAY_STOPPED:
		return transfer(frontend, GW_VU_STATE_SAVE, GW_VU_STATE_STOPPED,
				said == SAY_STOPPED_FD);
	case SAY_LOAD_FD:
	case SAY_LOAD:
		return transfer(frontend, GW_VU_STATE_LOAD, GW_VU_STATE_STOPPED,
				said == SAY_LOAD_FD);
	case SAY_LOAD_RUNNING:
		return transfer(frontend, GW_VU_STATE_LOAD, GW_VU_STATE_RUNNING, true);
	case SAY_PENDING:
		return plainly(frontend, GW_VU_GET_DEVICE_STATE_PENDING);
	case SAY_CHECK:
		return plainly(frontend, GW_VU_CHECK_DEVICE_STATE);
	case SAY_CANCEL:
		return plainly(frontend, GW_VU_CANCEL_DEVICE_STATE);
	case SAY_SUSPEND:
		return plainly(frontend, GW_VU_SUSPEND);
	case SAY_RESUME:
		return plainly(frontend, GW_VU_RESUME);
	case SAIDS:
		break;
	}
	return false;
}

/* CHECK waits for the rest, so that somebody has to read it. */
static void *drain(void *opaque)
{
	const int *fd = opaque;
	char bytes[65536];

	while (read(*fd, bytes, sizeof(bytes)) > 0)
		;
	return NULL;
}

static void try_one(struct peer *peer, enum where where, enum said said)
{
	struct gw_frontend *frontend = make(peer);
	GW_AUTO_FD int whole = memfd_create("whole", MFD_CLOEXEC);
	struct gw_iterate_config config = {.size = sizeof(config)};
	bool reads = where == REST && said == SAY_CHECK, granted;
	pthread_t reader;
	struct echo echo;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	echo_init(&echo, frontend);
	bring_to(peer, frontend, where, ends[1]);
	close(ends[1]);
	if (reads)
		assert_int_equal(pthread_create(&reader, NULL, drain, &ends[0]), 0);
	granted = say(frontend, said);
	if (reads)
		pthread_join(reader, NULL);
	close(ends[0]);
	if (granted != (expected[said][where] == 'y'))
		fail_msg("%s: %s was %s", where_names[where], said_names[said],
			 granted ? "granted" : "refused");
	/* Whatever it was: the guest can go on, and a save from the beginning is whole. */
	ok(gw_frontend_iterate_cancel(frontend));
	ok(gw_frontend_stop(frontend));
	ok(gw_frontend_resume(frontend));
	ok(gw_frontend_start(frontend));
	echo_once(&echo, frontend, 0, 1);
	ok(gw_frontend_iterate(frontend, whole, &config, NULL));
	ok(gw_frontend_reset_device(frontend));
	lseek(whole, 0, SEEK_SET);
	ok(gw_frontend_load(frontend, whole));
	assert_same_pages(peer, peer);
	gw_frontend_free(frontend);
}

static void every_message_in_every_state(void **state)
{
	struct peer peer;

	for (unsigned where = 0; where < WHERES; where++) {
		for (unsigned said = 0; said < SAIDS; said++) {
			serve(&peer, true);
			try_one(&peer, where, said);
			assert_int_equal(atomic_load(&peer.script->iterate_on),
					 atomic_load(&peer.script->iterate_off));
			peer_stop(&peer);
		}
	}
}

/* Phase RUNNING has nothing to do with whether rings run: they stop and start, also one by one. */
static void rings_come_and_go(void **state)
{
	struct route route;
	int own;

	route_begin(&route);
	touch(&route.a, 0, 10, 1);
	ok(gw_frontend_iterate_begin(route.from, route.pipe, &own));
	gw_close(&route.pipe);
	wait_idle(route.from);
	ok(gw_frontend_enable(route.from, 0, false));
	ok(gw_frontend_enable(route.from, 0, true));
	ok(gw_frontend_stop(route.from));
	wait_idle(route.from);
	ok(gw_frontend_start(route.from));
	echo_once(&route.echo, route.from, 0, 1);
	touch(&route.a, 0, 1, 2);
	ok(gw_frontend_iterate_go_on(route.from, GW_PHASE_RUNNING));
	ok(gw_frontend_suspend(route.from));
	ok(gw_frontend_resume(route.from));
	echo_once(&route.echo, route.from, 0, 2);
	ok(gw_frontend_suspend(route.from));
	ok(gw_frontend_iterate_go_on(route.from, GW_PHASE_STOPPED));
	ok(gw_frontend_transfer_check(route.from));
	assert_arrives(&route);
	route_end(&route);
}

/* The stop does not wait for a round that nobody needs any more. */
static void stop_cuts_the_round(void **state)
{
	struct route route;
	int own;

	route_begin(&route);
	atomic_store(&route.a.script->page_pause_ms, 5);
	touch(&route.a, 0, SCRIPTED_PAGES, 1);
	ok(gw_frontend_iterate_begin(route.from, route.pipe, &own));
	gw_close(&route.pipe);
	wait_until(&route.a.script->running_saves, 1);
	ok(gw_frontend_stop(route.from));
	ok(gw_frontend_iterate_go_on(route.from, GW_PHASE_STOPPED));
	ok(gw_frontend_transfer_check(route.from));
	/* 8 pages are a budget; all would have been 32 calls and one more. */
	assert_true(atomic_load(&route.a.script->running_saves) < 30);
	assert_arrives(&route);
	route_end(&route);
}

/* Who is gone is noticed although nothing is written. */
static void reader_gone_while_waiting(void **state)
{
	int (*const kinds[])(int ends[2]) = {pipe, NULL};

	for (unsigned i = 0; i < 2; i++) {
		struct gw_iterate_pending pending;
		struct gw_frontend *frontend;
		struct echo echo;
		struct peer peer;
		char bytes[4096];
		int ends[2], own;

		frontend = start(&peer);
		echo_init(&echo, frontend);
		if (kinds[i])
			assert_int_equal(kinds[i](ends), 0);
		else
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		ok(gw_frontend_iterate_begin(frontend, ends[1], &own));
		close(ends[1]);
		wait_idle(frontend);
		assert_true(read(ends[0], bytes, sizeof(bytes)) > 0);
		close(ends[0]);
		while (!gw_frontend_iterate_pending(frontend, &pending))
			sleep_ms(1);
		assert_int_equal(gw_frontend_transfer_check(frontend), -EIO);
		assert_int_equal(atomic_load(&peer.script->outcomes[GW_OUTCOME_FAILED]), 1);
		echo_once(&echo, frontend, 0, 1);
		end(&peer, frontend);
	}
}

/* The end of the connection, in a round that nobody reads and while it waits. */
static void front_end_gone(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct gw_frontend *frontend;
		struct peer peer;
		int ends[2], own;

		serve(&peer, true);
		frontend = make(&peer);
		ok(gw_frontend_start(frontend));
		touch(&peer, 0, i ? SCRIPTED_PAGES : 1, 1);
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		ok(gw_frontend_iterate_begin(frontend, ends[1], &own));
		close(ends[1]);
		if (!i)
			wait_idle(frontend);
		gw_frontend_free(frontend);
		frontend = make(&peer);
		ok(gw_frontend_start(frontend));
		wait_until(&peer.script->iterate_off, 1);
		gw_frontend_free(frontend);
		close(ends[0]);
		peer_stop(&peer);
	}
}

/* To all others phase 1 is what it always was: no phase. */
static void only_where_both_ask(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;
	uint64_t before;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	frontend = make(&peer);
	assert_int_equal(frontend->protocol_offered >> GW_VU_PROTOCOL_FEATURES, 0);
	before = frontend->protocol_offered;
	assert_int_equal(gw_frontend_iterate(frontend, 0, NULL, NULL), -EOPNOTSUPP);
	assert_false(transfer(frontend, GW_VU_STATE_SAVE, GW_VU_STATE_RUNNING, true));
	gw_frontend_free(frontend);
	peer_stop(&peer);

	serve(&peer, true);
	frontend = peer_frontend(&peer);
	assert_int_equal(frontend->protocol_offered,
			 before | GW_VU_PF(ITERATIVE) | GW_VU_PF(SUSPEND));
	assert_int_equal(gw_frontend_iterate(frontend, 0, NULL, NULL), -EOPNOTSUPP);
	assert_false(transfer(frontend, GW_VU_STATE_SAVE, GW_VU_STATE_RUNNING, true));
	assert_false(transfer(frontend, GW_VU_STATE_SAVE, GW_VU_STATE_STOPPED, false));
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

/* Seeds of changes and of when it stops; the guest works all the time. */
static void many_times(void **state)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct gw_iterate_config config;
		struct route route;

		route_begin(&route);
		config = plan(&route);
		config.blackout_ms = 1 + seed % 3;
		config.rounds = 1 + seed % 7;
		route.changes = seed;
		touch(&route.a, seed, seed * 11, seed);
		ok(gw_frontend_iterate(route.from, route.pipe, &config, NULL));
		assert_arrives(&route);
		route_end(&route);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_hand),
		cmocka_unit_test(driven),
		cmocka_unit_test(driven_and_suspended),
		cmocka_unit_test(bounded),
		cmocka_unit_test(stopped_when_little_is_left),
		cmocka_unit_test(cancelled_at_every_look),
		cmocka_unit_test(refused_early),
		cmocka_unit_test(own_channel),
		cmocka_unit_test(into_a_file),
		cmocka_unit_test(device_without_phases),
		cmocka_unit_test(device_fails),
		cmocka_unit_test(parked_travels),
		cmocka_unit_test(every_message_in_every_state),
		cmocka_unit_test(rings_come_and_go),
		cmocka_unit_test(stop_cuts_the_round),
		cmocka_unit_test(reader_gone_while_waiting),
		cmocka_unit_test(front_end_gone),
		cmocka_unit_test(only_where_both_ask),
		cmocka_unit_test(many_times),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
