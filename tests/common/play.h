/* SPDX-License-Identifier: BSD-3-Clause */
/* common/play.h - a front-end's side of a dialog, played from bytes. */
#ifndef GW_TESTS_PLAY_H
#define GW_TESTS_PLAY_H

#include <stddef.h>
#include <stdint.h>

/*
 * A string of actions, one after the other; numbers are little-endian, what is missing at the end
 * is zero.
 *   message: kind, u8 request, u8 header flags, u8 count of descriptors, their kinds, u16 length,
 *            payload
 *   memory:  kind, u32 offset, u16 length, bytes: the guest writes
 *   kick:    kind: all kick descriptors sent so far are signalled
 *   state:   kind, u16 length, bytes: what the next descriptors of that kind hold
 */
enum play_action { PLAY_MESSAGE, PLAY_MEMORY, PLAY_KICK, PLAY_STATE, PLAY_ACTIONS };

enum play_fd {
	PLAY_FD_MEMORY, /* guest memory, always the same file */
	PLAY_FD_EVENT,	/* for PLAY_KICK */
	PLAY_FD_BLOCKING,
	PLAY_FD_FULL,	/* a blocking eventfd that takes no more */
	PLAY_FD_WRITE,	/* pipe without a reader */
	PLAY_FD_READ,	/* pipe without a writer */
	PLAY_FD_SILENT, /* pipe that nobody reads, and nobody closes before the end */
	PLAY_FD_SOCKET, /* likewise */
	PLAY_FD_DEAD,	/* a socket whose other end is closed */
	PLAY_FD_LOG,
	PLAY_FD_INFLIGHT, /* the last one that came in a reply, or an empty file */
	PLAY_FD_STATE,
	PLAY_FD_DEV_NULL,
	PLAY_FDS,
};

#define PLAY_MEMORY_BYTES (256 * 1024)

/* Plays @data on @socket (taken over), and leaves when the back-end has read it all, or works on a
 * message that it can not answer. */
void play(int socket, const uint8_t *data, size_t size);

#endif
