/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/recover.c - a back-end that is killed under load, and a front-end that does not notice.
 */
#include "../unit/cmocka-all.h"

#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "echo.h"
#include "killer.h"
#include "peer.h"
#include "vhost-user/wire.h"

#define ECHOES	    32
#define INTERVAL_MS 60

static const char *program;
static unsigned rounds = 25;

static struct gw_frontend_config config_of(const struct killer *killer, bool packed, bool own)
{
	return (struct gw_frontend_config){
		.size = sizeof(struct gw_frontend_config),
		.socket_path = killer->socket,
		.timeout_ms = 20000,
		.queues = 1,
		.queue_size = 512,
		.packed = packed,
		.want_features = 1ull << 28 | 1ull << 29 | (packed ? 1ull << 34 : 0),
		.refuse_protocol_features = own ? 0 : GW_VU_PF(INFLIGHT_SHMFD),
	};
}

static void start(struct killer *killer)
{
	const char *argv[] = {program, "--log-level=off", NULL};

	killer_start(killer, argv);
}

/* Every request comes back once, with its own answer; a second time would be EPROTO. */
static void work(struct gw_frontend *frontend, struct killer *killer)
{
	static struct echo echoes[ECHOES];
	uint64_t longest_ns = 0;
	unsigned number = 0, taken = 0;

	for (unsigned i = 0; i < ECHOES; i++) {
		echo_init(&echoes[i], frontend);
		echo_add(&echoes[i], frontend, 0, number++, 64 + i, 1 + i % 4);
	}
	ok(gw_driver_kick(frontend, 0));
	while (killer->done < killer->rounds) {
		uint64_t begin = gw_clock_ns();
		struct echo *echo = echo_take(frontend, 0);
		uint64_t took = gw_clock_ns() - begin;

		longest_ns = took > longest_ns ? took : longest_ns;
		taken++;
		echo_add(echo, frontend, 0, number, 64 + number % 500, 1 + number % 4);
		number++;
		ok(gw_driver_kick(frontend, 0));
	}
	for (unsigned i = 0; i < ECHOES; i++)
		echo_take(frontend, 0);
	assert_int_equal(gw_driver_in_flight(frontend, 0), 0);
	print_message("%u kills, %u answers, the longest wait %u us\n", killer->done,
		      taken + ECHOES, (unsigned)(longest_ns / GW_NS_PER_US));
}

static void under_load(bool packed, bool own)
{
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct killer killer;

	start(&killer);
	config = config_of(&killer, packed, own);
	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_start(frontend));
	killer_begin(&killer, rounds, INTERVAL_MS);
	work(frontend, &killer);
	killer_end(&killer);
	ok(gw_frontend_stop(frontend));
	gw_frontend_free(frontend);
	killer_join(&killer);
}

static void split(void **state)
{
	under_load(false, false);
}

static void packed(void **state)
{
	under_load(true, false);
}

static void split_with_region(void **state)
{
	under_load(false, true);
}

static void packed_with_region(void **state)
{
	under_load(true, true);
}

/* Messages of all kinds, some of them while nobody is there; each is answered once. */
static void in_dialog(void **state)
{
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct killer killer;
	struct echo echo;
	uint64_t value;
	unsigned turns = 0;

	start(&killer);
	config = config_of(&killer, false, false);
	ok(gw_frontend_new(&frontend, &config));
	echo_init(&echo, frontend);
	killer_begin(&killer, 2 * rounds, INTERVAL_MS);
	do {
		void *base;

		ok(gw_frontend_start(frontend));
		echo_once(&echo, frontend, 0, turns);
		ok(gw_frontend_get_config(frontend, 0, &value, sizeof(value)));
		ok(gw_frontend_log(frontend, true));
		echo_once(&echo, frontend, 0, turns + 1);
		ok(gw_frontend_add_region(frontend, 1 << 16, &base));
		ok(gw_frontend_remove_region(frontend, base));
		ok(gw_frontend_log(frontend, false));
		echo_once(&echo, frontend, 0, turns + 2);
		ok(gw_frontend_stop(frontend));
		if (turns++ % 4 == 0)
			ok(gw_frontend_reset_device(frontend));
	} while (killer.done < killer.rounds);
	killer_end(&killer);
	print_message("%u kills in %u turns\n", killer.done, turns);
	gw_frontend_free(frontend);
	killer_join(&killer);
}

