/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/relay-program.c - the program, with the system calls that it may make: a guest is
 * served, moves to another process of it, and does not find it dead.
 *
 * usage: migration-relay-program GODWIT-RELAY
 */
#include "../unit/cmocka-all.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static const char *program;
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

static void start(struct side *side, unsigned number)
{
	const struct sockaddr_in *address = (const void *)&host.address;
	char listen[32], path[80], handover[64];
	struct operator operator;
	int fd;

	snprintf(side->socket, sizeof(side->socket), "%s/s%u", dir, number);
	snprintf(side->control, sizeof(side->control), "%s.control", side->socket);
	snprintf(path, sizeof(path), "--socket-path=%s", side->socket);
	snprintf(handover, sizeof(handover), "--handover-socket=%s/h", dir);
	snprintf(listen, sizeof(listen), "--listen=%s:%u", inet_ntoa(address->sin_addr),
		 ntohs(address->sin_port));
	side->pid = fork();
	assert_true(side->pid >= 0);
	if (!side->pid) {
		execl(program, program, path, handover, listen, "--on-save=move",
		      "--log-level=error", (char *)NULL);
		_exit(127);
	}
	ok(gw_socket_connect(&fd, side->control, 20000));
	close(fd);
	operator_open(&operator, side->control); /* it is ready */
	operator_close(&operator);
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

static void move(struct side *from, struct side *to, unsigned number)
{
	int stream = memfd_create("state", MFD_CLOEXEC);
	struct gw_frontend_config config;

	start(to, number);
	config = config_of(to);
	ok(gw_frontend_stop(from->frontend));
	ok(gw_frontend_save(from->frontend, stream));
	ok(gw_frontend_migrate(&to->frontend, from->frontend, &config));
	lseek(stream, 0, SEEK_SET);
	ok(gw_frontend_load(to->frontend, stream));
	close(stream);
	ok(gw_frontend_start(to->frontend));
	assert_true(relay_ping(client, "moved", &guest, to->frontend));
	end(from);
}

static void serves_and_moves(void **state)
{
	struct gw_frontend_config config;
	struct side sides[3];
	int other;

	relay_address(&host);
	start(&sides[0], 0);
	assert_filtered(&sides[0]);
	config = config_of(&sides[0]);
	ok(gw_frontend_new(&sides[0].frontend, &config));
	relay_guest_begin(&guest, sides[0].frontend);
	ok(gw_frontend_start(sides[0].frontend));
	client = relay_connect(&host);
	assert_true(client >= 0);
	assert_true(relay_ping(client, "one", &guest, sides[0].frontend));
	move(&sides[0], &sides[1], 1);
	other = relay_connect(&host);
	assert_true(relay_ping(other, "two", &guest, sides[1].frontend));
	close(other);
	move(&sides[1], &sides[2], 2);
	ok(gw_frontend_reset_device(sides[2].frontend));
	close(client);
	end(&sides[2]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_and_moves),
	};
	int failed;

	if (argc < 2 || !mkdtemp(dir))
		return 1;
	program = argv[1];
	gw_log_set_level(GW_LOG_OFF);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
