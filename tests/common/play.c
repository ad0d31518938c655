/* SPDX-License-Identifier: BSD-3-Clause */
/* common/play.c - a front-end's side of a dialog, played from bytes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "play.h"
#include "vhost-user/wire.h"

#define LEAVE_MS    20
#define SERVE_US    200
#define KEPT_MAX    64
#define PAYLOAD_MAX 4096
#define LOG_BYTES   4096

struct player {
	int socket;
	int memory, inflight, state;
	char *ram;
	int kept[KEPT_MAX]; /* open until the end */
	unsigned kept_count;
	int kicks[KEPT_MAX];
	unsigned kick_count;
	const uint8_t *at;
	size_t left;
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void take(struct player *player, void *to, size_t len)
{
	size_t n = GW_MIN(len, player->left);

	memset(to, 0, len);
	memcpy(to, player->at, n);
	player->at += n;
	player->left -= n;
}

#define TAKE(player_, type_)                              \
	({                                                \
		type_ value_;                             \
		take((player_), &value_, sizeof(value_)); \
		value_;                                   \
	})

/* Descriptors. */
static int keep(struct player *player, int fd)
{
	if (player->kept_count < KEPT_MAX)
		player->kept[player->kept_count++] = fd;
	else
		close(fd);
	return fd;
}

static int copy_of(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static int file_of(size_t bytes)
{
	int fd = memfd_create("played", MFD_CLOEXEC);

	must(fd >= 0 && !ftruncate(fd, (off_t)bytes));
	return fd;
}

static int make_event(struct player *player)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (player->kick_count < KEPT_MAX)
		player->kicks[player->kick_count++] = copy_of(fd);
	return fd;
}

static int make_full(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t most = UINT64_MAX - 1;

	must(write(fd, &most, sizeof(most)) == sizeof(most));
	return fd;
}

/* One end; the other is kept, or closed. */
static int make_pair(struct player *player, bool is_socket, int end, bool keep_other)
{
	int ends[2];

	must(!(is_socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
			 : pipe2(ends, O_CLOEXEC)));
	if (keep_other)
		keep(player, ends[!end]);
	else
		close(ends[!end]);
	return ends[end];
}

static int make_fd(struct player *player, enum play_fd kind)
{
	switch (kind) {
	case PLAY_FD_MEMORY:
		return copy_of(player->memory);
	case PLAY_FD_EVENT:
		return make_event(player);
	case PLAY_FD_BLOCKING:
		return eventfd(0, EFD_CLOEXEC);
	case PLAY_FD_FULL:
		return make_full();
	case PLAY_FD_WRITE:
		return make_pair(player, false, 1, false);
	case PLAY_FD_READ:
		return make_pair(player, false, 0, false);
	case PLAY_FD_SILENT:
		return make_pair(player, false, 1, true);
	case PLAY_FD_SOCKET:
		return make_pair(player, true, 0, true);
	case PLAY_FD_DEAD:
		return make_pair(player, true, 0, false);
	case PLAY_FD_LOG:
		return file_of(LOG_BYTES);
	case PLAY_FD_INFLIGHT:
		return player->inflight < 0 ? file_of(LOG_BYTES) : copy_of(player->inflight);
	case PLAY_FD_STATE:
		return copy_of(player->state);
	default:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	}
}

/* Replies are not looked at, but for a descriptor, which is what a region comes in. */
static bool take_reply(struct player *player, int flags)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char bytes[PAYLOAD_MAX];
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c;

	if (recvmsg(player->socket, &msg, flags | MSG_CMSG_CLOEXEC) <= 0)
		return false;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_type == SCM_RIGHTS) {
		gw_close(&player->inflight);
		memcpy(&player->inflight, CMSG_DATA(c), sizeof(int));
	}
	return true;
}

/* All that was sent has been read, or nobody does. */
static void settle(struct player *player)
{
	int unread = 1;

	for (unsigned i = 0; i < 20 && unread; i++) {
		while (take_reply(player, MSG_DONTWAIT))
			;
		if (ioctl(player->socket, SIOCOUTQ, &unread))
			return;
		if (unread)
			usleep(100);
	}
}

