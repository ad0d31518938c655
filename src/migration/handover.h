/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/handover.h - two processes of one host: one gives the other what it has open. */
#ifndef GW_MIGRATION_HANDOVER_H
#define GW_MIGRATION_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What devices that hand descriptors over have in common. The new process has connected to the old
 * one; who comes with the ticket that is in the state, and is of the same user, is given things in
 * batches, each acknowledged, until an empty one. What a thing is, and what proves that it is that,
 * is the device's. Every step has a time limit; what goes wrong ends the connection.
 */
#define GW_TICKET_LEN	16
#define GW_HANDED_BATCH 253 /* SCM_MAX_FD */
#define GW_HANDED_MAX	(256 * 1024)
#define GW_HANDOVER_MS	2000 /* for each of the other's steps */

/* On the wire, in the host's order: both ends are on it. A batch is all of its size, whatever
 * @count says, and each is acknowledged by a byte. */
struct gw_handed_item {
	uint64_t kind, id, owner;
};
struct gw_handed_batch {
	uint64_t count;
	struct gw_handed_item items[GW_HANDED_BATCH];
};
struct gw_handover_hello {
	char magic[8];
	uint8_t ticket[GW_TICKET_LEN];
};

/* All of @len, within GW_HANDOVER_MS; @fds: *@count of room, then what came. */
int gw_handover_send(int socket, const void *data, size_t len, const int *fds, unsigned count);
int gw_handover_recv(int socket, void *data, size_t len, int *fds, unsigned *count);

/* Who is at the other end (SO_PEERCRED), or whose a listening socket is; (uid_t)-1: unknown. */
uid_t gw_handover_user(int socket);
/* The next who connects to @listener, if it is of @user; -1: there is none. Not blocking. */
int gw_handover_accept(int listener, uid_t user);

/*
 * Giving. Zeroed but for @peer.
 */
struct gw_giving {
	int peer;
	struct gw_handed_batch batch;
	int fds[GW_HANDED_BATCH];
	uint64_t total;
};
/* A copy of @fd, since whose it is may close it before the batch is full. */
int gw_giving_add(struct gw_giving *giving, struct gw_handed_item item, int fd);
/* What is left, and the end. */
int gw_giving_end(struct gw_giving *giving);
/* After a failure: what was not sent. */
void gw_giving_drop(struct gw_giving *giving);

/*
 * Taking.
 */
struct gw_handed {
	struct gw_handed_entry {
		struct gw_handed_item item;
		int fd;
	} * entries; /* sorted */
	size_t count, room;
};
/* One that came another way: a copy of @fd (borrowed). */
int gw_handed_add(struct gw_handed *handed, struct gw_handed_item item, int fd);
/* All batches of @peer; kinds are 1 to @kinds. On failure nothing is kept. */
int gw_handed_take(struct gw_handed *handed, int peer, uint64_t kinds);
/* Its descriptor is *fd, of which -1 is left when it is taken; NULL: it did not come. */
struct gw_handed_entry *gw_handed_find(struct gw_handed *handed, struct gw_handed_item item);
void gw_handed_clear(struct gw_handed *handed);

#endif
