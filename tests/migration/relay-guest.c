/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/relay-guest.c - a guest that answers who connects to its relay, and a client of it. */
#include "../unit/cmocka-all.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"
#include "relay-guest.h"

#define PORT 4711

void relay_guest_config(struct gw_frontend_config *config)
{
	config->queues = RELAY_QUEUES;
	config->memory_size = 1u << 20;
}

static char *buffer(struct relay_guest *guest, unsigned i)
{
	return guest->in + i * RELAY_GUEST_ROOM;
}

static void offer(struct gw_frontend *frontend, char *room)
{
	const struct iovec in = {.iov_base = room, .iov_len = RELAY_GUEST_ROOM};

	ok(gw_driver_add(frontend, 0, NULL, 0, &in, 1, room));
}

void relay_guest_begin(struct relay_guest *guest, struct gw_frontend *frontend)
{
	*guest = (struct relay_guest){
		.in = gw_frontend_alloc(frontend, RELAY_GUEST_BUFFERS * RELAY_GUEST_ROOM),
		.out = gw_frontend_alloc(frontend, RELAY_GUEST_ROOM)};
	for (unsigned i = 0; i < RELAY_GUEST_BUFFERS; i++)
		offer(frontend, buffer(guest, i));
}

static void send_back(struct relay_guest *guest, struct gw_frontend *frontend, const char *message,
		      size_t len)
{
	const struct iovec out = {.iov_base = guest->out, .iov_len = len};
	uint32_t written;
	void *token;

	memcpy(guest->out, message, len);
	ok(gw_driver_add(frontend, 1, &out, 1, NULL, 0, guest->out));
	ok(gw_driver_kick(frontend, 1));
	while (!gw_driver_get(frontend, 1, &token, &written))
		ok(gw_driver_wait(frontend, 1, 5000));
}

static void hear(struct relay_guest *guest, struct gw_frontend *frontend, const char *message)
{
	struct relay_header header;

	memcpy(&header, message, sizeof(header));
	switch (le32toh(header.op)) {
	case RELAY_OPEN:
		guest->opened++;
		guest->last = le32toh(header.conn);
		break;
	case RELAY_CLOSE:
		guest->closed++;
		break;
	case RELAY_DATA:
		guest->echoed += le32toh(header.len);
		send_back(guest, frontend, message, sizeof(header) + le32toh(header.len));
		break;
	default:
		break;
	}
}

static bool serve_one(struct relay_guest *guest, struct gw_frontend *frontend)
{
	uint32_t len;
	void *token;

	if (!gw_driver_get(frontend, 0, &token, &len))
		return false;
	if (len >= sizeof(struct relay_header))
		hear(guest, frontend, token);
	offer(frontend, token);
	ok(gw_driver_kick(frontend, 0));
	return true;
}

bool relay_guest_serve(struct relay_guest *guest, struct gw_frontend *frontend, uint64_t until,
		       unsigned opened, unsigned closed, unsigned ms)
{
	for (unsigned waited = 0; waited <= ms; waited += 10) {
		while (serve_one(guest, frontend))
			;
		if (guest->echoed >= until && guest->opened >= opened && guest->closed >= closed)
			return true;
		if (gw_driver_wait(frontend, 0, 10) == -ECONNRESET)
			return false;
	}
	return false;
}

void relay_address(struct relay_host *host)
{
	char text[32];
	unsigned pid = (unsigned)getpid();

	snprintf(text, sizeof(text), "127.%u.%u.%u:%d", 1 + (pid >> 16) % 250, pid >> 8 & 255,
		 1 + pid % 254, PORT);
	ok(relay_host_listen(host, text));
}

int relay_connect(const struct relay_host *host)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (!connect(fd, (const struct sockaddr *)&host->address, host->address_len))
		return fd;
	close(fd);
	return -1;
}

bool relay_ping(int client, const char *text, struct relay_guest *guest,
		struct gw_frontend *frontend)
{
	struct pollfd poller = {.fd = client, .events = POLLIN};
	size_t len = strlen(text), got = 0;
	char answer[64];

	if (send(client, text, len, MSG_NOSIGNAL) != (ssize_t)len ||
	    !relay_guest_serve(guest, frontend, guest->echoed + len, 0, 0, 5000))
		return false;
	while (got < len && poll(&poller, 1, 5000) == 1) {
		ssize_t n = recv(client, answer + got, sizeof(answer) - got, 0);

		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return got == len && !memcmp(answer, text, len);
}
