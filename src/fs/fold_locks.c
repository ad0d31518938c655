/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/fold_locks.c - what was told of locks comes down to what each owner has. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "fs/locks_kept.h"
#include "fs/table.h"
#include "godwit/error.h"

#define BUCKETS 1024u

struct owner {
	struct owner *next;
	struct gw_fs_locking_v1 last; /* as told last: whose it is, its handle, where it is kept */
	struct fs_ranges ranges;
};

struct fs_fold_locks {
	struct owner *buckets[BUCKETS];
};

int fs_fold_locks_new(struct fs_fold_locks **locks)
{
	*locks = calloc(1, sizeof(**locks));
	return *locks ? 0 : gw_fail(ENOMEM, "recovery: no memory");
}

void fs_fold_locks_free(struct fs_fold_locks *locks)
{
	for (unsigned i = 0; locks && i < BUCKETS; i++) {
		while (locks->buckets[i]) {
			struct owner *owner = locks->buckets[i];

			locks->buckets[i] = owner->next;
			fs_ranges_free(&owner->ranges);
			free(owner);
		}
	}
	free(locks);
}

static struct owner *find_or_add(struct fs_fold_locks *locks, const struct gw_fs_locking_v1 *record)
{
	uint64_t hash = fs_mix(record->inode ^ fs_mix(record->owner));
	struct owner **at = &locks->buckets[hash % BUCKETS];

	while (*at && ((*at)->last.inode != record->inode || (*at)->last.owner != record->owner))
		at = &(*at)->next;
	if (!*at)
		*at = calloc(1, sizeof(**at));
	return *at;
}

int fs_fold_locking(struct fs_fold_locks *locks, const struct gw_fs_locking_v1 *record)
{
	const struct fs_range change = {.start = (int64_t)record->start,
					.end = (int64_t)record->end,
					.type = (short)record->type};
	struct owner *owner = find_or_add(locks, record);
	struct fs_ranges next;
	int err;

	if (!owner)
		return gw_fail(ENOMEM, "recovery: no memory");
	if (change.start < 0 || change.end < change.start)
		return gw_fail(EBADMSG, "recovery: a lock on bytes %llu to %llu",
			       (unsigned long long)record->start, (unsigned long long)record->end);
	owner->last = *record;
	err = fs_ranges_with(&owner->ranges, &change, &next);
	if (err)
		return gw_fail(-err, "recovery: locks of inode %llu",
			       (unsigned long long)record->inode);
	fs_ranges_free(&owner->ranges);
	owner->ranges = next;
	return 0;
}

static int write_owner(const struct owner *owner, struct gw_state_writer *writer)
{
	struct gw_fs_locking_v1 record = owner->last;
	int err = 0;

	if (record.lost)
		return gw_state_put(writer, &gw_fs_locking_v1, &record);
	for (unsigned i = 0; i < owner->ranges.count && !err; i++) {
		record.start = (uint64_t)owner->ranges.at[i].start;
		record.end = (uint64_t)owner->ranges.at[i].end;
		record.type = (uint32_t)owner->ranges.at[i].type;
		err = gw_state_put(writer, &gw_fs_locking_v1, &record);
	}
	return err;
}

int fs_fold_locks_write(const struct fs_fold_locks *locks, struct gw_state_writer *writer,
			bool (*is_alive)(void *opaque, uint64_t inode), void *opaque)
{
	int err = 0;

	for (unsigned i = 0; i < BUCKETS && !err; i++) {
		for (struct owner *owner = locks->buckets[i]; owner && !err; owner = owner->next)
			err = is_alive(opaque, owner->last.inode) ? write_owner(owner, writer) : 0;
	}
	return err;
}

bool fs_fold_locks_has(const struct fs_fold_locks *locks, uint32_t kept,
		       bool (*is_alive)(void *opaque, uint64_t inode), void *opaque)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		for (struct owner *owner = locks->buckets[i]; owner; owner = owner->next)
			if (owner->last.kept == kept && owner->ranges.count &&
			    is_alive(opaque, owner->last.inode))
				return true;
	}
	return false;
}
