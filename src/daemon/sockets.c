/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/sockets.c - the sockets that a daemon makes, and whoever may remove their names. */
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/sockets.h"
#include "godwit/error.h"

/* When the process outside of a sandbox is killed, the one inside still holds its sockets until the
 * kernel has ended it too; whoever starts the next one does not know of that. */
#define DYING_MS 200
#define RETRY_MS 10

/* Names in the store. */
#define VHOST_USER "vhost-user"
#define CONTROL	   "control"

static int open_listener(struct gw_listener *listener, const char *path)
{
	const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000};
	int err = gw_listener_open(listener, path);

	for (int ms = 0; err == -EADDRINUSE && ms < DYING_MS; ms += RETRY_MS) {
		nanosleep(&pause, NULL);
		err = gw_listener_open(listener, path);
	}
	return err;
}

static int open_or_take(struct gw_listener *listener, const char *path, struct gw_fdstore *store,
			const char *name)
{
	int fd = store ? gw_fdstore_take(store, name) : -1;
	int err = 0;

	if (fd >= 0 && gw_socket_is_held(path)) {
		gw_listener_adopt(listener, fd, path);
		return 0;
	}
	/* Without its name nobody would ever come. */
	if (fd >= 0) {
		gw_close(&fd);
		err = gw_fdstore_remove(store, name);
	}
	if (!err)
		err = open_listener(listener, path);
	if (!err && store)
		err = gw_fdstore_put(store, name, listener->fd);
	return err;
}

int gw_sockets_open(struct gw_sockets *sockets, const char *path, const char *control,
		    struct gw_fdstore *store)
{
	int err = 0;

	*sockets = (struct gw_sockets)GW_SOCKETS_INIT;
	sockets->kept = store;
	if (path)
		err = open_or_take(&sockets->vhost_user, path, store, VHOST_USER);
	if (!err && control) {
		err = open_or_take(&sockets->control, control, store, CONTROL);
		if (err)
			gw_fail_in(err, "control socket");
	}
	if (err)
		gw_sockets_remove(sockets);
	return err;
}

/* Ready-made connections outlive the name. */
static int take_place(const char *path, int *peer)
{
	int err = gw_socket_connect(peer, path, 0);

	if (err == -ENOENT || err == -ECONNREFUSED)
		return 0;
	if (err)
		return err;
	if (!gw_socket_peer_is_trusted(*peer)) {
		close(*peer);
		*peer = -1;
		return gw_fail(EPERM, "%s: who listens there is of another user", path);
	}
	return unlink(path) < 0 ? gw_fail(errno, "%s: %s", path, strerror(errno)) : 0;
}

int gw_sockets_open_handover(struct gw_sockets *sockets, const char *path, int *peer)
{
	int err;

	*peer = -1;
	err = take_place(path, peer);
	if (!err)
		err = open_listener(&sockets->handover, path);
	return err ? gw_fail_in(err, "hand-over socket") : 0;
}

int gw_sockets_give(const struct gw_sockets *sockets, const char *group)
{
	const char *path = sockets->vhost_user.path;
	const struct group *known = getgrnam(group);

	if (!known)
		return gw_fail(EINVAL, "option --socket-group: there is no group '%.64s'", group);
	if (chown(path, (uid_t)-1, known->gr_gid) < 0 || chmod(path, 0660) < 0)
		return gw_fail(errno, "socket %s cannot be given to group %s: %s", path, group,
			       strerror(errno));
	return 0;
}

void gw_sockets_forget(struct gw_fdstore *store)
{
	int err = gw_fdstore_remove(store, VHOST_USER);

	if (!err)
		err = gw_fdstore_remove(store, CONTROL);
	if (!err)
		err = gw_fdstore_sync(store);
	if (err)
		gw_warn("what is kept for a next process is not taken back: %s", gw_last_error());
}

void gw_sockets_remove(struct gw_sockets *sockets)
{
	gw_listener_close(&sockets->handover);
	gw_listener_close(&sockets->control);
	gw_listener_close(&sockets->vhost_user);
}
