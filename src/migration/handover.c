/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/handover.c - batches of descriptors, given and taken. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "migration/handover.h"

uid_t gw_handover_user(int socket)
{
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof(cred);

	getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	return cred.uid;
}

int gw_handover_accept(int listener, uid_t user)
{
	GW_AUTO_FD int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	uid_t who;

	if (fd < 0)
		return -1;
	who = gw_handover_user(fd);
	if (who == user && who != (uid_t)-1)
		return gw_take_fd(&fd);
	gw_warn("hand-over: user %u may not have what this guest has: only user %u may",
		(unsigned)who, (unsigned)user);
	return -1;
}

/* -- giving -------------------------------------------------------------------------------- */

void gw_giving_drop(struct gw_giving *giving)
{
	for (uint64_t i = 0; i < giving->batch.count; i++)
		gw_close(&giving->fds[i]);
	giving->batch.count = 0;
}

static int send_batch(struct gw_giving *giving)
{
	uint64_t count = giving->batch.count;
	int err = gw_handover_send(giving->peer, &giving->batch, sizeof(giving->batch), giving->fds,
				   (unsigned)count);
	uint8_t ack;

	gw_giving_drop(giving);
	giving->total += count;
	return err ? err : gw_handover_recv(giving->peer, &ack, sizeof(ack), NULL, NULL);
}

int gw_giving_add(struct gw_giving *giving, struct gw_handed_item item, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return -errno;
	giving->fds[giving->batch.count] = copy;
	giving->batch.items[giving->batch.count++] = item;
	return giving->batch.count == GW_HANDED_BATCH ? send_batch(giving) : 0;
}

int gw_giving_end(struct gw_giving *giving)
{
	int err = giving->batch.count ? send_batch(giving) : 0;

	return err ? err : send_batch(giving);
}

/* -- taking -------------------------------------------------------------------------------- */

static int order(const struct gw_handed_item *a, const struct gw_handed_item *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->owner == b->owner ? 0 : a->owner < b->owner ? -1 : 1;
}

static int compare(const void *a, const void *b)
{
	return order(&((const struct gw_handed_entry *)a)->item,
		     &((const struct gw_handed_entry *)b)->item);
}

static int make_room(struct gw_handed *handed, size_t more)
{
	size_t room = GW_MAX(handed->room * 2, handed->count + more);
	struct gw_handed_entry *entries;

	if (handed->count + more <= handed->room)
		return 0;
	entries = room > GW_HANDED_MAX ? NULL : realloc(handed->entries, room * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	handed->entries = entries;
	handed->room = room;
	return 0;
}

static int check_batch(const struct gw_handed_batch *batch, unsigned fds, uint64_t kinds)
{
	if (batch->count > GW_HANDED_BATCH || batch->count != fds)
		return gw_fail(EPROTO, "hand-over: %llu things with %u descriptors",
			       (unsigned long long)batch->count, fds);
	for (uint64_t i = 0; i < batch->count; i++) {
		if (!batch->items[i].kind || batch->items[i].kind > kinds)
			return gw_fail(EPROTO, "hand-over: a thing of kind %llu",
				       (unsigned long long)batch->items[i].kind);
	}
	return 0;
}

int gw_handed_add(struct gw_handed *handed, struct gw_handed_item item, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return -errno;
	if (make_room(handed, 1)) {
		close(copy);
		return -ENOMEM;
	}
	handed->entries[handed->count++] = (struct gw_handed_entry){.item = item, .fd = copy};
	qsort(handed->entries, handed->count, sizeof(*handed->entries), compare);
	return 0;
}

/* 1: there are more. */
static int take_batch(struct gw_handed *handed, int peer, struct gw_handed_batch *batch,
		      uint64_t kinds)
{
	int fds[GW_HANDED_BATCH];
	unsigned count = GW_HANDED_BATCH;
	uint8_t ack = 0;
	int err = gw_handover_recv(peer, batch, sizeof(*batch), fds, &count);

	if (err)
		return gw_fail(-err, "hand-over: %s", strerror(-err));
	err = check_batch(batch, count, kinds);
	if (!err && make_room(handed, count))
		err = gw_fail(ENOMEM, "hand-over: %zu descriptors are too many",
			      handed->count + count);
	for (unsigned i = 0; i < count; i++) {
		if (err)
			gw_close(&fds[i]);
		else
			handed->entries[handed->count++] =
				(struct gw_handed_entry){.item = batch->items[i], .fd = fds[i]};
	}
	if (err)
		return err;
	err = gw_handover_send(peer, &ack, sizeof(ack), NULL, 0);
	return err ? gw_fail(-err, "hand-over: %s", strerror(-err)) : count > 0;
}

int gw_handed_take(struct gw_handed *handed, int peer, uint64_t kinds)
{
	GW_AUTO_FREE struct gw_handed_batch *batch = malloc(sizeof(*batch));
	int err;

	if (!batch)
		return gw_fail(ENOMEM, "hand-over: no memory");
	do
		err = take_batch(handed, peer, batch, kinds);
	while (err > 0);
	if (err)
		gw_handed_clear(handed);
	else if (handed->count)
		qsort(handed->entries, handed->count, sizeof(*handed->entries), compare);
	return err;
}

struct gw_handed_entry *gw_handed_find(struct gw_handed *handed, struct gw_handed_item item)
{
	const struct gw_handed_entry key = {.item = item};

	if (!handed->count)
		return NULL;
	return bsearch(&key, handed->entries, handed->count, sizeof(key), compare);
}

void gw_handed_clear(struct gw_handed *handed)
{
	for (size_t i = 0; i < handed->count; i++)
		gw_close(&handed->entries[i].fd);
	free(handed->entries);
	*handed = (struct gw_handed){0};
}
