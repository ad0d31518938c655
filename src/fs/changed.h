/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/changed.h - which files and directories somebody else changed lately. */
#ifndef GW_FS_CHANGED_H
#define GW_FS_CHANGED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long after its last change something is not believed in. */
#define FS_CHANGED_HOLD_MS 5000

/*
 * No entries but marks: a file handle's hash chooses one of so many, which holds until when. Two
 * handles may share a mark, and then one is doubted without need; for that the table never grows,
 * never overflows, and takes no lock. One thread writes, any may ask.
 */
#define FS_CHANGED_MARKS 65536u

struct fs_changed {
	_Atomic bool any; /* false: nothing is marked, which is all that is asked then */
	_Atomic uint32_t all_until;
	uint32_t last_until; /* the writer's: of all marks */
	_Atomic uint32_t until[FS_CHANGED_MARKS];
};

/* Of a file handle (name_to_handle_at(2)); never fails. */
uint64_t fs_changed_key(int32_t type, const void *bytes, size_t len);

/* The writer's; @now in milliseconds, of any clock that does not go back. */
void fs_changed_note(struct fs_changed *changed, uint64_t key, uint64_t now);
/* Something changed, nobody knows what. */
void fs_changed_note_all(struct fs_changed *changed, uint64_t now);
/* Quiet again, if all marks have run out. */
void fs_changed_age(struct fs_changed *changed, uint64_t now);

static inline bool fs_changed_quiet(const struct fs_changed *changed)
{
	return !atomic_load_explicit(&changed->any, memory_order_relaxed);
}

bool fs_changed_all(const struct fs_changed *changed, uint64_t now);
bool fs_changed_has(const struct fs_changed *changed, uint64_t key, uint64_t now);

#endif
