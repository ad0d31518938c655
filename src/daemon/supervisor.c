/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/supervisor.c - the process of --recover: keeps descriptors, starts the daemon again. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdpass.h"
#include "base/fdstore.h"
#include "base/options.h"
#include "daemon/supervisor.h"
#include "daemon/supervisor_internal.h"
#include "godwit/error.h"

#define MESSAGE_MAX 512

int gw_is_supervised(void)
{
	return getenv(GW_FDSTORE_ENV) != NULL;
}

/*
 * The store.
 */
static void drop(struct supervisor *super, const char *name)
{
	unsigned left = 0;

	for (unsigned i = 0; i < super->count; i++) {
		if (!strcmp(super->kept[i].name, name))
			gw_close(&super->kept[i].fd);
		else
			super->kept[left++] = super->kept[i];
	}
	super->count = left;
}

static void keep(struct supervisor *super, const char *name, int fd)
{
	if (super->count == super->room) {
		unsigned room = GW_MAX(super->room * 2, 64u);
		struct kept *kept = room > GW_FDSTORE_FDS_MAX
					    ? NULL
					    : realloc(super->kept, room * sizeof(*kept));

		if (!kept) {
			gw_error("recovery: no room for one more descriptor than %u", super->count);
			close(fd);
			return;
		}
		super->kept = kept;
		super->room = room;
	}
	snprintf(super->kept[super->count].name, sizeof(super->kept[0].name), "%s", name);
	super->kept[super->count++].fd = fd;
}

/* The value of @key in a message of lines, for as long as that lives; "" if it is not there. */
static const char *value_of(char *message, const char *key, char *buf, size_t size)
{
	size_t len = strlen(key);

	buf[0] = 0;
	for (char *line = message; line && *line;) {
		char *end = strchrnul(line, '\n');

		if ((size_t)(end - line) > len && !strncmp(line, key, len) && line[len] == '=')
			snprintf(buf, size, "%.*s", (int)(end - line - (long)len - 1),
				 line + len + 1);
		line = *end ? end + 1 : NULL;
	}
	return buf;
}

static void on_ready(struct supervisor *super)
{
	super->ready = true;
	gw_supervisor_upgraded(super);
}

static void heed(struct supervisor *super, char *message, int *fds, unsigned *count)
{
	char name[GW_FDSTORE_NAME_MAX + 1], value[8];

	value_of(message, "FDNAME", name, sizeof(name));
	if (*value_of(message, "FDSTORE", value, sizeof(value)))
		while (*count)
			keep(super, name, fds[--*count]);
	else if (*value_of(message, "FDSTOREREMOVE", value, sizeof(value)))
		drop(super, name);
	else if (*value_of(message, "READY", value, sizeof(value)))
		on_ready(super);
	/* What is left, of a barrier above all, is closed. */
}

