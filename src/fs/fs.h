/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/fs.h - the virtio-fs device: what its parts share. */
#ifndef GW_FS_FS_H
#define GW_FS_FS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/options.h"
#include "fs/idmap.h"
#include "godwit/device.h"

#define FS_TAG_MAX	      36 /* VIRTIO 1.3, 5.11.4 */
#define FS_REQUEST_QUEUES_MAX 64
/* Before them the one of high priority, and perhaps the one for notifications (notify.h). */
#define FS_QUEUES_MAX		  (2 + FS_REQUEST_QUEUES_MAX)
#define FS_REQUEST_QUEUES_DEFAULT 4
#define FS_NAME_MAX		  255
#define FS_INODE_LIMIT_MAX	  ((1u << 26) - 1) /* no more can be (slots.h) */
#define FS_INODE_MEMORY_MAX	  (1u << 20)	   /* MiB */
#define FS_VERIFY_BUDGET_DEFAULT  1000		   /* ms */
/* Entries of an open directory that are remembered, 16 bytes each for as long as it is open. */
#define FS_DIR_LIMIT_DEFAULT (1u << 20)
#define FS_DIR_LIMIT_MAX     (1u << 24)

/* How long the guest may believe what it was told; virtiofsd's policies. */
enum fs_cache { FS_CACHE_AUTO, FS_CACHE_ALWAYS, FS_CACHE_NEVER, FS_CACHE_METADATA };
/* Are inodes that have no descriptor opened by their file handles? */
enum fs_handle_mode {
	FS_HANDLES_PREFER,
	FS_HANDLES_NEVER,
	FS_HANDLES_MANDATORY,
	FS_HANDLES_FALLBACK
};
/* Does the device need it of the guest? */
enum fs_negotiation { FS_NEVER, FS_AUTO, FS_ALWAYS };
/* How inodes may be told of in a state, where there is a choice. */
enum fs_migration_mode { FS_MIGRATION_AUTO, FS_MIGRATION_PATHS, FS_MIGRATION_HANDLES };
/* What a destination's share is: what the source's is, perhaps on another host; or a copy of that
 * tree, where only paths mean the same. */
enum fs_same { FS_SAME_FS, FS_SAME_TREE };
/* Whose format a state is saved in. */
enum fs_state_format { FS_STATE_GODWIT, FS_STATE_VIRTIOFSD_V2 };
/* What a missing inode does to a load. */
enum fs_on_error { FS_ON_ERROR_ABORT, FS_ON_ERROR_GUEST };
/* What becomes of a file that the guest removes while it has it open: it has no name any more, or
 * one that the guest does not see (hidden.h). */
enum fs_orphans { FS_ORPHANS_CONTENT, FS_ORPHANS_HIDE };
/* What a load proves before it says yes: what is open and a sample of the rest, every inode, or
 * nothing beyond what opening proves anyway. */
enum fs_verify { FS_VERIFY_OPEN, FS_VERIFY_ALL, FS_VERIFY_NONE };

/* What a word or switch of the command line says if it was not given. */
#define FS_UNSET (-1)

/* What the guest is offered and told. Each is a parameter of the device model (model.c), so that
 * source and destination agree on it. */
struct fs_policy {
	int cache;     /* enum fs_cache */
	int posix_acl; /* enum fs_negotiation, as is the next */
	int security_label;
	int submounts; /* a switch: mounts in the share are mounts in the guest */
	bool xattr;
	bool writeback;		/* the guest's kernel keeps what is written for a while */
	bool direct_io;		/* O_DIRECT of the guest is one on the host */
	bool mmap;		/* files that are read and written directly can be mapped shared */
	bool posix_lock, flock; /* locks of the guest are locks on the host */
	bool lock_wait;		/* and are waited for */
	bool notification;	/* there is a notification queue (notify.h) */
	bool killpriv;		/* set-id bits are taken away here, when the guest says so */
	/* What INIT offers at most; 0: the operator says nothing. */
	unsigned fuse_minor;
	unsigned max_write; /* bytes, of a request's data */
};

#define FS_POLICY_UNSET                                                               \
	{                                                                             \
		.cache = FS_UNSET, .posix_acl = FS_UNSET, .security_label = FS_UNSET, \
		.submounts = FS_UNSET,                                                \
	}

