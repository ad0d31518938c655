/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/upgrade.c - `godwit upgrade`: the build that is installed now takes over, under a running VM.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/options.h"
#include "base/socket.h"
#include "base/upgrade.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/print.h"
#include "cli/upgrade_try.h"
#include "godwit/error.h"

/* A keeper answers within its own bounds, which are less. */
#define PATIENCE_S    60
#define COMMAND_MAX   (64 * 1024)
#define PROC_PATH_MAX 64
#define OPTION	      "--recover="
#define RETRY_MS      20
#define HEARD_MS      100 /* until systemd knows that a command has ended */

struct upgrade_options {
	const char *socket;
	bool json, help;
};

#define AT(member) offsetof(struct upgrade_options, member)
static const struct gw_option options[] = {
	{"control-socket", "PATH", "of the back-end", AT(socket), GW_OPTION_STRING,
	 .required = true},
	{"json", NULL, "print what came of it as a JSON object", AT(json), GW_OPTION_FLAG},
	{"help", NULL, "print this", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{NULL},
};

/* -- who keeps it -------------------------------------------------------------------------- */

static pid_t parent_of(pid_t pid)
{
	char path[PROC_PATH_MAX], text[512];
	GW_AUTO_FD int fd = -1;
	const char *after;
	int parent = 0;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[GW_MAX(len, (ssize_t)0)] = 0;
	after = strrchr(text, ')'); /* the name may have spaces */
	return after && sscanf(after + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

/* Who listens there last said so before it shut itself in: outside, and a child of the keeper. */
static int find_listener(const char *path, pid_t *listener)
{
	GW_AUTO_FD int fd = -1;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int err = gw_socket_connect(&fd, path, 0);

	if (err)
		return err;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || !peer.pid)
		return gw_fail(ESRCH, "%s: which process listens there is not to be seen", path);
	*listener = peer.pid;
	return 0;
}

/* --recover, as the command line of @pid has it: "", "keeper", "systemd", or what else it says. */
static int read_how(pid_t pid, char *how, size_t size)
{
	GW_AUTO_FREE char *text = calloc(1, COMMAND_MAX + 1);
	char path[PROC_PATH_MAX];
	GW_AUTO_FD int fd = -1;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 || !text ? -1 : read(fd, text, COMMAND_MAX);
	if (len < 0)
		return gw_fail(ESRCH, "process %d has ended; try again", (int)pid);
	how[0] = 0;
	for (const char *word = text; word < text + len; word += strlen(word) + 1) {
		if (!strcmp(word, "--recover"))
			snprintf(how, size, "keeper");
		else if (!strncmp(word, OPTION, strlen(OPTION)))
			snprintf(how, size, "%s", word + strlen(OPTION));
	}
	return 0;
}

enum how { BY_KEEPER, BY_SYSTEMD };

static int find_how(pid_t pid, enum how *how)
{
	char word[16];
	int err = read_how(pid, word, sizeof(word));

	*how = strcmp(word, "systemd") ? BY_KEEPER : BY_SYSTEMD;
	if (err || *how == BY_SYSTEMD || !strcmp(word, "keeper"))
		return err;
	return gw_fail(ENOTSUP,
		       "process %d was not started with --recover: it can only be upgraded by a "
		       "migration",
		       (int)pid);
}

/* Whoever is no keeper would end at the signal. */
static bool waits_for_it(pid_t pid)
{
	unsigned long long blocked = 0;
	char path[PROC_PATH_MAX], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
			break;
	if (file)
		fclose(file);
	return blocked >> (SIGUSR2 - 1) & 1;
}

/* *@pidfd: from here on it is this process and no other that gets its number. */
static int find_keeper(pid_t listener, pid_t *keeper, int *pidfd)
{
	*keeper = parent_of(listener);
	*pidfd = *keeper ? (int)syscall(SYS_pidfd_open, *keeper, 0) : -1;
	if (*pidfd < 0 || parent_of(listener) != *keeper || !waits_for_it(*keeper))
		return gw_fail(ESRCH, "who keeps process %d has ended; try again", (int)listener);
	return 0;
}

/* -- asked --------------------------------------------------------------------------------- */

static const char *const results[] = {"done", "refused", "taken-back", "not-ready", "begun"};
enum result { DONE, REFUSED, TAKEN_BACK, NOT_READY, BEGUN };

static int ask_keeper(int pidfd, pid_t keeper)
{
	siginfo_t info = {.si_signo = SIGUSR2, .si_code = SI_QUEUE};

	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = GW_UPGRADE_QUESTION;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGUSR2, &info, 0) < 0)
		return gw_fail(errno, "process %d: %s", (int)keeper, strerror(errno));
	return 0;
}

static int wait_for_answer(pid_t keeper, enum result *result)
{
	const struct timespec patience = {.tv_sec = PATIENCE_S};
	siginfo_t info = {0};
	sigset_t set;
	int signo;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	do
		signo = sigtimedwait(&set, &info, &patience);
	while ((signo < 0 && errno == EINTR) ||
	       (signo == SIGUSR2 && (info.si_value.sival_int < GW_UPGRADE_DONE ||
				     info.si_value.sival_int > GW_UPGRADE_TAKEN_BACK)));
	if (signo < 0)
		return gw_fail(ETIMEDOUT, "process %d has not said what came of it within %d s",
			       (int)keeper, PATIENCE_S);
	*result = (enum result)(info.si_value.sival_int - GW_UPGRADE_DONE);
	return 0;
}

