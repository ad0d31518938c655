/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/relay-ownership.c - whatever goes wrong at whichever message of a hand-over, there is
 * one owner. usage: relay-ownership [RUNS [SEED]] */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdpass.h"
#include "base/socket.h"
#include "operator.h"
#include "peer.h"
#include "relay-guest.h"

#define RUNS 40
/* Pieces of the hand-over's messages that pass in a run in which nothing is done. */
#define PIECES	  10
#define SETTLE_MS 8000

enum fault {
	FAULT_NONE,
	FAULT_CUT,	   /* the connection ends */
	FAULT_HANG,	   /* nothing passes any more, either way */
	FAULT_DELAY,	   /* it takes its time */
	FAULT_KILL_SOURCE, /* the process */
	FAULT_KILL_TARGET,
	FAULT_RESUME, /* the source's rings start */
	FAULT_FAILED, /* the source is told that it failed */
	FAULT_MOVED,  /* and that it moved, which is not true yet */
	FAULTS,
};
static const char *const names[] = {"nothing",
				    "cut",
				    "hang",
				    "delay",
				    "kill the source",
				    "kill the target",
				    "resume the source",
				    "tell it failed",
				    "tell it moved"};

struct side {
	struct relay_host host;
	struct peer peer;
	struct operator operator;
	struct gw_frontend *frontend;
	atomic_bool dead;
};

static struct side from, to;
static struct gw_listener listener;
static char path[48];
static struct relay_guest guest;
static int client;

/* What is done, and when. */
static enum fault fault;
static unsigned at;
static bool give_up; /* the front-ends call it off between load and start */
static atomic_bool resumed, told_moved, told_failed;

/* -- between the two ----------------------------------------------------------------------- */

static int ends[2]; /* of the proxy: to the source, to the target */
static atomic_bool proxy_ends;
static unsigned passed;

/* What @side answers to @line; NULL: it dies. One at a time. */
static json_t *ask(struct side *side, const char *line)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static char answer[1 << 16];
	GW_LOCK_SCOPE(&lock);
	json_t *reply = NULL;

	if (send(fileno(side->operator.lines), line, strlen(line), MSG_NOSIGNAL) < 0)
		return NULL;
	while (!reply && fgets(answer, sizeof(answer), side->operator.lines)) {
		reply = json_loads(answer, 0, NULL);
		if (json_object_get(reply, "event")) {
			json_decref(reply);
			reply = NULL;
		}
	}
	return reply;
}

static void tell(const char *outcome)
{
	bool moved = !strcmp(outcome, "moved");
	char line[128];
	json_t *reply;

	snprintf(line, sizeof(line),
		 "{\"execute\":\"migration-outcome\",\"arguments\":{\"outcome\":\"%s\"}}\n",
		 outcome);
	reply = ask(&from, line);
	atomic_store(moved ? &told_moved : &told_failed, json_object_get(reply, "return") != NULL);
	json_decref(reply);
}

static void kill_side(struct side *side)
{
	side->dead = true;
	kill(side->peer.pid, SIGKILL);
}

static atomic_bool is_left; /* the source's front-end, by the main thread */

/* False: nothing passes any more. */
static bool inject(void)
{
	switch (fault) {
	case FAULT_CUT:
		shutdown(ends[0], SHUT_RDWR);
		shutdown(ends[1], SHUT_RDWR);
		return false;
	case FAULT_HANG:
		return false;
	case FAULT_DELAY:
		sleep_ms(30);
		return true;
	case FAULT_KILL_SOURCE:
		kill_side(&from);
		return true;
	case FAULT_KILL_TARGET:
		kill_side(&to);
		return true;
	case FAULT_RESUME:
		atomic_load(&is_left);
		atomic_store(&resumed, !gw_frontend_start(from.frontend));
		return true;
	case FAULT_FAILED:
		tell("failed");
		return true;
	case FAULT_MOVED:
		tell("moved");
		return true;
	default:
		return true;
	}
}

