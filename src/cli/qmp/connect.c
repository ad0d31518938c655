/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/qmp/connect.c - to a monitor or a control socket, without waiting longer than told. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/qmp/qmp.h"
#include "godwit/error.h"

#define HOST_MAX 256
/* A Unix socket whose queue is full says so instead of waiting; it is tried again so often. */
#define AGAIN_MS 20

int gw_qmp_ms_until(uint64_t deadline)
{
	uint64_t now = gw_clock_ns();

	return now < deadline ? (int)GW_MIN((deadline - now) / GW_NS_PER_MS + 1, 1u << 30) : 0;
}

static int await_connection(int fd, const char *where, uint64_t deadline)
{
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int n, err = 0;

	do
		n = poll(&ready, 1, gw_qmp_ms_until(deadline));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return gw_fail(ETIMEDOUT, "%s: nobody takes the connection", where);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	return err ? gw_fail(err, "%s: %s", where, strerror(err)) : 0;
}

static int connect_address(int fd, const struct sockaddr *address, socklen_t len, const char *where,
			   uint64_t deadline)
{
	while (connect(fd, address, len) < 0) {
		if (errno == EINPROGRESS)
			return await_connection(fd, where, deadline);
		if (errno != EAGAIN && errno != EINTR)
			return gw_fail(errno, "%s: %s", where, strerror(errno));
		if (!gw_qmp_ms_until(deadline))
			return gw_fail(ETIMEDOUT, "%s: nobody takes the connection", where);
		poll(NULL, 0, AGAIN_MS);
	}
	return 0;
}

static int connect_unix(int *out, const char *path, uint64_t deadline)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	GW_AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	size_t len = strlen(path);
	int err;

	if (fd < 0)
		return gw_fail(errno, "%s: %s", path, strerror(errno));
	if (len >= sizeof(address.sun_path))
		return gw_fail(ENAMETOOLONG, "%s: longer than the %zu bytes of a socket's path",
			       path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, len);
	err = connect_address(fd, (struct sockaddr *)&address, sizeof(address), path, deadline);
	if (!err)
		*out = gw_take_fd(&fd);
	return err;
}

/* "HOST:PORT", "[ADDRESS]:PORT" */
static int split_host(const char *text, char host[HOST_MAX], const char **port)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (!colon || !len || len >= HOST_MAX || !colon[1])
		return gw_fail(EINVAL, "tcp:%.256s: expected tcp:HOST:PORT", text);
	memcpy(host, text, len);
	host[len] = 0;
	*port = colon + 1;
	return 0;
}

static int connect_any(int *out, const struct addrinfo *list, const char *where, uint64_t deadline)
{
	int err = gw_fail(ENOENT, "%s: no address", where);

	for (; list && err; list = list->ai_next) {
		GW_AUTO_FD int fd =
			socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		err = fd < 0 ? gw_fail(errno, "%s: %s", where, strerror(errno))
			     : connect_address(fd, list->ai_addr, list->ai_addrlen, where,
					       deadline);
		if (!err)
			*out = gw_take_fd(&fd);
	}
	return err;
}

static int connect_tcp(int *out, const char *text, uint64_t deadline)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	char host[HOST_MAX];
	const char *port;
	int err = split_host(text, host, &port);

	if (err)
		return err;
	err = getaddrinfo(host, port, &hints, &list);
	if (err)
		return gw_fail(ENOENT, "tcp:%s: %s", text, gai_strerror(err));
	err = connect_any(out, list, text, deadline);
	freeaddrinfo(list);
	return err;
}

bool gw_qmp_peer_is_qemu(int fd)
{
	struct ucred peer = {0};
	socklen_t len = sizeof(peer);
	char path[32], name[8] = "";
	GW_AUTO_FCLOSE FILE *file = NULL;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)peer.pid);
	file = fopen(path, "re");
	return file && fgets(name, sizeof(name), file) && !strncmp(name, "qemu", 4);
}

int gw_qmp_connect(int *fd, const char *where, uint64_t deadline)
{
	if (!strncmp(where, "tcp:", 4))
		return connect_tcp(fd, where + 4, deadline);
	if (!strncmp(where, "unix:", 5))
		return connect_unix(fd, where + 5, deadline);
	return connect_unix(fd, where, deadline);
}
