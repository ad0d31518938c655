/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/recover-at.c - a back-end that dies after one system call of a dialog, whichever it is:
 * each message takes effect, and is answered, once.
 *
 * usage: protocol-recover-at GODWIT-NULL DIE-AFTER.SO EVERY
 *
 * Every EVERY-th of the calls that messages are received, kept and answered by.
 */
#include "../unit/cmocka-all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "die_after.h"
#include "echo.h"
#include "killer.h"
#include "peer.h"
#include "vhost-user/wire.h"

#define CALLS_MAX 2000
/* Who dies a hundred times within a second is given up. */
#define PAUSE_MS 12
#define LATE_MS	 1000

static const char *program, *preload;
static int every;
static struct die_after *death;

static void share_death(int fd)
{
	assert_int_equal(ftruncate(fd, sizeof(*death)), 0);
	death = mmap(NULL, sizeof(*death), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(death != MAP_FAILED);
	close(fd);
}

static void start(struct killer *killer)
{
	const char *argv[] = {program, "--log-level=off", NULL};

	setenv("LD_PRELOAD", preload, 1);
	killer_start(killer, argv);
	unsetenv("LD_PRELOAD");
	death->spared = killer->daemon;
}

/* With descriptors and without, with an answer and without, that change something or ask. */
static void dialog(struct gw_frontend *frontend, struct echo *echo, unsigned turn)
{
	uint64_t value;
	void *base;

	ok(gw_frontend_start(frontend));
	echo_once(echo, frontend, 0, turn);
	ok(gw_frontend_get_config(frontend, 0, &value, sizeof(value)));
	ok(gw_frontend_log(frontend, true));
	ok(gw_frontend_add_region(frontend, 1 << 16, &base));
	ok(gw_frontend_remove_region(frontend, base));
	ok(gw_frontend_log(frontend, false));
	echo_once(echo, frontend, 0, turn + 1);
	ok(gw_frontend_stop(frontend));
	ok(gw_frontend_reset_device(frontend));
}

/* How many calls there are shows when one comes to the end alive. */
static void die_at(int step)
{
	struct gw_frontend_config config = {
		.size = sizeof(config),
		.timeout_ms = 20000,
		.queues = 1,
		.queue_size = 512,
		.want_features = 1ull << 28 | 1ull << 29,
		.refuse_protocol_features = GW_VU_PF(INFLIGHT_SHMFD),
	};
	struct gw_frontend *frontend;
	struct killer killer;
	struct echo echo;
	int at = 1;

	start(&killer);
	config.socket_path = killer.socket;
	ok(gw_frontend_new(&frontend, &config));
	echo_init(&echo, frontend);
	strcpy(death->call, "any");
	for (; at < CALLS_MAX; at += step) {
		atomic_store(&death->left, at);
		dialog(frontend, &echo, (unsigned)at);
		if (atomic_exchange(&death->left, 0))
			break;
		sleep_ms(PAUSE_MS);
	}
	print_message("died after each %d. of some %d calls\n", step, at);
	assert_in_range(at, 100, CALLS_MAX - 1);
	gw_frontend_free(frontend);
	killer_join(&killer);
}

static void at_each_call(void **state)
{
	die_at(every);
}

/* Each message comes right after somebody has looked. */
static void when_messages_are_late(void **state)
{
	death->late_ms = LATE_MS;
	die_at(every);
	death->late_ms = 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_each_call),
		cmocka_unit_test(when_messages_are_late),
	};
	char path[] = "/tmp/gw-death.XXXXXX";
	int failed, fd = mkstemp(path);

	if (argc < 4 || fd < 0 || atoi(argv[3]) < 1)
		return 1;
	program = argv[1];
	preload = argv[2];
	every = atoi(argv[3]);
	setenv(DIE_AFTER, path, 1);
	share_death(fd);
	gw_log_set_level(GW_LOG_OFF);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
