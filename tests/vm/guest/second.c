// SPDX-License-Identifier: BSD-3-Clause
/* vm/guest/second.c - a second share, with one file that is open and has no name while it moves. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

#define SECOND "/second"

static int held = -1;

static int hold(void)
{
	if (mkdir(SECOND, 0755) < 0 && errno != EEXIST)
		return -1;
	if (mount("second", SECOND, "virtiofs", 0, NULL) < 0)
		return -1;
	held = open(SECOND "/held", O_RDWR | O_CREAT | O_EXCL, 0644);
	if (held < 0 || write(held, "before", 6) != 6)
		return -1;
	return unlink(SECOND "/held");
}

/* What was written before is there, what is written now can be read, and there is no such name. */
static int look_after(void)
{
	char text[32] = "";
	struct stat st;

	if (pwrite(held, " after", 6, 6) != 6 || fsync(held) < 0)
		return -1;
	if (pread(held, text, sizeof(text) - 1, 0) != 12 || strcmp(text, "before after") != 0)
		return -1;
	if (fstat(held, &st) < 0 || st.st_size != 12 || st.st_nlink)
		return -1;
	return access(SECOND "/held", F_OK) < 0 && errno == ENOENT ? 0 : -1;
}

void second_share(const char *what)
{
	int err = strcmp(what, "hold") ? look_after() : hold();

	if (err)
		channel_say("fail second share, %s: %s", what, strerror(errno));
	else
		channel_say("ok second-share");
}
