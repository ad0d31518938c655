// SPDX-License-Identifier: BSD-3-Clause
/* vm/guest/init.c - the guest's first and only program. */
/*
 * Brings the machine up, mounts the share, and then does what the host's side asks for, line by
 * line. Every command is answered with lines and a last one, "end".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define CHANNEL	    "/dev/ttyS1"
#define TAG	    "share"
#define MOUNT_TRIES 100

static const struct check *const tables[] = {file_checks, dir_checks, meta_checks};
#define TABLES	   (sizeof(tables) / sizeof(tables[0]))
#define MAX_CHECKS 64

static void mount_early(void)
{
	static const struct {
		const char *type, *path;
	} mounts[] = {{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i].path, 0755);
		if (mount(mounts[i].type, mounts[i].path, mounts[i].type, 0, NULL) < 0)
			printf("init: cannot mount %s: %s\n", mounts[i].path, strerror(errno));
	}
}

/* Their names sort in the order in which they depend on each other. */
static void load_modules(void)
{
	struct dirent **names;
	int n = scandir("/modules", &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		int fd = open(path_in("/modules", names[i]->d_name), O_RDONLY | O_CLOEXEC);

		if (names[i]->d_name[0] != '.' && syscall(SYS_finit_module, fd, "", 0) < 0)
			printf("init: cannot load %s: %s\n", names[i]->d_name, strerror(errno));
		close(fd);
	}
}

/* The device may still be on its way when init starts. */
static int mount_share(void)
{
	const struct timespec pause = {0, 50000000};

	mkdir(SHARE, 0755);
	for (int i = 0; i < MOUNT_TRIES; i++) {
		if (mount(TAG, SHARE, "virtiofs", 0, NULL) == 0)
			return 0;
		nanosleep(&pause, NULL);
	}
	return -errno;
}

/* Where the back-end is not privileged, only its own user can create files on the share. */
static void become_share_user(void)
{
	const char *uid = getenv("share_uid"), *gid = getenv("share_gid");

	if (gid)
		setfsgid((gid_t)atoi(gid));
	if (uid)
		setfsuid((uid_t)atoi(uid));
}

static bool is_wanted(const char *name, const char *list)
{
	size_t len = strlen(name);

	if (!*list)
		return true;
	for (const char *p = list; (p = strstr(p, name)); p += len) {
		if ((p == list || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
			return true;
	}
	return false;
}

static bool prepared[MAX_CHECKS]; /* by position over all tables: only these are verified */

static void run_check(const struct check *check, bool *ready, bool verify)
{
	char dir[PATH_MAX];
	int ret;

	snprintf(dir, sizeof(dir), "%s/checks/%s", SHARE, check->name);
	errno = 0;
	if (verify)
		ret = check->verify(dir);
	else if (mkdir(dir, 0755) < 0)
		ret = check_failed(__FILE__, __LINE__, "mkdir(dir, 0755)");
	else
		ret = check->prepare ? check->prepare(dir) : 0;
	*ready = !verify && ret == 0;
	if (ret == 0)
		channel_say("ok %s", check->name);
	else
		channel_say("%s %s %s", ret == CHECK_SKIPPED ? "skip" : "fail", check->name,
			    check_reason);
}

static void run_checks(const char *list, bool verify)
{
	bool *ready = prepared;

	for (size_t t = 0; t < TABLES; t++) {
		for (const struct check *c = tables[t]; c->name && ready < prepared + MAX_CHECKS;
		     c++, ready++) {
			if (verify ? *ready : is_wanted(c->name, list))
				run_check(c, ready, verify);
		}
	}
}

static void do_prepare(char *args)
{
	if (mkdir(SHARE "/checks", 0755) < 0)
		channel_say("note cannot make %s: %s", SHARE "/checks", strerror(errno));
	run_checks(args, false);
}

static void do_verify(char *args)
{
	drop_caches();
	run_checks(args, true);
}

static void do_work(char *args)
{
	workload_start();
}

static void do_report(char *args)
{
	workload_report();
}

static void do_stop(char *args)
{
	workload_stop();
}

static void do_run(char *args)
{
	program_run(args);
}

static void do_model(char *args)
{
	model_processes_start(args);
}

static void do_model_report(char *args)
{
	model_processes_report();
}

static void do_model_stop(char *args)
{
	model_processes_stop();
}

static void do_set(char *args)
{
	program_set(args);
}

static void do_clock(char *args)
{
	program_set_clock();
}

static void do_second(char *args)
{
	second_share(args);
}

static void do_poweroff(char *args)
{
	reboot(RB_POWER_OFF);
}

static const struct {
	const char *name;
	void (*run)(char *args);
} commands[] = {
	{"prepare", do_prepare},       {"work", do_work},
	{"report", do_report},	       {"stop", do_stop},
	{"verify", do_verify},	       {"run", do_run},
	{"model", do_model},	       {"model-report", do_model_report},
	{"model-stop", do_model_stop}, {"set", do_set},
	{"clock", do_clock},	       {"second", do_second},
	{"poweroff", do_poweroff},
};

static void obey(char *line)
{
	char *args = strchr(line, ' ');

	if (args)
		*args++ = '\0';
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(line, commands[i].name) == 0) {
			commands[i].run(args ? args : line + strlen(line));
			channel_say("end");
			return;
		}
	}
	channel_say("fail %s is no command", line);
	channel_say("end");
}

int main(void)
{
	struct utsname uts;
	char line[1024];
	int err;

	setbuf(stdout, NULL);
	mount_early();
	load_modules();
	err = channel_open(CHANNEL);
	if (err)
		printf("init: %s: %s\n", CHANNEL, strerror(-err));
	channel_say("alive");
	err = mount_share();
	if (err)
		channel_say("fail mount %s", strerror(-err));
	become_share_user();
	uname(&uts);
	channel_say("ready %s", uts.release);
	while (channel_line(line, sizeof(line)))
		obey(line);
	reboot(RB_POWER_OFF);
	return 1;
}
