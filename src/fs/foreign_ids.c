/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/foreign_ids.c - ids that another make gave out and that do not say which slot they mean. */
#include <errno.h>
#include <stdlib.h>

#include "fs/foreign_ids.h"
#include "fs/table.h"

#define FIRST_BUCKETS 64u

struct fs_foreign_id {
	struct fs_foreign_id *id_next, *slot_next;
	uint64_t id;
	uint32_t slot;
};

static void link_into(struct fs_foreign_ids *ids, struct fs_foreign_id *entry)
{
	struct fs_foreign_id **head = &ids->by_id[fs_mix(entry->id) & ids->mask];

	entry->id_next = *head;
	*head = entry;
	head = &ids->by_slot[fs_mix(entry->slot) & ids->mask];
	entry->slot_next = *head;
	*head = entry;
}

/* Where there is no memory for more buckets, chains just get longer. */
static int grow(struct fs_foreign_ids *ids)
{
	uint32_t buckets = ids->by_id ? (ids->mask + 1) * 2 : FIRST_BUCKETS;
	struct fs_foreign_ids bigger = {
		.by_id = calloc(buckets, sizeof(*bigger.by_id)),
		.by_slot = calloc(buckets, sizeof(*bigger.by_slot)),
		.mask = buckets - 1,
	};

	if (!bigger.by_id || !bigger.by_slot) {
		free(bigger.by_id);
		free(bigger.by_slot);
		return ids->by_id ? 0 : -ENOMEM;
	}
	for (uint32_t i = 0; ids->by_id && i <= ids->mask; i++) {
		for (struct fs_foreign_id *at = ids->by_id[i], *next; at; at = next) {
			next = at->id_next;
			link_into(&bigger, at);
		}
	}
	free(ids->by_id);
	free(ids->by_slot);
	ids->by_id = bigger.by_id;
	ids->by_slot = bigger.by_slot;
	ids->mask = bigger.mask;
	return 0;
}

static struct fs_foreign_id *find(const struct fs_foreign_ids *ids, uint64_t id)
{
	struct fs_foreign_id *at = ids->by_id ? ids->by_id[fs_mix(id) & ids->mask] : NULL;

	while (at && at->id != id)
		at = at->id_next;
	return at;
}

/* Where the link to @slot's entry is; NULL: there are no buckets. */
static struct fs_foreign_id **find_slot(const struct fs_foreign_ids *ids, uint32_t slot)
{
	struct fs_foreign_id **at = ids->by_slot ? &ids->by_slot[fs_mix(slot) & ids->mask] : NULL;

	while (at && *at && (*at)->slot != slot)
		at = &(*at)->slot_next;
	return at;
}

int fs_foreign_ids_add(struct fs_foreign_ids *ids, uint64_t id, uint32_t slot)
{
	struct fs_foreign_id *entry;

	if (find(ids, id))
		return -EEXIST;
	if ((!ids->by_id || ids->count > ids->mask) && grow(ids))
		return -ENOMEM;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->id = id;
	entry->slot = slot;
	link_into(ids, entry);
	atomic_fetch_add(&ids->count, 1);
	return 0;
}

void fs_foreign_ids_remove(struct fs_foreign_ids *ids, uint32_t slot)
{
	struct fs_foreign_id **at = find_slot(ids, slot), *entry = at ? *at : NULL;

	if (!entry)
		return;
	*at = entry->slot_next;
	at = &ids->by_id[fs_mix(entry->id) & ids->mask];
	while (*at != entry)
		at = &(*at)->id_next;
	*at = entry->id_next;
	free(entry);
	atomic_fetch_sub(&ids->count, 1);
}

uint32_t fs_foreign_ids_slot(const struct fs_foreign_ids *ids, uint64_t id)
{
	const struct fs_foreign_id *entry = find(ids, id);

	return entry ? entry->slot : 0;
}

uint64_t fs_foreign_ids_id(const struct fs_foreign_ids *ids, uint32_t slot)
{
	struct fs_foreign_id **at = find_slot(ids, slot);

	return at && *at ? (*at)->id : 0;
}

void fs_foreign_ids_fini(struct fs_foreign_ids *ids)
{
	for (uint32_t i = 0; ids->by_id && i <= ids->mask; i++) {
		for (struct fs_foreign_id *at = ids->by_id[i], *next; at; at = next) {
			next = at->id_next;
			free(at);
		}
	}
	free(ids->by_id);
	free(ids->by_slot);
	*ids = (struct fs_foreign_ids){0};
}
