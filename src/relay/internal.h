/* SPDX-License-Identifier: BSD-3-Clause */
/* relay/internal.h - the relay's own state: for its files. */
#ifndef GW_RELAY_INTERNAL_H
#define GW_RELAY_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "migration/handover.h"
#include "relay/relay.h"

struct relay_conn {
	uint32_t id;	 /* 0: a free place */
	int fd;		 /* -1: it has ended, or was lost; the guest is to hear it */
	bool told;	 /* the guest has heard of it */
	bool closing;	 /* the guest wants its end, after what is unsent */
	uint32_t taken;	 /* of the guest's window */
	uint32_t credit; /* went out, and is to be given back */
	uint32_t unsent_len;
	char *unsent; /* RELAY_WINDOW bytes of room */
};

/* Elements that wait, in the order of coming. */
struct relay_elems {
	struct gw_elem *first, **last; /* linked by device_data */
};

/*
 * Who owns it is who holds the token: a write lock (fcntl(), of the process) on a memfd that goes
 * along with the descriptors. The kernel lets one process have it, and takes it from one that dies,
 * whatever became of the connection between the two; messages only say when to look.
 */
struct relay {
	const struct relay_host *host;
	pthread_t thread;
	int wake;
	pthread_mutex_t lock;

	/* All under the lock. Nothing is accepted, read or written but while it is live, and the
	 * token is this process's then. */
	bool live, end;
	int listener; /* TCP; bound, and listening where it is or was live */
	int token;    /* -1: none */
	uint32_t last_id;
	struct relay_conn conns[RELAY_CONNS_MAX];
	struct relay_elems to_guest, from_guest;

	/* handover.c. Giving: to who connected last, or -1. */
	int peer;
	bool giving;	      /* the thread waits for it, without the lock */
	pthread_cond_t given; /* no more */
	size_t greeted;	      /* bytes that came */
	struct gw_handover_hello hello;
	uid_t user;
	bool offered;
	bool has_given; /* what was offered, to who showed the ticket */
	uint8_t ticket[GW_TICKET_LEN];
	/* Taking: from the process before, or -1. */
	int source;
	bool handed;		      /* what was loaded is its: it has to let go first */
	bool waiting;		      /* for that, since the device is to run */
	uint64_t waiting_ns, told_ns; /* since when, and when that was said last */
};

/* relay.c */
void relay_wake(struct relay *relay);
void relay_put(struct relay_elems *elems, struct gw_elem *elem);
struct gw_elem *relay_take(struct relay_elems *elems);
void relay_begin(struct relay *relay);
/* Nothing is held any more, by nobody. */
void relay_let_go(struct relay *relay);

/* conn.c; under the lock. */
int relay_bind(struct relay *relay);
int relay_listen(struct relay *relay);
void relay_conn_free(struct relay_conn *conn);
struct relay_conn *relay_conn_find(struct relay *relay, uint32_t id);
struct relay_conn *relay_conn_new(struct relay *relay, uint32_t id, int fd);
/* All that can be done without waiting. */
void relay_work(struct relay *relay);
/* What @conn is to be waited for, as poll() has it. */
short relay_conn_events(const struct relay *relay, const struct relay_conn *conn);

/* state.c */
int relay_save(void *dev, struct gw_state_writer *writer, enum gw_phase phase, size_t budget);
int relay_load(void *dev, struct gw_state_reader *reader);

/* handover.c; under the lock, but for relay_receive(). A source is still its owner while it gives,
 * and in the end it is who has the token. */
int relay_token_make(struct relay *relay);
bool relay_token_lock(int token);
/* Who has connected just now counts; true: somebody has. */
bool relay_look_for_peer(struct relay *relay);
int relay_offer(struct relay *relay); /* -ENOENT: to nobody */
void relay_withdraw(struct relay *relay);
void relay_yield(struct relay *relay);
void relay_handover_work(struct relay *relay);
/* Transfer thread: what @ticket's owner has; *@token, and @handed by kinds. */
enum relay_handed_kind { RELAY_HANDED_LISTENER = 1, RELAY_HANDED_CONN };
int relay_receive(struct relay *relay, const uint8_t *ticket, int *token, struct gw_handed *handed);

#endif
