/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/frontend_state.c - device state into and out of a descriptor, with a timeout. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/frontend_internal.h"

#define COPY_BYTES (256u * 1024)
/* What a blocking pipe that polls writable takes without blocking. */
#define SURE_BYTES 4096u

int gw_frontend_transfer_offer(struct gw_frontend *frontend, bool load, enum gw_phase phase,
			       int offer, int *own_fd, enum gw_transfer_reply *reply)
{
	struct gw_vu_device_state state = {.direction = load ? GW_VU_STATE_LOAD : GW_VU_STATE_SAVE,
					   .phase = (uint32_t)phase};
	GW_AUTO_FD int fd = -1;
	uint64_t value;
	int err = gw_frontend_ask(frontend,
				  &(struct gw_vu_out){.request = GW_VU_SET_DEVICE_STATE_FD,
						      .payload = &state,
						      .len = sizeof(state),
						      .fds = &offer,
						      .fd_count = 1},
				  &value, sizeof(value), &fd);

	*own_fd = -1;
	*reply = GW_REPLY_REFUSED;
	if (err)
		return err;
	if (value & GW_VU_STATE_ERROR_MASK)
		return gw_fail(EIO, "SET_DEVICE_STATE_FD: the back-end refused it (0x%llx)",
			       (unsigned long long)value);
	if (!(value & GW_VU_STATE_NO_FD) != (fd >= 0))
		return gw_fail(EPROTO, "SET_DEVICE_STATE_FD: answer 0x%llx %s a descriptor",
			       (unsigned long long)value, fd >= 0 ? "with" : "without");
	*reply = fd >= 0 ? GW_REPLY_OWN_FD : GW_REPLY_ACCEPTED;
	*own_fd = gw_take_fd(&fd);
	return 0;
}

int gw_frontend_transfer_begin(struct gw_frontend *frontend, bool load, enum gw_phase phase,
			       int *channel, enum gw_transfer_reply *reply)
{
	GW_AUTO_FD int ours = -1;
	GW_AUTO_FD int theirs = -1;
	int ends[2], own_fd, err;

	*channel = -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return gw_fail(errno, "pipe: %s", strerror(errno));
	ours = ends[load ? 1 : 0];
	theirs = ends[load ? 0 : 1];
	err = gw_frontend_transfer_offer(frontend, load, phase, theirs, &own_fd, reply);
	if (err)
		return err;
	*channel = own_fd >= 0 ? own_fd : gw_take_fd(&ours);
	fcntl(*channel, F_SETFL, fcntl(*channel, F_GETFL) | O_NONBLOCK);
	return 0;
}

int gw_frontend_transfer_check(struct gw_frontend *frontend)
{
	uint64_t verdict;
	int err = gw_frontend_get_u64(frontend, GW_VU_CHECK_DEVICE_STATE, &verdict);

	if (!err && verdict)
		err = gw_fail(EIO, "CHECK_DEVICE_STATE: the back-end says the state is bad (%llu)",
			      (unsigned long long)verdict);
	return err;
}

static int wait_fd(const struct gw_frontend *frontend, int fd, short events, const char *what)
{
	int64_t deadline = gw_now_ms() + frontend->timeout_ms;
	struct pollfd poller = {.fd = fd, .events = events};
	int ready;

	do
		ready = poll(&poller, 1, gw_left_ms(deadline));
	while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return gw_fail(errno, "%s: %s", what, strerror(errno));
	if (!ready)
		return gw_fail(ETIMEDOUT, "%s: nothing for %u ms", what, frontend->timeout_ms);
	return 0;
}

/* Up to @len bytes, 0 at the end. */
static ssize_t read_some(const struct gw_frontend *frontend, int fd, void *buf, size_t len,
			 const char *what)
{
	for (;;) {
		int err = wait_fd(frontend, fd, POLLIN, what);
		ssize_t got;

		if (err)
			return err;
		got = read(fd, buf, len);
		if (got >= 0)
			return got;
		if (errno != EINTR && errno != EAGAIN)
			return gw_fail(errno, "%s: %s", what, strerror(errno));
	}
}

