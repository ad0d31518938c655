/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/relay-hostile.c - a guest, a process and a state that are not as they should be get
 * nothing of the relay's, and end nothing. */
#include "../unit/cmocka-all.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/socket.h"
#include "godwit/state.h"
#include "migration/handover.h"
#include "operator.h"
#include "peer.h"
#include "relay-guest.h"

static struct relay_host host;
static struct gw_listener listener;
static struct peer peer;
static struct gw_frontend *frontend;
static struct relay_guest guest;
static int client;

static int set_up(void **state)
{
	struct gw_frontend_config config;
	char path[48];

	memset(&host, 0, sizeof(host));
	relay_address(&host);
	snprintf(path, sizeof(path), "/tmp/gw-relay-hostile.%d", (int)getpid());
	ok(gw_listener_open(&listener, path));
	host.handover_fd = listener.fd;
	peer_start(&peer, &(struct peer_options){.fork = true,
						 .ops = &relay_device_ops,
						 .control = true,
						 .host = &host,
						 .on_save = GW_ON_SAVE_MOVE,
						 .on_lost_outcome = GW_LOST_RESUME,
						 .frozen_timeout_ms = 50});
	config = peer_config(&peer);
	relay_guest_config(&config);
	ok(gw_frontend_new(&frontend, &config));
	relay_guest_begin(&guest, frontend);
	ok(gw_frontend_start(frontend));
	client = relay_connect(&host);
	assert_true(client >= 0);
	assert_true(relay_ping(client, "first", &guest, frontend));
	return 0;
}

static int tear_down(void **state)
{
	close(client);
	gw_frontend_free(frontend);
	assert_int_equal(peer_join(&peer), 0);
	gw_listener_close(&listener);
	return 0;
}

/* -- the guest ----------------------------------------------------------------------------- */

static void say(uint32_t conn, uint32_t op, uint32_t len, size_t bytes)
{
	const struct relay_header header = {
		.conn = htole32(conn), .op = htole32(op), .len = htole32(len)};
	const struct iovec out = {.iov_base = guest.out, .iov_len = bytes};
	uint32_t written;
	void *token;

	memset(guest.out, 'x', RELAY_GUEST_ROOM);
	memcpy(guest.out, &header, sizeof(header));
	ok(gw_driver_add(frontend, 1, &out, 1, NULL, 0, guest.out));
	ok(gw_driver_kick(frontend, 1));
	while (!gw_driver_get(frontend, 1, &token, &written))
		ok(gw_driver_wait(frontend, 1, 5000));
}

static bool is_closed(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	char byte;

	return poll(&poller, 1, 5000) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

/* What makes no sense is passed over; the connection is as it was. */
static void nonsense(void **state)
{
	say(0, RELAY_DATA, 4, sizeof(struct relay_header) + 4);
	say(4711, RELAY_DATA, 4, sizeof(struct relay_header) + 4);
	say(guest.last, 99, 0, sizeof(struct relay_header));
	say(guest.last, RELAY_DATA, 4, 3);
	assert_true(relay_ping(client, "still here", &guest, frontend));
}

/* More than the bytes that came, or than its window: that connection ends, and no other. */
static void too_much(void **state)
{
	uint32_t first = guest.last;
	int other = relay_connect(&host);

	assert_true(relay_ping(other, "other", &guest, frontend));
	say(first, RELAY_DATA, UINT32_MAX, sizeof(struct relay_header) + 4);
	assert_true(is_closed(client));
	assert_true(relay_guest_serve(&guest, frontend, 0, 2, 1, 5000));
	assert_true(relay_ping(other, "other again", &guest, frontend));
	say(guest.last, RELAY_DATA, 100, sizeof(struct relay_header) + 4);
	assert_true(is_closed(other));
	close(other);
}

/* -- another process ----------------------------------------------------------------------- */

/* What it is answered to @hello: a byte, or nothing when it hangs up. */
static int greeted(const struct gw_handover_hello *hello)
{
	struct pollfd poller = {.events = POLLIN};
	GW_AUTO_FD int fd = -1;
	uint8_t byte;

	ok(gw_socket_connect(&fd, listener.path, 1000));
	poller.fd = fd;
	assert_int_equal(send(fd, hello, sizeof(*hello), MSG_NOSIGNAL), sizeof(*hello));
	assert_int_equal(poll(&poller, 1, 5000), 1);
	return recv(fd, &byte, 1, 0) == 1 ? byte : -1;
}

static void strangers(void **state)
{
	struct gw_handover_hello hello = {.magic = "gw-re-1"};

	/* While it runs nothing is offered, whatever the ticket. */
	assert_int_equal(greeted(&hello), -1);
	memset(&hello, 'g', sizeof(hello));
	assert_int_equal(greeted(&hello), -1);
	/* Words that nobody has asked for. */
	memset(&hello, 'T', sizeof(hello) - 1);
	((char *)&hello)[sizeof(hello) - 1] = '?';
	assert_int_equal(greeted(&hello), -1);
	assert_true(relay_ping(client, "and on", &guest, frontend));
}

/* Who says half a greeting keeps nobody waiting, and may say the other half later. */
static void half_a_greeting(void **state)
{
	const struct gw_handover_hello hello = {.magic = "gw-re-1"};
	struct pollfd poller = {.events = POLLIN};
	uint8_t byte;

	ok(gw_socket_connect(&poller.fd, listener.path, 1000));
	for (size_t i = 0; i < sizeof(hello); i++) {
		/* It would have hung up after the first byte before it served what comes next. */
		assert_int_equal(poll(&poller, 1, 0), 0);
		assert_int_equal(send(poller.fd, (const char *)&hello + i, 1, MSG_NOSIGNAL), 1);
		assert_true(relay_ping(client, "meanwhile", &guest, frontend));
		assert_true(relay_ping(client, "and again", &guest, frontend));
	}
	/* All of it is none. */
	assert_int_equal(poll(&poller, 1, 5000), 1);
	assert_int_equal(recv(poller.fd, &byte, 1, 0), 0);
	close(poller.fd);
}

static size_t count_obstacles(struct operator* operator)
{
	json_t *answer = operator_ask(operator, "preflight");
	const json_t *session = json_array_get(operator_at(answer, "sessions"), 0);
	size_t count = json_array_size(operator_at(session, "cannot_travel"));

	json_decref(answer);
	return count;
}

/* Does it sleep? Who has the lock, or is about to, does not. */
static bool is_relay_thread(const char *tid, bool *sleeps)
{
	char path[PATH_MAX], name[32] = {0}, state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)peer.pid, tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%*d (%31[^)]) %c", name, &state) != 2)
		state = 0;
	fclose(f);
	*sleeps = state == 'S';
	return !strcmp(name, "gw-relay");
}

