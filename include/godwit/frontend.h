/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit/frontend.h - the front-end side of vhost-user: a VMM without a VM. */
#ifndef GODWIT_FRONTEND_H
#define GODWIT_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "godwit/experimental.h"
#include "godwit/state.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * Drives any vhost-user back-end: negotiates in the full order on every connection, owns memfd
 * guest memory, plays the driver on split or packed rings, saves and loads device state. Blocking
 * calls with a timeout; one thread at a time uses a front-end, but different queues
 * (gw_driver_*) may be used by different threads. The back-end channel is served by a thread of
 * the front-end's own, so that no call can deadlock on it.
 */
struct gw_frontend;

struct gw_frontend_config {
	size_t size;		 /* sizeof(struct gw_frontend_config) */
	const char *socket_path; /* connect there, retrying until the timeout; or NULL and */
	int fd;			 /* an already connected socket (taken over) */
	unsigned timeout_ms;	 /* for every reply; 0: 10,000 */
	unsigned queues;	 /* how many rings to drive */
	unsigned queue_size;	 /* entries of each, 0: 128 */
	size_t memory_size;	 /* guest memory in one memfd, 0: 16 MiB */
	unsigned memory_regions; /* it is described as so many regions, 0: one */
	/* Virtio features acked where offered; VERSION_1 and PROTOCOL_FEATURES always are.
	 * 0: EVENT_IDX, INDIRECT_DESC. */
	uint64_t want_features;
	uint64_t refuse_protocol_features; /* bits not to ack although offered */
	bool packed;			   /* drive packed rings; fails if not offered */
	bool indirect; /* chains of more than one segment go into indirect tables; likewise */
	unsigned experimental; /* enum gw_experimental: acked where offered */
};

/* Connect and negotiate (features, protocol features, queue count, memory slots, owner). */
int gw_frontend_new(struct gw_frontend **frontend, const struct gw_frontend_config *config);
/* Closes the connection as it is. NULL is allowed. */
void gw_frontend_free(struct gw_frontend *frontend);

uint64_t gw_frontend_features(const struct gw_frontend *frontend);	    /* acked */
uint64_t gw_frontend_protocol_features(const struct gw_frontend *frontend); /* acked */
unsigned gw_frontend_max_queues(const struct gw_frontend *frontend);
int gw_frontend_socket(const struct gw_frontend *frontend); /* borrowed */

int gw_frontend_get_config(struct gw_frontend *frontend, size_t offset, void *buf, size_t len);
int gw_frontend_set_config(struct gw_frontend *frontend, size_t offset, const void *buf, size_t len,
			   bool migration);

/* Guest memory: one mapping; guest-physical addresses start at GW_FRONTEND_GPA. */
#define GW_FRONTEND_GPA UINT64_C(0x100000)
void *gw_frontend_memory(const struct gw_frontend *frontend, size_t *size);
/* A piece of it for buffers, aligned to 64 bytes, never given back; NULL if there is none left. */
void *gw_frontend_alloc(struct gw_frontend *frontend, size_t len);
/* Hot add and remove a region of its own (CONFIGURE_MEM_SLOTS). *@base is its mapping. */
int gw_frontend_add_region(struct gw_frontend *frontend, size_t size, void **base);
int gw_frontend_remove_region(struct gw_frontend *frontend, void *base);

/* Set features, memory and rings up and enable them, as a VMM does at DRIVER_OK or resume. */
int gw_frontend_start(struct gw_frontend *frontend);
/* Disable all rings, then get every ring's base: the device is suspended. Of a back-end that died,
 * it fails and finds the bases in guest memory: gw_frontend_migrate() then recovers from it. */
int gw_frontend_stop(struct gw_frontend *frontend);
int gw_frontend_reset_device(struct gw_frontend *frontend);
/*
 * GW_EXPERIMENTAL_SUSPEND: the device stands still with its rings as they are, and goes on. Between
 * the two its state can be saved, and gw_frontend_stop() ends the rings at once. -EOPNOTSUPP if
 * that was not agreed on.
 */
