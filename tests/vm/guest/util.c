// SPDX-License-Identifier: BSD-3-Clause
/* vm/guest/util.c - what several checks do with files. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

#define PATHS_KEPT 8

char check_reason[256];

int check_failed(const char *file, int line, const char *what)
{
	snprintf(check_reason, sizeof(check_reason), "%s:%d: %s (errno: %s)", file, line, what,
		 strerror(errno));
	return CHECK_FAILED;
}

int check_skipped(const char *what)
{
	snprintf(check_reason, sizeof(check_reason), "%s", what);
	return CHECK_SKIPPED;
}

const char *path_in(const char *dir, const char *name)
{
	static char paths[PATHS_KEPT][PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % PATHS_KEPT];

	snprintf(path, PATH_MAX, "%s/%s", dir, name);
	return path;
}

bool put_text(int fd, off_t offset, const char *text)
{
	size_t len = strlen(text);

	return pwrite(fd, text, len, offset) == (ssize_t)len;
}

bool has_text(int fd, off_t offset, const char *text)
{
	size_t len = strlen(text);
	char buf[4096];

	return len <= sizeof(buf) && pread(fd, buf, len, offset) == (ssize_t)len &&
	       memcmp(buf, text, len) == 0;
}

int make_file(const char *path, const char *text)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd >= 0 && !put_text(fd, 0, text)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool file_is(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool same;

	if (fd < 0)
		return false;
	same = fstat(fd, &st) == 0 && (size_t)st.st_size == strlen(text) && has_text(fd, 0, text);
	close(fd);
	return same;
}

/* Nothing repeats at page or sector size, so that pages in the wrong place do not pass. */
void fill_pattern(uint8_t *buf, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		buf[i] = (uint8_t)(seed >> 24);
	}
}

bool has_pattern(int fd, off_t offset, size_t len, uint32_t seed)
{
	uint8_t *want = malloc(len), *have = malloc(len);
	bool same = false;

	if (want && have) {
		fill_pattern(want, len, seed);
		same = pread(fd, have, len, offset) == (ssize_t)len && memcmp(want, have, len) == 0;
	}
	free(want);
	free(have);
	return same;
}

bool stat_fresh(int fd, const char *path, uint64_t *ino, uint32_t *nlink)
{
	struct statx stx;
	int flags = AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW | (*path ? 0 : AT_EMPTY_PATH);

	if (statx(fd, path, flags, STATX_INO | STATX_NLINK, &stx) < 0)
		return false;
	if (ino)
		*ino = stx.stx_ino;
	if (nlink)
		*nlink = stx.stx_nlink;
	return true;
}

/* The CRC that zlib has, which the host's side computes too. */
uint32_t crc32_of(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	crc = ~crc;
	while (len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* What the guest has cached would hide what the back-end forgot. */
void drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	sync();
	if (fd < 0 || write(fd, "3", 1) != 1)
		channel_say("note cannot drop caches: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

void host_expects(const char *path)
{
	uint8_t buf[4096];
	uint32_t crc = 0;
	long long size = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && (got = read(fd, buf, sizeof(buf))) > 0) {
		crc = crc32_of(crc, buf, (size_t)got);
		size += got;
	}
	if (fd >= 0)
		close(fd);
	channel_say("expect %lld %08x %s", size, crc, path);
}
