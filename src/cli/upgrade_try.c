/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/upgrade_try.c - what is installed is tried out beside a process that runs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fdstore.h"
#include "base/options.h"
#include "cli/upgrade_try.h"
#include "godwit/error.h"

/* A program that does not know the question would go on and wait for the one that runs. */
#define CHECK_MS      10000
#define COMMAND_MAX   (64 * 1024)
#define WORDS_MAX     1024
#define PROC_PATH_MAX 64
#define FIRST_FD      3 /* sd_listen_fds(3) */
#define DELETED	      " (deleted)"
/* A process outside of the sandbox, one that makes namespaces, and the one inside. */
#define DEPTH_MAX 4

/* What a process that only looks needs of what is kept. */
static const char *const names[] = {"ledger", "journal", "state-0", "state-1"};
#define NAMES GW_ARRAY_LEN(names)

struct trial {
	pid_t pid;
	int program;
	int fds[NAMES], fd_count; /* of @names, those that there are */
	const char *fd_names[NAMES];
	char *argv[WORDS_MAX + 1];
	char command[COMMAND_MAX + 1];
};

/* -- what is kept -------------------------------------------------------------------------- */

/* A guest may have given such a name to anything, of which opening alone could do something. */
static int open_memory(int dir, const char *name)
{
	GW_AUTO_FD int looked_at = openat(dir, name, O_PATH | O_CLOEXEC);
	char path[PROC_PATH_MAX];
	struct stat st;

	if (looked_at < 0 || fstat(looked_at, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", looked_at);
	return open(path, O_RDWR | O_CLOEXEC);
}

/* The memory that is kept as @name, of process @pid; -1. */
static int open_kept(pid_t pid, const char *name)
{
	char path[PROC_PATH_MAX], wanted[GW_FDSTORE_NAME_MAX + 32], link[sizeof(wanted) + 1];
	struct dirent *entry;
	int fd = -1;
	DIR *dir;

	snprintf(wanted, sizeof(wanted), "/memfd:" GW_FDSTORE_MEMORY "%s" DELETED, name);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && fd < 0 && (entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

		link[GW_MAX(len, (ssize_t)0)] = 0;
		if (!strcmp(link, wanted))
			fd = open_memory(dirfd(dir), entry->d_name);
	}
	if (dir)
		closedir(dir);
	return fd;
}

/* Its first child, of which a process of ours has one at most; 0. */
static pid_t child_of(pid_t pid)
{
	char path[PROC_PATH_MAX];
	int child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%d", &child) != 1)
		child = 0;
	if (file)
		fclose(file);
	return child;
}

static int find_kept(struct trial *trial)
{
	pid_t pid = trial->pid;
	int ledger = -1;

	for (unsigned i = 0; i < DEPTH_MAX && pid; i++, pid = child_of(pid)) {
		ledger = open_kept(pid, names[0]);
		if (ledger >= 0)
			break;
	}
	if (ledger < 0)
		return gw_fail(
			ENOENT,
			"of process %d nothing is to be seen that is kept: it may be another "
			"user's",
			(int)trial->pid);
	for (unsigned i = 0; i < NAMES; i++) {
		int fd = i ? open_kept(pid, names[i]) : ledger;

		if (fd < 0)
			continue;
		trial->fd_names[trial->fd_count] = names[i];
		trial->fds[trial->fd_count++] = fd;
	}
	return 0;
}

/* -- what is executed ---------------------------------------------------------------------- */

/* What has been replaced is called deleted; what took its place has its name. */
static int open_program(struct trial *trial)
{
	char proc[PROC_PATH_MAX], path[PATH_MAX], whole[PATH_MAX + PROC_PATH_MAX];
	size_t cut = strlen(DELETED);
	ssize_t len;

	snprintf(proc, sizeof(proc), "/proc/%d/exe", (int)trial->pid);
	len = readlink(proc, path, sizeof(path) - 1);
	if (len < 0)
		return gw_fail(errno, "%s: %s", proc, strerror(errno));
	path[len] = 0;
	if ((size_t)len > cut && !strcmp(path + len - cut, DELETED))
		path[(size_t)len - cut] = 0;
	snprintf(whole, sizeof(whole), "/proc/%d/root%s", (int)trial->pid, path);
	trial->program = open(whole, O_RDONLY | O_CLOEXEC);
	if (trial->program < 0)
		return gw_fail(ECANCELED, "%s: %s", path, strerror(errno));
	return 0;
}

static int read_command(struct trial *trial)
{
	char path[PROC_PATH_MAX];
	GW_AUTO_FD int fd = -1;
	unsigned count = 0;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)trial->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, trial->command, COMMAND_MAX);
	if (len <= 0)
		return gw_fail(ESRCH, "process %d has ended; try again", (int)trial->pid);
	for (char *word = trial->command; word < trial->command + len && count < WORDS_MAX;
	     word += strlen(word) + 1)
		trial->argv[count++] = word;
	return 0;
}