int gw_frontend_suspend(struct gw_frontend *frontend);
int gw_frontend_resume(struct gw_frontend *frontend);
/* One ring: its enable bit; its base as last read (split: next avail index). */
int gw_frontend_enable(struct gw_frontend *frontend, unsigned queue, bool on);
uint32_t gw_frontend_base(const struct gw_frontend *frontend, unsigned queue);

/* Dirty logging: the sequences of live migration, on or off, running or stopped. */
int gw_frontend_log(struct gw_frontend *frontend, bool on);
/* The log's bitmap, one bit a 4 KiB page from guest-physical 0; NULL if logging never was on. */
const uint8_t *gw_frontend_log_table(const struct gw_frontend *frontend, size_t *bytes);

/* Which of the three replies SET_DEVICE_STATE_FD got. */
enum gw_transfer_reply { GW_REPLY_ACCEPTED, GW_REPLY_OWN_FD, GW_REPLY_REFUSED };

/*
 * Save: everything the back-end writes goes to @fd (borrowed); then CHECK_DEVICE_STATE. -EIO if the
 * back-end said the state is bad, -ETIMEDOUT if nothing came for timeout_ms. Load: everything
 * readable from @fd up to its end goes to the back-end; then CHECK. On any failure the transfer is
 * cancelled by closing the channel.
 */
int gw_frontend_save(struct gw_frontend *frontend, int fd);
int gw_frontend_load(struct gw_frontend *frontend, int fd);
/* The same in steps: *@channel is this side's end (caller's to close). */
int gw_frontend_transfer_begin(struct gw_frontend *frontend, bool load, enum gw_phase phase,
			       int *channel, enum gw_transfer_reply *reply);
/* The same with a descriptor of the caller's own (borrowed) for the back-end: pipe end, socket,
 * file, memfd. *@own_fd is what the back-end answered with, or -1. */
int gw_frontend_transfer_offer(struct gw_frontend *frontend, bool load, enum gw_phase phase,
			       int offer, int *own_fd, enum gw_transfer_reply *reply);
int gw_frontend_transfer_check(struct gw_frontend *frontend);

/*
 * GW_EXPERIMENTAL_ITERATIVE: most of a state is sent while the guest runs, and what changed
 * meanwhile when it stands still. One call, and its steps.
 *
 * The stream goes to @fd (borrowed; a pipe's or socket's end, a file): the back-end writes to it
 * itself, or, if it answered with a descriptor of its own, what comes out of that is copied there.
 * Somebody else reads @fd, as a rule a destination that loads from it: nobody here does.
 */
struct gw_iterate_progress {
	unsigned round;	    /* from 1 on */
	bool stopped;	    /* the guest stands still, the rest is sent */
	uint64_t initial;   /* bytes not sent once, */
	uint64_t dirty;	    /* and sent but changed since: estimates of the device */
	uint64_t sent;	    /* bytes so far */
	uint64_t bandwidth; /* bytes a second, 0: not known yet */
	uint64_t rest_us;   /* how long the rest would take at that */
};

struct gw_iterate_config {
	size_t size; /* sizeof(struct gw_iterate_config) */
	/* The guest is stopped when sending the rest is expected to take no longer. 0: 300 */
	unsigned blackout_ms;
	/* After so many rounds it is stopped in any case, or, if @converge, the migration is given
	 * up with -ETIME. 0: 30 */
	unsigned rounds;
	bool converge;
	uint64_t bandwidth; /* bytes a second to begin with; 0: what the first round shows */
	/* Where the state is loaded from @fd, or NULL. Then a round is over when it has dealt with
	 * it, and there are two at least: what a round holds is looked for when the next begins. */
	struct gw_frontend *destination;
	/* Stops the guest: all rings stopped or suspended. NULL: gw_frontend_stop(). */
	int (*stop)(void *opaque);
	/* Called again and again, at least after each round. A failure that it returns cancels. */
	int (*progress)(void *opaque, const struct gw_iterate_progress *progress);
	void *opaque;
};

