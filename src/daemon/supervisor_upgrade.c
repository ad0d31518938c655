/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/supervisor_upgrade.c - another build takes over, once it has said that it can. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/upgrade.h"
#include "daemon/supervisor_internal.h"
#include "godwit/error.h"

/* A program that does not know the question would go on and wait for the one that runs. */
#define CHECK_MS 10000

/*
 * The program that lies where this one was started from is executed twice. First beside the one
 * that runs, with all that is kept, only to say whether it could go on: its command line, and
 * the layouts of what is kept. If it can, the one that runs is killed, and what comes next is as
 * after a crash. One that does not get ready after all is given up, and the one before goes on.
 */

/* Only who asked by sigqueue(3) with our number waits for it. */
static void answer(struct supervisor *super, enum gw_upgrade_answer answer)
{
	siginfo_t info = {.si_signo = SIGUSR2, .si_code = SI_QUEUE};

	info.si_value.sival_int = answer;
	if (super->upgrade.asker >= 0 &&
	    syscall(SYS_pidfd_send_signal, super->upgrade.asker, SIGUSR2, &info, 0) < 0)
		gw_warn("recovery: who asked for an upgrade cannot be told: %s", strerror(errno));
	gw_close(&super->upgrade.asker);
}

static void refuse(struct supervisor *super, const char *why)
{
	gw_error("recovery: no upgrade to %s: %s", super->path, why);
	gw_close(&super->upgrade.candidate);
	answer(super, GW_UPGRADE_REFUSED);
}

static int open_asker(const struct signalfd_siginfo *info)
{
	if (info->ssi_code != SI_QUEUE || info->ssi_int != GW_UPGRADE_QUESTION)
		return -1;
	return (int)syscall(SYS_pidfd_open, info->ssi_pid, 0);
}

void gw_supervisor_upgrade(struct supervisor *super, const struct signalfd_siginfo *info)
{
	struct upgrade *upgrade = &super->upgrade;
	int asker = open_asker(info);

	if (upgrade->checker || super->last >= 0) {
		struct supervisor other = {.path = super->path,
					   .upgrade = {.candidate = -1, .asker = asker}};

		refuse(&other, "another one is under way");
		return;
	}
	upgrade->asker = asker;
	upgrade->candidate = open(super->path, O_RDONLY | O_CLOEXEC);
	if (upgrade->candidate < 0) {
		refuse(super, strerror(errno));
		return;
	}
	upgrade->checker = gw_supervisor_execute(super, upgrade->candidate, true);
	upgrade->due_ns = gw_clock_ns() + CHECK_MS * GW_NS_PER_MS;
	if (upgrade->checker < 0) {
		upgrade->checker = 0;
		refuse(super, gw_last_error());
	}
}

static void take_over(struct supervisor *super)
{
	super->last = super->program;
	super->program = gw_take_fd(&super->upgrade.candidate);
	kill(super->child, SIGKILL);
}

void gw_supervisor_upgrade_ended(struct supervisor *super)
{
	struct upgrade *upgrade = &super->upgrade;
	int status;

	if (!upgrade->checker || waitpid(upgrade->checker, &status, WNOHANG) != upgrade->checker)
		return;
	upgrade->checker = 0;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		take_over(super);
	else if (WIFSIGNALED(status))
		refuse(super, "it does not say whether it can go on");
	else
		refuse(super, "it says that it cannot go on; the one that runs does");
}

int gw_supervisor_upgrade_due(struct supervisor *super)
{
	uint64_t now = gw_clock_ns(), due = super->upgrade.due_ns;

	if (!super->upgrade.checker)
		return -1;
	if (now < due)
		return (int)((due - now) / GW_NS_PER_MS) + 1;
	kill(super->upgrade.checker, SIGKILL);
	return CHECK_MS;
}

void gw_supervisor_upgraded(struct supervisor *super)
{
	if (super->last >= 0) {
		gw_info("recovery: %s is upgraded", super->path);
		answer(super, GW_UPGRADE_DONE);
	}
	gw_close(&super->last);
	super->began_upgraded = false;
}

void gw_supervisor_take_back(struct supervisor *super)
{
	gw_error("recovery: %s is not ready; the one before goes on", super->path);
	close(super->program);
	super->program = gw_take_fd(&super->last);
	answer(super, GW_UPGRADE_TAKEN_BACK);
}

void gw_supervisor_upgrade_free(struct supervisor *super)
{
	if (super->upgrade.checker)
		kill(super->upgrade.checker, SIGKILL);
	gw_close(&super->upgrade.candidate);
	gw_close(&super->upgrade.asker);
}
