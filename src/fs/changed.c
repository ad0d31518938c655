/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/changed.c - which files and directories somebody else changed lately. */
#include <xxhash.h>

#include "base/checked.h"
#include "fs/changed.h"

/* Milliseconds in a tick: 32 bits of them are eight years. */
#define TICK_MS 64
/* A mark holds at least as long as was promised, whatever was rounded. */
#define HOLD (FS_CHANGED_HOLD_MS / TICK_MS + 2)

/* 0 is no time: a mark that was never set. */
static uint32_t tick(uint64_t now)
{
	return (uint32_t)(now / TICK_MS) + 1;
}

uint64_t fs_changed_key(int32_t type, const void *bytes, size_t len)
{
	return XXH3_64bits_withSeed(bytes, len, (uint32_t)type);
}

static _Atomic uint32_t *mark_of(struct fs_changed *changed, uint64_t key)
{
	return &changed->until[key % FS_CHANGED_MARKS];
}

/* The mark first: who sees that there is any finds it. */
static void set(struct fs_changed *changed, _Atomic uint32_t *mark, uint64_t now)
{
	changed->last_until = tick(now) + HOLD;
	atomic_store_explicit(mark, changed->last_until, memory_order_relaxed);
	atomic_store_explicit(&changed->any, true, memory_order_release);
}

void fs_changed_note(struct fs_changed *changed, uint64_t key, uint64_t now)
{
	set(changed, mark_of(changed, key), now);
}

void fs_changed_note_all(struct fs_changed *changed, uint64_t now)
{
	set(changed, &changed->all_until, now);
}

void fs_changed_age(struct fs_changed *changed, uint64_t now)
{
	if (changed->last_until < tick(now))
		atomic_store_explicit(&changed->any, false, memory_order_relaxed);
}

static bool holds(const _Atomic uint32_t *mark, uint64_t now)
{
	return atomic_load_explicit(mark, memory_order_relaxed) >= tick(now);
}

bool fs_changed_all(const struct fs_changed *changed, uint64_t now)
{
	return holds(&changed->all_until, now);
}

bool fs_changed_has(const struct fs_changed *changed, uint64_t key, uint64_t now)
{
	return fs_changed_all(changed, now) || holds(&changed->until[key % FS_CHANGED_MARKS], now);
}
