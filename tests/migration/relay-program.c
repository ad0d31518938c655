/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/relay-program.c - the program, with the system calls that it may make: a guest is
 * served, moves to another process of it, or to another connection, and does not find it dead.
 *
 * usage: migration-relay-program GODWIT-RELAY [OPTION...]
 */
#include "../unit/cmocka-all.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/socket.h"
#include "operator.h"
#include "peer.h"
#include "relay-guest.h"

struct side {
	pid_t pid;
	char socket[64], control[80];
	struct gw_frontend *frontend;
};

#define OPTIONS_MAX 8

static const char *program;
static char *const *given; /* options of all, ended by NULL */
static char dir[] = "/tmp/gw-relay-program.XXXXXX";
static struct relay_host host;
static struct relay_guest guest;
static int client;

static struct gw_frontend_config config_of(const struct side *side)
{
	struct gw_frontend_config config = {.size = sizeof(config),
					    .socket_path = side->socket,
					    .timeout_ms = 20000,
					    .queue_size = 64};

	relay_guest_config(&config);
	return config;
}

static void execute(const struct side *side, const char *option)
{
	const struct sockaddr_in *address = (const void *)&host.address;
	char listen[32], path[80];
	const char *argv[OPTIONS_MAX + 8] = {program,	       path,   listen,
					     "--on-save=move", option, "--log-level=error"};

	snprintf(path, sizeof(path), "--socket-path=%s", side->socket);
	snprintf(listen, sizeof(listen), "--listen=%s:%u", inet_ntoa(address->sin_addr),
		 ntohs(address->sin_port));
	for (unsigned i = 0; i < OPTIONS_MAX && given[i]; i++)
		argv[6 + i] = given[i];
	/* However the test ends. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(program, (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* With one option more. */
static void start(struct side *side, unsigned number, const char *option)
{
	struct operator operator;
	int fd;

	side->frontend = NULL;
	snprintf(side->socket, sizeof(side->socket), "%s/s%u", dir, number);
	snprintf(side->control, sizeof(side->control), "%s.control", side->socket);
	side->pid = fork();
	assert_true(side->pid >= 0);
	if (!side->pid)
		execute(side, option);
	ok(gw_socket_connect(&fd, side->control, 20000));
	close(fd);
	operator_open(&operator, side->control); /* it is ready */
	operator_close(&operator);
}

static void begin(struct side *side)
{
	struct gw_frontend_config config = config_of(side);

	ok(gw_frontend_new(&side->frontend, &config));
	relay_guest_begin(&guest, side->frontend);
	ok(gw_frontend_start(side->frontend));
	client = relay_connect(&host);
	assert_true(client >= 0);
	assert_true(relay_ping(client, "one", &guest, side->frontend));
}

static void end(struct side *side)
{
	int status;

	gw_frontend_free(side->frontend);
	assert_int_equal(waitpid(side->pid, &status, 0), side->pid);
	assert_int_equal(status, 0);
	assert_int_equal(access(side->socket, F_OK), -1);
}

static void assert_filtered(const struct side *side)
{
	char path[64], line[256];
	bool filtered = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)side->pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		filtered |= !strncmp(line, "Seccomp:\t2", 10);
	fclose(f);
	assert_true(filtered);
}

/* Into memory; its descriptor. */
static int save(struct side *side)
{
	int stream = memfd_create("state", MFD_CLOEXEC);

	ok(gw_frontend_stop(side->frontend));
	ok(gw_frontend_save(side->frontend, stream));
	lseek(stream, 0, SEEK_SET);
	return stream;
}

static void load(struct side *to, const struct side *from, int stream)
{
	struct gw_frontend_config config = config_of(to);

	ok(gw_frontend_migrate(&to->frontend, from->frontend, &config));
	ok(gw_frontend_load(to->frontend, stream));
	close(stream);
	ok(gw_frontend_start(to->frontend));
}

static const char *handover(void)
{
	static char option[64];

	snprintf(option, sizeof(option), "--handover-socket=%s/h", dir);
	return option;
}

static void move(struct side *from, struct side *to, unsigned number)
{
	start(to, number, handover());
	load(to, from, save(from));
	assert_true(relay_ping(client, "moved", &guest, to->frontend));
	end(from);
}

static void serves_and_moves(void **state)
{
	struct side sides[3];
	int other;

	relay_address(&host);
	start(&sides[0], 0, handover());
	assert_filtered(&sides[0]);
	begin(&sides[0]);
	move(&sides[0], &sides[1], 1);
	other = relay_connect(&host);
	assert_true(relay_ping(other, "two", &guest, sides[1].frontend));
	close(other);
	move(&sides[1], &sides[2], 2);
	ok(gw_frontend_reset_device(sides[2].frontend));
	close(client);
	end(&sides[2]);
}

/* Nobody is there to hand it over to. The guest hears that its connection is no more. */
static void drops_what_cannot_move(void **state)
{
	struct operator operator;
	struct side from, to;
	int stream;

	relay_address(&host);
	start(&from, 0, "--on-unsavable=drop");
	assert_filtered(&from);
	begin(&from);
	stream = save(&from);
	operator_open(&operator, from.control);
	operator_do(&operator, "{\"execute\":\"migration-outcome\","
			       "\"arguments\":{\"outcome\":\"moved\"}}");
	operator_close(&operator);
	start(&to, 1, "--on-unsavable=drop");
	load(&to, &from, stream);
	assert_true(relay_guest_serve(&guest, to.frontend, 0, 1, 1, 5000));
	close(client);
	client = relay_connect(&host);
	assert_true(client >= 0);
	assert_true(relay_ping(client, "new", &guest, to.frontend));
	close(client);
	end(&from);
	end(&to);
}

/* One process, to which another front-end has connected. */
static void stays(void **state)
{
	struct side side, again;

	relay_address(&host);
	start(&side, 0, "--migration=stateless");
	assert_filtered(&side);
	begin(&side);
	again = side;
	load(&again, &side, save(&side));
	assert_true(relay_ping(client, "stays", &guest, again.frontend));
	gw_frontend_free(side.frontend);
	assert_true(relay_ping(client, "still", &guest, again.frontend));
	close(client);
	end(&again);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_and_moves),
		cmocka_unit_test(drops_what_cannot_move),
		cmocka_unit_test(stays),
	};
	int failed;

	if (argc < 2 || !mkdtemp(dir))
		return 1;
	program = argv[1];
	given = argv + 2;
	gw_log_set_level(GW_LOG_OFF);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
