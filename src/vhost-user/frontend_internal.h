/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/frontend_internal.h - what the parts of the front-end share; also for tests. */
#ifndef GW_VHOST_USER_FRONTEND_INTERNAL_H
#define GW_VHOST_USER_FRONTEND_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "godwit/frontend.h"
#include "vhost-user/wire.h"
#include "virtio/driver.h"

#define GW_FRONTEND_QUEUES_MAX	256 /* ring numbers have 8 bits */
#define GW_FRONTEND_REGIONS_MAX 32  /* what this front-end can have, of its own and hot-added */

/* One region of guest memory as the back-end is told of it. */
struct gw_guest_region {
	struct gw_vu_region wire;
	char *base;
	int fd;	     /* borrowed from the guest, or its own if @hot */
	bool hot;    /* added by gw_frontend_add_region() */
	bool in_use; /* a region keeps its index, so that front-ends can compare by it */
};

/*
 * The guest: memory and what its drivers think. It does not change when the device moves, so the
 * front-ends at both ends hold the same one.
 */
struct gw_guest {
	atomic_uint refs;
	int fd;
	char *base;
	size_t size;
	size_t next_free; /* of gw_frontend_alloc() */
	uint64_t next_gpa;
	struct gw_guest_region regions[GW_FRONTEND_REGIONS_MAX];
	unsigned queues, queue_size;
	bool packed;
	uint64_t features; /* negotiated by the guest; stays the same for its life */
	struct gw_driver *drivers[GW_FRONTEND_QUEUES_MAX];
	void *rings[GW_FRONTEND_QUEUES_MAX];
};

struct gw_frontend_queue {
	int kick, call, err; /* eventfds */
	uint32_t base;
	bool started, enabled;
};

struct gw_frontend {
	int socket;
	unsigned timeout_ms;
	bool out_of_step; /* a reply did not come in time, or made no sense */
	uint64_t offered, acked;
	uint64_t protocol_offered, protocol;
	unsigned max_queues, max_slots;

	struct gw_guest *guest;
	/* What the back-end was told, by index into the guest's regions; size 0: nothing. */
	struct gw_vu_region told[GW_FRONTEND_REGIONS_MAX];
	struct gw_frontend_queue *queues;
	bool started;
	bool lost; /* it died with rings started: what is in flight is in the region alone */

	bool log_on;
	int log_fd;
	uint8_t *log;
	size_t log_bytes;

	int inflight_fd;
	struct gw_vu_inflight inflight;

	int channel; /* our end of the back-end channel, -1: none */
	pthread_t channel_thread;
	atomic_uint config_changes;
};

/* frontend.c: connected, nothing said yet; for tests, with the raw calls of godwit/frontend.h.
 * *@frontend is to be freed, whatever is returned. */
int gw_frontend_connect(struct gw_frontend **frontend, const struct gw_frontend_config *config);

/*
 * Messages (frontend_msg.c). All waits end after the front-end's timeout.
 */

/* How a message is answered; GW_VU_ACKED becomes NEED_REPLY, or a GET_FEATURES round trip. */
enum gw_vu_wait { GW_VU_NO_WAIT, GW_VU_ACKED };

struct gw_vu_out {
	uint32_t request;
	const void *payload;
	uint32_t len;
	const int *fds;
	unsigned fd_count;
	bool any_length; /* of the reply, which means nothing but that it came */
};

int gw_frontend_tell(struct gw_frontend *frontend, enum gw_vu_wait wait,
		     const struct gw_vu_out *out);
/* The reply must have exactly @len bytes; an empty one is the back-end's way to say no (-EIO). Its
 * descriptor goes to *@fd (may be NULL: closed). */
int gw_frontend_ask(struct gw_frontend *frontend, const struct gw_vu_out *out, void *reply,
		    uint32_t len, int *fd);
int gw_frontend_get_u64(struct gw_frontend *frontend, uint32_t request, uint64_t *value);
int gw_frontend_set_u64(struct gw_frontend *frontend, uint32_t request, enum gw_vu_wait wait,
			uint64_t value);
const char *gw_frontend_request_name(uint32_t request);
bool gw_frontend_has(const struct gw_frontend *frontend, uint64_t protocol_feature);

/* CLOCK_MONOTONIC in milliseconds, and what is left until @deadline (0 if it is over). */
int64_t gw_now_ms(void);
int gw_left_ms(int64_t deadline);

/* frontend_channel.c: the thread that serves the back-end's requests. */
int gw_frontend_channel_open(struct gw_frontend *frontend);
void gw_frontend_channel_close(struct gw_frontend *frontend);

/* frontend_mem.c */
int gw_guest_new(struct gw_guest **guest, const struct gw_frontend_config *config);
struct gw_guest *gw_guest_ref(struct gw_guest *guest);
void gw_guest_unref(struct gw_guest *guest);
/* Drivers for the guest's queues, once the features are known. */
int gw_guest_make_rings(struct gw_guest *guest, uint64_t features, bool indirect);
uint64_t gw_guest_gpa_of(const void *opaque, const void *ptr, size_t len);
uint64_t gw_guest_last_gpa(const struct gw_guest *guest);
/* Tell the back-end of all regions that it does not know yet. */
int gw_frontend_tell_memory(struct gw_frontend *frontend);

/* frontend_state.c: all of @from to its end; or what is there, at most @len bytes. */
int gw_frontend_copy(const struct gw_frontend *frontend, int from, const char *from_name, int to,
		     const char *to_name);
ssize_t gw_frontend_move(const struct gw_frontend *frontend, int from, int to, size_t len);

/* frontend_log.c */
int gw_frontend_send_features(struct gw_frontend *frontend, enum gw_vu_wait wait);
int gw_frontend_send_log_base(struct gw_frontend *frontend);
/* The log covers all of guest memory afterwards; what was marked stays marked. */
int gw_frontend_grow_log(struct gw_frontend *frontend);
void gw_frontend_drop_log(struct gw_frontend *frontend);

/* frontend_inflight.c: get the region at the first start, give it back at every one. */
int gw_frontend_send_inflight(struct gw_frontend *frontend);
int gw_frontend_share_inflight(struct gw_frontend *to, const struct gw_frontend *from);

/* frontend_rings.c */
int gw_frontend_make_queues(struct gw_frontend *frontend);
void gw_frontend_drop_queues(struct gw_frontend *frontend);
int gw_frontend_send_ring_fd(struct gw_frontend *frontend, uint32_t request, unsigned queue,
			     int fd);
int gw_frontend_send_ring_addr(struct gw_frontend *frontend, unsigned queue);

#endif