/* One piece, and the descriptors that came with it; false: this end has hung up. */
static bool pass(int in, int out, bool *open)
{
	char bytes[8192];
	int fds[GW_FDPASS_MAX];
	unsigned count;
	ssize_t n =
		gw_fdpass_recv(in, bytes, sizeof(bytes), fds, GW_FDPASS_MAX, &count, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n > 0 && *open && passed++ == at)
		*open = inject();
	if (n > 0 && *open && gw_fdpass_send(out, bytes, (size_t)n, fds, count, 0) != n)
		n = 0;
	for (unsigned i = 0; n >= 0 && i < count; i++)
		close(fds[i]);
	return n > 0;
}

static void *proxy(void *opaque)
{
	bool open = true;

	while (!atomic_load(&proxy_ends)) {
		struct pollfd fds[] = {{.fd = ends[0], .events = POLLIN},
				       {.fd = ends[1], .events = POLLIN}};

		if (poll(fds, 2, 10) <= 0)
			continue;
		if ((fds[0].revents && !pass(ends[0], ends[1], &open)) ||
		    (fds[1].revents && !pass(ends[1], ends[0], &open)))
			break;
	}
	/* One that hung up is one that the other sees hang up. */
	if (open) {
		shutdown(ends[0], SHUT_RDWR);
		shutdown(ends[1], SHUT_RDWR);
	}
	return NULL;
}

/* -- one run ------------------------------------------------------------------------------- */

static void start_side(struct side *side, int *source, int handover)
{
	memset(side, 0, sizeof(*side));
	relay_address(&side->host);
	side->host.handover_fd = handover;
	side->host.handover_peer_fd = source;
	peer_start(&side->peer, &(struct peer_options){.fork = true,
						       .control = true,
						       .reconnect = true,
						       .ops = &relay_device_ops,
						       .host = &side->host,
						       .on_save = GW_ON_SAVE_MOVE});
}

static void set_up(void)
{
	int pair[2], none = -1;

	snprintf(path, sizeof(path), "/tmp/gw-owner.%d", (int)getpid());
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ok(gw_listener_open(&listener, path));
	/* Both before there is anything that a child must not have. */
	start_side(&from, &none, listener.fd);
	start_side(&to, &pair[0], 0);
	gw_close(&pair[0]);
	ends[1] = pair[1];
	ok(gw_socket_connect(&ends[0], path, 5000));
	operator_open(&from.operator, from.peer.control);
	operator_open(&to.operator, to.peer.control);
}

static void guest_begins(void)
{
	struct gw_frontend_config config = peer_config(&from.peer);

	relay_guest_config(&config);
	ok(gw_frontend_new(&from.frontend, &config));
	relay_guest_begin(&guest, from.frontend);
	ok(gw_frontend_start(from.frontend));
	client = relay_connect(&from.host);
	assert_true(client >= 0);
	assert_true(relay_ping(client, "hello", &guest, from.frontend));
}

/* 1: it is; 0: it is not, or is no more. */
static int is_live(struct side *side)
{
	const json_t *sessions;
	json_t *status;
	int live;

	if (side->dead)
		return 0;
	status = ask(side, "{\"execute\":\"query-status\"}\n");
	sessions = json_object_get(json_object_get(status, "return"), "sessions");
	live = json_is_true(
		json_object_get(json_object_get(json_array_get(sessions, 0), "details"), "live"));
	json_decref(status);
	return live;
}

/* Asked one after the other: twice at the same time is seen if it lasts. */
static int owners(void)
{
	int first = is_live(&from), second = is_live(&to), again = is_live(&from);

	return (first && again) + second;
}

static bool move(void)
{
	struct gw_frontend_config config = peer_config(&to.peer);
	int stream = memfd_create("state", MFD_CLOEXEC);
	bool good;

	relay_guest_config(&config);
	ok(gw_frontend_stop(from.frontend));
	ok(gw_frontend_save(from.frontend, stream));
	ok(gw_frontend_migrate(&to.frontend, from.frontend, &config));
	lseek(stream, 0, SEEK_SET);
	/* The proxy's thread may have it now. ThreadSanitizer sees no order that other processes
	 * make. */
	atomic_store(&is_left, true);
	good = !gw_frontend_load(to.frontend, stream);
	close(stream);
	return good;
}

static bool source_started;
static unsigned nobody; /* runs in which who had it was killed, or told what was not so */

static void start_source(void)
{
	source_started = true;
	gw_frontend_start(from.frontend);
}

/* As a VMM does: at the destination if the state got there, else at the source again. Returns
 * whether there must be an owner in the end. */
