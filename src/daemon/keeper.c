/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/keeper.c - the process that stays outside of the sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/options.h"
#include "daemon/caps.h"
#include "daemon/keeper.h"
#include "godwit/error.h"

/* All descriptors above standard error but those of @kept, which this sorts. */
static void close_others(int *kept, unsigned count)
{
	unsigned from = STDERR_FILENO + 1;

	for (unsigned i = 0; i < count; i++) {
		for (unsigned j = i; j && kept[j - 1] > kept[j]; j--) {
			int other = kept[j];

			kept[j] = kept[j - 1];
			kept[j - 1] = other;
		}
	}
	for (unsigned i = 0; i < count; i++) {
		if (kept[i] < (int)from)
			continue;
		if ((unsigned)kept[i] > from)
			close_range(from, (unsigned)kept[i] - 1, 0);
		from = (unsigned)kept[i] + 1;
	}
	close_range(from, UINT_MAX, 0);
}

static int exit_code(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (WTERMSIG(status) == SIGSYS)
		gw_error("a system call was made that the sandbox does not allow; "
			 "--seccomp=log lets it pass and names it in the kernel's log");
	else
		gw_error("the process in the sandbox was ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	return GW_EXIT_FAILED;
}

/* Until it has ended; @signals are blocked. Returns how, as waitpid() does. */
static int wait_for(pid_t child, const sigset_t *signals)
{
	int status;

	/* It may have ended before its end was waited for. */
	while (waitpid(child, &status, WNOHANG) != child) {
		int signo = sigwaitinfo(signals, NULL);

		if (signo == SIGTERM || signo == SIGINT)
			kill(child, signo);
	}
	return status;
}

static void keep(pid_t child, struct gw_sockets *sockets, int lifeline, const sigset_t *signals)
	__attribute__((noreturn));
static void keep(pid_t child, struct gw_sockets *sockets, int lifeline, const sigset_t *signals)
{
	int kept[] = {sockets->vhost_user.fd, sockets->control.fd, sockets->handover.fd, lifeline};
	int status, code;

	sigprocmask(SIG_BLOCK, signals, NULL);
	/* Else a front-end would not see that its connection ends. */
	close_others(kept, GW_ARRAY_LEN(kept));
	/* To remove the sockets from wherever they are, and to signal who has another uid now. */
	if (gw_caps_keep(GW_CAP(CAP_DAC_OVERRIDE) | GW_CAP(CAP_KILL)))
		gw_warn("outside of the sandbox: %s", gw_last_error());
	status = wait_for(child, signals);
	/* Whoever starts the next one tells this from a failure. */
	if (sockets->kept && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		raise(SIGKILL);
	code = exit_code(status);
	if (!sockets->kept || !code)
		gw_sockets_remove(sockets);
	_exit(code);
}

int gw_keeper_fork(struct gw_sockets *sockets, int *lifeline)
{
	int ends[2];
	sigset_t signals;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return gw_fail(errno, "pipe: %s", strerror(errno));
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGCHLD);
	fflush(NULL);
	child = fork();
	if (child < 0) {
		gw_close(&ends[0]);
		gw_close(&ends[1]);
		return gw_fail(errno, "fork: %s", strerror(errno));
	}
	if (child)
		keep(child, sockets, ends[1], &signals);
	/* In here their paths lead nowhere, or to something else. */
	sockets->vhost_user.path[0] = sockets->control.path[0] = sockets->handover.path[0] = 0;
	gw_close(&ends[1]);
	*lifeline = ends[0];
	return 0;
}

int gw_keeper_follow(int *lifeline)
{
	struct pollfd ended = {.fd = *lifeline, .events = POLLIN};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return gw_fail(errno, "the signal at a parent's end: %s", strerror(errno));
	/* It may have ended before. */
	if (poll(&ended, 1, 0) != 0)
		return gw_fail(ECHILD, "the process outside of the sandbox has ended");
	gw_close(lifeline);
	return 0;
}