static int write_all(const struct gw_frontend *frontend, int fd, const char *buf, size_t len,
		     const char *what)
{
	bool may_block = !(fcntl(fd, F_GETFL) & O_NONBLOCK);
	struct stat st;

	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		may_block = false;
	while (len) {
		int err = wait_fd(frontend, fd, POLLOUT, what);
		ssize_t put;

		if (err)
			return err;
		put = write(fd, buf, may_block && len > SURE_BYTES ? SURE_BYTES : len);
		if (put < 0 && errno != EINTR && errno != EAGAIN)
			return gw_fail(errno, "%s: %s", what, strerror(errno));
		if (put > 0) {
			buf += put;
			len -= (size_t)put;
		}
	}
	return 0;
}

/* Writing to a pipe that nobody reads shall be an error here and nothing to the process. */
struct no_sigpipe {
	sigset_t before;
	bool was_pending;
};

static struct no_sigpipe hold_sigpipe(void)
{
	struct no_sigpipe held;
	sigset_t set, pending;

	sigpending(&pending);
	held.was_pending = sigismember(&pending, SIGPIPE);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &held.before);
	return held;
}

static void drop_sigpipe(const struct no_sigpipe *held)
{
	const struct timespec now = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	if (!held->was_pending)
		while (sigtimedwait(&set, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &held->before, NULL);
}

int gw_frontend_copy(const struct gw_frontend *frontend, int from, const char *from_name, int to,
		     const char *to_name)
{
	char *buf = malloc(COPY_BYTES);
	struct no_sigpipe held;
	ssize_t got;
	int err = 0;

	if (!buf)
		return gw_fail(ENOMEM, "device state: no memory");
	held = hold_sigpipe();
	while (!err && (got = read_some(frontend, from, buf, COPY_BYTES, from_name)))
		err = got < 0 ? (int)got : write_all(frontend, to, buf, (size_t)got, to_name);
	drop_sigpipe(&held);
	free(buf);
	return err;
}

ssize_t gw_frontend_move(const struct gw_frontend *frontend, int from, int to, size_t len)
{
	GW_AUTO_FREE char *buf = malloc(len);
	struct no_sigpipe held;
	ssize_t got;
	int err;

	if (!buf)
		return gw_fail(ENOMEM, "device state: no memory");
	got = read_some(frontend, from, buf, len, "back-end's state");
	if (got <= 0)
		return got;
	held = hold_sigpipe();
	err = write_all(frontend, to, buf, (size_t)got, "saved state");
	drop_sigpipe(&held);
	return err ? err : got;
}

int gw_frontend_save(struct gw_frontend *frontend, int fd)
{
	GW_AUTO_FD int channel = -1;
	enum gw_transfer_reply reply;
	int err = gw_frontend_transfer_begin(frontend, false, GW_PHASE_STOPPED, &channel, &reply);

	if (!err)
		err = gw_frontend_copy(frontend, channel, "back-end's state", fd, "saved state");
	if (err)
		return err;
	gw_close(&channel);
	return gw_frontend_transfer_check(frontend);
}

int gw_frontend_load(struct gw_frontend *frontend, int fd)
{
	GW_AUTO_FD int channel = -1;
	enum gw_transfer_reply reply;
	int err = gw_frontend_transfer_begin(frontend, true, GW_PHASE_STOPPED, &channel, &reply);
	int verdict;

	if (err)
		return err;
	err = gw_frontend_copy(frontend, fd, "saved state", channel, "back-end's state");
	gw_close(&channel);
	if (err && err != -EPIPE)
		return err;
	/* A back-end that stopped reading has its reasons, and tells them here. */
	verdict = gw_frontend_transfer_check(frontend);
	return verdict ? verdict : err;
}