static bool decide(bool loaded)
{
	bool lost = (from.dead && !loaded) || (to.dead && atomic_load(&told_moved));

	if (atomic_load(&resumed))
		return true;
	/* Nobody calls it off whose source is dead. */
	if (loaded && !to.dead && (!give_up || from.dead))
		gw_frontend_start(to.frontend);
	else if (!from.dead)
		start_source();
	return !lost && (loaded || !from.dead);
}

/* Who has what the last word of the hand-over did not reach waits for an operator's. */
static int settle(bool expected)
{
	int count = owners();

	for (unsigned ms = 0; ms < SETTLE_MS && count != 1; ms += 20) {
		assert_true(count < 2);
		if (!expected && ms > 500)
			return count;
		if (ms == 500 && !from.dead && !to.dead && !atomic_load(&resumed) &&
		    !atomic_load(&told_failed))
			tell("moved");
		/* The destination is gone, or who said that it failed does as he said: the source
		 * is started again, unless it has let go. */
		if (ms == 500 && !from.dead && (to.dead || atomic_load(&told_failed)))
			start_source();
		sleep_ms(20);
		count = owners();
	}
	return count;
}

static void tear_down(void)
{
	close(client);
	gw_frontend_free(from.frontend);
	gw_frontend_free(to.frontend);
	operator_close(&from.operator);
	operator_close(&to.operator);
	peer_stop(&from.peer);
	peer_stop(&to.peer);
	gw_listener_close(&listener);
	close(ends[0]);
	close(ends[1]);
}

static void run(unsigned number)
{
	pthread_t thread;
	bool loaded, expected;
	int count;

	atomic_store(&resumed, false);
	atomic_store(&told_moved, false);
	atomic_store(&told_failed, false);
	atomic_store(&proxy_ends, false);
	source_started = false;
	passed = 0;
	set_up();
	guest_begins();
	assert_int_equal(pthread_create(&thread, NULL, proxy, NULL), 0);
	loaded = move();
	expected = decide(loaded);
	count = settle(expected);
	/* Told that it moved, which was not so, the source has let go: the operator's fault. */
	if (!count && fault == FAULT_MOVED && (!loaded || give_up))
		expected = false;
	/* Who was killed when it was the owner already took all with it. */
	if (!count && loaded && (to.dead || (from.dead && source_started)))
		expected = false;
	nobody += !count;
	if (expected ? count != 1 : count > 1)
		fail_msg("run %u: %s at piece %u%s: %d owners", number, names[fault], at,
			 give_up ? ", called off" : "", count);
	/* It is not only said: who is connected is answered. Where both front-ends were started,
	 * the guest's rings are nobody's. */
	if (count == 1 && fault != FAULT_RESUME && fault != FAULT_FAILED) {
		struct side *owner = is_live(&from) ? &from : &to;

		if (!relay_ping(client, "are you there", &guest, owner->frontend))
			fail_msg("run %u: %s at piece %u: its owner does not answer", number,
				 names[fault], at);
	}
	atomic_store(&proxy_ends, true);
	pthread_join(thread, NULL);
	tear_down();
}

static unsigned runs = RUNS;
static unsigned seed;

/* A hang takes seconds, so there are fewer of those. */
static enum fault choose(void)
{
	enum fault chosen = (enum fault)(rand() % FAULTS);

	return chosen == FAULT_HANG && rand() % 4 ? FAULT_CUT : chosen;
}

static void one_owner(void **state)
{
	unsigned counts[FAULTS] = {0};

	printf("%u runs, seed %u\n", runs, seed);
	srand(seed);
	for (unsigned i = 0; i < runs; i++) {
		fault = choose();
		at = (unsigned)rand() % PIECES;
		give_up = rand() % 5 == 0;
		counts[fault]++;
		run(i);
	}
	for (unsigned i = 0; i < FAULTS; i++)
		printf("%s: %u\n", names[i], counts[i]);
	printf("nobody in the end: %u\n", nobody);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(one_owner)};

	if (argc > 1)
		runs = (unsigned)strtoul(argv[1], NULL, 10);
	seed = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : (unsigned)time(NULL);
	gw_log_set_level(getenv("LOUD") ? GW_LOG_DEBUG : GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
