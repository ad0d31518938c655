/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/verdict.c - one check in a process of its own, and what became of it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

/* Longer than any wait of a check that is right; each reply has a limit of its own. */
#define CHECK_REPLIES 12u

/* The verdict as one byte, then the text. */
static void tell(struct cf_run *run, enum cf_verdict verdict, const char *text)
	__attribute__((noreturn));
static void tell(struct cf_run *run, enum cf_verdict verdict, const char *text)
{
	char said[CF_TEXT_MAX] = {(char)verdict};

	snprintf(said + 1, sizeof(said) - 1, "%s", text);
	_exit(write(run->verdict_fd, said, strlen(said + 1) + 1) < 0);
}

void cf_fail(struct cf_run *run, const char *format, ...)
{
	char text[CF_TEXT_MAX], ended[CF_TEXT_MAX];
	const char *how;
	size_t len;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	how = strstr(text, " ended ") ? NULL : cf_how_it_ended(run, ended);
	len = strlen(text);
	if (how)
		snprintf(text + len, sizeof(text) - len, "; %s", how);
	tell(run, CF_FAIL, text);
}

void cf_skip(struct cf_run *run, const char *format, ...)
{
	char text[CF_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tell(run, CF_SKIP, text);
}

int cf_ok(struct cf_run *run, int result, const char *doing)
{
	if (result < 0)
		cf_fail(run, "%s: %s", doing, gw_last_error());
	return result;
}

static void child(const struct cf_check *check, const struct cf_run *offered, int verdict_fd)
	__attribute__((noreturn));
static void child(const struct cf_check *check, const struct cf_run *offered, int verdict_fd)
{
	struct cf_run run = *offered;
	static const char passed[] = {CF_PASS, 0};

	run.verdict_fd = verdict_fd;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	check->run(&run);
	_exit(write(verdict_fd, passed, sizeof(passed)) < 0);
}

/* What there is of a verdict; nothing means that the check did not get to one. */
static void read_verdict(int fd, unsigned limit_ms, struct cf_result *result)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	char text[CF_TEXT_MAX] = {0};
	ssize_t got = poll(&poller, 1, (int)limit_ms) > 0 ? read(fd, text, sizeof(text) - 1) : -2;

	result->verdict = got > 0 ? (enum cf_verdict)text[0] : CF_FAIL;
	if (got > 0)
		snprintf(result->text, sizeof(result->text), "%s", text + 1);
	else
		snprintf(result->text, sizeof(result->text), "the check %s",
			 got == -2 ? "took too long" : "came to no end");
}

static const char *missing(const struct cf_check *check, const struct cf_run *run)
{
	const struct cf_target *target = run->target;

	if (check->needs & CF_NEEDS_EXEC && !target->exec)
		return "needs back-ends of its own (--exec)";
	if (check->needs & CF_NEEDS_WORK && !target->work->request)
		return "needs requests of a known device (--type)";
	if (check->needs & CF_NEEDS_MEMO && !target->work->memo)
		return "requests of this type leave nothing in the device";
	if (check->needs & CF_NEEDS_STATE && !(run->protocol & GW_VU_PF(DEVICE_STATE)))
		return "DEVICE_STATE is not offered";
	if (check->needs & CF_NEEDS_LOG &&
	    (!(run->protocol & GW_VU_PF(LOG_SHMFD)) || !(run->virtio & GW_VIRTIO_F_LOG_ALL)))
		return "dirty logging is not offered";
	if (check->protocol & ~run->protocol)
		return "a protocol feature that it is about is not offered";
	return check->virtio & ~run->virtio ? "a virtio feature that it is about is not offered"
					    : NULL;
}

static void perform(const struct cf_check *check, const struct cf_run *offered,
		    struct cf_result *result)
{
	GW_AUTO_FD int ours = -1;
	GW_AUTO_FD int theirs = -1;
	int ends[2];
	pid_t pid;

	*result = (struct cf_result){.verdict = CF_FAIL, .text = "no process for the check"};
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	ours = ends[0];
	theirs = ends[1];
	pid = fork();
	if (pid < 0)
		return;
	if (!pid)
		child(check, offered, theirs);
	setpgid(pid, pid);
	gw_close(&theirs);
	read_verdict(ours, offered->target->timeout_ms * CHECK_REPLIES, result);
	/* With it go the back-ends that it started. */
	kill(-pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void cf_perform(const struct cf_check *check, const struct cf_run *offered,
		struct cf_result *result)
{
	const char *lacks = missing(check, offered);
	int64_t start = gw_now_ms();

	if (lacks) {
		*result = (struct cf_result){.verdict = CF_SKIP};
		snprintf(result->text, sizeof(result->text), "%s", lacks);
		return;
	}
	perform(check, offered, result);
	result->ms = (unsigned)(gw_now_ms() - start);
}
