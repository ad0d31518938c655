/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/table.h - the inode table's inside, shared by the files that make it up. */
#ifndef GW_FS_TABLE_H
#define GW_FS_TABLE_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/scratch.h"
#include "base/slab.h"
#include "fs/evidence.h"
#include "fs/fs.h"
#include "fs/inode.h"
#include "fs/slots.h"
#include "fs/tracking.h"
#include "fs/stats.h"

/*
 * Locks, in the order in which they may be taken:
 *
 *	copied.lock		who is found in a copy of the tree, and look-up counts before that
 *	names_lock		the list of names of every inode, and every change of a name
 *	  names[].lock		one part of the hash (parent, name) -> record
 *	identities[].lock	one part of the hash (mount, ino) -> inode; look-up counts
 *	  fds.lock		the ring of cached descriptors
 *	    slots.lock
 *	mounts.lock, numbers.lock, fhandles_lock (leaves)
 *
 * Before any of the first four but copied.lock, fs_index_wait(): after a load the hashes are being
 * filled, and who does that takes no lock. The names' and the identities' locks are never held
 *together. No lock is held over a system call that may block, but fds.lock over
 *name_to_handle_at().
 */

/* One name of an inode, found both by (parent, name) and from the inode. Of each there may be a
 * million, so they refer to each other by 4 bytes (fs_name_at()). */
struct fs_name {
	uint32_t hash_next;
	uint32_t next;		/* of the same inode, latest first */
	uint32_t parent, inode; /* slots; the record holds a reference on the parent's */
	uint8_t len;
	char bytes[]; /* raw, no NUL */
};

enum fs_inode_flags {
	FS_INODE_INDEXED = 1 << 0,    /* it is in the identity hash */
	FS_INODE_PINNED = 1 << 1,     /* one user of its descriptor is its having no name */
	FS_INODE_LOST = 1 << 2,	      /* unresolved, and not found: ESTALE until it is met again */
	FS_INODE_UNRESOLVED = 1 << 3, /* loaded and not yet looked for */
	FS_INODE_NUMBERED = 1 << 4,   /* the guest knows it by a number of its own (numbers.c) */
	FS_INODE_STAGED = 1 << 6,     /* a load under way holds a reference */
	FS_INODE_LINKS = 1 << 5,      /* it had several links when last seen */
	FS_INODE_KEPT = 1 << 12,      /* a next process would get its descriptor (journal.h) */
	FS_INODE_NEWBORN = 1 << 7,    /* it was unnamed when it moved here, and made anew */
	FS_INODE_COPIED = 1 << 8,     /* unresolved, and only its path counts (copied.c) */
	FS_INODE_ATTIC = 1 << 9,      /* a directory that the guest knows nothing of (hidden.h) */
	FS_INODE_HIDDEN = 1 << 10,    /* a file that has a name there */
	FS_INODE_SOUGHT = 1 << 11,    /* no name led to it, and it was searched for (seeker.h) */
	FS_INODE_UNWANTED = 1 << 13,  /* staging's reference on it is to be given back */
};

/*
 * 72 bytes. With a name (36 for 16 bytes), a file handle (16 for one of 8 bytes) and its share of
 * the hashes (about 4) a cached inode stays below 150 (bench/memory.c).
 */
struct fs_inode {
	struct fs_slot slot;	  /* link: chain of the identity hash; aux: place in the ring + 1 */
	uint64_t ino, btime;	  /* identity; btime 0: none */
	uint64_t lookups;	  /* the guest's; guarded by the identity's lock */
	_Atomic uint64_t fd;	  /* fdcache.c: heat, users, descriptor + 1 */
	_Atomic uint32_t names;	  /* the first; guarded by names_lock, peeked at without */
	_Atomic uint32_t fhandle; /* fhandles.c; 0: none is known */
	uint16_t mount;
	_Atomic uint16_t flags; /* enum fs_inode_flags */
	_Atomic uint16_t opens; /* handles that refer to it (hidden.h) */
	uint8_t type;		/* S_IFMT bits >> 12 */
};
static_assert(sizeof(struct fs_inode) <= 72, "a million inodes in 150 MB");