/* What the operator configured: gw_backend_config.host of a virtio-fs back-end. */
struct fs_host {
	const char *shared_dir;
	/* For a process that has shut itself in: O_PATH descriptors of the share and of
	 * /proc/self/fd, borrowed; 0 where they can be opened by their paths. */
	int root_fd, proc_fd;
	/* For who stays on this host (handover.h): where the next process comes, and the one
	 * before. 0: none, borrowed; NULL or -1: none, and the first device takes it over. */
	int handover_fd;
	int *handover_peer_fd;
	int watch_fd; /* of fs_watch_open(), borrowed; 0: none */
	/* Where several devices can be in one process: whether one has these three; the others go
	 * without. NULL: there is only one. */
	bool *descriptors_taken;
	const char *tag; /* NULL: no configuration space is offered */
	unsigned num_request_queues;
	unsigned thread_pool_size; /* 0: chosen by the daemon */
	enum fs_on_error on_error;
	enum fs_orphans orphans;
	bool locks_are_local; /* other hosts do not see those on files of the share (attic.h) */
	enum fs_verify verify;
	unsigned verify_budget; /* ms for proving every inode; 0: the default */
	uint64_t orphan_limit;	/* content of unnamed files that are open, bytes; 0: the default */
	unsigned dir_limit;	/* entries of an open directory that travel; 0: the default */
	enum fs_migration_mode migration_mode;
	enum fs_same same;
	enum fs_state_format state_format;
	struct fs_policy policy;
	struct gw_texts translate_uid, translate_gid; /* ranges (idmap.h) */
	enum fs_handle_mode handles;
	const char *xattrmap; /* rules (xattrmap.h), NULL: none; they imply extended attributes */
	const char *backing;  /* of fs_backing_name(); NULL: it cannot be told */
	const char *users;    /* of gw_sandbox_users(): whose files it can make; NULL: not told */
	bool readonly;
	bool unwritable; /* so is the file system that the share is on */
	/* The guest learns of these by FUSE flags and nothing is lost where they differ, so they
	 * are no parameters. */
	bool no_readdirplus;
	bool preserve_noatime;
	unsigned fd_limit; /* descriptors this device may hold, 0: from RLIMIT_NOFILE */
	unsigned inode_limit, inode_memory; /* inodes cached, MiB that they take; 0: any */
};

/* What FUSE INIT agreed on, and what must come along when the device moves (session.h). */
struct fs_session {
	/* Read by all queues' threads while a (strange) guest may send another INIT. */
	_Atomic bool initialised;
	_Atomic uint64_t flags; /* both words, as agreed */
	uint32_t minor;		/* of the guest, at most ours */
	uint32_t max_write, max_readahead, max_pages;
};

struct fs_inodes;    /* inode.h */
struct fs_handles;   /* handle.h */
struct fs_pool;	     /* pool.h */
struct fs_xattrmap;  /* xattrmap.h */
struct fs_locks;     /* locks.h */
struct fs_collector; /* collector.h */
struct fs_counters;  /* counters.h */
struct fs_waits;     /* waits.h */
struct fs_handover;  /* handover.h */
struct fs_hidden;    /* hidden.h */
struct fs_watch;     /* watch.h */
struct fs_resolver;  /* resolver.h */
struct fs_notify;    /* notify.h */

struct fs {
	const struct fs_host *host;
	const struct gw_params *params;
	struct fs_policy policy; /* in force */
	struct fs_xattrmap *xattrmap;
	struct fs_idmap uids, gids;
	struct fs_locks *locks;
	struct fs_waits *waits;
	struct fs_handover *handover; /* NULL: nothing is given to anybody */
	int handover_peer;	      /* the process that gives, or -1 */
	bool has_descriptors;	      /* what the host has once is this device's */
	int root_fd;		      /* O_PATH of the share */
	int proc_fd;		      /* O_PATH of /proc/self/fd, taken at start */
	bool may_chown;		      /* files can be made that are not this program's */
	struct fs_session session;
	struct fs_inodes *inodes;
	struct fs_handles *handles;
	struct fs_hidden *hidden; /* NULL: nothing ever is */
	struct fs_pool *pool;
	struct fs_expecting *expecting;		  /* expect.c; NULL: not yet */
	_Atomic(struct fs_precopied *) precopied; /* what came ahead of a state; NULL: nothing */
	_Atomic bool precopy_given_up;		  /* what is on its way ahead need not come */
	struct {
		_Atomic uint64_t same, different;
	} loaded; /* records of inodes and names, of the last load, beside a precopy */
	struct fs_collector *collector;
	struct fs_iterating *iterating; /* NULL: no save in phases is under way */
	bool announced;			/* a migration may be coming; the control thread's */
	struct fs_counters *counters;
	struct fs_resolver *resolver;
	struct fs_watch *watch; /* NULL: others' changes are not watched */
	struct fs_notify *notify;
	uint64_t features;	       /* negotiated virtio features */
	struct gw_outliving outliving; /* journal NULL: the state ends with the process */
	_Atomic uint32_t lock_number;  /* under which a lock was kept last (locks_kept.h) */
	_Atomic uint32_t locks_kept;   /* how many are */
	struct fs_redo *redo;	       /* requests that a process before this one had (redo.h) */
	bool recovering;	       /* what is loaded next is what a process left that died */
};

static inline unsigned fs_dir_limit(const struct fs *fs)
{
	return fs->host->dir_limit ? fs->host->dir_limit : FS_DIR_LIMIT_DEFAULT;
}

extern const struct gw_device_ops fs_device_ops;
extern const struct gw_model fs_model; /* godwit-project.org/virtio-fs */

#endif
