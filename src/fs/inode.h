/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/inode.h - the inode table: node ids, identities, names, and descriptors as a cache. */
#ifndef GW_FS_INODE_H
#define GW_FS_INODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * Any thread may call anything here at any time; what a hostile guest sends can race with anything.
 * Slots are never freed, only reused, so that a stale node id is always caught by its generation.
 *
 * A slot lives while look-ups (the guest's count), handles, children's records or pins hold it. A
 * pin is what a request holds for its duration.
 */
struct fs;
struct fs_inodes;
struct fs_inode;

#define FS_ROOT_ID 1

int fs_inodes_new(struct fs_inodes **inodes, struct fs *fs);
void fs_inodes_free(struct fs_inodes *inodes);
/* Forget everything but the root (DESTROY, second INIT, reset). Generations go on. */
void fs_inodes_clear(struct fs_inodes *inodes);

/* Pin the inode with this node id. NULL: no such id (answer -ESTALE). */
struct fs_inode *fs_inode_get(struct fs_inodes *inodes, uint64_t nodeid);
struct fs_inode *fs_inode_pin(struct fs_inode *inode); /* one more, of one that is pinned already */
void fs_inode_put(struct fs_inode *inode);
static inline void fs_inode_put_ptr(struct fs_inode **inode)
{
	if (*inode)
		fs_inode_put(*inode);
}
#define FS_AUTO_INODE __attribute__((cleanup(fs_inode_put_ptr)))

uint64_t fs_inode_id(const struct fs_inode *inode);
mode_t fs_inode_type(const struct fs_inode *inode); /* S_IFMT bits */

/*
 * A descriptor of the inode, O_PATH, that stays open until fs_fd_put(). It comes from the cache or
 * is opened again: by handle where the process may, else by path proven by evidence. -ESTALE if the
 * inode is not to be found any more.
 */
struct fs_fd {
	int fd;
	struct fs_inode *inode; /* internal */
};
int fs_inode_fd(struct fs_inode *inode, struct fs_fd *fd);
void fs_fd_put(struct fs_fd *fd); /* leaves -1; nothing if it is -1 */
#define FS_AUTO_PATHFD __attribute__((cleanup(fs_fd_put)))
#define FS_PATHFD_INIT   \
	{                \
		.fd = -1 \
	}

/*
 * Open the inode's file itself (never O_PATH) with @flags through /proc/self/fd of its O_PATH
 * descriptor. Only regular files and directories; -ENXIO for anything that opening could have a
 * side effect on. The one way in which files that exist are opened. Returns a descriptor.
 */
int fs_inode_open(struct fs_inode *inode, int flags);

/* owner.c. The same where the mode forbids it and the file is ours: the owner's bits are added for
 * that moment, and seen by whoever looks then. -EACCES: it is not. */
int fs_inode_open_as_owner(struct fs_inode *inode, int flags);
bool fs_inode_is_ours(struct fs_inode *inode);
/* May this thread make files of others? */
bool fs_may_chown(void);

/* Attributes: statx of the inode (STATX_BASIC_STATS | STATX_BTIME). stx_ino and stx_nlink are the
 * guest's view. */
int fs_inode_statx(struct fs_inode *inode, struct statx *stx);

/*
 * What LOOKUP does: find @name (filtered: not "", ".", "..", no '/') in @parent, give the guest one
 * look-up reference on what is there. @stx as above. -ENOENT and the like from the host.
 */
int fs_inode_lookup(struct fs_inodes *inodes, struct fs_inode *parent, const char *name,
		    uint64_t *nodeid, struct statx *stx);
/* The same for a descriptor just made (O_TMPFILE: @name NULL, no name) or opened; borrowed. */
int fs_inode_lookup_fd(struct fs_inodes *inodes, struct fs_inode *parent, const char *name, int fd,
		       uint64_t *nodeid, struct statx *stx);
/* Drop @count look-up references; unknown ids and too high counts are ignored. */
void fs_inode_forget(struct fs_inodes *inodes, uint64_t nodeid, uint64_t count);

/*
 * Names, kept true by the guest's own operations. An inode whose name is about to go is pinned by a
 * descriptor first (it may be the last name), then the operation, then the outcome:
 *
 *	struct fs_victim victim;
 *	fs_name_removing(inodes, parent, name, &victim);
 *	result = unlinkat(...);
 *	fs_name_removed(&victim, result == 0);
 *
 * All are cheap when the name is not that of a known inode.
 */
struct fs_victim {
	struct fs_inodes *inodes;
	struct fs_inode *parent, *inode; /* inode NULL: nobody knows this name */
	struct fs_fd fd;
	char name[256];
};
void fs_name_removing(struct fs_inodes *inodes, struct fs_inode *parent, const char *name,
		      struct fs_victim *victim);
void fs_name_removed(struct fs_victim *victim, bool gone);
void fs_name_added(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_inode *parent,
		   const char *name);
/* Before @name is made, looked up or given away: whoever a state from another tree said has it is
 * looked for while it still has. Nothing for others. */
void fs_name_settle(struct fs_inodes *inodes, struct fs_inode *parent, const char *name);
/* Around the host's rename: before it, and whatever came of it. */
void fs_name_moving(struct fs_inodes *inodes, struct fs_inode *from, const char *from_name,
		    struct fs_inode *to, const char *to_name);
void fs_name_move_ended(struct fs_inodes *inodes);
/* After a successful rename; @exchange: RENAME_EXCHANGE. Use fs_name_removing() on the target
 * before, when not exchanging. */
void fs_name_moved(struct fs_inodes *inodes, struct fs_inode *from, const char *from_name,
		   struct fs_inode *to, const char *to_name, bool exchange);

/* The number that the guest knows, or would know, the entry @name of @dir by that the host calls
 * @ino: what READDIR says without looking it up. */
uint64_t fs_inode_number(struct fs_inode *dir, const char *name, uint64_t ino);

/*
 * Descriptors count against one limit. fs_handle_add() charges for handles. Where an operation of
 * its own runs into EMFILE or ENFILE: let go of some cached ones, and try again if that was true.
 */
void fs_inodes_charge(struct fs_inodes *inodes, int count);
/* May one more file be opened? An open file takes two, its own and its inode's, that cannot be let
 * go; a quarter of the limit stays for look-ups, which must not fail because of them. */
bool fs_inodes_may_open(const struct fs_inodes *inodes);
bool fs_inodes_relieve(struct fs_inodes *inodes, int result);

/*
 * What the operator allows the guest to have cached (limits.c). Where that is used up, what would
 * make an inode known is answered with ENOMEM, and everything else goes on; FORGET makes room.
 */
bool fs_inodes_full(const struct fs_inodes *inodes);	 /* no more, please */
bool fs_inodes_overfull(const struct fs_inodes *inodes); /* there are more already */
/* There is for so many, whatever they are. */
bool fs_inodes_have_room(const struct fs_inodes *inodes, size_t more);
/* Bytes that inodes, their names and handles take. */
uint64_t fs_inodes_bytes(const struct fs_inodes *inodes);
/* Why a state is not loaded: -ENOMEM with a sentence that names the limit. */
int fs_inodes_refuse(const struct fs_inodes *inodes);

/* Counts for the status; racy snapshots. */
struct fs_inode_stats {
	uint64_t inodes, descriptors;
	uint64_t unresolved, resolved, stale; /* of a stream; stats.h */
};
void fs_inode_stats(const struct fs_inodes *inodes, struct fs_inode_stats *stats);

#endif