#define FS_SHARDS 64u
/* Entries a bucket before there are twice as many: memory counts for more than one step of a chain.
 */
#define FS_CHAIN_LOAD 2u

struct fs_names_shard {
	pthread_mutex_t lock;
	uint32_t *buckets; /* names */
	uint32_t count, mask;
};

struct fs_identities_shard {
	pthread_mutex_t lock;
	uint32_t *buckets; /* slots */
	uint32_t count, mask;
};

/* Submounts inside the share. btrfs subvolumes share a mount and differ in device. */
#define FS_MOUNTS_MAX 1024u
struct fs_mount {
	bool known;	       /* which one it is; a loaded one is used before that */
	bool used;	       /* index 0 always: the root's */
	bool expected;	       /* a stream told of it, which counts as one of the inodes */
	_Atomic bool portable; /* handles mean the same on other hosts */
	_Atomic bool offered;  /* whether files on it can be opened by handle was tried */
	uint32_t inodes;       /* slots on it; unused again at 0 */
	uint64_t mnt_id, dev;
	int fd; /* a real descriptor for open_by_handle_at(), or -1 */
};

struct fs_fdcache {
	pthread_mutex_t lock;
	uint32_t *ring; /* slots with a cached descriptor; or FS_RING_FREE | next free place */
	uint32_t size, used, hand, free_head;
	_Atomic uint32_t cached, charged; /* descriptors: ours; of others (handles) */
	uint32_t limit;
};

struct fs_numbers {
	pthread_mutex_t lock;
	_Atomic uint32_t count;
	uint64_t next;	     /* of the reserved range */
	struct gw_slab slab; /* numbers.c: what the hashes lead to */
	uint32_t *by_slot, *by_number, mask;
};

/* Of a tree that is a copy of the source's (copied.c). */
struct fs_copied {
	pthread_mutex_t lock;
	bool is_copy;	    /* never changes once the device runs */
	_Atomic bool links; /* there may be files with several links that were not looked for */
};

/* Renames of the guest under way: begun and ended. Who does not find a path meanwhile looks again.
 */
struct fs_moves {
	_Atomic uint32_t begun, ended;
};

struct fs_inodes {
	struct fs *fs;
	struct gw_journal *journal; /* NULL: changes are nobody else's business (journal.h) */
	struct fs_slots slots;
	struct fs_inode *root;
	pthread_mutex_t names_lock;
	struct fs_names_shard names[FS_SHARDS];
	struct gw_slab name_slab;
	struct fs_identities_shard identities[FS_SHARDS];
	struct fs_fdcache fds;
	pthread_mutex_t mounts_lock;
	struct fs_mount mounts[FS_MOUNTS_MAX];
	_Atomic uint32_t mounts_end;
	struct fs_numbers numbers;
	pthread_mutex_t fhandles_lock;
	struct gw_slab fhandle_slab;
	struct fs_tracking tracking;
	_Atomic uint64_t searched; /* entries of directories that were looked at (search.c) */
	struct fs_lazy_stats lazy;
	_Atomic uint64_t found_early; /* of those that a load stages, before it is done */
	struct fs_copied copied;
	struct fs_moves moves;
	/* Handles out of the stream may be opened: it was signed, or the operator said so. */
	bool trusts_handles;
	/* Whoever came out of a stream is not yet found by name or identity (index.h). */
	_Atomic bool indexing;
	struct fs_index *index; /* which that is, or was */
};

static inline struct fs_inodes *fs_table_of(const struct fs_inode *inode)
{
	return fs_slots_of(&inode->slot)->owner;
}

static inline bool fs_inode_has(const struct fs_inode *inode, enum fs_inode_flags flag)
{
	return atomic_load_explicit(&inode->flags, memory_order_relaxed) & flag;
}

/* Was it set? */
static inline bool fs_inode_unmark(struct fs_inode *inode, enum fs_inode_flags flag)
{
	return atomic_fetch_and(&inode->flags, (uint16_t)~flag) & flag;
}

