/* SPDX-License-Identifier: BSD-3-Clause */
/* common/fuse_client.h - a guest that speaks FUSE to a virtio-fs back-end of this process. */
#ifndef GW_TESTS_FUSE_CLIENT_H
#define GW_TESTS_FUSE_CLIENT_H

#include "../unit/cmocka-all.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/fs.h"
#include "fs/fuse_wire.h"
#include "godwit/backend.h"
#include "godwit/error.h"
#include "godwit/frontend.h"

#define FUSE_QUEUES_MAX 9  /* the high-priority queue is number 0 */
#define FUSE_SLOTS	32 /* requests at once on one queue */
#define FUSE_ROOM	(64 * 1024)
#define FUSE_BIG_ROOM	(1024 * 1024 + 4096) /* of slot 0 */
/* If set, the back-end is this program (with options, separated by blanks) and not a device in the
 * test's own process. */
#define FUSE_PROGRAM "FUSE_PROGRAM"
/* If set, a descriptor: a byte is written to it, and one waited for, between save and load. */
#define FUSE_COLD "FUSE_COLD"
/* What fuse_call() returns for a request that was given back without an answer. */
#define FUSE_NO_ANSWER (-4096)

struct fuse_options {
	unsigned queues; /* request queues, 0: one */
	struct fs_policy policy;
	const char *xattrmap;
	struct gw_texts uids, gids; /* translated */
	bool readonly, no_readdirplus, noatime;
	bool control; /* with a control socket, at client->control */
	bool watch;   /* for what others change; takes root */
	bool untold;  /* a program is not told how many queues there may be */
	enum fs_on_error on_error;
	enum fs_orphans orphans;
	bool no_init;	     /* do not send INIT */
	uint64_t init_flags; /* what the guest offers, 0: all */
	unsigned threads;    /* of the pool */
	unsigned ring;	     /* descriptors of each, 0: 128 */
	const char *share;   /* an existing directory, NULL: a new one that goes away at the end */
	const char *socket;  /* of a back-end in a process of its own, NULL: one in this process */
	unsigned inode_limit, inode_memory, dir_limit;
	uint64_t orphan_limit;
};

/* One request, and its answer. */
struct fuse_call {
	uint32_t opcode;
	uint64_t nodeid; /* 0: the root */
	uint32_t uid, gid;
	const void *arg;
	size_t arg_len;
	const char *name, *name2;
	const void *data;
	size_t data_len;
	uint16_t ext_units; /* of 8 bytes, which are the end of data */
	uint32_t len;	    /* what the header says, 0: the truth */
	size_t cut;	    /* so many bytes of the request, if not 0 */
	void *answer;	    /* the body goes here */
	size_t room;	    /* of the answer's body */
	size_t in_room;	    /* of the whole answer as the device sees it, 0: header and room */
	unsigned segments;  /* the answer's body is cut into so many, 0: one */
	/* Filled in. */
	int result; /* length of the body, negative errno, or FUSE_NO_ANSWER */
	bool done;
};

struct fuse_slot {
	struct fuse_call *call;
	char *out, *in;
	size_t room;
	uint64_t unique;
};

struct fuse_client {
	char share[64];
	bool own_share;
	char control[80]; /* "": none */
	struct fs_host host;
	bool watch;
	struct gw_loop *loop;
	struct gw_backend *backend;
	pthread_t thread;
	pid_t program;	/* 0: the back-end is in this process */
	int waiting_fd; /* of a back-end that no front-end has come to yet */
	struct gw_frontend *frontend;
	unsigned queues, ring;
	struct fuse_slot slots[FUSE_QUEUES_MAX][FUSE_SLOTS];
	atomic_uint_fast64_t unique;
	struct fuse_init_out init;
};

void fuse_start(struct fuse_client *client, const struct fuse_options *options);
void fuse_stop(struct fuse_client *client);

