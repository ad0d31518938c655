/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/relay-handed.c - a process before that hands over what is no port and no connection. */
#include "../unit/cmocka-all.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/load.h"
#include "migration/handover.h"
#include "peer.h"
#include "relay-guest.h"
#include "relay/internal.h"

#define CONN 7

static struct relay_host host;
static int source; /* our end of what the device takes from */
static int handed; /* given as a port, and as a connection */
static void *dev;

/* As the process before: it is asked once, and gives. */
static void *give(void *opaque)
{
	static const uint8_t word = 'K';
	struct gw_giving giving = {.peer = source};
	struct gw_handover_hello hello;
	int token = memfd_create("token", MFD_CLOEXEC);

	(void)opaque;
	assert_int_equal(gw_handover_recv(source, &hello, sizeof(hello), NULL, NULL), 0);
	assert_int_equal(gw_handover_send(source, &word, 1, &token, 1), 0);
	gw_giving_add(&giving, (struct gw_handed_item){.kind = RELAY_HANDED_LISTENER}, handed);
	gw_giving_add(&giving, (struct gw_handed_item){.kind = RELAY_HANDED_CONN, .id = CONN},
		      handed);
	gw_giving_end(&giving);
	gw_giving_drop(&giving);
	close(token);
	return NULL;
}

/* The layouts' own structs are the device's. */
static int make_state(void)
{
	const struct {
		uint32_t last_id;
	} first = {.last_id = CONN};
	const struct {
		uint32_t id, taken, credit;
		bool told, closing, ended;
		struct gw_bytes unsent;
	} conn = {.id = CONN, .told = true};
	const struct {
		uint8_t ticket[GW_TICKET_LEN];
	} ticket = {{1}};
	int fd = memfd_create("state", MFD_CLOEXEC);
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct gw_state_header header = {.implementation = "godwit-relay 1",
					 .mode = GW_MODE_STATEFUL,
					 .model = "godwit-project.org/relay\n"};
	struct gw_state_writer *writer = NULL;

	ok(gw_state_writer_new(&writer, &channel, &header));
	ok(gw_state_writer_phase(writer, GW_PHASE_STOPPED));
	ok(gw_state_put(writer, &gw_relay_v1, &first));
	ok(gw_state_put(writer, &gw_relay_conn_v1, &conn));
	ok(gw_state_put(writer, &gw_relay_handover_v1, &ticket));
	ok(gw_state_writer_end(writer));
	gw_state_writer_free(writer);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static int load(int on_unsavable)
{
	static int its;
	pthread_t thread;
	int ends[2], fd = make_state(), err;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	source = ends[0];
	its = ends[1];
	memset(&host, 0, sizeof(host));
	relay_address(&host);
	host.on_unsavable = on_unsavable;
	host.handover_peer_fd = &its;
	ok(relay_device_ops.create(&dev, NULL, &host));
	assert_int_equal(pthread_create(&thread, NULL, give, NULL), 0);
	err = load_device(&relay_device_ops, dev, fd);
	pthread_join(thread, NULL);
	close(fd);
	return err;
}

static void end(void)
{
	relay_device_ops.destroy(dev);
	close(source);
	close(handed);
}

static const char *const kinds[] = {"a file", "a datagram socket", "a socket that does neither"};

static int make(unsigned kind)
{
	int type = kind == 1 ? SOCK_DGRAM : SOCK_STREAM;

	return kind ? socket(AF_INET, type | SOCK_CLOEXEC, 0) : memfd_create("file", MFD_CLOEXEC);
}

/* The connection is lost, which nobody has allowed. */
static void refused(void **state)
{
	handed = memfd_create("file", MFD_CLOEXEC);
	assert_int_equal(load(RELAY_UNSAVABLE_FAIL), -ENOTCONN);
	end();
}

/* It is; then the port is one of the device's own, and is listened at once the device runs. */
static void replaced(void **state)
{
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		int client = -1;

		print_message("%s\n", kinds[i]);
		handed = make(i);
		assert_true(handed >= 0);
		ok(load(RELAY_UNSAVABLE_DROP));
		assert_int_equal(relay_connect(&host), -1);
		relay_device_ops.run(dev, GW_RUN_LOADED);
		for (unsigned waited = 0; client < 0 && waited < 5000; waited++) {
			client = relay_connect(&host);
			sleep_ms(1);
		}
		assert_true(client >= 0);
		close(client);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),
		cmocka_unit_test(replaced),
	};

	gw_log_set_level(getenv("LOUD") ? GW_LOG_DEBUG : GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
