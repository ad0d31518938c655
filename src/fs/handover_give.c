/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/handover_give.c - the process that a guest leaves gives its descriptors to who has the ticket.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "fs/handles.h"
#include "fs/handover.h"
#include "fs/lock_owners.h"
#include "fs/records.h"
#include "fs/table.h"
#include "godwit/error.h"

struct fs_handover {
	struct fs *fs;
	int listener, wake;
	uid_t user;
	pthread_t thread;
	bool has_thread;

	pthread_mutex_t lock;
	/* Under the lock. */
	int peer;     /* who has connected last, or -1 */
	bool offered; /* the ticket is in a stream, and was not withdrawn */
	bool keeps;   /* locks were not released because of that */
	bool given;   /* all of it */
	bool end;
	uint8_t ticket[GW_TICKET_LEN];
	struct fs_inode_list orphans;
};

static int give(struct gw_giving *giving, enum fs_handed_kind kind, uint64_t id, uint64_t owner,
		int fd)
{
	return gw_giving_add(giving,
			     (struct gw_handed_item){.kind = kind, .id = id, .owner = owner}, fd);
}

static int give_orphans(struct fs_handover *handover, struct gw_giving *giving)
{
	int err = 0;

	for (size_t i = 0; i < handover->orphans.count && !err; i++) {
		struct fs_inode *inode = handover->orphans.inodes[i];
		FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;

		err = fs_inode_fd(inode, &fd);
		if (!err)
			err = give(giving, FS_HANDED_INODE, fs_inode_id(inode), 0, fd.fd);
	}
	return err;
}