/* Before any front-end came, and after the last has gone, with --reconnect. */
static void with_nobody_there(void **state)
{
	const char *argv[] = {program, "--log-level=off", "--reconnect", NULL};
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct killer killer;
	struct echo echo;

	killer_start(&killer, argv);
	config = config_of(&killer, false, false);
	while (access(killer.socket, F_OK))
		sleep_ms(1);
	for (unsigned i = 0; i < 3; i++) {
		ok(gw_frontend_new(&frontend, &config)); /* it is ready by then */
		if (i)
			killer_kill(&killer);
		ok(gw_frontend_start(frontend));
		echo_init(&echo, frontend);
		echo_once(&echo, frontend, 0, 1);
		gw_frontend_free(frontend);
		killer_kill(&killer);
	}
	kill(killer.daemon, SIGTERM);
	killer_join(&killer);
}

static void copy_file(const char *from, const char *to)
{
	char command[256];

	/* Another file under the name, as a package manager does it. */
	snprintf(command, sizeof(command), "cp %s %s.new && mv %s.new %s", from, to, to, to);
	assert_int_equal(system(command), 0);
}

/* What the process that serves executes. */
static void program_of(const struct killer *killer, char *path, size_t size)
{
	char link[64];
	ssize_t len = -1;
	pid_t pid;

	do {
		pid = killer_target(killer);
		snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
		len = pid ? readlink(link, path, size - 1) : -1;
	} while (len < 0);
	path[len] = 0;
}

/* The program is replaced under a front-end that works; one that is none is not taken. */
static void upgraded(void **state)
{
	char dir[] = "/tmp/gw-upgrade.XXXXXX", copy[64], now[128], command[128];
	const char *argv[] = {copy, "--log-level=off", NULL};
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct killer killer;
	struct echo echo;

	assert_non_null(mkdtemp(dir));
	snprintf(copy, sizeof(copy), "%s/program", dir);
	copy_file(program, copy);
	killer_start(&killer, argv);
	config = config_of(&killer, false, false);
	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_start(frontend));
	echo_init(&echo, frontend);
	for (unsigned i = 0; i < 3; i++) {
		echo_once(&echo, frontend, 0, i);
		program_of(&killer, now, sizeof(now));
		assert_string_equal(now, copy);
		copy_file(i == 1 ? "/bin/false" : program, copy);
		program_of(&killer, now, sizeof(now));
		assert_non_null(strstr(now, "(deleted)"));
		kill(killer.daemon, SIGUSR2);
		if (i == 1) { /* it goes on with the one that it had */
			sleep_ms(200);
			echo_once(&echo, frontend, 0, i);
			program_of(&killer, now, sizeof(now));
			assert_non_null(strstr(now, "(deleted)"));
			copy_file(program, copy);
			kill(killer.daemon, SIGUSR2);
		}
		do {
			sleep_ms(5);
			program_of(&killer, now, sizeof(now));
		} while (strcmp(now, copy) != 0);
		echo_once(&echo, frontend, 0, i);
	}
	ok(gw_frontend_stop(frontend));
	gw_frontend_free(frontend);
	killer_join(&killer);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

/* What cannot even start is not tried for ever. */
static void given_up(void **state)
{
	const char *argv[] = {program, "--log-level=off", "--state-key=/nonexistent", NULL};
	struct killer killer;
	int status;

	killer_start(&killer, argv);
	assert_int_equal(waitpid(killer.daemon, &status, 0), killer.daemon);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	rmdir(killer.dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split),
		cmocka_unit_test(packed),
		cmocka_unit_test(split_with_region),
		cmocka_unit_test(packed_with_region),
		cmocka_unit_test(in_dialog),
		cmocka_unit_test(with_nobody_there),
		cmocka_unit_test(upgraded),
		cmocka_unit_test(given_up),
	};

	if (argc < 2)
		return 1;
	program = argv[1];
	if (argc > 2)
		rounds = (unsigned)atoi(argv[2]);
	gw_log_set_level(GW_LOG_OFF);
	if (argc > 3)
		cmocka_set_test_filter(argv[3]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
