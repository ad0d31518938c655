/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/idmap.c - owners whose numbers differ between guest and host: users, or groups. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/checked.h"
#include "fs/idmap.h"
#include "godwit/error.h"

#define NUMBERS_MAX 3
#define IDS	    (UINT64_C(1) << 32) /* how many there are */
#define NO_ID	    UINT32_MAX		/* (uid_t)-1: to chown(2) it means "as it was" */

enum kind { SHIFT, SQUASH, FORBID };
enum way { TO_HOST = 1 << 0, TO_GUEST = 1 << 1 };

static const struct word {
	const char *name;
	enum kind kind;
	unsigned ways;
} words[] = {
	{"guest", SHIFT, TO_HOST},	    {"host", SHIFT, TO_GUEST},
	{"map", SHIFT, TO_HOST | TO_GUEST}, {"squash-guest", SQUASH, TO_HOST},
	{"squash-host", SQUASH, TO_GUEST},  {"forbid-guest", FORBID, TO_HOST},
};

static const struct word *find_word(const char *text)
{
	size_t len = strcspn(text, ":");

	for (size_t i = 0; i < GW_ARRAY_LEN(words); i++) {
		if (strlen(words[i].name) == len && !memcmp(words[i].name, text, len))
			return &words[i];
	}
	return NULL;
}

/* ":1:2:3": as many numbers as there have to be, nothing else. */
static bool take_numbers(const char *text, uint32_t *numbers, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned long long number;
		char *end;

		if (text[0] != ':' || text[1] < '0' || text[1] > '9')
			return false;
		errno = 0;
		number = strtoull(text + 1, &end, 10);
		if (errno || number > UINT32_MAX)
			return false;
		numbers[i] = (uint32_t)number;
		text = end;
	}
	return !*text;
}

static int add(struct fs_idway *way, const struct fs_idrange *range, const char *text)
{
	if (way->count == FS_IDMAP_RANGES_MAX)
		return gw_fail(EINVAL, "id map '%.64s': more than %d ranges", text,
			       FS_IDMAP_RANGES_MAX);
	for (unsigned i = 0; i < way->count; i++) {
		const struct fs_idrange *other = &way->ranges[i];

		if (range->first < other->end && other->first < range->end)
			return gw_fail(EINVAL,
				       "id map '%.64s': it overlaps an earlier range, %llu to %llu",
				       text, (unsigned long long)other->first,
				       (unsigned long long)other->end - 1);
	}
	way->ranges[way->count++] = *range;
	return 0;
}

static struct fs_idrange make_range(const struct word *word, uint32_t from, uint32_t to,
				    uint32_t count)
{
	return (struct fs_idrange){
		.first = from, .end = (uint64_t)from + count, .to = to, .kind = word->kind};
}

int fs_idmap_add(struct fs_idmap *map, const char *text)
{
	const struct word *word = find_word(text);
	uint32_t numbers[NUMBERS_MAX] = {0}, *count = &numbers[2];
	struct fs_idrange there, back;
	int err = 0;

	if (!word)
		return gw_fail(EINVAL,
			       "id map '%.64s': it begins with none of guest, host, map, "
			       "squash-guest, squash-host, forbid-guest",
			       text);
	if (!take_numbers(text + strlen(word->name), numbers, word->kind == FORBID ? 2 : 3))
		return gw_fail(EINVAL, "id map '%.64s': %s numbers from 0 to 4294967295 follow %s",
			       text, word->kind == FORBID ? "two" : "three", word->name);
	if (word->kind == FORBID)
		*count = numbers[1];
	if (!*count || numbers[0] + (uint64_t)*count > IDS ||
	    (word->kind == SHIFT && numbers[1] + (uint64_t)*count > IDS))
		return gw_fail(EINVAL, "id map '%.64s': a range of %u ids does not fit there", text,
			       *count);
	/* Only map has both ways, and then the second one is the first reversed. */
	there = make_range(word, numbers[0], numbers[1], *count);
	back = word->ways == TO_GUEST ? there : make_range(word, numbers[1], numbers[0], *count);
	if (word->ways & TO_HOST)
		err = add(&map->to_host, &there, text);
	if (word->ways & TO_GUEST && !err)
		err = add(&map->to_guest, &back, text);
	return err;
}

static const struct fs_idrange *find(const struct fs_idway *way, uint32_t id)
{
	for (unsigned i = 0; i < way->count; i++) {
		if (id >= way->ranges[i].first && id < way->ranges[i].end)
			return &way->ranges[i];
	}
	return NULL;
}

static uint32_t translate(const struct fs_idrange *range, uint32_t id)
{
	if (!range)
		return id;
	return range->kind == SQUASH ? range->to : range->to + (id - (uint32_t)range->first);
}

int fs_idmap_to_host(const struct fs_idmap *map, uint32_t guest, uint32_t *host)
{
	const struct fs_idrange *range = find(&map->to_host, guest);

	if (range && range->kind == FORBID)
		return -EPERM;
	*host = translate(range, guest);
	return *host == NO_ID ? -EPERM : 0;
}

uint32_t fs_idmap_to_guest(const struct fs_idmap *map, uint32_t host)
{
	return translate(find(&map->to_guest, host), host);
}

static int by_first(const void *a, const void *b)
{
	const struct fs_idrange *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* In one order, whatever that on the command line was. */
static void digest(XXH3_state_t *state, const struct fs_idway *way)
{
	struct fs_idway sorted = *way;

	qsort(sorted.ranges, sorted.count, sizeof(sorted.ranges[0]), by_first);
	XXH3_64bits_update(state, &sorted.count, sizeof(sorted.count));
	for (unsigned i = 0; i < sorted.count; i++) {
		const struct fs_idrange *range = &sorted.ranges[i];
		const uint64_t words64[] = {range->first, range->end, range->to, range->kind};

		XXH3_64bits_update(state, words64, sizeof(words64));
	}
}

uint32_t fs_idmaps_id(const struct fs_idmap *users, const struct fs_idmap *groups)
{
	XXH3_state_t *state = NULL;
	uint32_t id;

	if (users->to_host.count + users->to_guest.count + groups->to_host.count +
	    groups->to_guest.count)
		state = XXH3_createState();
	if (!state)
		return 0;
	XXH3_64bits_reset(state);
	digest(state, &users->to_host);
	digest(state, &users->to_guest);
	digest(state, &groups->to_host);
	digest(state, &groups->to_guest);
	id = (uint32_t)XXH3_64bits_digest(state);
	XXH3_freeState(state);
	return id ? id : 1;
}
