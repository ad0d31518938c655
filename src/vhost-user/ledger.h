/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/ledger.h - what a front-end has set up, in memory that outlives the process. */
#ifndef GW_VHOST_USER_LEDGER_H
#define GW_VHOST_USER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vhost-user/wire.h"

/*
 * The messages that made the connection what it is, the last of each kind and ring: who has them
 * again, and their descriptors, handles them and is where the other one was. They lie in a memfd
 * in two slots, written in turn, each with a generation and a checksum (docs/recovery.md has the
 * layout); the newest whole one counts. With them is which message of the socket was dealt with
 * last, and the answer to it, so that each is dealt with and answered once.
 *
 * Control thread only. Nothing in a slot is believed that does not fit.
 */
struct gw_ledger;

/* Of ADD_MEM_REG there may be as many as there are regions; of others one a ring. */
#define GW_LEDGER_ENTRIES_MAX 2048

struct gw_ledger_entry {
	uint32_t request;
	uint32_t ring; /* of ring messages, else 0; of ADD_MEM_REG a number */
	uint32_t size;
	uint32_t fd_count;
	uint64_t fds[GW_VU_FDS_MAX]; /* under which they are kept */
	union {
		uint64_t u64;
		struct gw_vu_vring_state state;
		struct gw_vu_vring_addr addr;
		struct gw_vu_mem_table table;
		struct gw_vu_mem_reg mem_reg;
		struct gw_vu_log log;
		struct gw_vu_inflight inflight;
	} payload;
};

/* The message that was dealt with last. */
struct gw_ledger_answer {
	uint64_t sequence;    /* of messages, from 1 */
	uint32_t message_len; /* bytes that it still had in the socket then */
	uint32_t len;
	bool with_fd; /* which is not here, and a reply without it none */
	uint8_t bytes[sizeof(struct gw_vu_header) + sizeof(struct gw_vu_shmem_config)];
};

/* A new one in a sealed memfd, the caller's to keep open as long as the ledger lives. */
int gw_ledger_new(struct gw_ledger **ledger, int *fd);
/* One that an earlier process wrote; -ENODATA if it holds nothing. @fd is borrowed for good. */
int gw_ledger_open(struct gw_ledger **ledger, int fd);
void gw_ledger_free(struct gw_ledger *ledger); /* the memory stays; NULL is allowed */

unsigned gw_ledger_count(const struct gw_ledger *ledger);
const struct gw_ledger_entry *gw_ledger_at(const struct gw_ledger *ledger, unsigned i);
const struct gw_ledger_entry *gw_ledger_find(const struct gw_ledger *ledger, uint32_t request,
					     uint32_t ring);
/* In the place of the entry with the same request and ring; -ENOSPC. */
int gw_ledger_put(struct gw_ledger *ledger, const struct gw_ledger_entry *entry);
void gw_ledger_remove(struct gw_ledger *ledger, uint32_t request, uint32_t ring);
void gw_ledger_clear(struct gw_ledger *ledger);

/* What was put and removed is in force, with @answer (NULL: the one before stays). */
void gw_ledger_commit(struct gw_ledger *ledger, const struct gw_ledger_answer *answer);
const struct gw_ledger_answer *gw_ledger_answer(const struct gw_ledger *ledger);
/* Its message is out of the socket, and its answer on its way. */
void gw_ledger_done(struct gw_ledger *ledger);
bool gw_ledger_is_done(const struct gw_ledger *ledger);
/* The process that it belongs to ends by itself: nobody is to go on with it. At once, and for good,
 * whatever else of that end the next process gets to see. */
void gw_ledger_end(struct gw_ledger *ledger);
bool gw_ledger_has_ended(const struct gw_ledger *ledger);

/* The number of the next descriptor to be kept; none comes twice. */
uint64_t gw_ledger_next_fd(struct gw_ledger *ledger);

#endif
