/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/backend-server.h - a back-end with the null device on a thread, for tests. */
#ifndef TEST_BACKEND_SERVER_H
#define TEST_BACKEND_SERVER_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/socket.h"
#include "godwit/backend.h"
#include "null/null.h"
#include "vhost-client.h"

struct server {
	struct gw_loop *loop;
	struct gw_backend *backend;
	pthread_t thread;
	char dir[40], path[64], control[72];
	int code; /* what the loop ended with */
};

static inline void *server_run(void *opaque)
{
	struct server *server = opaque;

	server->code = gw_loop_run(server->loop);
	return NULL;
}

static inline int server_start(struct server *server, bool reconnect)
{
	struct gw_backend_config config = {.size = sizeof(config),
					   .ops = &gw_null_ops,
					   .reconnect = reconnect,
					   .control_path = server->control,
					   .program = "godwit-null"};
	int err;

	snprintf(server->dir, sizeof(server->dir), "/tmp/godwit-backend-XXXXXX");
	if (!mkdtemp(server->dir))
		return -errno;
	snprintf(server->path, sizeof(server->path), "%s/vhost", server->dir);
	snprintf(server->control, sizeof(server->control), "%s.control", server->path);
	err = gw_loop_new(&server->loop);
	if (!err)
		err = gw_backend_new(&server->backend, server->loop, &config);
	if (!err)
		err = gw_backend_listen(server->backend, server->path);
	if (!err)
		err = -pthread_create(&server->thread, NULL, server_run, server);
	return err;
}

static inline int server_connect(const struct server *server)
{
	int fd = -1;

	return gw_socket_connect(&fd, server->path, 1000) ? -1 : fd;
}

/* Waits for it to end by itself if @by_itself. */
static inline void server_stop(struct server *server, bool by_itself)
{
	if (!by_itself)
		gw_loop_quit(server->loop, 0);
	pthread_join(server->thread, NULL);
	gw_backend_free(server->backend);
	gw_loop_free(server->loop);
	rmdir(server->dir);
}

/* Ask and take the answer; false if there is none or it is another's. */
static inline bool client_ask(int fd, uint32_t request, uint32_t flags, const void *payload,
			      uint32_t size, union gw_vu_payload *reply)
{
	struct gw_vu_header header;

	return client_send(fd, request, flags, payload, size, NULL, 0) &&
	       client_recv(fd, &header, reply) && header.request == request &&
	       header.flags == GW_VU_REPLY_FLAGS;
}

/* All that is offered is negotiated. */
static inline bool client_negotiate(int fd)
{
	union gw_vu_payload reply;

	return client_ask(fd, GW_VU_GET_FEATURES, 0, NULL, 0, &reply) &&
	       client_ask(fd, GW_VU_GET_PROTOCOL_FEATURES, 0, NULL, 0, &reply) &&
	       client_ask(fd, GW_VU_SET_PROTOCOL_FEATURES, GW_VU_NEED_REPLY, &reply.u64, 8,
			  &reply) &&
	       !reply.u64 && client_ask(fd, GW_VU_GET_FEATURES, 0, NULL, 0, &reply) &&
	       client_ask(fd, GW_VU_SET_FEATURES, GW_VU_NEED_REPLY, &reply.u64, 8, &reply) &&
	       !reply.u64;
}

#endif
