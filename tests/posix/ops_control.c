// SPDX-License-Identifier: BSD-3-Clause
/* posix/ops_control.c - who does it: another user, another process. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix.h"

#define GROUPS_MAX 8

/* UID[:GID[:GROUP,GROUP...]] */
static void become(const char *word)
{
	gid_t groups[GROUPS_MAX];
	unsigned count = 0;
	char *p;
	uid_t uid = (uid_t)strtoul(word, &p, 10);
	gid_t gid = *p == ':' ? (gid_t)strtoul(p + 1, &p, 10) : (gid_t)uid;

	while ((*p == ':' || *p == ',') && count < GROUPS_MAX)
		groups[count++] = (gid_t)strtoul(p + 1, &p, 10);
	if (*p)
		bad_case("'%s' is no user", word);
	if (setgroups(count, groups) < 0 || setresgid(gid, gid, 0) < 0 ||
	    setresuid(uid, uid, 0) < 0)
		bad_case("cannot be %s: %s", word, strerror(errno));
}

/* Root again, by the saved ids. */
static void return_to_root(void)
{
	if (setresuid(0, 0, 0) < 0 || setresgid(0, 0, 0) < 0 || setgroups(0, NULL) < 0)
		bad_case("cannot be root again: %s", strerror(errno));
}

/* as USER OPERATION...: real and effective ids, so that access() says the same. */
static void do_as(char **arg, unsigned count)
{
	become(arg[0]);
	op_run(arg + 1, count - 1);
	return_to_root();
}

/* child OPERATION...: in a process of its own, which ends. */
static void do_child(char **arg, unsigned count)
{
	char answer[4096];
	ssize_t len;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0 || fflush(stdout) != 0 || (pid = fork()) < 0)
		bad_case("no child: %s", strerror(errno));
	if (pid == 0) {
		op_run(arg, count);
		_exit(write(ends[1], said(), strlen(said())) < 0);
	}
	close(ends[1]);
	len = read(ends[0], answer, sizeof(answer) - 1);
	close(ends[0]);
	waitpid(pid, NULL, 0);
	answer[len > 0 ? len : 0] = '\0';
	say("%s", answer);
}

/* limit BYTES OPERATION...: with RLIMIT_FSIZE. */
static void do_limit(char **arg, unsigned count)
{
	struct rlimit old, now;

	if (getrlimit(RLIMIT_FSIZE, &old) < 0)
		bad_case("no limit: %s", strerror(errno));
	now = (struct rlimit){.rlim_cur = (rlim_t)number_of(arg[0]), .rlim_max = old.rlim_max};
	setrlimit(RLIMIT_FSIZE, &now);
	op_run(arg + 1, count - 1);
	setrlimit(RLIMIT_FSIZE, &old);
}

/* exec PATH: as far as the kernel comes. */
static void do_exec(char **arg, unsigned count)
{
	int status, report[2], err = 0;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0 || fflush(stdout) != 0 || (pid = fork()) < 0)
		bad_case("no child: %s", strerror(errno));
	if (pid == 0) {
		dup2(report[0], STDERR_FILENO); /* what it says there is nobody's */
		execv(arg[0], (char *const[]){arg[0], NULL});
		_exit(write(report[1], &errno, sizeof(errno)) < 0);
	}
	close(report[1]);
	if (read(report[0], &err, sizeof(err)) != sizeof(err))
		err = 0;
	close(report[0]);
	waitpid(pid, &status, 0);
	errno = err;
	if (err)
		say_result(-1);
	else
		say("exit %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/* This program itself, where its case can run it. */
static void do_self(char **arg, unsigned count)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = open(arg[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	static char buf[65536];
	ssize_t got;
	bool fine = from >= 0 && to >= 0;

	while (fine && (got = read(from, buf, sizeof(buf))) > 0)
		fine = write(to, buf, (size_t)got) == got;
	close(from);
	close(to);
	say(fine ? "0" : "failed");
}

/* pipe-through PATH: a FIFO between two processes. */
static void do_pipe_through(char **arg, unsigned count)
{
	char answer[16] = "";
	pid_t pid = fflush(stdout) == 0 ? fork() : -1;
	int fd;

	if (pid == 0) {
		fd = open(arg[0], O_WRONLY | O_CLOEXEC);
		_exit(fd < 0 || write(fd, "through", 7) != 7);
	}
	fd = open(arg[0], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, answer, sizeof(answer) - 1) < 0)
		say_result(-1);
	else
		say("%s", answer);
	if (fd >= 0)
		close(fd);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void do_sleep(char **arg, unsigned count)
{
	pause_ms((long)number_of(arg[0]));
	say_result(0);
}

const struct op control_ops[] = {
	{"as", 2, ARGS_MAX, do_as, true},	 {"child", 1, ARGS_MAX, do_child, false},
	{"limit", 2, ARGS_MAX, do_limit, false}, {"exec", 1, 1, do_exec, false},
	{"self", 1, 1, do_self, false},		 {"pipe-through", 1, 1, do_pipe_through, false},
	{"sleep", 1, 1, do_sleep, false},	 {0},
};
