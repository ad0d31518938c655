/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/ledger.c - what a front-end has set up, in memory that outlives the process. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fdstore.h"
#include "godwit/error.h"
#include "state/checksum.h"
#include "vhost-user/ledger.h"

#define MAGIC	  "GWLEDGR1"
#define MAGIC_LEN 8
#define ENDED	  UINT64_MAX /* in the place of a sequence number */

/* As it lies in the memfd; host byte order, since it never leaves the host. */
struct slot {
	uint64_t generation; /* 0: never written */
	uint64_t checksum;   /* of all that follows, and of the generation as its seed */
	uint64_t next_fd;
	struct gw_ledger_answer answer;
	uint32_t count;
	struct gw_ledger_entry entries[GW_LEDGER_ENTRIES_MAX];
};

struct page {
	char magic[MAGIC_LEN];
	uint64_t size;
	uint64_t done; /* the sequence of the last message that is out of the way, or ENDED */
	struct slot slots[2];
};

struct gw_ledger {
	struct page *page;
	uint64_t generation;
	struct slot now; /* what the next commit writes */
};

static uint64_t checksum_of(const struct slot *slot)
{
	size_t from = offsetof(struct slot, next_fd);
	size_t end = offsetof(struct slot, entries) + slot->count * sizeof(slot->entries[0]);

	return XXH3_64bits_withSeed((const char *)slot + from, end - from, slot->generation);
}

static bool is_whole(const struct slot *slot)
{
	return slot->generation && slot->count <= GW_LEDGER_ENTRIES_MAX &&
	       slot->answer.len <= sizeof(slot->answer.bytes) &&
	       slot->checksum == checksum_of(slot);
}

static int map(struct gw_ledger **out, int fd)
{
	GW_AUTO_FREE struct gw_ledger *ledger = calloc(1, sizeof(*ledger));

	if (!ledger)
		return gw_fail(ENOMEM, "ledger: no memory");
	ledger->page = mmap(NULL, sizeof(*ledger->page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ledger->page == MAP_FAILED)
		return gw_fail(errno, "ledger: %s", strerror(errno));
	*out = gw_take_ptr(ledger);
	return 0;
}

int gw_ledger_new(struct gw_ledger **out, int *out_fd)
{
	GW_AUTO_FD int fd =
		memfd_create(GW_FDSTORE_MEMORY "ledger", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd < 0 || ftruncate(fd, sizeof(struct page)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return gw_fail(errno, "ledger: %s", strerror(errno));
	err = map(out, fd);
	if (err)
		return err;
	memcpy((*out)->page->magic, MAGIC, MAGIC_LEN);
	(*out)->page->size = sizeof(struct page);
	(*out)->now.next_fd = 1;
	*out_fd = gw_take_fd(&fd);
	return 0;
}

static int read_page(struct gw_ledger *ledger)
{
	const struct page *page = ledger->page;
	const struct slot *newest = NULL;

	if (memcmp(page->magic, MAGIC, MAGIC_LEN) != 0 || page->size != sizeof(*page))
		return gw_fail(EINVAL, "ledger: of another build");
	for (unsigned i = 0; i < GW_ARRAY_LEN(page->slots); i++) {
		const struct slot *slot = &page->slots[i];

		if (is_whole(slot) && (!newest || slot->generation > newest->generation))
			newest = slot;
	}
	if (!newest)
		return -ENODATA;
	ledger->now = *newest;
	ledger->generation = newest->generation;
	return 0;
}

int gw_ledger_open(struct gw_ledger **out, int fd)
{
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0 || st.st_size != sizeof(struct page))
		return gw_fail(EINVAL, "ledger: of another build");
	err = map(out, fd);
	if (err)
		return err;
	err = read_page(*out);
	if (err) {
		gw_ledger_free(*out);
		*out = NULL;
	}
	return err;
}

void gw_ledger_free(struct gw_ledger *ledger)
{
	if (!ledger)
		return;
	munmap(ledger->page, sizeof(*ledger->page));
	free(ledger);
}

unsigned gw_ledger_count(const struct gw_ledger *ledger)
{
	return ledger->now.count;
}

const struct gw_ledger_entry *gw_ledger_at(const struct gw_ledger *ledger, unsigned i)
{
	return &ledger->now.entries[i];
}

const struct gw_ledger_entry *gw_ledger_find(const struct gw_ledger *ledger, uint32_t request,
					     uint32_t ring)
{
	for (unsigned i = 0; i < ledger->now.count; i++) {
		const struct gw_ledger_entry *entry = &ledger->now.entries[i];

		if (entry->request == request && entry->ring == ring)
			return entry;
	}
	return NULL;
}

int gw_ledger_put(struct gw_ledger *ledger, const struct gw_ledger_entry *entry)
{
	const struct gw_ledger_entry *old = gw_ledger_find(ledger, entry->request, entry->ring);
	size_t at = old ? (size_t)(old - ledger->now.entries) : ledger->now.count;

	if (at == GW_LEDGER_ENTRIES_MAX)
		return gw_fail(ENOSPC, "ledger: more than %d messages to remember",
			       GW_LEDGER_ENTRIES_MAX);
	ledger->now.entries[at] = *entry;
	ledger->now.count += !old;
	return 0;
}

/* The others stay in their order. */
void gw_ledger_remove(struct gw_ledger *ledger, uint32_t request, uint32_t ring)
{
	struct slot *now = &ledger->now;
	const struct gw_ledger_entry *entry = gw_ledger_find(ledger, request, ring);
	size_t at = entry ? (size_t)(entry - now->entries) : 0;

	if (!entry)
		return;
	now->count--;
	memmove(&now->entries[at], &now->entries[at + 1],
		(now->count - at) * sizeof(now->entries[0]));
}

void gw_ledger_clear(struct gw_ledger *ledger)
{
	ledger->now.count = 0;
}

void gw_ledger_commit(struct gw_ledger *ledger, const struct gw_ledger_answer *answer)
{
	struct slot *now = &ledger->now;
	struct slot *to = &ledger->page->slots[++ledger->generation % 2];

	if (answer)
		now->answer = *answer;
	now->generation = ledger->generation;
	now->checksum = checksum_of(now);
	/* Whoever dies in here leaves a slot that its checksum gives away, and the other one. */
	memcpy(to, now, offsetof(struct slot, entries) + now->count * sizeof(now->entries[0]));
	/* No store that was made is lost with the process; the compiler is to make it here. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

const struct gw_ledger_answer *gw_ledger_answer(const struct gw_ledger *ledger)
{
	return &ledger->now.answer;
}

void gw_ledger_done(struct gw_ledger *ledger)
{
	__atomic_store_n(&ledger->page->done, ledger->now.answer.sequence, __ATOMIC_RELEASE);
}

bool gw_ledger_is_done(const struct gw_ledger *ledger)
{
	return __atomic_load_n(&ledger->page->done, __ATOMIC_ACQUIRE) >=
	       ledger->now.answer.sequence;
}

void gw_ledger_end(struct gw_ledger *ledger)
{
	__atomic_store_n(&ledger->page->done, ENDED, __ATOMIC_RELEASE);
}

bool gw_ledger_has_ended(const struct gw_ledger *ledger)
{
	return __atomic_load_n(&ledger->page->done, __ATOMIC_ACQUIRE) == ENDED;
}

uint64_t gw_ledger_next_fd(struct gw_ledger *ledger)
{
	return ledger->now.next_fd++;
}
