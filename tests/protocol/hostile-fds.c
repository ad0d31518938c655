/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/hostile-fds.c - a thousand connections that send what they like, with descriptors of all
 * kinds: the back-end lets go of every one, and still serves. */
#include "../unit/cmocka-all.h"

#include <string.h>

#include "base/checked.h"
#include "base/socket.h"
#include "echo.h"
#include "peer.h"
#include "play.h"
#include "vhost-user/messages.h"

#define CONNECTIONS 1000
#define MESSAGES    12

struct script_bytes {
	uint8_t bytes[16384];
	size_t len;
	uint32_t seed;
};

static uint32_t any(struct script_bytes *script, uint32_t below)
{
	script->seed = script->seed * 1664525 + 1013904223;
	return (script->seed >> 8) % below;
}

static void put(struct script_bytes *script, uint64_t value, unsigned bytes)
{
	memcpy(script->bytes + script->len, &value, bytes);
	script->len += bytes;
}

static void put_u64(struct script_bytes *script, uint32_t request, uint64_t value)
{
	put(script, PLAY_MESSAGE, 1);
	put(script, request, 1);
	put(script, GW_VU_VERSION, 1);
	put(script, 0, 1);
	put(script, sizeof(value), 2);
	put(script, value, sizeof(value));
}

/* Those that are not implemented now and then only: some of them end the connection. */
static uint32_t some_request(struct script_bytes *script)
{
	for (;;) {
		uint32_t request = any(script, GW_VU_REQUESTS + 1);
		const struct gw_vu_row *row = gw_vu_row(request);

		if ((row && row->handle) || !any(script, 20))
			return request;
	}
}

/* Mostly of the right length, with numbers that are often right, too. */
static void put_any(struct script_bytes *script)
{
	static const enum play_fd kinds[] = {
		PLAY_FD_MEMORY,	  PLAY_FD_EVENT,    PLAY_FD_BLOCKING, PLAY_FD_FULL,
		PLAY_FD_WRITE,	  PLAY_FD_READ,	    PLAY_FD_DEAD,     PLAY_FD_LOG,
		PLAY_FD_INFLIGHT, PLAY_FD_DEV_NULL, PLAY_FD_STATE,    PLAY_FD_SOCKET,
	};
	uint32_t request = some_request(script);
	const struct gw_vu_row *row = gw_vu_row(request);
	uint32_t size = row ? row->min : any(script, 64);
	unsigned fds = any(script, 4) ? (row ? row->fds_max : 1) : any(script, 9);

	if (request == GW_VU_SET_MEM_TABLE)
		size += 32 * (fds = any(script, 3));
	put(script, PLAY_MESSAGE, 1);
	put(script, request, 1);
	put(script, GW_VU_VERSION | (any(script, 3) ? GW_VU_NEED_REPLY : 0), 1);
	put(script, fds, 1);
	for (unsigned i = 0; i < fds; i++)
		put(script, kinds[any(script, GW_ARRAY_LEN(kinds))], 1);
	put(script, size, 2);
	for (uint32_t i = 0; i < size; i++)
		put(script, any(script, 3) ? 0 : any(script, 4), 1);
}

static void one_connection(const struct peer *peer, uint32_t seed)
{
	struct script_bytes script = {.seed = seed};
	int fd;

	put_u64(&script, GW_VU_SET_PROTOCOL_FEATURES,
		GW_VU_PF(MQ) | GW_VU_PF(LOG_SHMFD) | GW_VU_PF(REPLY_ACK) | GW_VU_PF(BACKEND_REQ) |
			GW_VU_PF(RESET_DEVICE) | GW_VU_PF(CONFIGURE_MEM_SLOTS) |
			GW_VU_PF(DEVICE_STATE) | GW_VU_PF(CONFIG) | GW_VU_PF(INFLIGHT_SHMFD));
	put_u64(&script, GW_VU_SET_FEATURES,
		GW_VIRTIO_F_VERSION_1 | GW_VIRTIO_F_PROTOCOL_FEATURES |
			(seed % 2 ? GW_VIRTIO_F_LOG_ALL : 0));
	for (unsigned i = 0; i < MESSAGES; i++)
		put_any(&script);
	ok(gw_socket_connect(&fd, peer->socket, 5000));
	play(fd, script.bytes, script.len);
}

static void all_are_closed(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;
	unsigned before, now;

	(void)state;
	peer_start(&peer, &(struct peer_options){.reconnect = true});
	sleep_ms(50);
	before = open_descriptors();
	for (uint32_t seed = 0; seed < CONNECTIONS; seed++)
		one_connection(&peer, seed);
	for (unsigned i = 0; i < 500 && (now = open_descriptors()) > before; i++)
		sleep_ms(10);
	if (now > before)
		fail_msg("%u descriptors, %u before", now, before);
	frontend = peer_frontend(&peer);
	ok(gw_frontend_reset_device(frontend));
	ok(gw_frontend_start(frontend));
	echo_init(&echo, frontend);
	echo_once(&echo, frontend, 0, 1);
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(all_are_closed)};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
