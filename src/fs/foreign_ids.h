/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/foreign_ids.h - ids that another make gave out and that do not say which slot they mean. */
#ifndef GW_FS_FOREIGN_IDS_H
#define GW_FS_FOREIGN_IDS_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * A guest that was taken over keeps the ids it has. Most are small numbers that fit a slot's index;
 * the others (0, and what a source that ran for long counted up to) are found here, both ways.
 * Empty unless such a guest was taken over. The owner locks.
 */
struct fs_foreign_id;
struct fs_foreign_ids {
	struct fs_foreign_id **by_id, **by_slot;
	uint32_t mask; /* of both, if there are any buckets */
	_Atomic uint32_t count;
};

/* -EEXIST: @id is there already. */
int fs_foreign_ids_add(struct fs_foreign_ids *ids, uint64_t id, uint32_t slot);
void fs_foreign_ids_remove(struct fs_foreign_ids *ids, uint32_t slot);
/* The slot's index; 0: no such id. */
uint32_t fs_foreign_ids_slot(const struct fs_foreign_ids *ids, uint64_t id);
/* The id by which the guest knows the slot, which has one. */
uint64_t fs_foreign_ids_id(const struct fs_foreign_ids *ids, uint32_t slot);
void fs_foreign_ids_fini(struct fs_foreign_ids *ids);

#endif