static void listen_to_child(struct supervisor *super)
{
	char message[MESSAGE_MAX + 1];
	int fds[GW_FDPASS_MAX];
	unsigned count;

	for (;;) {
		ssize_t n = gw_fdpass_recv(super->ours, message, MESSAGE_MAX, fds, GW_FDPASS_MAX,
					   &count, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		message[n] = 0;
		heed(super, message, fds, &count);
		while (count)
			close(fds[--count]);
	}
}

/* Started too often within a second? */
static bool is_wild(struct supervisor *super)
{
	uint64_t now = gw_clock_ns();
	uint64_t *oldest = &super->starts_ns[super->starts++ % A_SECOND_MAX];
	bool wild = *oldest && now - *oldest < GW_NS_PER_S;

	*oldest = now;
	return wild;
}

static int start(struct supervisor *super)
{
	if (is_wild(super))
		return gw_fail(EBUSY, "recovery: %d starts within a second; it is left alone",
			       A_SECOND_MAX);
	super->ready = false;
	super->began_upgraded = super->last >= 0;
	super->child = gw_supervisor_execute(super, super->program, false);
	if (super->child < 0)
		return super->child;
	/* The one before died of something else: this one tidies up. */
	if (super->ending)
		kill(super->child, super->ending);
	return 0;
}

static void tell_death(int status)
{
	if (WIFSIGNALED(status))
		gw_warn("recovery: the back-end was ended by signal %d (%s); it is started again",
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		gw_warn("recovery: the back-end ended with exit code %d; it is started again",
			WEXITSTATUS(status));
}

/* Is a child that ended with @code to be followed by another one? */
static bool is_to_go_on(const struct supervisor *super, int code)
{
	/* An upgrade that was not ready is followed by the one before, however it ended. */
	if (super->last >= 0 && super->began_upgraded)
		return true;
	/* What is wrong with the command line or this host will not be better the next time. */
	return code && (super->starts > 1 || super->ready) && super->tries <= TRIES_MAX;
}

/* True: the child goes on, or another one in its place. */
static bool goes_on(struct supervisor *super, int *code)
{
	int status;

	if (waitpid(super->child, &status, WNOHANG) != super->child)
		return true;
	/* What it sent before it died counts. */
	listen_to_child(super);
	/* Who is killed is not to blame. */
	if (super->ready)
		super->tries = 0;
	else if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		super->tries++;
	*code = WIFEXITED(status) ? WEXITSTATUS(status) : GW_EXIT_FAILED;
	if (!is_to_go_on(super, *code))
		return false;
	tell_death(status);
	if (super->last >= 0 && super->began_upgraded)
		gw_supervisor_take_back(super);
	if (!start(super))
		return true;
	gw_error("%s", gw_last_error());
	return false;
}

static void pass_on(struct supervisor *super)
{
	struct signalfd_siginfo info;

	while (read(super->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGUSR2)
			gw_supervisor_upgrade(super, &info);
		if (info.ssi_signo == SIGCHLD || info.ssi_signo == SIGUSR2)
			continue;
		super->ending = (int)info.ssi_signo;
		kill(super->child, super->ending);
	}
}

static int serve(struct supervisor *super)
{
	struct pollfd polled[] = {{.fd = super->signals, .events = POLLIN},
				  {.fd = super->ours, .events = POLLIN}};
	int code = GW_EXIT_FAILED;

	while (goes_on(super, &code)) {
		gw_supervisor_upgrade_ended(super);
		if (poll(polled, GW_ARRAY_LEN(polled), gw_supervisor_upgrade_due(super)) < 0)
			continue;
		listen_to_child(super);
		pass_on(super);
	}
	return code;
}

static int open_signals(struct supervisor *super)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR2);
	sigprocmask(SIG_BLOCK, &signals, &super->old_mask);
	super->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return super->signals < 0 ? gw_fail(errno, "recovery: signalfd: %s", strerror(errno)) : 0;
}

/* Each descriptor of the daemon's connection may be here as well. */
static void raise_limit(struct supervisor *super)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &super->old_limit);
	limit = super->old_limit;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = GW_MIN(limit.rlim_max, (rlim_t)2 * GW_FDSTORE_FDS_MAX + 64);
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int set_up(struct supervisor *super)
{
	int ends[2];

	super->program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	super->path = realpath("/proc/self/exe", NULL);
	if (super->program < 0 || !super->path)
		return gw_fail(errno, "recovery: /proc/self/exe: %s", strerror(errno));
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) < 0)
		return gw_fail(errno, "recovery: socketpair: %s", strerror(errno));
	raise_limit(super);
	super->ours = ends[0];
	super->its = ends[1];
	return open_signals(super);
}

int gw_supervise(char **argv)
{
	struct supervisor super = {
		.argv = argv,
		.program = -1,
		.last = -1,
		.upgrade = {.candidate = -1, .asker = -1},
		.ours = -1,
		.its = -1,
		.signals = -1,
	};
	int code = GW_EXIT_FAILED;

	if (!set_up(&super) && !start(&super)) {
		code = serve(&super);
	} else {
		fprintf(stderr, "%s: %s\n", argv[0], gw_last_error());
	}
	for (unsigned i = 0; i < super.count; i++)
		close(super.kept[i].fd);
	free(super.kept);
	free(super.path);
	gw_supervisor_upgrade_free(&super);
	gw_close(&super.program);
	gw_close(&super.last);
	gw_close(&super.ours);
	gw_close(&super.its);
	gw_close(&super.signals);
	return code;
}
