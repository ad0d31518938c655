/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/frontend_channel.c - the back-end channel, served by a thread of its own. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "godwit/error.h"
#include "vhost-user/frontend_internal.h"

/* The longest request of a back-end that we read: SHMEM_MAP's. Longer ones end the channel. */
#define REQUEST_MAX sizeof(struct gw_vu_mmap)

static bool read_whole(int fd, void *buf, size_t len)
{
	size_t done = 0;

	/* Not recvmsg(): without room for them the kernel drops descriptors itself. */
	while (done < len) {
		ssize_t got = recv(fd, (char *)buf + done, len - done, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

/* Only the configuration's change means something to a front-end that has no guest to tell. */
static uint64_t handle(struct gw_frontend *frontend, uint32_t request)
{
	if (request != GW_VU_BACKEND_CONFIG_CHANGE_MSG)
		return ENOTSUP;
	atomic_fetch_add(&frontend->config_changes, 1);
	return 0;
}

static void *serve(void *opaque)
{
	struct gw_frontend *frontend = opaque;
	struct {
		struct gw_vu_header header;
		uint64_t value;
	} __attribute__((packed)) reply;
	struct gw_vu_header header;
	char payload[REQUEST_MAX];

	while (read_whole(frontend->channel, &header, sizeof(header)) &&
	       header.size <= sizeof(payload) &&
	       read_whole(frontend->channel, payload, header.size)) {
		reply.value = handle(frontend, header.request);
		if (!(header.flags & GW_VU_NEED_REPLY))
			continue;
		reply.header = (struct gw_vu_header){.request = header.request,
						     .flags = GW_VU_REPLY_FLAGS,
						     .size = sizeof(reply.value)};
		if (send(frontend->channel, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
			break;
	}
	return NULL;
}

int gw_frontend_channel_open(struct gw_frontend *frontend)
{
	GW_AUTO_FD int theirs = -1;
	int pair[2];
	int err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return gw_fail(errno, "back-end channel: %s", strerror(errno));
	frontend->channel = pair[0];
	theirs = pair[1];
	err = gw_thread_start(&frontend->channel_thread, GW_THREAD_CONTROL, "gw-channel", serve,
			      frontend);
	if (err) {
		gw_close(&frontend->channel);
		return err;
	}
	return gw_frontend_tell(frontend, GW_VU_NO_WAIT,
				&(struct gw_vu_out){.request = GW_VU_SET_BACKEND_REQ_FD,
						    .fds = &theirs,
						    .fd_count = 1});
}

void gw_frontend_channel_close(struct gw_frontend *frontend)
{
	if (frontend->channel < 0)
		return;
	shutdown(frontend->channel, SHUT_RDWR);
	pthread_join(frontend->channel_thread, NULL);
	gw_close(&frontend->channel);
}
