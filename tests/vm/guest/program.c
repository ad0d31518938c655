// SPDX-License-Identifier: BSD-3-Clause
/* vm/guest/program.c - runs other programs in the guest, and sets its clock for them. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define WORDS_MAX 64

static unsigned int split(char *line, char **words)
{
	unsigned int count = 0;
	char *save;

	for (char *w = strtok_r(line, " ", &save); w && count < WORDS_MAX - 1;
	     w = strtok_r(NULL, " ", &save))
		words[count++] = w;
	words[count] = NULL;
	return count;
}

/* Where the back-end is not privileged its user is the guest's, in all respects. */
static int drop_to_share_user(void)
{
	const char *uid = getenv("share_uid"), *gid = getenv("share_gid");

	if (!uid || !gid)
		return 0;
	if (setgroups(0, NULL) < 0 || setgid((gid_t)atoi(gid)) < 0 || setuid((uid_t)atoi(uid)) < 0)
		return -errno;
	return 0;
}

static _Noreturn void become_program(char **words)
{
	int in = open("/dev/null", O_RDONLY), out;

	if (drop_to_share_user() < 0)
		_exit(126);
	out = open(words[0], O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	execv(words[1], words + 1);
	_exit(127);
}

/* OUTPUT PROGRAM ARGUMENT...: to its end, what it prints goes into a file. */
void program_run(char *line)
{
	char *words[WORDS_MAX];
	int status = 0;
	pid_t pid;

	if (split(line, words) < 2) {
		channel_say("fail run needs an output and a program");
		return;
	}
	pid = fork();
	if (pid == 0)
		become_program(words);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		channel_say("fail run %s: %s", words[1], strerror(errno));
	else if (WIFSIGNALED(status))
		channel_say("fail run %s: signal %d", words[1], WTERMSIG(status));
	else if (WEXITSTATUS(status))
		channel_say("fail run %s: status %d", words[1], WEXITSTATUS(status));
	else
		channel_say("ok run %s", words[1]);
}

/* PATH VALUE: a setting of the guest's kernel. */
void program_set(char *line)
{
	char *words[WORDS_MAX];
	unsigned int count = split(line, words);
	int fd = count == 2 ? open(words[0], O_WRONLY | O_CLOEXEC) : -1;

	if (fd < 0 || write(fd, words[1], strlen(words[1])) < 0)
		channel_say("fail set %s: %s", count ? words[0] : "nothing", strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* To the host's, as the share's files tell it: in some modes the guest sets times, in others the
 * host does, and the two are compared. Rather early than late by the time that asking took. */
void program_set_clock(void)
{
	const char *path = SHARE "/.clock";
	uint64_t start = now_ms();
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct statx stx = {0};
	uint64_t usec;

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_CTIME, &stx) < 0)
		channel_say("fail clock: %s", strerror(errno));
	usec = stx.stx_ctime.tv_nsec / 1000 + (now_ms() - start + 1) * 1000;
	if (settimeofday(
		    &(struct timeval){.tv_sec = stx.stx_ctime.tv_sec + (time_t)(usec / 1000000),
				      .tv_usec = (suseconds_t)(usec % 1000000)},
		    NULL) < 0)
		channel_say("fail clock: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	unlink(path);
}