/* Whoever asks may be root; the service need not be. */
static int become_its_user(pid_t pid)
{
	char path[PROC_PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st) < 0)
		return -errno;
	if (st.st_uid == geteuid())
		return 0;
	return setgroups(1, &st.st_gid) < 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) < 0 ||
			       setresuid(st.st_uid, st.st_uid, st.st_uid) < 0
		       ? -errno
		       : 0;
}

static int move_up(int *fd, int above)
{
	*fd = fcntl(*fd, F_DUPFD_CLOEXEC, above);
	return *fd < 0 ? -errno : 0;
}

/* One after the other, as sd_listen_fds(3) has it, and behind them a socket at which nobody
 * listens. */
static int lay_out(struct trial *trial, int *notify)
{
	int above = FIRST_FD + trial->fd_count, ends[2];
	int err = socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0 ? -errno : 0;

	if (!err)
		err = move_up(&trial->program, above);
	for (int i = 0; i < trial->fd_count && !err; i++)
		err = move_up(&trial->fds[i], above);
	if (!err && (*notify = fcntl(ends[0], F_DUPFD, above)) < 0)
		err = -errno;
	for (int i = 0; i < trial->fd_count && !err; i++)
		err = dup2(trial->fds[i], FIRST_FD + i) < 0 ? -errno : 0;
	return err;
}

static int set_environment(const struct trial *trial, int notify)
{
	char all[NAMES * (GW_FDSTORE_NAME_MAX + 1)] = "", number[24];
	size_t len = 0;
	int failed = setenv(GW_FDSTORE_CHECK_ENV, "1", 1);

	for (int i = 0; i < trial->fd_count; i++)
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i ? ":" : "",
					trial->fd_names[i]);
	failed |= setenv("LISTEN_FDNAMES", all, 1);
	snprintf(number, sizeof(number), "%d", trial->fd_count);
	failed |= setenv("LISTEN_FDS", number, 1);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	failed |= setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%d", notify);
	failed |= setenv(GW_FDSTORE_ENV, number, 1);
	unsetenv("NOTIFY_SOCKET");
	return failed ? -errno : 0;
}

static void execute(struct trial *trial) __attribute__((noreturn));
static void execute(struct trial *trial)
{
	char directory[PROC_PATH_MAX];
	sigset_t none;
	int notify = -1, err;

	snprintf(directory, sizeof(directory), "/proc/%d/cwd", (int)trial->pid);
	err = chdir(directory) < 0 ? -errno : lay_out(trial, &notify);
	if (!err)
		err = set_environment(trial, notify);
	if (!err)
		err = become_its_user(trial->pid);
	if (!err) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		fexecve(trial->program, trial->argv, environ);
		err = -errno;
	}
	fprintf(stderr, "%s cannot be started: %s\n", trial->argv[0], strerror(-err));
	_exit(GW_EXIT_FAILED);
}

/* -- what it says -------------------------------------------------------------------------- */

static int hear(pid_t child)
{
	GW_AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	int status;

	if (pidfd < 0 || poll(&ended, 1, CHECK_MS) != 1)
		kill(child, SIGKILL);
	if (waitpid(child, &status, 0) != child)
		return gw_fail(errno, "what is installed: %s", strerror(errno));
	if (WIFSIGNALED(status))
		return gw_fail(ECANCELED,
			       "what is installed does not say whether it can go on; the one that "
			       "runs does");
	if (WEXITSTATUS(status))
		return gw_fail(ECANCELED,
			       "what is installed says that it cannot go on; the one that runs "
			       "does");
	return 0;
}

static int run(struct trial *trial)
{
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child < 0)
		return gw_fail(errno, "fork: %s", strerror(errno));
	if (!child)
		execute(trial);
	return hear(child);
}

int gw_upgrade_try(pid_t pid)
{
	GW_AUTO_FREE struct trial *trial = calloc(1, sizeof(*trial));
	int err;

	if (!trial)
		return gw_fail(ENOMEM, "no memory");
	trial->pid = pid;
	trial->program = -1;
	err = find_kept(trial);
	if (!err)
		err = read_command(trial);
	if (!err)
		err = open_program(trial);
	if (!err)
		err = run(trial);
	for (int i = 0; i < trial->fd_count; i++)
		close(trial->fds[i]);
	gw_close(&trial->program);
	return err;
}
