/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/recovery_edit.c - what each message leaves behind in the ledger. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/recovery_internal.h"

static void entry_release(struct gw_recovery *recovery, const struct gw_ledger_entry *entry)
{
	for (unsigned i = 0; i < entry->fd_count && i < GW_VU_FDS_MAX; i++)
		gw_given_release(recovery, entry->fds[i]);
}

static void edit_remove(struct gw_edit *edit, uint32_t request, uint32_t ring)
{
	struct gw_ledger *ledger = edit->recovery->ledger;
	const struct gw_ledger_entry *entry = gw_ledger_find(ledger, request, ring);
	struct gw_ledger_entry *old;

	if (!entry)
		return;
	old = realloc(edit->old, (edit->count + 1) * sizeof(*old));
	if (old) {
		old[edit->count++] = *entry;
		edit->old = old;
	}
	gw_ledger_remove(ledger, request, ring);
}

static void edit_put(struct gw_edit *edit, struct gw_ledger_entry *entry, const int *fds,
		     unsigned fd_count)
{
	for (unsigned i = 0; i < fd_count && !edit->err; i++) {
		edit->err = gw_given_keep(edit->recovery, fds[i], &entry->fds[i]);
		entry->fd_count = i + 1;
	}
	edit_remove(edit, entry->request, entry->ring);
	if (!edit->err)
		edit->err = gw_ledger_put(edit->recovery->ledger, entry);
	if (!edit->err && fd_count)
		edit->err = gw_fdstore_sync(edit->recovery->store);
}

void gw_edit_end(struct gw_edit *edit, const struct gw_ledger_answer *answer)
{
	if (edit->err)
		gw_error("recovery: a message cannot be remembered, so it would not be survived: "
			 "%s",
			 gw_last_error());
	gw_ledger_commit(edit->recovery->ledger, answer);
	for (unsigned i = 0; i < edit->count; i++)
		entry_release(edit->recovery, &edit->old[i]);
	free(edit->old);
}

static void put_message(struct gw_edit *edit, const struct gw_call *call, uint32_t ring)
{
	struct gw_recovery *recovery = edit->recovery;
	struct gw_ledger_entry entry = {.request = call->message->header.request, .ring = ring};

	entry.size = (uint32_t)GW_MIN(call->message->header.size, sizeof(entry.payload));
	memcpy(&entry.payload, call->payload, entry.size);
	edit_put(edit, &entry, recovery->call_fds, recovery->call_fd_count);
}

static void put_plain(struct gw_edit *edit, const struct gw_call *call)
{
	put_message(edit, call, 0);
}

static void put_ring(struct gw_edit *edit, const struct gw_call *call)
{
	put_message(edit, call, call->payload->state.index);
}

void gw_edit_ring_fd(struct gw_edit *edit, const struct gw_call *call)
{
	put_message(edit, call, (uint32_t)(call->payload->u64 & GW_VU_VRING_INDEX_MASK));
}

/* Regions are remembered one by one, however they came. */
static void put_region(struct gw_edit *edit, const struct gw_vu_region *region, int fd)
{
	struct gw_ledger_entry entry = {
		.request = GW_VU_ADD_MEM_REG,
		.ring = (uint32_t)gw_ledger_next_fd(edit->recovery->ledger),
		.size = sizeof(entry.payload.mem_reg),
		.payload.mem_reg.region = *region,
	};

	edit_put(edit, &entry, &fd, 1);
}

static void remove_all(struct gw_edit *edit, uint32_t request)
{
	const struct gw_ledger *ledger = edit->recovery->ledger;

	for (unsigned i = gw_ledger_count(ledger); i; i--) {
		const struct gw_ledger_entry *entry = gw_ledger_at(ledger, i - 1);

		if (entry->request == request)
			edit_remove(edit, request, entry->ring);
	}
}

static void put_table(struct gw_edit *edit, const struct gw_call *call)
{
	const struct gw_vu_mem_table *table = &call->payload->table;

	remove_all(edit, GW_VU_ADD_MEM_REG);
	for (uint32_t i = 0; i < table->count && i < edit->recovery->call_fd_count; i++)
		put_region(edit, &table->regions[i], edit->recovery->call_fds[i]);
}

