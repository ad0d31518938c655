/* SPDX-License-Identifier: BSD-3-Clause */
/* state/channel.c - bytes in and out of any descriptor, with cancel and timeout. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "state/channel.h"

#define PIPE_SIZE (1024 * 1024) /* asked for; an unprivileged process usually gets it */

/* A channel that is always ready is asked for a cancel at least every so many bytes. */
#define CANCEL_EVERY (1024 * 1024)

/* What has become so long is asked whether it goes into memory of big pages. */
#define MAP_FROM (4 * 1024 * 1024)

union fd_message {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(GW_CHANNEL_FDS_MAX * sizeof(int))];
};

/* Would a write to a pipe without reader end this process? */
static bool sigpipe_is_deadly(void)
{
	struct sigaction action;
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (sigismember(&blocked, SIGPIPE))
		return false;
	return !sigaction(SIGPIPE, NULL, &action) && action.sa_handler == SIG_DFL;
}

int gw_channel_open(struct gw_channel *channel, const struct gw_state_channel *config, bool writing)
{
	int domain = 0;
	socklen_t len = sizeof(domain);
	struct stat st;
	int flags;

	*channel = (struct gw_channel){.config = *config, .old_flags = -1};
	flags = fcntl(config->fd, F_GETFL);
	if (flags < 0 || fstat(config->fd, &st) < 0)
		return gw_fail(errno, "state channel: descriptor %d: %s", config->fd,
			       strerror(errno));
	if ((flags & O_ACCMODE) == (writing ? O_RDONLY : O_WRONLY))
		return gw_fail(EBADF, "state channel: descriptor %d is not open for %s", config->fd,
			       writing ? "writing" : "reading");
	if (S_ISSOCK(st.st_mode)) {
		channel->is_socket = true;
		channel->never_blocks = true;
		/* Not getsockname(): a confined daemon's transfer threads may not call that. */
		channel->passes_fds =
			!getsockopt(config->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) &&
			domain == AF_UNIX;
		return 0;
	}
	channel->by_position = !writing && config->from_start && S_ISREG(st.st_mode);
	channel->guard_sigpipe = writing && sigpipe_is_deadly();
	if (S_ISFIFO(st.st_mode))
		fcntl(config->fd, F_SETPIPE_SZ, PIPE_SIZE);
	/* The flag belongs to the open file description, which others may share: it is put back. */
	if (!(flags & O_NONBLOCK) && !fcntl(config->fd, F_SETFL, flags | O_NONBLOCK))
		channel->old_flags = flags;
	channel->never_blocks = flags & O_NONBLOCK || channel->old_flags >= 0;
	return 0;
}

void gw_channel_close(struct gw_channel *channel)
{
	if (channel->old_flags >= 0)
		fcntl(channel->config.fd, F_SETFL, channel->old_flags);
	channel->old_flags = -1;
	gw_mapped_close(&channel->mapped);
	for (unsigned i = 0; i < channel->fd_count; i++)
		gw_close(&channel->fds[i]);
	channel->fd_count = 0;
}

/* Until the descriptor is ready or says why it never will be. */
static int wait_ready(struct gw_channel *channel, short events)
{
	struct pollfd fds[] = {{.fd = channel->config.cancel, .events = POLLIN},
			       {.fd = channel->config.fd, .events = events}};
	int timeout = channel->config.idle_ms > 0 ? channel->config.idle_ms : -1;
	int n;

	if (channel->config.waiting)
		atomic_store(channel->config.waiting, true);
	do
		n = poll(fds, GW_ARRAY_LEN(fds), timeout);
	while (n < 0 && errno == EINTR);
	if (channel->config.waiting)
		atomic_store(channel->config.waiting, false);
	if (n < 0)
		return gw_fail(errno, "state channel: poll: %s", strerror(errno));
	if (fds[0].revents)
		return gw_fail(ECANCELED, "state channel: cancelled after %llu bytes",
			       (unsigned long long)channel->moved);
	if (!n)
		return gw_fail(ETIMEDOUT,
			       "state channel: no byte moved for %d ms, after %llu bytes", timeout,
			       (unsigned long long)channel->moved);
	if (channel->never_blocks)
		channel->wait_at = channel->moved + CANCEL_EVERY;
	return 0;
}

/* A descriptor that never blocks and took, or gave, all that was asked need not be asked first
 * whether it is ready. */
static int wait_if_due(struct gw_channel *channel, short events)
{
	return channel->moved < channel->wait_at ? 0 : wait_ready(channel, events);
}

/* After a failed read or write: 0 if it is to be tried again. */
static int check_failure(struct gw_channel *channel, const char *what)
{
	if (errno == EAGAIN || errno == EINTR || errno == EWOULDBLOCK) {
		channel->wait_at = 0;
		return 0;
	}
	return gw_fail(errno, "state channel: %s after %llu bytes: %s", what,
		       (unsigned long long)channel->moved, strerror(errno));
}

