// SPDX-License-Identifier: BSD-3-Clause
/* vm/guest/channel.c - lines of text to and from the host, over a serial port. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "guest.h"

static int tty = STDOUT_FILENO;

int channel_open(const char *path)
{
	struct termios raw;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &raw) < 0)
		return -errno;
	cfmakeraw(&raw);
	raw.c_cflag |= CLOCAL;
	if (tcsetattr(fd, TCSANOW, &raw) < 0)
		return -errno;
	tty = fd;
	return 0;
}

void channel_say(const char *format, ...)
{
	char line[1024];
	size_t done = 0, len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	len = (size_t)n < sizeof(line) - 2 ? (size_t)n : sizeof(line) - 2;
	line[len++] = '\n';
	while (done < len) {
		ssize_t wrote = write(tty, line + done, len - done);

		if (wrote < 0 && errno != EINTR)
			return;
		done += wrote > 0 ? (size_t)wrote : 0;
	}
}

/* NULL when the line to the host is gone. */
char *channel_line(char *buf, size_t size)
{
	size_t len = 0;
	char c;

	for (;;) {
		ssize_t got = read(tty, &c, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return NULL;
		if (c == '\n')
			break;
		if (len + 1 < size)
			buf[len++] = c;
	}
	buf[len] = '\0';
	return buf;
}
