// SPDX-License-Identifier: BSD-3-Clause
/* posix/words.c - what the words of a case mean, and what it answers. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "posix.h"

#define LETTERS	   26
#define SHORT_DATA 40
#define SAID_MAX   4096

static int fds[LETTERS]; /* one more than the descriptor, 0: none */
static char text[SAID_MAX];
static size_t text_len;

void bad_case(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

void say(const char *format, ...)
{
	size_t room = sizeof(text) - text_len;
	va_list args;
	size_t end;
	int n;

	if (text_len && room > 1) {
		text[text_len++] = ',';
		room--;
	}
	va_start(args, format);
	n = vsnprintf(text + text_len, room, format, args);
	va_end(args);
	/* A name may have any byte; a line has not. char has a sign. */
	end = text_len + (n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1);
	for (; text_len < end; text_len++) {
		if (text[text_len] < ' ' || text[text_len] == '|' || text[text_len] == 127)
			text[text_len] = '?';
	}
}

const char *said(void)
{
	text[text_len] = '\0';
	return text;
}

void said_reset(void)
{
	text_len = 0;
}

void say_result(long long ret)
{
	const char *name = ret == -1 ? strerrorname_np(errno) : NULL;

	if (ret != -1)
		say("%lld", ret);
	else
		say("%s", name ? name : "E?");
}

/* Zeros are common, and a checksum says little to a reader. */
void say_data(const void *data, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	char line[SHORT_DATA * 4 + 1], *p = line;
	const uint8_t *byte = data;

	if (len > SHORT_DATA) {
		say("%zu:%08x", len, checksum(data, len));
		return;
	}
	for (size_t i = 0; i < len; i++) {
		if (byte[i] > ' ' && byte[i] < 127 && !strchr("\\|,;", byte[i])) {
			*p++ = (char)byte[i];
		} else {
			*p++ = '\\';
			*p++ = hex[byte[i] >> 4];
			*p++ = hex[byte[i] & 15];
		}
	}
	*p = '\0';
	say("'%s'", line);
}

long long number_of(const char *word)
{
	char *end;
	long long value = strtoll(word, &end, 0);

	if (end == word)
		bad_case("'%s' is no number", word);
	switch (*end) {
	case 'k':
		return value << 10;
	case 'M':
		return value << 20;
	case 'G':
		return value << 30;
	case 'T':
		return value << 40;
	case '\0':
		return value;
	default:
		bad_case("'%s' is no number", word);
	}
}

mode_t mode_of(const char *word)
{
	char *end;
	unsigned long value = strtoul(word, &end, 8);

	if (*end || end == word)
		bad_case("'%s' is no mode", word);
	return (mode_t)value;
}

static unsigned long long flag_value(const struct flag *flags, const char *name, size_t len)
{
	for (; flags->name; flags++) {
		if (strlen(flags->name) == len && memcmp(flags->name, name, len) == 0)
			return flags->value;
	}
	bad_case("'%.*s' is no flag here", (int)len, name);
}

unsigned long long flags_of(const struct flag *flags, const char *word)
{
	unsigned long long value = 0;

	if (*word >= '0' && *word <= '9')
		return (unsigned long long)number_of(word);
	for (;;) {
		size_t len = strcspn(word, "|");

		value |= flag_value(flags, word, len);
		if (!word[len])
			return value;
		word += len + 1;
	}
}

static int *slot_of(const char *word)
{
	if (word[0] != '@' || word[1] < 'a' || word[1] > 'z')
		bad_case("'%s' is no open file", word);
	return &fds[word[1] - 'a'];
}

/* One that could not be opened is -1, and what is done with it EBADF. */
int fd_of(const char *word)
{
	return *slot_of(word) - 1;
}

void fd_put(const char *word, int fd)
{
	int *slot = slot_of(word), err = errno;

	if (*slot > 0)
		close(*slot - 1);
	*slot = fd + 1;
	errno = err;
	say_result(fd < 0 ? -1 : 0);
}

void fds_close(void)
{
	for (unsigned i = 0; i < LETTERS; i++) {
		if (fds[i] > 0)
			close(fds[i] - 1);
		fds[i] = 0;
	}
}

struct target target_of(const char *word)
{
	if (word[0] != '@')
		return (struct target){.dir = AT_FDCWD, .path = word};
	if (word[1] && word[2] == '/')
		return (struct target){.dir = fd_of(word), .path = word + 3};
	return (struct target){.dir = fd_of(word), .path = "", .is_fd = true};
}

const char *proc_path(int fd)
{
	static char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

/* FNV-1a, which needs no table. */
uint32_t checksum(const void *data, size_t len)
{
	const uint8_t *byte = data;
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ byte[i]) * 16777619u;
	return sum;
}

/* Each byte depends on its place in the file, so that one in the wrong place is seen. */
void pattern(uint8_t *buf, size_t len, off_t offset, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		uint32_t place = (uint32_t)(offset + (off_t)i) * 2654435761u + seed * 40503u;

		buf[i] = (uint8_t)(place >> 24 ^ place >> 8);
	}
}

void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}