/* From the first round to CHECK_DEVICE_STATE; @config may be NULL. On any failure the transfer is
 * cancelled; a guest that was stopped stays so, and can go on (gw_frontend_start()). The last
 * progress goes to *@result, which may be NULL. */
int gw_frontend_iterate(struct gw_frontend *frontend, int fd,
			const struct gw_iterate_config *config, struct gw_iterate_progress *result);

struct gw_iterate_pending {
	uint64_t initial, dirty, sent;
	bool idle; /* the round is over: all there was is sent */
};
/* The first round begins. *@own_fd: what the back-end answered with, or -1. */
int gw_frontend_iterate_begin(struct gw_frontend *frontend, int fd, int *own_fd);
/* At any time while a state is saved; -EIO if none is (any more: CHECK says why). */
int gw_frontend_iterate_pending(struct gw_frontend *frontend, struct gw_iterate_pending *pending);
/* Another round (GW_PHASE_RUNNING), also before the last one is over; or the rest, once the device
 * stands still. */
int gw_frontend_iterate_go_on(struct gw_frontend *frontend, enum gw_phase phase);
/* Whatever transfer is under way; answered when it has ended. */
int gw_frontend_iterate_cancel(struct gw_frontend *frontend);

/*
 * A new connection that takes over guest memory and ring positions of @from, which must be stopped:
 * what the VMM at the destination is. @from keeps its own and can go on (a failed migration);
 * both may exist at once, only one may run.
 */
int gw_frontend_migrate(struct gw_frontend **to, struct gw_frontend *from,
			const struct gw_frontend_config *config);
/* The same in two steps, while @from still runs, as a VMM that waits for its guest: a state can be
 * loaded through @to; and when @from is stopped, @to goes on from there. */
int gw_frontend_await(struct gw_frontend **to, struct gw_frontend *from,
		      const struct gw_frontend_config *config);
int gw_frontend_take_over(struct gw_frontend *to, struct gw_frontend *from);

/*
 * The driver side of a ring.
 */

/* Make a chain available: @out_count device-readable, then @in_count device-writable segments,
 * all inside guest memory. @token comes back with the used element. -ENOSPC: the ring is full. */
int gw_driver_add(struct gw_frontend *frontend, unsigned queue, const struct iovec *out,
		  unsigned out_count, const struct iovec *in, unsigned in_count, void *token);
/* Notify the device, if it wants to be notified. */
int gw_driver_kick(struct gw_frontend *frontend, unsigned queue);
/* A used element: its token and length; false if there is none now. */
bool gw_driver_get(struct gw_frontend *frontend, unsigned queue, void **token, uint32_t *len);
/* Wait for a notification (or an already used element): 0, or -ETIMEDOUT, or -EIO when the ring's
 * err descriptor was signalled, or -ECONNRESET when the back-end is gone, or -EPROTO
 * when it used an element that was never given to it (then the ring is of no use any more). */
int gw_driver_wait(struct gw_frontend *frontend, unsigned queue, int timeout_ms);
unsigned gw_driver_in_flight(const struct gw_frontend *frontend, unsigned queue);

/*
 * For tests of back-ends: one raw message, any header, any payload, any descriptors (borrowed).
 */
int gw_frontend_send_raw(struct gw_frontend *frontend, uint32_t request, uint32_t flags,
			 const void *payload, uint32_t len, const int *fds, unsigned fd_count);
/* The next reply: up to @size bytes of payload; returns its length, -ECONNRESET if the back-end
 * closed, -ETIMEDOUT. A descriptor that came with it is in *@fd, else -1. */
int gw_frontend_recv_raw(struct gw_frontend *frontend, uint32_t *request, uint32_t *flags,
			 void *payload, uint32_t size, int *fd);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
