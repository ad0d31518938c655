/* SPDX-License-Identifier: BSD-3-Clause */
/* base/fdstore.c - descriptors that outlive the process. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdpass.h"
#include "base/fdstore.h"
#include "godwit/error.h"

/* sd_listen_fds(3) */
#define FIRST_FD 3
/* A manager that reads all of its units anew answers nobody meanwhile. */
#define SYNC_MS 5000

struct kept {
	char name[GW_FDSTORE_NAME_MAX + 1];
	int fd; /* -1: taken */
};

struct gw_fdstore {
	int socket;
	bool trial;
	unsigned count;
	struct kept *kept;
};

/*
 * What is there already.
 */
static int read_number(const char *variable, long max)
{
	const char *text = getenv(variable);
	char *end;
	long number = text ? strtol(text, &end, 10) : 0;

	return text && (*end || number < 0 || number > max) ? 0 : (int)number;
}

/* The names are those of LISTEN_FDNAMES, with a colon between them. */
static void name_all(struct gw_fdstore *store)
{
	const char *names = getenv("LISTEN_FDNAMES");

	for (unsigned i = 0; i < store->count && names; i++) {
		size_t len = strcspn(names, ":");

		if (len <= GW_FDSTORE_NAME_MAX)
			memcpy(store->kept[i].name, names, len);
		names = names[len] ? names + len + 1 : NULL;
	}
}

static int take_inherited(struct gw_fdstore *store)
{
	int count = read_number("LISTEN_FDS", GW_FDSTORE_FDS_MAX);

	if (!count || read_number("LISTEN_PID", INT_MAX) != getpid())
		return 0;
	store->kept = calloc((size_t)count, sizeof(*store->kept));
	if (!store->kept)
		return gw_fail(ENOMEM, "descriptor store: no memory");
	store->count = (unsigned)count;
	for (int i = 0; i < count; i++) {
		store->kept[i].fd = FIRST_FD + i;
		fcntl(FIRST_FD + i, F_SETFD, FD_CLOEXEC);
	}
	name_all(store);
	return 0;
}

static int connect_to(const char *path, int *out)
{
	GW_AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (!len || len >= sizeof(address.sun_path))
		return gw_fail(EINVAL, "$NOTIFY_SOCKET: '%s' is no socket's path", path);
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = 0;
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return gw_fail(errno, "$NOTIFY_SOCKET: %s: %s", path, strerror(errno));
	*out = gw_take_fd(&fd);
	return 0;
}

/* 0 and -1 in *@fd: nobody keeps anything. */
static int find_keeper(int *fd)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int inherited = read_number(GW_FDSTORE_ENV, INT_MAX);

	*fd = -1;
	if (!inherited)
		return path ? connect_to(path, fd) : 0;
	if (fcntl(inherited, F_SETFD, FD_CLOEXEC) < 0)
		return gw_fail(errno, GW_FDSTORE_ENV ": descriptor %d: %s", inherited,
			       strerror(errno));
	*fd = inherited;
	return 0;
}

bool gw_fdstore_is_check(void)
{
	return getenv(GW_FDSTORE_CHECK_ENV) != NULL;
}

int gw_fdstore_open(struct gw_fdstore **out)
{
	struct gw_fdstore *store;
	int socket, err = find_keeper(&socket);

	*out = NULL;
	if (err || socket < 0)
		return err;
	store = calloc(1, sizeof(*store));
	if (!store) {
		gw_close(&socket);
		return gw_fail(ENOMEM, "descriptor store: no memory");
	}
	store->socket = socket;
	store->trial = getenv(GW_FDSTORE_TRIAL_ENV) != NULL;
	err = take_inherited(store);
	if (err) {
		gw_fdstore_free(store);
		return err;
	}
	*out = store;
	return 0;
}

void gw_fdstore_free(struct gw_fdstore *store)
{
	if (!store)
		return;
	for (unsigned i = 0; i < store->count; i++)
		gw_close(&store->kept[i].fd);
	gw_close(&store->socket);
	free(store->kept);
	free(store);
}

int gw_fdstore_take(struct gw_fdstore *store, const char *name)
{
	for (unsigned i = 0; i < store->count; i++) {
		if (store->kept[i].fd >= 0 && !strcmp(store->kept[i].name, name))
			return gw_take_fd(&store->kept[i].fd);
	}
	return -1;
}

int gw_fdstore_look(const struct gw_fdstore *store, const char *name)
{
	for (unsigned i = 0; i < store->count; i++) {
		if (store->kept[i].fd >= 0 && !strcmp(store->kept[i].name, name))
			return store->kept[i].fd;
	}
	return -1;
}

bool gw_fdstore_take_any(struct gw_fdstore *store, const char *prefix, unsigned long long *number,
			 int *fd)
{
	size_t len = strlen(prefix);

	for (unsigned i = 0; i < store->count; i++) {
		struct kept *kept = &store->kept[i];
		char *end;

		if (kept->fd < 0 || strncmp(kept->name, prefix, len) != 0)
			continue;
		*number = strtoull(kept->name + len, &end, 16);
		if (!kept->name[len] || *end)
			continue;
		*fd = gw_take_fd(&kept->fd);
		return true;
	}
	return false;
}

/*
 * What is to be there for the next.
 */
static int say(const struct gw_fdstore *store, const char *text, const int *fds, unsigned count)
{
	ssize_t n;

	do
		n = gw_fdpass_send(store->socket, text, strlen(text), fds, count, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? gw_fail(errno, "descriptor store: %s", strerror(errno)) : 0;
}

/* Without FDPOLL=0 systemd drops what is hung up. */
int gw_fdstore_put(struct gw_fdstore *store, const char *name, int fd)
{
	char text[GW_FDSTORE_NAME_MAX + 48];

	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%.*s\nFDPOLL=0", GW_FDSTORE_NAME_MAX, name);
	return say(store, text, &fd, 1);
}

int gw_fdstore_remove(struct gw_fdstore *store, const char *name)
{
	char text[GW_FDSTORE_NAME_MAX + 48];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%.*s", GW_FDSTORE_NAME_MAX, name);
	return say(store, text, NULL, 0);
}

int gw_fdstore_drop(struct gw_fdstore *store)
{
	int err = 0;

	for (unsigned i = 0; i < store->count && !err; i++) {
		struct kept *kept = &store->kept[i];

		if (kept->fd < 0)
			continue;
		gw_close(&kept->fd);
		err = gw_fdstore_remove(store, kept->name);
	}
	return err;
}

int gw_fdstore_sync(struct gw_fdstore *store)
{
	GW_AUTO_FD int ours = -1;
	struct pollfd hung_up;
	int ends[2], ready, err;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return gw_fail(errno, "descriptor store: pipe: %s", strerror(errno));
	ours = ends[0];
	err = say(store, "BARRIER=1", &ends[1], 1);
	gw_close(&ends[1]);
	if (err)
		return err;
	hung_up = (struct pollfd){.fd = ours};
	do
		ready = poll(&hung_up, 1, SYNC_MS);
	while (ready < 0 && errno == EINTR);
	return ready == 1 ? 0 : gw_fail(ETIMEDOUT, "descriptor store: its keeper does not answer");
}

int gw_fdstore_tell(struct gw_fdstore *store, const char *state)
{
	int err = say(store, state, NULL, 0);

	store->trial &= err || strcmp(state, "READY=1") != 0;
	return err;
}

bool gw_fdstore_is_trial(const struct gw_fdstore *store)
{
	return store->trial;
}