/* Actions. */
static void send_message(struct player *player, struct gw_vu_header header, const void *payload,
			 const int *fds, unsigned count)
{
	union {
		char bytes[CMSG_SPACE(GW_VU_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov[] = {{&header, sizeof(header)}, {(void *)payload, header.size}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (count) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.align = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS,
						 .cmsg_len = CMSG_LEN(count * sizeof(int))};
		memcpy(CMSG_DATA(&control.align), fds, count * sizeof(int));
	}
	if (sendmsg(player->socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EAGAIN)
		settle(player);
	take_reply(player, MSG_DONTWAIT);
}

static void play_message(struct player *player)
{
	struct gw_vu_header header = {.request = TAKE(player, uint8_t),
				      .flags = TAKE(player, uint8_t)};
	unsigned count = TAKE(player, uint8_t) % (GW_VU_FDS_MAX + 1);
	uint8_t payload[PAYLOAD_MAX];
	int fds[GW_VU_FDS_MAX];

	for (unsigned i = 0; i < count; i++)
		fds[i] = make_fd(player, TAKE(player, uint8_t) % PLAY_FDS);
	header.size = TAKE(player, uint16_t) % (PAYLOAD_MAX + 1);
	take(player, payload, header.size);
	send_message(player, header, payload, fds, count);
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

static void play_memory(struct player *player)
{
	uint32_t offset = TAKE(player, uint32_t) % PLAY_MEMORY_BYTES;
	uint16_t len = TAKE(player, uint16_t);

	settle(player);
	take(player, player->ram + offset, GW_MIN((size_t)len, PLAY_MEMORY_BYTES - offset));
}

static void play_kick(struct player *player)
{
	uint64_t one = 1;

	settle(player);
	for (unsigned i = 0; i < player->kick_count; i++)
		must(write(player->kicks[i], &one, sizeof(one)) == sizeof(one) || errno == EAGAIN);
	/* The device gets a chance before the guest writes again. */
	usleep(SERVE_US);
}

static void play_state(struct player *player)
{
	uint16_t len = (uint16_t)GW_MIN((size_t)TAKE(player, uint16_t), player->left);

	gw_close(&player->state);
	player->state = file_of(0);
	must(pwrite(player->state, player->at, len, 0) == len);
	player->at += len;
	player->left -= len;
}

static void (*const actions[PLAY_ACTIONS])(struct player *) = {
	[PLAY_MESSAGE] = play_message,
	[PLAY_MEMORY] = play_memory,
	[PLAY_KICK] = play_kick,
	[PLAY_STATE] = play_state,
};

/* With nothing under way the back-end reads to the end and closes. */
static void wait_for_end(struct player *player)
{
	struct pollfd end = {.fd = player->socket, .events = POLLIN};

	shutdown(player->socket, SHUT_WR);
	while (poll(&end, 1, LEAVE_MS) == 1 && take_reply(player, MSG_DONTWAIT))
		;
}

static void begin(struct player *player)
{
	player->inflight = -1;
	player->memory = file_of(PLAY_MEMORY_BYTES);
	player->state = file_of(0);
	player->ram = mmap(NULL, PLAY_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			   player->memory, 0);
	must(player->ram != MAP_FAILED);
}

static void finish(struct player *player)
{
	munmap(player->ram, PLAY_MEMORY_BYTES);
	close(player->memory);
	close(player->state);
	gw_close(&player->inflight);
	while (player->kept_count)
		close(player->kept[--player->kept_count]);
	while (player->kick_count)
		close(player->kicks[--player->kick_count]);
}

void play(int socket, const uint8_t *data, size_t size)
{
	struct player player = {.socket = socket, .at = data, .left = size};

	begin(&player);
	while (player.left)
		actions[TAKE(&player, uint8_t) % PLAY_ACTIONS](&player);
	wait_for_end(&player);
	/* First of all the socket: what else was sent stays as it is. */
	gw_close(&player.socket);
	finish(&player);
}
