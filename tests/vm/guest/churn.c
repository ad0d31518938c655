// SPDX-License-Identifier: BSD-3-Clause
/* vm/guest/churn.c - names come, change and go all the while, so that no move finds them at rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

#define CHURN SHARE "/churn"
#define KEPT  20 /* so many of the last files are there at any time */

static int make_room(void)
{
	return mkdir(CHURN, 0755) < 0 || mkdir(CHURN "/dir", 0755) < 0 ? -errno : 0;
}

static const char *name_of(const char *what, unsigned int number)
{
	char name[32];

	snprintf(name, sizeof(name), "%s-%u", what, number);
	return path_in(CHURN, name);
}

/* A file is made under one name, moved to another, and read there. */
static int come(unsigned int number)
{
	const char *made = name_of("made", number), *moved = name_of("dir/moved", number);
	int fd = make_file(made, made);

	if (fd < 0)
		return -errno;
	if (rename(made, moved) < 0 || !put_text(fd, (off_t)strlen(made), ".") || close(fd) < 0)
		return -errno;
	if (access(made, F_OK) == 0 || errno != ENOENT)
		return -EEXIST;
	return 0;
}

static int go(unsigned int number)
{
	const char *moved = name_of("dir/moved", number);
	char text[64];

	snprintf(text, sizeof(text), "%s.", name_of("made", number));
	if (!file_is(moved, text))
		return -EILSEQ;
	return unlink(moved) < 0 ? -errno : 0;
}

static int come_and_go(unsigned int number)
{
	const char *dir = name_of("dir", number);
	int err = come(number);

	if (!err && number > KEPT)
		err = go(number - KEPT);
	if (!err && (mkdir(dir, 0755) < 0 || rmdir(dir) < 0))
		err = -errno;
	return err;
}

/* The last ones are there, and nothing that ought to be gone. */
static int last_ones_are_there(unsigned int steps)
{
	for (unsigned int number = steps > KEPT ? steps - KEPT + 1 : 1; number <= steps; number++)
		must(go(number) == 0);
	must(rmdir(CHURN "/dir") == 0);
	must(rmdir(CHURN) == 0);
	return 0;
}

const struct worker churn_worker = {
	.name = "churn",
	.interval_ms = 3,
	.begin = make_room,
	.step = come_and_go,
	.verify = last_ones_are_there,
};
