/* SPDX-License-Identifier: BSD-3-Clause */
/* base/output.c - standard streams: that they are there, and that what was printed arrived. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/output.h"

void gw_output_begin(void)
{
	/* In the wrong direction, so that using it fails as before. The lowest free one is taken;
	 * it is to stay open. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", /* NOLINT(android-cloexec-open) */
				    fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int gw_output_end(const char *program, int code, int unwritten)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	fprintf(stderr, "%s: standard output could not be written%s%s\n", program,
		errno ? ": " : "", errno ? strerror(errno) : "");
	return code ? code : unwritten;
}