/*
 * The guest moves: its device stops, its state goes through a file into a new one over the same
 * share, and it goes on there. @from is left stopped and can be started again (fuse_resume()).
 * Returns what saving or loading returned; on failure @to is stopped and freed.
 */
int fuse_move(struct fuse_client *to, struct fuse_client *from, enum fs_on_error on_error);
/* The same, in rounds beside the guest, whose requests @config's progress makes. */
int fuse_move_iterative(struct fuse_client *to, struct fuse_client *from,
			const struct gw_iterate_config *config);
/* The same in two steps: a stopped guest's state into a file; and from there into a back-end that
 * listens on @socket (NULL: a new one in this process), over the directory that @host names, or the
 * same. */
void fuse_save(struct fuse_client *from, int stream);
int fuse_load(struct fuse_client *to, struct fuse_client *from, const char *socket,
	      const struct fs_host *host, int stream);
/* And where the new one waits for a while: it is started, beside a guest that goes on; and takes
 * what that one was saved to. */
void fuse_await(struct fuse_client *to, const struct fuse_client *from);
int fuse_take(struct fuse_client *to, struct fuse_client *from, int stream);
void fuse_resume(struct fuse_client *client);

/* Any request queue, one thread each; queue 0 is the high-priority one. */
int fuse_call_on(struct fuse_client *client, unsigned queue, struct fuse_call *call);
/* On queue 1, or the one after the queue for notifications. */
int fuse_call(struct fuse_client *client, struct fuse_call *call);
/* In two steps, for several at once: begin, and wait until @call (or one of them: NULL) is done. */
void fuse_begin(struct fuse_client *client, unsigned queue, struct fuse_call *call);
void fuse_wait(struct fuse_client *client, unsigned queue, struct fuse_call *call);

/* Below the share. */
const char *share_path(const struct fuse_client *client, const char *name);
void share_file(const struct fuse_client *client, const char *name, const char *content);
/* The file's content as a string that is valid until the next call. */
const char *share_content(const struct fuse_client *client, const char *name);

/* Single operations on queue 1; results as of fuse_call(). */
int fuse_init(struct fuse_client *client, uint32_t major, uint32_t minor, uint64_t flags);
int fuse_lookup(struct fuse_client *client, uint64_t parent, const char *name,
		struct fuse_entry_out *entry);
uint64_t fuse_node(struct fuse_client *client, uint64_t parent, const char *name); /* must work */
int fuse_forget(struct fuse_client *client, uint64_t nodeid, uint64_t count);
int fuse_getattr(struct fuse_client *client, uint64_t nodeid, struct fuse_attr *attr);
int fuse_setattr(struct fuse_client *client, uint64_t nodeid, const struct fuse_setattr_in *in,
		 struct fuse_attr *attr);
int fuse_open(struct fuse_client *client, uint64_t nodeid, uint32_t flags,
	      struct fuse_open_out *open);
int fuse_opendir(struct fuse_client *client, uint64_t nodeid, uint64_t *fh);
int fuse_release(struct fuse_client *client, uint32_t opcode, uint64_t fh);
int fuse_read(struct fuse_client *client, uint64_t fh, uint64_t offset, void *data, uint32_t size);
int fuse_write(struct fuse_client *client, uint64_t fh, uint64_t offset, const void *data,
	       uint32_t size, uint32_t flags);
struct fuse_created {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};
int fuse_create(struct fuse_client *client, uint64_t parent, const char *name, uint32_t flags,
		uint32_t mode, struct fuse_created *created);
/* UNLINK, RMDIR, LOOKUP... that have a name and nothing else. */
int fuse_name(struct fuse_client *client, uint32_t opcode, uint64_t parent, const char *name);
int fuse_mkdir(struct fuse_client *client, uint64_t parent, const char *name, uint32_t mode,
	       struct fuse_entry_out *entry);
int fuse_rename(struct fuse_client *client, uint64_t from, const char *name, uint64_t to,
		const char *name2, uint32_t flags);

#endif
