/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/supervisor_child.c - a daemon is started with what is kept for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/options.h"
#include "daemon/supervisor_internal.h"
#include "godwit/error.h"

#define FIRST_FD 3

/*
 * The child. Its descriptors lie one after the other from FIRST_FD on, as sd_listen_fds(3) has it.
 */
static int move_up(int *fd, int above)
{
	*fd = fcntl(*fd, F_DUPFD_CLOEXEC, above);
	return *fd < 0 ? -errno : 0;
}

static int lay_out(struct supervisor *super)
{
	int above = FIRST_FD + (int)super->count;
	int err = move_up(&super->its, above);

	if (!err)
		err = move_up(&super->program, above);
	for (unsigned i = 0; i < super->count && !err; i++)
		err = move_up(&super->kept[i].fd, above);
	for (unsigned i = 0; i < super->count && !err; i++)
		err = dup2(super->kept[i].fd, FIRST_FD + (int)i) < 0 ? -errno : 0;
	if (!err && fcntl(super->its, F_SETFD, 0) < 0)
		err = -errno;
	return err;
}

static int set_number(const char *name, long number)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", number);
	return setenv(name, text, 1) < 0 ? -errno : 0;
}

static int set_environment(const struct supervisor *super)
{
	size_t size = super->count * sizeof(super->kept[0].name) + 1, len = 0;
	GW_AUTO_FREE char *names = calloc(size, 1);
	int err = names ? 0 : -ENOMEM;

	for (unsigned i = 0; i < super->count && !err; i++)
		len += (size_t)snprintf(names + len, size - len, "%s%s", i ? ":" : "",
					super->kept[i].name);
	if (!err)
		err = setenv("LISTEN_FDNAMES", names, 1) < 0 ? -errno : 0;
	if (!err)
		err = set_number("LISTEN_FDS", super->count);
	if (!err)
		err = set_number("LISTEN_PID", getpid());
	return err ? err : set_number(GW_FDSTORE_ENV, super->its);
}

static void execute(struct supervisor *super, bool checks) __attribute__((noreturn));
static void execute(struct supervisor *super, bool checks)
{
	int err = prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : lay_out(super);

	if (!err)
		err = set_environment(super);
	if (!err) {
		unsetenv("NOTIFY_SOCKET");
		if (checks)
			setenv(GW_FDSTORE_CHECK_ENV, "1", 1);
		if (super->began_upgraded)
			setenv(GW_FDSTORE_TRIAL_ENV, "1", 1);
		setrlimit(RLIMIT_NOFILE, &super->old_limit);
		/* Signals to end it wait until it listens to them. */
		sigaddset(&super->old_mask, SIGTERM);
		sigaddset(&super->old_mask, SIGINT);
		sigprocmask(SIG_SETMASK, &super->old_mask, NULL);
		fexecve(super->program, super->argv, environ);
		err = -errno;
	}
	gw_error("recovery: %s cannot be started: %s", super->argv[0], strerror(-err));
	_exit(GW_EXIT_FAILED);
}

pid_t gw_supervisor_execute(struct supervisor *super, int program, bool checks)
{
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child < 0)
		return gw_fail(errno, "recovery: fork: %s", strerror(errno));
	if (!child) {
		super->program = program;
		execute(super, checks);
	}
	return child;
}
