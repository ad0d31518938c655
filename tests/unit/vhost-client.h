/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/vhost-client.h - the smallest front-end: sends and receives single messages. */
#ifndef TEST_VHOST_CLIENT_H
#define TEST_VHOST_CLIENT_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vhost-user/messages.h"

#define CLIENT_TIMEOUT_MS 10000

/* One message with @count descriptors; true if it went out whole. */
static inline bool client_send(int fd, uint32_t request, uint32_t flags, const void *payload,
			       uint32_t size, const int *fds, unsigned count)
{
	struct {
		struct gw_vu_header header;
		uint8_t bytes[GW_VU_PAYLOAD_MAX];
	} __attribute__((packed))
	out = {.header = {.request = request, .flags = GW_VU_VERSION | flags, .size = size}};
	union {
		char bytes[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {&out, sizeof(out.header) + size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (size)
		memcpy(out.bytes, payload, size);
	if (count) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, count * sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)iov.iov_len;
}

static inline bool client_read_all(int fd, void *to, size_t len)
{
	while (len) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, CLIENT_TIMEOUT_MS) != 1)
			return false;
		n = read(fd, to, len);
		if (n <= 0)
			return false;
		to = (char *)to + n;
		len -= (size_t)n;
	}
	return true;
}

/* The next reply; false if the other end closed, or nothing came. Descriptors are dropped. */
static inline bool client_recv(int fd, struct gw_vu_header *header, union gw_vu_payload *payload)
{
	memset(payload, 0, sizeof(*payload));
	return client_read_all(fd, header, sizeof(*header)) && header->size <= sizeof(*payload) &&
	       client_read_all(fd, payload, header->size);
}

#endif