static void add_region(struct gw_edit *edit, const struct gw_call *call)
{
	put_region(edit, &call->payload->mem_reg.region, edit->recovery->call_fds[0]);
}

static bool is_region(const struct gw_vu_region *a, const struct gw_vu_region *b)
{
	return a->gpa == b->gpa && a->size == b->size && a->uaddr == b->uaddr;
}

static void remove_region(struct gw_edit *edit, const struct gw_call *call)
{
	const struct gw_ledger *ledger = edit->recovery->ledger;

	for (unsigned i = gw_ledger_count(ledger); i; i--) {
		const struct gw_ledger_entry *entry = gw_ledger_at(ledger, i - 1);

		if (entry->request == GW_VU_ADD_MEM_REG &&
		    is_region(&entry->payload.mem_reg.region, &call->payload->mem_reg.region))
			edit_remove(edit, entry->request, entry->ring);
	}
}

/* A ring that was stopped: where it is to begin again, unless the front-end says otherwise. */
static void ring_stopped(struct gw_edit *edit, const struct gw_call *call)
{
	struct gw_ledger_entry base = {
		.request = GW_VU_SET_VRING_BASE,
		.ring = call->payload->state.index,
		.size = sizeof(base.payload.state),
		.payload.state = call->reply.state,
	};

	edit_remove(edit, GW_VU_SET_VRING_KICK, base.ring);
	edit_put(edit, &base, NULL, 0);
}

static void all_disabled(struct gw_edit *edit, const struct gw_call *call)
{
	remove_all(edit, GW_VU_SET_VRING_ENABLE);
}

static void device_reset(struct gw_edit *edit, const struct gw_call *call)
{
	all_disabled(edit, call);
	remove_all(edit, GW_VU_SET_VRING_KICK);
}

/* What each message changes; the others leave nothing behind. Replayed in the order of @turn. */
static const struct {
	void (*note)(struct gw_edit *edit, const struct gw_call *call);
	unsigned turn;
} kinds[GW_VU_REQUESTS] = {
	[GW_VU_SET_PROTOCOL_FEATURES] = {put_plain, 1},
	[GW_VU_SET_OWNER] = {put_plain, 2},
	[GW_VU_SET_FEATURES] = {put_plain, 3},
	[GW_VU_SET_BACKEND_REQ_FD] = {put_plain, 4},
	[GW_VU_SET_MEM_TABLE] = {put_table},
	[GW_VU_ADD_MEM_REG] = {add_region, 5},
	[GW_VU_REM_MEM_REG] = {remove_region},
	[GW_VU_SET_LOG_BASE] = {put_plain, 6},
	[GW_VU_SET_LOG_FD] = {put_plain, 7},
	[GW_VU_SET_INFLIGHT_FD] = {put_plain, 8},
	[GW_VU_SET_VRING_NUM] = {put_ring, 9},
	[GW_VU_SET_VRING_ADDR] = {put_ring, 10},
	[GW_VU_SET_VRING_BASE] = {put_ring, 11},
	[GW_VU_SET_VRING_CALL] = {gw_edit_ring_fd, 12},
	[GW_VU_SET_VRING_ERR] = {gw_edit_ring_fd, 13},
	[GW_VU_SET_VRING_ENABLE] = {put_ring, 14},
	[GW_VU_SET_VRING_KICK] = {gw_edit_ring_fd, GW_RECOVERY_TURNS},
	[GW_VU_GET_VRING_BASE] = {ring_stopped},
	[GW_VU_RESET_OWNER] = {all_disabled},
	[GW_VU_RESET_DEVICE] = {device_reset},
};
void gw_edit_message(struct gw_edit *edit, const struct gw_call *call)
{
	uint32_t request = call->message->header.request;

	if (request < GW_VU_REQUESTS && kinds[request].note)
		kinds[request].note(edit, call);
}

unsigned gw_recovery_turn(uint32_t request)
{
	return request < GW_VU_REQUESTS ? kinds[request].turn : 0;
}
