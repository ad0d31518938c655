/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/checks_channel.c - the state through each kind of channel, both ways. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

static void stopped(struct cf_run *run, struct cf_backend *backend, struct cf_guest *guest)
{
	cf_guest_start(run, backend, guest);
	cf_ok(run, gw_frontend_stop(guest->frontend), "stop");
}

/* An empty regular file that goes away by itself. */
static int temporary(struct cf_run *run)
{
	char path[] = "/tmp/godwit-conform.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	CF_EXPECT(run, fd >= 0 && !unlink(path), "%s: %s", path, strerror(errno));
	return fd;
}

/* SAVE onto @fd, which has a beginning: once CHECK is answered, all of it is there. */
static void save_on(struct cf_run *run, int fd)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct cf_blob blob;
	GW_AUTO_FD int own = -1;
	uint64_t value;
	struct stat st;

	stopped(run, &backend, &guest);
	cf_save(run, guest.frontend, &blob);
	value = cf_begin(run, guest.frontend, GW_VU_STATE_SAVE, GW_VU_STATE_STOPPED, fd, &own);
	CF_EXPECT(run, !(value & GW_VU_STATE_ERROR_MASK), "it was refused (0x%llx)",
		  (unsigned long long)value);
	if (own >= 0)
		cf_skip(run, "the back-end has a channel of its own");
	CF_EXPECT(run, !cf_verdict(run, guest.frontend), "CHECK says that the state is bad");
	CF_EXPECT(run, !fstat(fd, &st) && (size_t)st.st_size == blob.len,
		  "%lld bytes are there; through a pipe it were %zu", (long long)st.st_size,
		  blob.len);
}

static void save_file(struct cf_run *run)
{
	save_on(run, temporary(run));
}

static void save_memfd(struct cf_run *run)
{
	save_on(run, cf_memfd(run, 0));
}

/* Reads @fd to its end. */
static size_t drain(struct cf_run *run, int fd)
{
	char bytes[65536];
	size_t len = 0;
	ssize_t got;

	while ((got = read(fd, bytes, sizeof(bytes))) > 0)
		len += (size_t)got;
	CF_EXPECT(run, !got, "reading the state: %s", strerror(errno));
	return len;
}

static void save_socket(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	GW_AUTO_FD int own = -1;
	struct timeval limit = {.tv_sec = run->target->timeout_ms / 1000 + 1};
	uint64_t value;
	int ends[2];

	stopped(run, &backend, &guest);
	CF_EXPECT(run, !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "no sockets");
	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	value = cf_begin(run, guest.frontend, GW_VU_STATE_SAVE, GW_VU_STATE_STOPPED, ends[1], &own);
	CF_EXPECT(run, !(value & GW_VU_STATE_ERROR_MASK), "it was refused (0x%llx)",
		  (unsigned long long)value);
	close(ends[1]);
	if (own >= 0)
		cf_skip(run, "the back-end has a channel of its own");
	drain(run, ends[0]);
	CF_EXPECT(run, !cf_verdict(run, guest.frontend), "CHECK says that the state is bad");
}

/* A state, and somebody else who is to get it. */
static struct gw_frontend *to_load(struct cf_run *run, struct cf_blob *blob)
{
	static struct cf_backend source, destination;
	struct cf_guest guest;

	stopped(run, &source, &guest);
	cf_save(run, guest.frontend, blob);
	return cf_destination(run, guest.frontend, &destination);
}

static void load_on(struct cf_run *run, struct gw_frontend *frontend, int fd,
		    const struct cf_blob *blob)
{
	GW_AUTO_FD int own = -1;
	uint64_t value;

	CF_EXPECT(run, pwrite(fd, blob->bytes, blob->len, 0) == (ssize_t)blob->len,
		  "writing the state: %s", strerror(errno));
	value = cf_begin(run, frontend, GW_VU_STATE_LOAD, GW_VU_STATE_STOPPED, fd, &own);
	CF_EXPECT(run, !(value & GW_VU_STATE_ERROR_MASK), "it was refused (0x%llx)",
		  (unsigned long long)value);
	if (own >= 0)
		cf_skip(run, "the back-end has a channel of its own");
	CF_EXPECT(run, !cf_verdict(run, frontend), "CHECK says that the state is bad");
}

static void load_file(struct cf_run *run)
{
	struct cf_blob blob;
	struct gw_frontend *frontend = to_load(run, &blob);

	load_on(run, frontend, temporary(run), &blob);
}

static void load_memfd(struct cf_run *run)
{
	struct cf_blob blob;
	struct gw_frontend *frontend = to_load(run, &blob);

	load_on(run, frontend, cf_memfd(run, 0), &blob);
}

static void write_slowly(struct cf_run *run, int fd, const struct cf_blob *blob, size_t piece)
{
	for (size_t at = 0; at < blob->len;) {
		size_t len = blob->len - at < piece ? blob->len - at : piece;
		ssize_t put = write(fd, blob->bytes + at, len);

		CF_EXPECT(run, put > 0, "writing the state: %s", strerror(errno));
		at += (size_t)put;
	}
}

static void load_through(struct cf_run *run, int theirs, int ours, struct gw_frontend *frontend,
			 const struct cf_blob *blob, size_t piece)
{
	GW_AUTO_FD int own = -1;
	uint64_t value =
		cf_begin(run, frontend, GW_VU_STATE_LOAD, GW_VU_STATE_STOPPED, theirs, &own);

	CF_EXPECT(run, !(value & GW_VU_STATE_ERROR_MASK), "it was refused (0x%llx)",
		  (unsigned long long)value);
	close(theirs);
	write_slowly(run, own < 0 ? ours : own, blob, piece);
	close(ours);
	gw_close(&own);
	CF_EXPECT(run, !cf_verdict(run, frontend), "CHECK says that the state is bad");
}

static void load_socket(struct cf_run *run)
{
	struct cf_blob blob;
	struct gw_frontend *frontend = to_load(run, &blob);
	int ends[2];

	CF_EXPECT(run, !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "no sockets");
	load_through(run, ends[1], ends[0], frontend, &blob, 4096);
}

static void load_bytewise(struct cf_run *run)
{
	struct cf_blob blob;
	struct gw_frontend *frontend = to_load(run, &blob);
	int ends[2];

	CF_EXPECT(run, !pipe2(ends, O_CLOEXEC), "pipe: %s", strerror(errno));
	load_through(run, ends[0], ends[1], frontend, &blob, 1);
}

#define CHANNEL "Migrating back-end state"
#define LOAD	CF_NEEDS_STATE | CF_NEEDS_EXEC
const struct cf_check cf_checks_channel[] = {
	{"save-socket", "a state is saved through a socket", CHANNEL, CF_MUST, CF_NEEDS_STATE,
	 .run = save_socket},
	{"save-file", "into a file, whole when CHECK is answered", CHANNEL, CF_SHOULD,
	 CF_NEEDS_STATE, .run = save_file},
	{"save-memfd", "into memory, likewise", CHANNEL, CF_SHOULD, CF_NEEDS_STATE,
	 .run = save_memfd},
	{"load-socket", "and loaded through a socket", CHANNEL, CF_MUST, LOAD, .run = load_socket},
	{"load-bytewise", "through a pipe byte by byte", CHANNEL, CF_MUST, LOAD,
	 .run = load_bytewise},
	{"load-file", "from a file", CHANNEL, CF_SHOULD, LOAD, .run = load_file},
	{"load-memfd", "from memory", CHANNEL, CF_SHOULD, LOAD, .run = load_memfd},
	{NULL},
};
