/* SPDX-License-Identifier: BSD-3-Clause */
/* base/socket.c - Unix stream sockets at a path: listen, accept, connect, who is there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/socket.h"
#include "godwit/error.h"

#define BACKLOG	     16
#define RETRY_MS     10
#define NSEC_PER_MS  1000000
#define MSEC_PER_SEC 1000

static int make_address(struct sockaddr_un *address, const char *path)
{
	size_t len = strlen(path);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!len)
		return gw_fail(EINVAL, "the path of a socket is empty");
	if (len >= sizeof(address->sun_path))
		return gw_fail(ENAMETOOLONG, "%s: longer than the %zu bytes that a socket may have",
			       path, sizeof(address->sun_path) - 1);
	memcpy(address->sun_path, path, len + 1);
	return 0;
}

/*
 * Does a process hold the socket at @address? Asked with a socket of another type, so that a
 * listener never sees the question as a connection (a back-end might end at its close): a holder
 * shows as EPROTOTYPE (or as success, should it be a datagram socket), nobody as ECONNREFUSED.
 */
static bool is_held(const struct sockaddr_un *address)
{
	GW_AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* Without one to ask with it may be. */
	return fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	       (errno != ECONNREFUSED && errno != ENOENT);
}

bool gw_socket_is_held(const char *path)
{
	struct sockaddr_un address;

	return !make_address(&address, path) && is_held(&address);
}

static int probe(const struct sockaddr_un *address)
{
	if (!is_held(address))
		return 0;
	return gw_fail(EADDRINUSE, "%s: another process listens there", address->sun_path);
}

static int remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int err;

	if (lstat(address->sun_path, &st) < 0)
		return 0; /* most likely nothing there; anything else shows at bind() */
	if (!S_ISSOCK(st.st_mode))
		return gw_fail(EEXIST, "%s: something that is no socket is there",
			       address->sun_path);
	err = probe(address);
	if (err)
		return err;
	if (unlink(address->sun_path) < 0 && errno != ENOENT)
		return gw_fail(errno, "%s: a stale socket cannot be removed: %s", address->sun_path,
			       strerror(errno));
	return 0;
}

static int bind_and_listen(int fd, const struct sockaddr_un *address)
{
	/* Linux makes the name with the mode of the unbound socket. Not umask(): that is the whole
	 * process's, and not chmod() afterwards: somebody might connect before. */
	if (fchmod(fd, 0600) < 0)
		return gw_fail(errno, "%s: fchmod: %s", address->sun_path, strerror(errno));
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return gw_fail(errno, "%s: cannot be made: %s", address->sun_path, strerror(errno));
	if (listen(fd, BACKLOG) < 0)
		return gw_fail(errno, "%s: listen: %s", address->sun_path, strerror(errno));
	return 0;
}

int gw_listener_open(struct gw_listener *listener, const char *path)
{
	GW_AUTO_FD int fd = -1;
	struct sockaddr_un address;
	int err;

	*listener = (struct gw_listener){.fd = -1};
	err = make_address(&address, path);
	if (!err)
		err = remove_stale(&address);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return gw_fail(errno, "socket: %s", strerror(errno));
	err = bind_and_listen(fd, &address);
	if (err)
		return err;
	gw_listener_adopt(listener, gw_take_fd(&fd), path);
	return 0;
}

void gw_listener_adopt(struct gw_listener *listener, int fd, const char *path)
{
	struct stat st;

	if (listen(fd, BACKLOG) < 0)
		gw_warn("%s: %s", path, strerror(errno));
	*listener = (struct gw_listener){.fd = fd};
	if (lstat(path, &st) == 0) {
		listener->dev = st.st_dev;
		listener->ino = st.st_ino;
	}
	snprintf(listener->path, sizeof(listener->path), "%s", path);
}

void gw_listener_close(struct gw_listener *listener)
{
	struct stat st;

	if (listener->fd < 0)
		return;
	/* While it is open: the inode number cannot have become another one's yet. */
	if (lstat(listener->path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_dev == listener->dev &&
	    st.st_ino == listener->ino)
		unlink(listener->path);
	gw_close(&listener->fd);
}

int gw_socket_accept(int listening_fd, int *fd)
{
	int accepted = accept4(listening_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (accepted < 0)
		return gw_fail(errno, "accept: %s", strerror(errno));
	*fd = accepted;
	return 0;
}

/* Non-blocking: a full backlog would block a connect() for as long as the listener likes. */
static int connect_once(int *out, const struct sockaddr_un *address)
{
	GW_AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
	    fcntl(fd, F_SETFL, 0) < 0)
		return gw_fail(errno, "%s: %s", address->sun_path, strerror(errno));
	*out = gw_take_fd(&fd);
	return 0;
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (long long)MSEC_PER_SEC + now.tv_nsec / NSEC_PER_MS;
}

int gw_socket_connect(int *fd, const char *path, unsigned timeout_ms)
{
	const struct timespec pause = {.tv_nsec = RETRY_MS * NSEC_PER_MS};
	long long end = now_ms() + timeout_ms;
	struct sockaddr_un address;
	int err = make_address(&address, path);

	if (err)
		return err;
	for (;;) {
		err = connect_once(fd, &address);
		if ((err != -ENOENT && err != -ECONNREFUSED && err != -EAGAIN) || now_ms() >= end)
			return err;
		nanosleep(&pause, NULL);
	}
}

bool gw_socket_peer_is_trusted(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || len != sizeof(peer))
		return false;
	return peer.uid == geteuid() || peer.uid == 0;
}
