// SPDX-License-Identifier: BSD-3-Clause
/* vm/guest/log.c - a log that grows by a numbered line with a checksum every few milliseconds. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define LOG	  SHARE "/log"
#define LINE_SIZE 32
/* The host's side checks lines as well: vm/guest.py. */
#define LINES_PER_FSYNC 32

static int log_fd;

/* "00000042 0000012345 1a2b3c4d\n": number, guest's time in ms, CRC of what stands before it. */
static int format_line(char line[static LINE_SIZE], unsigned int number, uint64_t ms)
{
	int n = snprintf(line, LINE_SIZE, "%08u %010u ", number, (unsigned int)ms);
	uint32_t crc = crc32_of(0, line, (size_t)n);

	return n + snprintf(line + n, LINE_SIZE - (size_t)n, "%08x\n", crc);
}

static int open_log(void)
{
	log_fd = open(LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	return log_fd < 0 ? -errno : 0;
}

static int append_line(unsigned int number)
{
	char line[LINE_SIZE];
	int len = format_line(line, number, now_ms());
	ssize_t wrote = write(log_fd, line, (size_t)len);

	if (wrote != len)
		return wrote < 0 ? -errno : -EIO;
	if (number % LINES_PER_FSYNC == 0 && fsync(log_fd) < 0)
		return -errno;
	return 0;
}

/* How many lines there are, or minus the number of the first that is not as it was written. */
static int count_lines(FILE *log)
{
	char line[2 * LINE_SIZE], want[LINE_SIZE];
	unsigned int number = 0, ms;

	while (fgets(line, sizeof(line), log)) {
		number++;
		if (sscanf(line, "%*u %u", &ms) != 1)
			return -(int)number;
		format_line(want, number, ms);
		if (strcmp(line, want) != 0)
			return -(int)number;
	}
	return ferror(log) ? -(int)number - 1 : (int)number;
}

static int log_is_whole(unsigned int written)
{
	FILE *log = fopen(LOG, "re");
	int lines;

	must(log != NULL);
	lines = count_lines(log);
	fclose(log);
	host_expects(LOG);
	if (lines == (int)written)
		return 0;
	snprintf(check_reason, sizeof(check_reason),
		 lines < 0 ? "line %d of %u is damaged" : "has %d lines of %u",
		 lines < 0 ? -lines : lines, written);
	return CHECK_FAILED;
}

const struct worker log_worker = {
	.name = "log",
	.interval_ms = 5,
	.begin = open_log,
	.step = append_line,
	.verify = log_is_whole,
};
