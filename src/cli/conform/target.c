/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/target.c - back-ends: started by a command, or found at a socket. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

#define COMMAND_MAX 4096
/* How long a back-end that was hit may take to fall. */
#define FALL_MS 30
/* How long one may take until it listens, at least: that is no reply. */
#define START_MS 5000u
static const char placeholder[] = "{socket}";

void cf_sleep_ms(unsigned ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&pause, NULL);
}

/* @command with every {socket} replaced. */
static bool substitute(char out[COMMAND_MAX], const char *command, const char *path)
{
	size_t len = 0;

	out[0] = 0;
	while (*command && len < COMMAND_MAX - 1) {
		bool here = !strncmp(command, placeholder, sizeof(placeholder) - 1);
		int put = here ? snprintf(out + len, COMMAND_MAX - len, "%s", path)
			       : snprintf(out + len, COMMAND_MAX - len, "%c", *command);

		len += (size_t)put;
		command += here ? sizeof(placeholder) - 1 : 1;
	}
	return len < COMMAND_MAX - 1;
}

static void execute(struct cf_run *run, const char *path) __attribute__((noreturn));
static void execute(struct cf_run *run, const char *path)
{
	char command[COMMAND_MAX + 8] = "exec ";

	(void)run;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	if (!substitute(command + 5, run->target->exec, path))
		_exit(126);
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

/* A shell tells of a signal by its number and 128. */
static int shell_signal(int status)
{
	return status > 128 && status <= 128 + SIGRTMAX ? status - 128 : 0;
}

/* Who is left waiting stays a zombie: others may want to know, too. */
static const char *how_it_ends(const struct cf_run *run, unsigned wait_ms, char text[CF_TEXT_MAX])
{
	siginfo_t info = {0};
	int by;

	for (unsigned ms = 0; run->newest && !info.si_pid && ms <= wait_ms; ms++) {
		if (waitid(P_PID, (id_t)run->newest, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
			return NULL;
		if (!info.si_pid && ms < wait_ms)
			cf_sleep_ms(1);
	}
	if (!info.si_pid || (info.si_code == CLD_EXITED && !info.si_status))
		return NULL; /* it runs, or has gone into the background */
	by = info.si_code == CLD_EXITED ? shell_signal(info.si_status) : info.si_status;
	if (by)
		snprintf(text, CF_TEXT_MAX, "it was ended by signal %d", by);
	else
		snprintf(text, CF_TEXT_MAX, "it ended with exit status %d", info.si_status);
	return text;
}

const char *cf_how_it_ended(const struct cf_run *run, char text[CF_TEXT_MAX])
{
	return how_it_ends(run, FALL_MS, text);
}

/* One that ends before it listens is not waited for. */
static void wait_for_socket(struct cf_run *run, const struct cf_backend *backend)
{
	char text[CF_TEXT_MAX];
	const char *how = NULL;

	unsigned limit = run->target->exec ? GW_MAX(run->target->timeout_ms, START_MS) : 0;

	for (unsigned ms = 0; ms < limit && !how; ms++) {
		if (!access(backend->path, F_OK))
			return;
		how = how_it_ends(run, 1, text);
	}
	if (how)
		cf_fail(run, "%s before it listened at its socket", how);
}

void cf_backend_start(struct cf_run *run, struct cf_backend *backend)
{
	*backend = (struct cf_backend){0};
	if (run->target->socket) {
		if (run->backends++)
			cf_skip(run, "needs a second back-end (--exec)");
		snprintf(backend->path, sizeof(backend->path), "%s", run->target->socket);
		return;
	}
	snprintf(backend->path, sizeof(backend->path), "%s/%d.%u", run->dir, (int)getpid(),
		 run->backends++);
	backend->pid = fork();
	if (backend->pid < 0)
		cf_fail(run, "no process for the back-end: %s", strerror(errno));
	if (!backend->pid)
		execute(run, backend->path);
	run->newest = backend->pid;
	wait_for_socket(run, backend);
}

struct gw_frontend_config cf_config(const struct cf_run *run, const struct cf_backend *backend)
{
	return (struct gw_frontend_config){
		.size = sizeof(struct gw_frontend_config),
		.socket_path = backend->path,
		.timeout_ms = run->target->timeout_ms,
		.queues = run->target->work->queues,
		.queue_size = CF_QUEUE_SIZE,
		.memory_size = 8u << 20,
	};
}

struct gw_frontend *cf_connect(struct cf_run *run, struct cf_backend *backend)
{
	struct gw_frontend *frontend;
	struct gw_frontend_config config;

	if (!backend->path[0])
		cf_backend_start(run, backend);
	config = cf_config(run, backend);
	cf_ok(run, gw_frontend_connect(&frontend, &config), "connect");
	return frontend;
}

struct gw_frontend *cf_negotiate(struct cf_run *run, struct cf_backend *backend)
{
	struct gw_frontend *frontend;
	struct gw_frontend_config config;

	if (!backend->path[0])
		cf_backend_start(run, backend);
	config = cf_config(run, backend);
	cf_ok(run, gw_frontend_new(&frontend, &config), "negotiate");
	return frontend;
}

static int signal_of(int status)
{
	return WIFSIGNALED(status) ? WTERMSIG(status) : shell_signal(WEXITSTATUS(status));
}

void cf_not_crashed(struct cf_run *run, struct cf_backend *backend)
{
	int status = 0;

	for (unsigned ms = 0; backend->pid && ms < FALL_MS; ms++) {
		if (waitpid(backend->pid, &status, WNOHANG) == backend->pid)
			backend->pid = 0;
		else
			cf_sleep_ms(1);
	}
	if (!backend->pid && signal_of(status))
		cf_fail(run, "the back-end was ended by signal %d", signal_of(status));
}

void cf_answers(struct cf_run *run, struct gw_frontend *frontend)
{
	uint64_t features;
	int err = gw_frontend_get_u64(frontend, GW_VU_GET_FEATURES, &features);

	CF_EXPECT(run, !err, "the back-end does not answer GET_FEATURES afterwards: %s",
		  gw_last_error());
}

unsigned cf_open_descriptors(const struct cf_backend *backend)
{
	char path[64];
	unsigned count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)backend->pid);
	dir = backend->pid ? opendir(path) : NULL;
	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

/* In the parent of the check's process: only what it wrote is known there. */
struct offered {
	uint64_t virtio, protocol;
};

/* Whatever its header looks like: that has a check of its own. */
static uint64_t peek(struct cf_run *run, struct gw_frontend *frontend, uint32_t request)
{
	uint32_t answered, flags;
	uint64_t value = 0;
	GW_AUTO_FD int fd = -1;

	cf_ok(run, gw_frontend_send_raw(frontend, request, GW_VU_VERSION, NULL, 0, NULL, 0),
	      "GET_FEATURES");
	cf_ok(run, gw_frontend_recv_raw(frontend, &answered, &flags, &value, sizeof(value), &fd),
	      "GET_FEATURES");
	return value;
}

static void ask(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_connect(run, &backend);
	struct offered offered = {0};

	offered.virtio = peek(run, frontend, GW_VU_GET_FEATURES);
	if (offered.virtio & GW_VIRTIO_F_PROTOCOL_FEATURES)
		offered.protocol = peek(run, frontend, GW_VU_GET_PROTOCOL_FEATURES);
	cf_skip(run, "%llx %llx", (unsigned long long)offered.virtio,
		(unsigned long long)offered.protocol);
}

bool cf_probe(struct cf_run *run, char text[CF_TEXT_MAX])
{
	static const struct cf_check probe = {.name = "probe", .run = ask};
	struct cf_result result;
	unsigned long long virtio, protocol;

	cf_perform(&probe, run, &result);
	if (result.verdict != CF_SKIP ||
	    sscanf(result.text, "%llx %llx", &virtio, &protocol) != 2) {
		snprintf(text, CF_TEXT_MAX, "%s", result.text);
		return false;
	}
	run->virtio = virtio;
	run->protocol = protocol;
	return true;
}
