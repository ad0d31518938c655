/* SPDX-License-Identifier: BSD-3-Clause */
/* relay/relay.h - TCP connections to a port of the host, held for a guest: what only one may have.
 */
#ifndef GW_RELAY_RELAY_H
#define GW_RELAY_RELAY_H

#include <netinet/in.h>
#include <stdint.h>

#include "godwit/device.h"

/*
 * Queue 0 is from the device to the guest: buffers that it may write. Queue 1 is from the guest to
 * the device. Either way an element is a header and @len bytes; all numbers are little-endian.
 * Who connects to the port is an OPEN; DATA goes both ways; CLOSE is the end of both directions.
 * The guest may have sent RELAY_WINDOW bytes of a connection that no CREDIT has given back yet.
 */
enum relay_op { RELAY_OPEN = 1, RELAY_DATA, RELAY_CLOSE, RELAY_CREDIT };

struct relay_header {
	uint32_t conn; /* from 1, never used twice */
	uint32_t op;   /* enum relay_op */
	uint32_t len;  /* DATA: bytes that follow; CREDIT: bytes that went out */
	uint32_t zero;
};

#define RELAY_QUEUES	2
#define RELAY_CONNS_MAX 64
#define RELAY_WINDOW	(64 * 1024)

/* A connection that cannot go along: there is no hand-over, or it was not handed over. */
enum relay_on_unsavable {
	RELAY_UNSAVABLE_FAIL, /* then the device does not move */
	RELAY_UNSAVABLE_DROP, /* it is closed where the device arrives */
};

/* What the operator configured: gw_backend_config.host. */
struct relay_host {
	struct sockaddr_storage address; /* to listen at, and its length */
	socklen_t address_len;
	int on_unsavable; /* enum relay_on_unsavable */
	/* Hand-over: where the next process comes, borrowed, 0: none; the process before, NULL or
	 * -1: none, taken over by the device. */
	int handover_fd;
	int *handover_peer_fd;
};

/* "PORT", "ADDRESS:PORT" or "[ADDRESS]:PORT", in numbers; loopback without an address. */
int relay_host_listen(struct relay_host *host, const char *text);

extern const struct gw_device_ops relay_device_ops;

/* How `state` 1 looks in a stream. */
extern const struct gw_layout gw_relay_v1, gw_relay_conn_v1, gw_relay_handover_v1;

#endif