static void count(struct gw_channel *channel, size_t bytes)
{
	channel->moved += bytes;
	if (channel->config.moved)
		atomic_store_explicit(channel->config.moved, channel->moved, memory_order_relaxed);
}

static ssize_t send_some(const struct gw_channel *channel, struct iovec *iov, unsigned n, int fd)
{
	union fd_message control = {0};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = n};

	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(fd));
		control.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(fd)),
						 .cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	}
	return sendmsg(channel->config.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A thread of the library has all signals blocked; a caller's own thread may not have. */
static ssize_t writev_guarded(int fd, const struct iovec *iov, int n)
{
	const struct timespec at_once = {0};
	sigset_t sigpipe, before;
	ssize_t written;
	int err;

	sigemptyset(&sigpipe);
	sigaddset(&sigpipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
	written = writev(fd, iov, n);
	err = errno;
	if (written < 0 && err == EPIPE)
		sigtimedwait(&sigpipe, NULL, &at_once);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = err;
	return written;
}

static ssize_t write_some(struct gw_channel *channel, struct iovec *iov, unsigned n, int fd)
{
	ssize_t mapped = 0;

	if (channel->is_socket)
		return send_some(channel, iov, n, fd);
	if (channel->moved >= MAP_FROM)
		mapped = gw_mapped_write(&channel->mapped, channel->config.fd, iov, n);
	if (mapped)
		return mapped;
	if (channel->guard_sigpipe)
		return writev_guarded(channel->config.fd, iov, (int)n);
	return writev(channel->config.fd, iov, (int)n);
}

/* Takes @len bytes off the front of *@iov. */
static void advance(struct iovec **iov, unsigned *n, size_t len)
{
	while (*n && len >= (*iov)->iov_len) {
		len -= (*iov)->iov_len;
		(*iov)++;
		(*n)--;
	}
	if (*n) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + len;
		(*iov)->iov_len -= len;
	}
}

int gw_channel_write(struct gw_channel *channel, struct iovec *iov, unsigned n, int fd)
{
	advance(&iov, &n, 0); /* empty pieces at the front */
	while (n) {
		int err = wait_if_due(channel, POLLOUT);
		ssize_t written;

		if (err)
			return err;
		written = write_some(channel, iov, n, fd);
		if (written < 0)
			err = check_failure(channel, "write");
		if (err)
			return err;
		if (written <= 0)
			continue;
		fd = -1; /* it went with the first bytes */
		count(channel, (size_t)written);
		advance(&iov, &n, (size_t)written);
		if (n)
			channel->wait_at = 0;
	}
	return 0;
}

/* Keeps what there is room for; a peer that sends more loses them, and later the record's match. */
static void keep_fds(struct gw_channel *channel, struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (channel->fd_count < GW_CHANNEL_FDS_MAX)
				channel->fds[channel->fd_count++] = fd;
			else
				gw_close(&fd);
		}
	}
}

static ssize_t receive_some(struct gw_channel *channel, void *buf, size_t len)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	union fd_message control = {0};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(channel->config.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n >= 0)
		keep_fds(channel, &message);
	return n;
}

static ssize_t read_some(struct gw_channel *channel, void *buf, size_t len)
{
	if (channel->is_socket)
		return receive_some(channel, buf, len);
	if (channel->by_position)
		return pread(channel->config.fd, buf, len, (off_t)channel->moved);
	return read(channel->config.fd, buf, len);
}

int gw_channel_passed(struct gw_channel *channel, size_t len)
{
	struct pollfd cancel = {.fd = channel->config.cancel, .events = POLLIN};

	count(channel, len);
	if (channel->moved < channel->wait_at)
		return 0;
	channel->wait_at = channel->moved + CANCEL_EVERY;
	if (cancel.fd >= 0 && poll(&cancel, 1, 0) > 0)
		return gw_fail(ECANCELED, "state channel: cancelled after %llu bytes",
			       (unsigned long long)channel->moved);
	return 0;
}

ssize_t gw_channel_read(struct gw_channel *channel, void *buf, size_t len)
{
	for (;;) {
		int err = wait_if_due(channel, POLLIN);
		ssize_t n;

		if (err)
			return err;
		n = read_some(channel, buf, len);
		if (n >= 0) {
			count(channel, (size_t)n);
			if ((size_t)n < len)
				channel->wait_at = 0;
			return n;
		}
		err = check_failure(channel, "read");
		if (err)
			return err;
	}
}

int gw_channel_take_fd(struct gw_channel *channel)
{
	int fd;

	if (!channel->fd_count)
		return -ENOENT;
	fd = channel->fds[0];
	channel->fd_count--;
	memmove(channel->fds, channel->fds + 1, channel->fd_count * sizeof(channel->fds[0]));
	return fd;
}