static pid_t find_relay_thread(bool *sleeps)
{
	char path[PATH_MAX];
	pid_t found = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)peer.pid);
	dir = opendir(path);
	assert_non_null(dir);
	for (struct dirent *entry; !found && (entry = readdir(dir));)
		if (is_relay_thread(entry->d_name, sleeps))
			found = atoi(entry->d_name);
	closedir(dir);
	assert_int_not_equal(found, 0);
	return found;
}

/* The thread that would notice by itself who connects, and nobody else. 0: it cannot be held. */
static pid_t hold_relay_thread(void)
{
	bool sleeps;
	pid_t tid;

	while ((tid = find_relay_thread(&sleeps)) && !sleeps)
		sleep_ms(1);
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0) {
		print_message("processes may not be traced here: %s\n", strerror(errno));
		return 0;
	}
	assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
	assert_int_equal(waitpid(tid, NULL, __WALL), tid);
	return tid;
}

/* Who has just connected counts for what a save would do, and for what it is said that it would. */
static void just_connected(void **state)
{
	struct operator operator;

	operator_open(&operator, peer.control);
	assert_int_equal(count_obstacles(&operator), 1);
	for (unsigned i = 0; i < 3; i++) {
		pid_t held = hold_relay_thread();
		GW_AUTO_FD int fd = -1;
		size_t obstacles;

		ok(gw_socket_connect(&fd, listener.path, 1000));
		obstacles = count_obstacles(&operator);
		if (held)
			assert_int_equal(ptrace(PTRACE_DETACH, held, NULL, NULL), 0);
		assert_int_equal(obstacles, 0);
		gw_close(&fd);
		/* Until it is known that it has gone. */
		while (!count_obstacles(&operator))
			sleep_ms(1);
	}
	operator_close(&operator);
}

/* One that is connected when it is saved has to know the ticket, too. */
static void wrong_ticket(void **state)
{
	struct gw_handover_hello hello = {.magic = "gw-re-1", .ticket = {1}};
	struct pollfd poller = {.events = POLLIN};
	int stream = memfd_create("state", MFD_CLOEXEC);
	uint8_t byte;

	ok(gw_socket_connect(&poller.fd, listener.path, 1000));
	sleep_ms(100);
	ok(gw_frontend_stop(frontend));
	ok(gw_frontend_save(frontend, stream));
	assert_int_equal(send(poller.fd, &hello, sizeof(hello), MSG_NOSIGNAL), sizeof(hello));
	assert_int_equal(poll(&poller, 1, 5000), 1);
	assert_int_equal(recv(poller.fd, &byte, 1, 0), 0);
	close(poller.fd);
	close(stream);
	ok(gw_frontend_start(frontend));
	assert_true(relay_ping(client, "and on", &guest, frontend));
}

/* Nor does the source let go of anything for who has not been given it. */
static void take_without_a_ticket(void **state)
{
	struct pollfd poller = {.events = POLLIN};
	int stream = memfd_create("state", MFD_CLOEXEC);
	uint8_t byte;

	ok(gw_socket_connect(&poller.fd, listener.path, 1000));
	ok(gw_frontend_stop(frontend));
	ok(gw_frontend_save(frontend, stream));
	assert_int_equal(send(poller.fd, "T", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(poll(&poller, 1, 5000), 1);
	assert_int_equal(recv(poller.fd, &byte, 1, 0), 0);
	close(poller.fd);
	close(stream);
	ok(gw_frontend_start(frontend));
	assert_true(relay_ping(client, "and on", &guest, frontend));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nonsense, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_much, set_up, tear_down),
		cmocka_unit_test_setup_teardown(strangers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(half_a_greeting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(just_connected, set_up, tear_down),
		cmocka_unit_test_setup_teardown(wrong_ticket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(take_without_a_ticket, set_up, tear_down),
	};

	gw_log_set_level(getenv("LOUD") ? GW_LOG_DEBUG : GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
