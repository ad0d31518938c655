/* SPDX-License-Identifier: BSD-3-Clause */
/* state/channel.h - bytes in and out of any descriptor, with cancel and timeout. */
#ifndef GW_STATE_CHANNEL_H
#define GW_STATE_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "state/mapped.h"
#include "state/stream.h"

#define GW_CHANNEL_FDS_MAX 16 /* received and not taken yet */

struct gw_channel {
	struct gw_state_channel config;
	bool is_socket;
	bool never_blocks;
	bool by_position;   /* from @moved on */
	bool passes_fds;    /* a Unix socket */
	bool guard_sigpipe; /* this thread would die of SIGPIPE */
	int old_flags;	    /* to be set again at close; -1: nothing was changed */
	uint64_t moved;
	uint64_t wait_at; /* from this many bytes on poll() is asked first */
	struct gw_mapped mapped;
	int fds[GW_CHANNEL_FDS_MAX];
	unsigned fd_count;
};

/* Makes the descriptor non-blocking; gw_channel_close() undoes that and leaves it open. */
int gw_channel_open(struct gw_channel *channel, const struct gw_state_channel *config,
		    bool writing);
void gw_channel_close(struct gw_channel *channel);

/* Writes everything; @iov is used up. @fd goes along if it is not -1. */
int gw_channel_write(struct gw_channel *channel, struct iovec *iov, unsigned count, int fd);
/* What is there, at least a byte and at most @len; 0 at the end of file. */
ssize_t gw_channel_read(struct gw_channel *channel, void *buf, size_t len);
/* For who reads what lies in memory: @len bytes more were; -ECANCELED now and then. */
int gw_channel_passed(struct gw_channel *channel, size_t len);
/* The oldest descriptor received, the caller's from now on; -ENOENT if there is none. */
int gw_channel_take_fd(struct gw_channel *channel);

#endif
