/* SPDX-License-Identifier: BSD-3-Clause */
/* base/scratch.c - memory for one piece of work, given back in whole. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bigpage.h"
#include "base/checked.h"
#include "base/poison.h"
#include "base/scratch.h"

/* A line of the processor's cache: what two threads write is not in one. */
#define ALIGN 64u
#define MOST  (SIZE_MAX / 2)
#define SMALL (128u * 1024u)
/* Behind each, for whoever writes beyond it where that is noticed. */
#define REDZONE GW_POISON_REDZONE(ALIGN)

struct gw_scratch_block {
	struct gw_scratch_block *before;
	size_t len; /* bytes, this included */
};

static_assert(sizeof(struct gw_scratch_block) <= ALIGN, "header");

/* What is little is not worth making a big page zero, unless there is one. */
static void *map(size_t *len)
{
	void *memory;

	if (*len > GW_BIG_PAGE / 2 || gw_big_is_ready()) {
		*len = gw_round_up(*len, GW_BIG_PAGE);
		return gw_big_map(*len);
	}
	*len = gw_round_up(*len, SMALL);
	memory = mmap(NULL, *len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static bool add_block(struct gw_scratch *scratch, size_t len)
{
	size_t all = len + ALIGN;
	struct gw_scratch_block *block = map(&all);

	if (!block)
		return false;
	*block = (struct gw_scratch_block){.before = scratch->block, .len = all};
	scratch->block = block;
	scratch->at = (char *)block + ALIGN;
	scratch->left = all - ALIGN;
	GW_POISON(scratch->at, scratch->left);
	return true;
}

void *gw_scratch_take(struct gw_scratch *scratch, size_t len)
{
	size_t whole = len < MOST ? gw_round_up(len, ALIGN) + REDZONE : SIZE_MAX;
	void *taken;

	if (whole > MOST || (whole > scratch->left && !add_block(scratch, whole)))
		return NULL;
	taken = scratch->at;
	scratch->at += whole;
	scratch->left -= whole;
	GW_UNPOISON(taken, len);
	return taken;
}

static bool is_last(const struct gw_scratch *scratch, const char *taken, size_t len)
{
	return taken + gw_round_up(len, ALIGN) + REDZONE == scratch->at;
}

void *gw_scratch_grow(struct gw_scratch *scratch, void *old, size_t old_len, size_t len)
{
	size_t more = gw_round_up(len, ALIGN) - gw_round_up(old_len, ALIGN);
	void *grown;

	if (old && is_last(scratch, old, old_len) && len < MOST && more <= scratch->left) {
		scratch->at += more;
		scratch->left -= more;
		GW_UNPOISON(old, len);
		return old;
	}
	grown = gw_scratch_take(scratch, len);
	if (grown && old)
		memcpy(grown, old, old_len);
	return grown;
}

void gw_scratch_free(struct gw_scratch *scratch)
{
	while (scratch->block) {
		struct gw_scratch_block *block = scratch->block;

		scratch->block = block->before;
		GW_UNPOISON(block, block->len);
		munmap(block, block->len);
	}
	*scratch = (struct gw_scratch){0};
}