static int give_handles(struct fs_handover *handover, struct gw_giving *giving)
{
	struct fs_slots *slots = &handover->fs->handles->slots;
	struct fs_open *open;
	uint32_t at = 0;
	int err = 0;

	while (!err && (open = fs_slots_next(slots, &at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		if (open->handle.fd >= 0)
			err = give(giving, FS_HANDED_HANDLE, fs_slot_id(&open->slot), 0,
				   open->handle.fd);
		fs_handle_put(&open->handle);
	}
	return err;
}

static int give_locks(struct fs_handover *handover, struct gw_giving *giving)
{
	struct fs_locks *locks = handover->fs->locks;
	int err = 0;
	GW_LOCK_SCOPE(&locks->lock);

	for (struct fs_lock_owner *i = locks->first; i && !err; i = i->next) {
		if (i->fd >= 0)
			err = give(giving, FS_HANDED_LOCKS, fs_inode_id(i->inode), i->id, i->fd);
	}
	return err;
}

static int give_all(struct fs_handover *handover, struct gw_giving *giving)
{
	int err = give_orphans(handover, giving);

	if (!err)
		err = give_handles(handover, giving);
	if (!err)
		err = give_locks(handover, giving);
	if (!err)
		err = gw_giving_end(giving);
	gw_giving_drop(giving);
	return err;
}

/* Under the lock: who withdraws waits until what was begun has failed or is done. */
static int serve_peer(struct fs_handover *handover)
{
	GW_AUTO_FREE struct gw_giving *giving = calloc(1, sizeof(*giving));
	struct gw_handover_hello hello;
	int err = gw_handover_recv(handover->peer, &hello, sizeof(hello), NULL, NULL);

	if (err == -ECONNRESET)
		return err;
	if (err || memcmp(hello.magic, FS_HANDED_MAGIC, sizeof(hello.magic)) != 0)
		return gw_fail(EPROTO, "hand-over: what came is no greeting");
	if (!handover->offered || memcmp(hello.ticket, handover->ticket, sizeof(hello.ticket)) != 0)
		return gw_fail(EACCES,
			       "hand-over: the ticket is not the one of this guest's state");
	if (!giving)
		return gw_fail(ENOMEM, "hand-over: no memory");
	giving->peer = handover->peer;
	err = give_all(handover, giving);
	if (err)
		return gw_fail(-err, "hand-over: after %llu descriptors: %s",
			       (unsigned long long)giving->total, strerror(-err));
	gw_info("hand-over: %llu descriptors were given", (unsigned long long)giving->total);
	handover->given = true;
	return 0;
}

/*
 * Who connects.
 */

/* Who has not got all will take the normal way, which needs the locks. */
static void drop_peer(struct fs_handover *handover)
{
	gw_close(&handover->peer);
	if (handover->keeps && !handover->given)
		fs_locks_let_go(handover->fs);
	handover->keeps = false;
	handover->given = false;
}

/* The latest one counts: others before it were started for nothing. Not in the middle, though. */
static void accept_one(struct fs_handover *handover)
{
	GW_AUTO_FD int fd = gw_handover_accept(handover->listener, handover->user);

	if (fd < 0)
		return;
	if (handover->offered && handover->peer >= 0)
		return;
	drop_peer(handover);
	handover->peer = gw_take_fd(&fd);
}

static void on_peer(struct fs_handover *handover)
{
	int err = serve_peer(handover);

	if (err && err != -ECONNRESET)
		gw_warn("%s", gw_last_error());
	if (err)
		drop_peer(handover);
}

static int peer_of(struct fs_handover *handover)
{
	GW_LOCK_SCOPE(&handover->lock);

	return handover->end ? -2 : handover->peer;
}

static void *run(void *opaque)
{
	struct fs_handover *handover = opaque;
	int peer;

	while ((peer = peer_of(handover)) != -2) {
		struct pollfd fds[] = {
			{.fd = handover->wake, .events = POLLIN},
			{.fd = handover->listener, .events = POLLIN},
			{.fd = peer, .events = POLLIN},
		};

		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			break;
		GW_LOCK_SCOPE(&handover->lock);
		if (fds[2].revents)
			on_peer(handover);
		if (fds[1].revents)
			accept_one(handover);
	}
	return NULL;
}

int fs_handover_new(struct fs_handover **out, struct fs *fs, int listener)
{
	struct fs_handover *handover = calloc(1, sizeof(*handover));
	int err;

	if (!handover)
		return gw_fail(ENOMEM, "hand-over: no memory");
	pthread_mutex_init(&handover->lock, NULL);
	handover->fs = fs;
	handover->listener = listener;
	handover->peer = -1;
	handover->user = gw_handover_user(listener);
	handover->wake = eventfd(0, EFD_CLOEXEC);
	err = handover->wake < 0 ? gw_fail(errno, "hand-over: eventfd: %s", strerror(errno)) : 0;
	if (!err)
		err = gw_thread_start(&handover->thread, GW_THREAD_TRANSFER, "gw-handover", run,
				      handover);
	handover->has_thread = !err;
	*out = handover;
	return err;
}

static void stop_thread(struct fs_handover *handover)
{
	uint64_t one = 1;

	if (!handover->has_thread)
		return;
	pthread_mutex_lock(&handover->lock);
	handover->end = true;
	pthread_mutex_unlock(&handover->lock);
	if (write(handover->wake, &one, sizeof(one)) < 0)
		abort();
	pthread_join(handover->thread, NULL);
}

void fs_handover_free(struct fs_handover *handover)
{
	if (!handover)
		return;
	stop_thread(handover);
	fs_list_free(&handover->orphans);
	gw_close(&handover->peer);
	gw_close(&handover->wake);
	pthread_mutex_destroy(&handover->lock);
	free(handover);
}

/*
 * A save.
 */

/* Under the lock. */
static void withdraw(struct fs_handover *handover)
{
	handover->offered = handover->keeps = handover->given = false;
	explicit_bzero(handover->ticket, sizeof(handover->ticket));
	fs_list_free(&handover->orphans);
}

void fs_handover_withdraw(struct fs_handover *handover)
{
	if (!handover)
		return;
	GW_LOCK_SCOPE(&handover->lock);
	withdraw(handover);
}

static int keep_orphans(struct fs_handover *handover, const struct fs_unnamed_list *unnamed)
{
	int err = 0;

	for (size_t i = 0; i < unnamed->count && !err; i++) {
		if (unnamed->files[i].fate <= FS_UNNAMED_HANDED)
			err = fs_list_note(&handover->orphans, unnamed->files[i].inode);
	}
	return err;
}

int fs_handover_offer(struct fs_handover *handover, struct gw_state_writer *writer,
		      const struct fs_unnamed_list *unnamed)
{
	struct gw_fs_handover_v1 record;

	if (!handover)
		return 0;
	GW_LOCK_SCOPE(&handover->lock);
	withdraw(handover);
	if (handover->peer < 0)
		return 0;
	if (keep_orphans(handover, unnamed) ||
	    getrandom(handover->ticket, sizeof(handover->ticket), 0) != sizeof(handover->ticket))
		return gw_fail(ENOMEM, "save: nothing can be handed over: no memory");
	handover->offered = true;
	memcpy(record.ticket, handover->ticket, sizeof(record.ticket));
	return gw_state_put(writer, &gw_fs_handover_v1, &record);
}

bool fs_handover_has_peer(struct fs_handover *handover)
{
	if (!handover)
		return false;
	GW_LOCK_SCOPE(&handover->lock);
	return handover->peer >= 0;
}

bool fs_handover_is_offered(struct fs_handover *handover)
{
	if (!handover)
		return false;
	GW_LOCK_SCOPE(&handover->lock);
	return handover->offered && (handover->peer >= 0 || handover->given);
}

bool fs_handover_keeps_locks(struct fs_handover *handover)
{
	if (!handover)
		return false;
	GW_LOCK_SCOPE(&handover->lock);
	handover->keeps = handover->offered && (handover->peer >= 0 || handover->given);
	return handover->keeps;
}