static int upgrade_by_keeper(pid_t listener, enum result *result)
{
	GW_AUTO_FD int pidfd = -1;
	sigset_t set;
	pid_t keeper;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	err = find_keeper(listener, &keeper, &pidfd);
	if (!err)
		err = ask_keeper(pidfd, keeper);
	return err ? err : wait_for_answer(keeper, result);
}

/* Somebody else than @before listens, and answers. */
static bool is_another(const char *path, pid_t before)
{
	json_t *status = NULL;
	pid_t now;
	bool answers = !find_listener(path, &now) && now != before &&
		       !gw_cli_ask(path, "query-status", &status);

	json_decref(status);
	return answers;
}

static bool read_groups(const char *path, char *text, size_t size)
{
	GW_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);

	text[GW_MAX(len, (ssize_t)0)] = 0;
	return len > 0;
}

/* Is this a part of the service, its ExecReload=? Then systemd starts nothing before it has ended.
 */
static bool is_within(pid_t pid)
{
	char path[PROC_PATH_MAX], own[PATH_MAX], its[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	return read_groups("/proc/self/cgroup", own, sizeof(own)) &&
	       read_groups(path, its, sizeof(its)) && !strcmp(own, its);
}

static int kill_it(int pidfd, pid_t pid)
{
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0)
		return gw_fail(errno, "process %d: %s", (int)pid, strerror(errno));
	return 0;
}

/* Else the reload would have failed, as far as systemd knows. */
static int kill_it_later(int pidfd, pid_t pid)
{
	GW_AUTO_FD int own = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct pollfd ended = {.fd = own, .events = POLLIN};
	pid_t child;

	fflush(NULL);
	child = own < 0 ? -1 : fork();
	if (child < 0)
		return gw_fail(errno, "fork: %s", strerror(errno));
	if (child)
		return 0;
	/* Whoever reads what this command says does not wait for it. */
	close_range(STDIN_FILENO, STDERR_FILENO, 0);
	poll(&ended, 1, -1);
	poll(NULL, 0, HEARD_MS);
	_exit(kill_it(pidfd, pid) ? GW_EXIT_FAILED : GW_EXIT_OK);
}

static enum result wait_for_another(const char *path, pid_t before)
{
	for (unsigned ms = 0; ms < PATIENCE_S * 1000; ms += RETRY_MS) {
		if (is_another(path, before))
			return DONE;
		poll(NULL, 0, RETRY_MS);
	}
	return NOT_READY;
}

/* systemd starts what is installed when the process ends, whatever that is: it is tried out before.
 * Nobody has the one before, should it not get ready; what is kept stays kept. */
static int upgrade_by_systemd(const char *path, pid_t listener, enum result *result)
{
	GW_AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, listener, 0);
	bool within = is_within(listener);
	int err = pidfd < 0 ? gw_fail(errno, "process %d: %s", (int)listener, strerror(errno))
			    : gw_upgrade_try(listener);

	if (err == -ECANCELED) {
		gw_cli_complain("upgrade", GW_EXIT_FAILED);
		*result = REFUSED;
		return 0;
	}
	if (!err)
		err = within ? kill_it_later(pidfd, listener) : kill_it(pidfd, listener);
	if (!err)
		*result = within ? BEGUN : wait_for_another(path, listener);
	return err;
}

static int upgrade(const char *path, enum result *result)
{
	pid_t listener;
	enum how how;
	int err = find_listener(path, &listener);

	if (!err)
		err = find_how(listener, &how);
	if (err)
		return err;
	return how == BY_SYSTEMD ? upgrade_by_systemd(path, listener, result)
				 : upgrade_by_keeper(listener, result);
}

/* -- told ---------------------------------------------------------------------------------- */

static const char *const sentences[] = {
	[DONE] = "the build that is installed goes on",
	[REFUSED] = "refused: the one that ran goes on as if nothing had been asked; its log, "
		    "or what is said here, has the reason",
	[TAKEN_BACK] = "it did not get ready: the one that ran goes on, after a pause; its "
		       "log has the reason",
	[NOT_READY] = "it did not get ready, and its log has the reason: systemd keeps what "
		      "is needed to go on, for one that can",
	[BEGUN] = "the build that is installed says that it can go on: systemd starts it when this "
		  "command has ended",
};

static int tell(const struct upgrade_options *given, enum result result)
{
	json_t *status = NULL;
	const char *version = "?";

	if (result != BEGUN && !gw_cli_ask(given->socket, "query-status", &status))
		version = gw_cli_text(status, "version");
	if (given->json)
		gw_cli_print_json(
			given->socket, "upgrade",
			json_pack("{s:s, s:s}", "result", results[result], "version", version));
	else
		printf("%s (version %s)\n", sentences[result], version);
	json_decref(status);
	return result == DONE || result == BEGUN ? GW_EXIT_OK : GW_EXIT_FAILED;
}

int gw_cli_upgrade(int argc, char **argv)
{
	struct upgrade_options given = {0};
	const struct gw_option_table tables[] = {{"options", options, &given}, {NULL}};
	const struct gw_command_line line = {
		.program = "godwit upgrade",
		.summary = "Let the build that is installed now take over, under a running VM.",
		.tables = tables,
	};
	enum result result = REFUSED;

	if (gw_options_parse(&line, argc, argv, NULL))
		return gw_cli_complain("upgrade", GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (upgrade(given.socket, &result))
		return gw_cli_complain("upgrade", GW_EXIT_UNKNOWN);
	return tell(&given, result);
}
