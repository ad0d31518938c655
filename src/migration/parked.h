/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/parked.h - parked elements between two starts, and in the stream (gw_parked_v1). */
#ifndef GW_MIGRATION_PARKED_H
#define GW_MIGRATION_PARKED_H

#include "godwit/state.h"
#include "virtio/queue.h"

/* The library's own record types, from GW_WIRE_OBJECTS to GW_RECORD_DEVICE. */
#define GW_RECORD_PARKED 0x10

/* More bytes of them are not taken out of a stream. */
#define GW_PARKED_BYTES_MAX (64 * 1024 * 1024)

struct gw_parked_item;

/* In the order of parking. */
struct gw_parked_list {
	struct gw_parked_item *first, **last;
	size_t bytes;
};

void gw_parked_init(struct gw_parked_list *list);
void gw_parked_clear(struct gw_parked_list *list);
int gw_parked_append(struct gw_parked_list *list, unsigned queue, const struct gw_parked *parked);
bool gw_parked_has(const struct gw_parked_list *list, unsigned queue);
int gw_parked_copy(struct gw_parked_list *to, const struct gw_parked_list *from);
/* @to, which is emptied first, gets everything; @from is empty afterwards. */
void gw_parked_move(struct gw_parked_list *to, struct gw_parked_list *from);
/* Hands out what is @queue's and forgets it; what @fn refuses, and the rest, stays. */
int gw_parked_hand_out(struct gw_parked_list *list, unsigned queue,
		       int (*fn)(void *opaque, const struct gw_parked *parked), void *opaque);

extern const struct gw_layout gw_parked_layout;
int gw_parked_save(const struct gw_parked_list *list, struct gw_state_writer *writer);

/* What reads them: the opaque of gw_parked_handlers. */
struct gw_parked_staging {
	struct gw_parked_list list;
	unsigned queues; /* the device has so many */
};
extern const struct gw_state_handler gw_parked_handlers[];

#endif
