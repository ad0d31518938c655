/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/backend_req.c - the back-end channel: what we have to tell the front-end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/backend_req.h"
#include "vhost-user/wire.h"

struct answer {
	struct gw_vu_header header;
	uint64_t value;
} __attribute__((packed));

struct gw_backend_req {
	struct gw_loop *loop;
	struct gw_source *source;
	int fd;
	bool ack;
	bool allowed;
	bool wanted;  /* the configuration changed since the last message */
	bool waiting; /* an answer is due */
	size_t sent;  /* bytes of the message under way */
	bool sending;
	struct answer in;
	size_t have;
};

static void hang_up(struct gw_backend_req *req)
{
	gw_source_remove(req->source);
	req->source = NULL;
	gw_close(&req->fd);
}

static void update_events(struct gw_backend_req *req)
{
	if (req->source)
		gw_source_set_events(req->source, EPOLLIN | (req->sending ? EPOLLOUT : 0));
}

static void send_config_change(struct gw_backend_req *req)
{
	struct gw_vu_header header = {.request = GW_VU_BACKEND_CONFIG_CHANGE_MSG,
				      .flags = GW_VU_VERSION | (req->ack ? GW_VU_NEED_REPLY : 0)};
	const char *bytes = (const char *)&header;
	ssize_t n = send(req->fd, bytes + req->sent, sizeof(header) - req->sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		gw_warn("vhost-user: back-end channel: CONFIG_CHANGE_MSG: %s", strerror(errno));
		hang_up(req);
		return;
	}
	if (n > 0)
		req->sent += (size_t)n;
	if (req->sent == sizeof(header)) {
		req->sent = 0;
		req->sending = false;
		req->waiting = req->ack;
	}
}

/* Begin the next message if there is one and it may go. What is half sent is always finished. */
static void proceed(struct gw_backend_req *req)
{
	if (!req->source)
		return;
	if (!req->sending && req->wanted && req->allowed && !req->waiting) {
		req->wanted = false;
		req->sending = true;
	}
	if (req->sending)
		send_config_change(req);
	update_events(req);
}

static void take_answer(struct gw_backend_req *req)
{
	const struct answer *in = &req->in;

	if (in->header.flags != GW_VU_REPLY_FLAGS || in->header.size != sizeof(in->value) ||
	    in->header.request != GW_VU_BACKEND_CONFIG_CHANGE_MSG || !req->waiting) {
		gw_warn("vhost-user: back-end channel: request %u, flags 0x%x, %u bytes; expected "
			"the "
			"answer to CONFIG_CHANGE_MSG; closing it",
			in->header.request, in->header.flags, in->header.size);
		hang_up(req);
		return;
	}
	if (in->value)
		gw_warn("vhost-user: the front-end refused CONFIG_CHANGE_MSG");
	req->waiting = false;
	req->have = 0;
}

static void read_answer(struct gw_backend_req *req)
{
	ssize_t n = recv(req->fd, (char *)&req->in + req->have, sizeof(req->in) - req->have,
			 MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(req);
		return;
	}
	req->have += (size_t)n;
	if (req->have == sizeof(req->in))
		take_answer(req);
}

static void on_events(void *opaque, int fd, uint32_t events)
{
	struct gw_backend_req *req = opaque;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_answer(req);
	proceed(req);
}

int gw_backend_req_new(struct gw_backend_req **out, struct gw_loop *loop, int fd, bool ack)
{
	GW_AUTO_FD int owned = fd;
	struct gw_backend_req *req = calloc(1, sizeof(*req));
	int err;

	if (!req)
		return gw_fail(ENOMEM, "back-end channel: no memory");
	req->loop = loop;
	req->ack = ack;
	err = gw_loop_add_fd(loop, fd, EPOLLIN, on_events, req, &req->source);
	if (err) {
		free(req);
		return err;
	}
	req->fd = gw_take_fd(&owned);
	*out = req;
	return 0;
}

void gw_backend_req_free(struct gw_backend_req *req)
{
	if (!req)
		return;
	hang_up(req);
	free(req);
}

void gw_backend_req_allow(struct gw_backend_req *req, bool allowed)
{
	req->allowed = allowed;
	proceed(req);
}

void gw_backend_req_config_changed(struct gw_backend_req *req)
{
	req->wanted = true;
	proceed(req);
}
