/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/state/files.c - finds device states in a file. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "cli/state/files.h"
#include "godwit/error.h"
#include "state/format.h"

/* QEMU's pieces are 1 MiB; more is none of its. */
#define PIECE_MAX   (16u << 20)
#define PIECES_HEAD sizeof(uint32_t)

struct mapping {
	const uint8_t *bytes;
	size_t len;
};

static int map_file(const char *path, struct mapping *mapping)
{
	GW_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *bytes;

	if (fd < 0 || fstat(fd, &st) < 0)
		return gw_fail(errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size < GW_WIRE_MAGIC_LEN)
		return gw_fail(ENOENT, "%s: no device state is in it", path);
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return gw_fail(errno, "%s: %s", path, strerror(errno));
	*mapping = (struct mapping){bytes, (size_t)st.st_size};
	return 0;
}

static int put(int fd, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t done = write(fd, bytes, len);

		if (done < 0 && errno != EINTR)
			return gw_fail(errno, "a device state's copy: %s", strerror(errno));
		bytes += done > 0 ? done : 0;
		len -= done > 0 ? (size_t)done : 0;
	}
	return 0;
}

/* From the length at @at on; *@end is behind the last one. -EBADMSG: these are no pieces. */
static int put_pieces(int fd, const struct mapping *file, size_t at, size_t *end)
{
	for (;;) {
		uint32_t len;
		int err;

		if (!gw_range_within(at, PIECES_HEAD, file->len))
			return -EBADMSG;
		memcpy(&len, file->bytes + at, sizeof(len));
		len = ntohl(len);
		at += PIECES_HEAD;
		*end = at;
		if (!len)
			return 0;
		if (len > PIECE_MAX || !gw_range_within(at, len, file->len))
			return -EBADMSG;
		err = put(fd, file->bytes + at, len);
		if (err)
			return err;
		at += len;
	}
}

/* The state whose magic is at @at: of ours from there to the file's end, or QEMU's pieces. */
static int take_state(const struct mapping *file, size_t at, struct gw_state_file *state,
		      size_t *end)
{
	GW_AUTO_FD int fd = memfd_create("godwit-state", MFD_CLOEXEC);
	int err = -EBADMSG;

	if (fd < 0)
		return gw_fail(errno, "memory for a device state: %s", strerror(errno));
	if (at >= PIECES_HEAD)
		err = put_pieces(fd, file, at - PIECES_HEAD, end);
	if (err == -EBADMSG) {
		if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
			return gw_fail(errno, "memory for a device state: %s", strerror(errno));
		*end = file->len;
		err = put(fd, file->bytes + at, file->len - at);
	}
	if (err)
		return err;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return gw_fail(errno, "memory for a device state: %s", strerror(errno));
	*state = (struct gw_state_file){.fd = gw_take_fd(&fd), .at = at};
	return 0;
}

static int take_all(const struct mapping *file, struct gw_state_file states[GW_STATES_MAX],
		    unsigned *count)
{
	size_t at = 0;

	for (*count = 0; *count < GW_STATES_MAX; (*count)++) {
		const uint8_t *magic =
			memmem(file->bytes + at, file->len - at, GW_WIRE_MAGIC, GW_WIRE_MAGIC_LEN);
		int err;

		if (!magic)
			return 0;
		err = take_state(file, (size_t)(magic - file->bytes), &states[*count], &at);
		if (err)
			return err;
	}
	return 0;
}

int gw_states_open(const char *path, struct gw_state_file states[GW_STATES_MAX], unsigned *count)
{
	struct mapping file = {0};
	int err = map_file(path, &file);

	*count = 0;
	if (err || !file.bytes)
		return err;
	err = take_all(&file, states, count);
	munmap((void *)(uintptr_t)file.bytes, file.len);
	if (err)
		gw_states_close(states, *count);
	return err || *count ? err : gw_fail(ENOENT, "%s: no device state is in it", path);
}

void gw_states_close(struct gw_state_file states[GW_STATES_MAX], unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		gw_close(&states[i].fd);
}