/* Whoever finds it writes down what and where it is, and then takes the flag away. */
static inline bool fs_inode_is_unresolved(const struct fs_inode *inode)
{
	return atomic_load_explicit(&inode->flags, memory_order_acquire) & FS_INODE_UNRESOLVED;
}

/* Until it is found its number, birth and mount are the source's, and are not to be looked at. */
static inline bool fs_inode_is_copied(const struct fs_inode *inode)
{
	return atomic_load_explicit(&inode->flags, memory_order_acquire) & FS_INODE_COPIED;
}

static inline struct fs_name *fs_name_at(const struct fs_inodes *inodes, uint32_t name)
{
	return gw_slab_at(&inodes->name_slab, name);
}

/* What is saved of it is another thing now; in the second case its names (tracking.h). */
static inline void fs_inode_changed(const struct fs_inode *inode)
{
	fs_tracking_changed(&fs_table_of(inode)->tracking, fs_slot_index(&inode->slot));
}

static inline void fs_inode_renamed(const struct fs_inode *inode)
{
	fs_tracking_renamed(&fs_table_of(inode)->tracking, fs_slot_index(&inode->slot));
}

static inline uint64_t fs_mix(uint64_t x)
{
	x *= UINT64_C(0x9e3779b97f4a7c15); /* 2^64 over the golden ratio */
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

/* index.c: who needs a hash by name or identity has it from here on. */
void fs_index_finish(struct fs_inodes *inodes);
void fs_index_fini(struct fs_inodes *inodes); /* before the table itself ends */
static inline void fs_index_wait(struct fs_inodes *inodes)
{
	if (atomic_load_explicit(&inodes->indexing, memory_order_acquire))
		fs_index_finish(inodes);
}

/* A lock that guards a hash or what leads to one. */
static inline pthread_mutex_t *fs_index_lock(struct fs_inodes *inodes, pthread_mutex_t *lock)
{
	fs_index_wait(inodes);
	return lock;
}

/* inode.c */
/* The last reference is gone: out of the table. */
void fs_inode_destroy(struct fs_inode *inode);

/* identity.c. @stx describes what was found. What is found or added gets one look-up reference of
 * the guest, and one of the caller. */
int fs_identities_init(struct fs_inodes *inodes);
void fs_identities_fini(struct fs_inodes *inodes);
/* Pin who is this; @fd: of what was found, or -1 if only @stx is known. NULL: nobody, or it takes
 * a descriptor to tell, or *@untold (pinned; NULL if that is not wanted) came out of a stream that
 * says too little of it: it has to be looked for first. */
struct fs_inode *fs_identity_find(struct fs_inodes *inodes, unsigned mount, const struct statx *stx,
				  int fd, struct fs_inode **untold);
/* Publish @fresh under its identity, or pin who came first (@fresh stays the caller's then). */
struct fs_inode *fs_identity_add(struct fs_inodes *inodes, struct fs_inode *fresh,
				 const struct statx *stx, int fd);
void fs_identity_remove(struct fs_inodes *inodes, struct fs_inode *inode);
/* The root, which is there before all others. */
void fs_identity_adopt(struct fs_inodes *inodes, struct fs_inode *inode);
/*
 * What came out of a stream, looked for or not, given by slots, in a table that nobody else sees,
 * one by one. The reference that staging holds on each is the guest's look-ups' from then on, or
 * ends. -EEXIST: *@twin, the first whose file another one of them is already.
 */
int fs_identities_adopt(struct fs_inodes *inodes, const uint32_t *slots, size_t count,
			struct fs_inode **twin);
/* May two of them, or one and the root, be one file? No is certain. @prints: fs_print() of each,
 * or NULL. @scratch: for what it notes. */
bool fs_have_twins(struct fs_inodes *inodes, struct gw_scratch *scratch, const uint32_t *slots,
		   const uint32_t *prints, size_t count);
/* If not, and none is lost, all at once; nobody looks for one meanwhile. True: some have a
 * reference that the guest has no part in (FS_INODE_UNWANTED), which fs_identities_release() ends
 * when others may look. */
bool fs_identities_put(struct fs_inodes *inodes, const uint32_t *slots, size_t count);
void fs_identities_release(struct fs_inodes *inodes, const uint32_t *slots, size_t count);
/* One of them before the others, whatever may still become of it. -EEXIST: not yet. */
int fs_identity_adopt_ahead(struct fs_inodes *inodes, struct fs_inode *inode);
/* What was unresolved has been found and proven; it was not found (false: somebody else met it). */
void fs_identity_confirm(struct fs_inodes *inodes, struct fs_inode *inode);
bool fs_identity_lose(struct fs_inodes *inodes, struct fs_inode *inode);
/* What only a path told of has been found there, and is that from here on: 0; 1: somebody was
 * faster. -ESTALE: it is of another type, or lost; -EEXIST: another inode of the guest's is that
 * file already. */
int fs_identity_take(struct fs_inodes *inodes, struct fs_inode *inode, const struct statx *stx,
		     int fd);
/* The guest's first look-up reference is one on the slot, its last gives that back. */
void fs_lookups_drop(struct fs_inodes *inodes, struct fs_inode *inode, uint64_t count);
uint64_t fs_lookups_count(struct fs_inodes *inodes, struct fs_inode *inode);

/* names.c */
int fs_names_init(struct fs_inodes *inodes);
void fs_names_fini(struct fs_inodes *inodes);
/* @inode was found as @name in @parent; @only: it can have no other name. -ENOMEM leaves it
 * unnamed. */
int fs_name_found(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_inode *parent,
		  const char *name, size_t len, bool only);
/* The same for who fills the table alone, in the same order, but not at once: they are there after
 * fs_names_feed_end(), which must come in the end. */
#define FS_NAMES_FED 32u
struct fs_names_feed {
	struct fs_fed_name {
		struct fs_inode *inode;
		uint64_t hash;
		uint32_t ref;
		bool only;
	} names[FS_NAMES_FED];
	size_t begin, end;
};
int fs_name_feed(struct fs_inodes *inodes, struct fs_names_feed *feed, struct fs_inode *inode,
		 struct fs_inode *parent, const char *name, size_t len, bool only);
int fs_names_feed_end(struct fs_inodes *inodes, struct fs_names_feed *feed);
/* Buckets for @count; and memory for themselves. */
void fs_names_reserve(struct fs_inodes *inodes, size_t count);
void fs_names_expect(struct fs_inodes *inodes, size_t count);
/* Who has this name, as far as is known, pinned; or NULL. */
struct fs_inode *fs_name_pin(struct fs_inodes *inodes, const struct fs_inode *parent,
			     const char *name);
/*
 * Names that are all new, by several threads at once, each of which has a hand of its own: memory
 * for some more. All inodes of the names are the caller's alone. They are in no hash before
 * fs_names_hash(), and until then nobody looks for names.
 */
#define FS_NAMES_AT_HAND 64u
struct fs_names_hand {
	uint32_t refs[GW_SLAB_CLASSES][FS_NAMES_AT_HAND];
	uint8_t left[GW_SLAB_CLASSES];
};
struct fs_new_name {
	struct fs_inode *inode, *parent;
	const char *bytes;
	size_t len; /* at most 255; for a type that says so gcc copies by slow string instructions
		     */
};
/* In order, so that the last of an inode is its latest. False: there is no memory; some were added.
 */
bool fs_names_add(struct fs_inodes *inodes, struct fs_names_hand *hand,
		  const struct fs_new_name *names, size_t count);
/* All names of @inode, which are in no hash, were never there. Nobody else is at it. */
void fs_names_unadd(struct fs_inodes *inodes, struct fs_inode *inode);
/* Memory is given back, by one thread at a time. */
void fs_names_hand_end(struct fs_inodes *inodes, struct fs_names_hand *hand);
/*
 * All names of these inodes go into the hash, while others may read their lists. Names that come
 * twice are twice in it until fs_names_hashed(), when nobody reads; the last one counts then, as if
 * they had come one by one in the order of their inodes. The others end with the hashing, when the
 * table is as any other. It works in @memory, which is to be there as long. NULL: no memory,
 * without which nothing else fails.
 */
struct fs_names_hashing;
struct fs_names_hashing *fs_names_hashing_new(struct fs_inodes *inodes, struct gw_scratch *memory);
void fs_names_hash(struct fs_names_hashing *hashing, const uint32_t *slots, size_t count);
void fs_names_hashed(struct fs_names_hashing *hashing);
void fs_names_hashing_end(struct fs_names_hashing *hashing);
void fs_names_hashing_free(struct fs_names_hashing *hashing); /* of which nothing was done */
/* All names of a dying inode, out of the hash; a list that fs_name_release() ends one by one: the
 * reference on the name's parent becomes the caller's. NULL: that was the last. */
uint32_t fs_names_take_all(struct fs_inodes *inodes, struct fs_inode *inode);
struct fs_inode *fs_name_release(struct fs_inodes *inodes, uint32_t *list);
/* @name in @parent does not lead to @inode, or to anyone. */
void fs_name_wrong(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_inode *parent,
		   const char *name);
void fs_name_gone(struct fs_inodes *inodes, struct fs_inode *parent, const char *name, size_t len);
/* Copies of all names of @inode, parents pinned. fs_names_copy_free() ends them. */
struct fs_name_copy {
	struct fs_inode *parent;
	uint8_t len;
	char name[FS_NAME_MAX + 1];
};
int fs_names_copy(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_name_copy **copies,
		  unsigned *count);
/* Call @fn for each name of @inode, the oldest first, under names_lock: no copies. */
typedef int fs_name_fn(void *opaque, const struct fs_name *name);
int fs_names_walk(struct fs_inodes *inodes, struct fs_inode *inode, fs_name_fn *fn, void *opaque);
void fs_names_copy_free(struct fs_name_copy *copies, unsigned count);
/* The latest name alone. False: it has none. */
bool fs_name_first(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_name_copy *copy);

/* fdcache.c */
int fs_fdcache_init(struct fs_inodes *inodes, unsigned limit);
void fs_fdcache_fini(struct fs_inodes *inodes);
/* Give @inode the descriptor @fd (taken over), with one user; another thread may have been faster.
 */
int fs_fdcache_install(struct fs_inodes *inodes, struct fs_inode *inode, int fd);
void fs_fdcache_drop(struct fs_inodes *inodes, struct fs_inode *inode);
bool fs_fdcache_holds(const struct fs_inode *inode);
/* Is the descriptor, if there is one, used by nobody but the cache? */
bool fs_fdcache_is_idle(const struct fs_inode *inode);
/* As fs_inode_fd(), but false where no descriptor is at hand. */
bool fs_fdcache_try(struct fs_inode *inode, struct fs_fd *fd);
/* May descriptors be opened that nobody has asked for yet? */
bool fs_fdcache_has_room(const struct fs_inodes *inodes);
/* Close up to @count that nobody uses; how many were closed. */
unsigned fs_fdcache_evict(struct fs_inodes *inodes, unsigned count);
/* Keep, release the descriptor for as long as the inode has no name that leads to it. */
void fs_fdcache_pin(struct fs_inode *inode);
void fs_fdcache_unpin(struct fs_inode *inode);

/* fhandles.c: file handles that are known of inodes. */
int fs_fhandles_init(struct fs_inodes *inodes);
void fs_fhandles_fini(struct fs_inodes *inodes);
static inline bool fs_fhandle_is_known(const struct fs_inode *inode)
{
	return atomic_load_explicit(&inode->fhandle, memory_order_acquire);
}
/* A copy of it. False: none is known. */
bool fs_fhandle_recall(struct fs_inode *inode, struct fs_fhandle *handle);
/* Unless one is known already; 0 or -ENOMEM. */
int fs_fhandle_remember(struct fs_inode *inode, const struct fs_fhandle *handle);
void fs_fhandle_forget(struct fs_inode *inode);

/* mounts.c */
int fs_mounts_init(struct fs_inodes *inodes);
void fs_mounts_fini(struct fs_inodes *inodes);
/* The index of the mount that @stx is on, with a reference for one inode; @hint is tried first. */
int fs_mount_get(struct fs_inodes *inodes, const struct statx *stx, unsigned hint, unsigned *mount);
void fs_mount_put(struct fs_inodes *inodes, unsigned mount);
/* Loading: @mount is one of the source's, and one more inode is on it. Which one it is here, the
 * first inode that is looked for tells. */
void fs_mount_expect(struct fs_inodes *inodes, unsigned mount);
void fs_mounts_unexpect(struct fs_inodes *inodes); /* none is, until it is told of again */
void fs_mount_hold(struct fs_inodes *inodes, unsigned mount);
bool fs_mount_learn(struct fs_inodes *inodes, unsigned mount, const struct statx *stx);
/* Could @stx, seen through the mount of another process, be on the same file system? */
bool fs_mount_may_be(struct fs_inodes *inodes, unsigned mount, const struct statx *stx);
/* Is @stx on @mount? */
bool fs_mount_is(struct fs_inodes *inodes, unsigned mount, const struct statx *stx);
/* @fd is a directory on @mount: good for opening by handle from now on. */
void fs_mount_offer(struct fs_inodes *inodes, unsigned mount, int fd);
int fs_mount_fd(struct fs_inodes *inodes, unsigned mount);

/* numbers.c */
int fs_numbers_init(struct fs_inodes *inodes);
void fs_numbers_fini(struct fs_inodes *inodes);
/* The guest's number for what has @ino on @mount, unless the inode has one of its own. */
uint64_t fs_number_of(unsigned mount, uint64_t ino);
uint64_t fs_number_seen(struct fs_inodes *inodes, const struct fs_inode *inode);
/* A newcomer whose number is taken gets another one; an adopted inode keeps @number. */
int fs_number_newcomer(struct fs_inodes *inodes, struct fs_inode *inode);
int fs_number_keep(struct fs_inodes *inodes, struct fs_inode *inode, uint64_t number);
/* The same also where it is what follows from mount and number: those will be others. */
int fs_number_reserve(struct fs_inodes *inodes, struct fs_inode *inode, uint64_t number);
/* Does any inode have a number of its own? */
bool fs_numbers_any(const struct fs_inodes *inodes);
void fs_number_drop(struct fs_inodes *inodes, struct fs_inode *inode);

/* resolve.c: O_PATH of an inode that has none in the cache; by handle, else by path and evidence.
 */
int fs_inode_find(struct fs_inodes *inodes, struct fs_inode *inode);
/* The inode opened as itself, where its latest name says; any failure is only one of this way. On
 * mounts where no device can be opened (ST_NODEV). */
int fs_inode_open_named(struct fs_inode *inode, int flags);
/* Is what @fd refers to this inode? -ESTALE if not. */
int fs_inode_prove(struct fs_inodes *inodes, struct fs_inode *inode, int fd);
/* Is the inode where its names say? One system call, if its parent's descriptor is at hand and no
 * handle has to be compared; it gets no descriptor of its own. */
int fs_inode_check(struct fs_inodes *inodes, struct fs_inode *inode);
/* Does the errno say that it is not there (and not, say, that memory ran out)? In words. */
bool fs_is_gone(int err);
const char *fs_why_gone(int err);

/* O_PATH of what has @name in @parent now, whoever that is. Consumes the reference on @parent. */
int fs_open_named(struct fs_inodes *inodes, struct fs_inode *parent, const char *name, size_t len);

/* copied.c: a tree that is a copy of the source's. O_PATH of what the inode's names lead to, which
 * is the inode from then on. -FS_TWO_FILES: to several files; or as fs_identity_take(). */
#define FS_TWO_FILES ENOTUNIQ
int fs_copied_find(struct fs_inodes *inodes, struct fs_inode *inode);
/* Before a file with several links becomes a newcomer: it may be one that has other names. */
void fs_copied_settle_links(struct fs_inodes *inodes);

#endif
