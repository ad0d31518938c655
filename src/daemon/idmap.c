/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/idmap.c - a user namespace of one's own, and which ids there are in it. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "daemon/idmap.h"
#include "godwit/error.h"

/* One of the two maps of a namespace, and how it is written. */
struct side {
	const char *what;   /* for sentences */
	const char *file;   /* below /proc/self */
	const char *helper; /* set-user-id, allows what /etc/subuid or /etc/subgid grants */
	struct gw_idmap map;
	bool own; /* this process's id alone: nobody has to allow that */
};

static int parse_number(const char **text, char separator, uint32_t *number)
{
	unsigned long long value;
	char *end;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(*text, &end, 10);
	if (errno || value > UINT32_MAX || *end != separator)
		return -EINVAL;
	*number = (uint32_t)value;
	*text = end + 1;
	return 0;
}

int gw_idmap_parse(struct gw_idmap *map, const char *text, const char *option)
{
	char separator = *text;
	const char *at = text + !!separator;

	if (!separator || parse_number(&at, separator, &map->inside) ||
	    parse_number(&at, separator, &map->outside) ||
	    parse_number(&at, separator, &map->count) || *at)
		return gw_fail(EINVAL, "option --%s: '%.64s' is not :INSIDE:OUTSIDE:COUNT:", option,
			       text);
	/* The last of all numbers is no id. */
	if (!map->count || (uint64_t)map->inside + map->count > UINT32_MAX ||
	    (uint64_t)map->outside + map->count > UINT32_MAX)
		return gw_fail(EINVAL, "option --%s: '%.64s' has no ids, or impossible ones",
			       option, text);
	return 0;
}

static int write_file(const char *name, const char *text)
{
	char path[64];
	GW_AUTO_FD int fd = -1;

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return gw_fail(errno, "user namespace: %s: %s", path, strerror(errno));
	return 0;
}

static int write_own(const struct side *side)
{
	char text[64];

	snprintf(text, sizeof(text), "%u %u 1", side->map.inside, side->map.outside);
	return write_file(side->file, text);
}

/* In a process outside of the namespace of @pid. */
static int run_helper(const struct side *side, pid_t pid)
{
	char numbers[4][16];
	char *argv[] = {(char *)side->helper, numbers[0], numbers[1], numbers[2], numbers[3], NULL};
	posix_spawn_file_actions_t actions;
	int status, err;
	pid_t helper;

	snprintf(numbers[0], sizeof(numbers[0]), "%d", pid);
	snprintf(numbers[1], sizeof(numbers[1]), "%u", side->map.inside);
	snprintf(numbers[2], sizeof(numbers[2]), "%u", side->map.outside);
	snprintf(numbers[3], sizeof(numbers[3]), "%u", side->map.count);
	/* One line says what is wrong, and it is ours. */
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	err = posix_spawnp(&helper, side->helper, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (err || waitpid(helper, &status, 0) < 0)
		return err ? err : errno;
	return status ? EPERM : 0;
}

/* The child of map_by_helper(): waits for the namespace, then has it mapped. Its exit status is the
 * errno, with the high bit for the second side. */
static void serve_maps(const struct side *sides, pid_t pid, int go) __attribute__((noreturn));
static void serve_maps(const struct side *sides, pid_t pid, int go)
{
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(0);
	for (int i = 0; i < 2; i++) {
		int err = sides[i].own ? 0 : run_helper(&sides[i], pid);

		if (err)
			_exit((err & 0x7f) | (i << 7));
	}
	_exit(0);
}

static int helper_failed(const struct side *sides, int status)
{
	const struct side *side = &sides[(WEXITSTATUS(status) >> 7) & 1];
	int err = WIFEXITED(status) ? WEXITSTATUS(status) & 0x7f : EIO;

	if (err != EPERM)
		return gw_fail(err, "%s map: %s cannot be run: %s (Debian: package uidmap)",
			       side->what, side->helper, strerror(err));
	return gw_fail(err, "%s map: %s refuses %u ids from %u on (see /etc/sub%s)", side->what,
		       side->helper, side->map.count, side->map.outside, side->what);
}

static int new_namespace(void)
{
	if (unshare(CLONE_NEWUSER) == 0)
		return 0;
	return gw_fail(errno,
		       "sandbox: a user namespace cannot be made: %s (use --sandbox=none where "
		       "they are not allowed)",
		       strerror(errno));
}

/* Only a process outside may run the helpers, so it is made before. */
static int enter_with_helper(const struct side *sides)
{
	GW_AUTO_FD int listening = -1, going = -1;
	int ends[2], status, err;
	pid_t pid = getpid(), server;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return gw_fail(errno, "pipe: %s", strerror(errno));
	listening = ends[0];
	going = ends[1];
	server = fork();
	if (server < 0)
		return gw_fail(errno, "fork: %s", strerror(errno));
	if (!server) {
		gw_close(&going);
		serve_maps(sides, pid, listening);
	}
	err = new_namespace();
	if (!err && write(going, "", 1) != 1)
		err = gw_fail(errno, "user namespace: %s", strerror(errno));
	gw_close(&going);
	if (waitpid(server, &status, 0) < 0)
		return gw_fail(errno, "user namespace: %s", strerror(errno));
	return err || !status ? err : helper_failed(sides, status);
}

static void choose(struct side *side, const struct gw_idmap *given, uint32_t own)
{
	side->map = given ? *given : (struct gw_idmap){.inside = own, .outside = own, .count = 1};
	side->own = side->map.count == 1 && side->map.outside == own;
}

int gw_idmap_enter(const struct gw_idmap *uids, const struct gw_idmap *gids)
{
	struct side sides[] = {{.what = "uid", .file = "uid_map", .helper = "newuidmap"},
			       {.what = "gid", .file = "gid_map", .helper = "newgidmap"}};
	int err;

	choose(&sides[0], uids, geteuid());
	choose(&sides[1], gids, getegid());
	err = sides[0].own && sides[1].own ? new_namespace() : enter_with_helper(sides);
	if (!err && sides[0].own)
		err = write_own(&sides[0]);
	/* user_namespaces(7): who maps a group without privilege gives up to change groups. */
	if (!err && sides[1].own)
		err = write_file("setgroups", "deny");
	if (!err && sides[1].own)
		err = write_own(&sides[1]);
	return err;
}

int gw_idmap_become(const struct gw_idmap *uids, const struct gw_idmap *gids)
{
	/* Where groups may not be changed they are the operator's own, as without a sandbox. */
	if (gids && setgroups(0, NULL) < 0 && errno != EPERM)
		return gw_fail(errno, "groups: %s", strerror(errno));
	if (gids && setresgid(gids->inside, gids->inside, gids->inside) < 0)
		return gw_fail(errno, "group %u: %s", gids->inside, strerror(errno));
	if (uids && setresuid(uids->inside, uids->inside, uids->inside) < 0)
		return gw_fail(errno, "user %u: %s", uids->inside, strerror(errno));
	return 0;
}
