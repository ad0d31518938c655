/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/record.c - real sessions of a front-end, written down as common/play.h has them: the
 * seeds of vhost-user-messages. usage: record DIRECTORY */
#include "../unit/cmocka-all.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/socket.h"
#include "echo.h"
#include "peer.h"
#include "play.h"
#include "vhost-user/messages.h"

/* A man in the middle, between the front-end and a peer. */
struct tape {
	FILE *file;
	pthread_mutex_t lock; /* of the file */
	int front, back;
	pthread_t forth, reverse;
	char *memory; /* guest memory as last written down */
};

static void put(struct tape *tape, uint64_t value, unsigned bytes)
{
	fwrite(&value, bytes, 1, tape->file);
}

/* Which kind of descriptor a request carries. */
static enum play_fd kind_of(uint32_t request)
{
	switch (request) {
	case GW_VU_SET_VRING_KICK:
	case GW_VU_SET_VRING_CALL:
	case GW_VU_SET_VRING_ERR:
	case GW_VU_SET_LOG_FD:
		return PLAY_FD_EVENT;
	case GW_VU_SET_LOG_BASE:
		return PLAY_FD_LOG;
	case GW_VU_SET_BACKEND_REQ_FD:
		return PLAY_FD_SOCKET;
	case GW_VU_SET_INFLIGHT_FD:
		return PLAY_FD_INFLIGHT;
	case GW_VU_SET_DEVICE_STATE_FD:
		return PLAY_FD_STATE;
	default:
		return PLAY_FD_MEMORY;
	}
}

struct packet {
	char bytes[8192];
	struct iovec iov;
	union {
		char bytes[CMSG_SPACE(GW_VU_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg;
};

static ssize_t receive(int from, struct packet *packet, size_t len)
{
	packet->iov = (struct iovec){packet->bytes, len};
	packet->msg = (struct msghdr){.msg_iov = &packet->iov,
				      .msg_iovlen = 1,
				      .msg_control = packet->control.bytes,
				      .msg_controllen = sizeof(packet->control.bytes)};
	return recvmsg(from, &packet->msg, 0);
}

static unsigned fds_of(struct packet *packet)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(&packet->msg);

	return c ? (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0;
}

static void pass_on(int to, struct packet *packet, size_t len)
{
	unsigned count = fds_of(packet);

	packet->iov.iov_len = len;
	if (sendmsg(to, &packet->msg, MSG_NOSIGNAL) < 0)
		return;
	for (unsigned i = 0; i < count; i++)
		close(((int *)(void *)CMSG_DATA(CMSG_FIRSTHDR(&packet->msg)))[i]);
}

static void write_down(struct tape *tape, const struct gw_vu_header *header, const void *payload,
		       unsigned fds)
{
	pthread_mutex_lock(&tape->lock);
	put(tape, PLAY_MESSAGE, 1);
	put(tape, header->request, 1);
	put(tape, header->flags, 1);
	put(tape, fds, 1);
	for (unsigned i = 0; i < fds; i++)
		put(tape, kind_of(header->request), 1);
	put(tape, header->size, 2);
	fwrite(payload, header->size, 1, tape->file);
	pthread_mutex_unlock(&tape->lock);
}

static void *forth(void *opaque)
{
	struct tape *tape = opaque;
	struct gw_vu_header header;
	struct packet packet;

	while (receive(tape->front, &packet, sizeof(header)) == sizeof(header)) {
		memcpy(&header, packet.bytes, sizeof(header));
		if (header.size && read(tape->front, packet.bytes + sizeof(header), header.size) !=
					   (ssize_t)header.size)
			break;
		write_down(tape, &header, packet.bytes + sizeof(header), fds_of(&packet));
		pass_on(tape->back, &packet, sizeof(header) + header.size);
	}
	shutdown(tape->back, SHUT_WR);
	return NULL;
}

static void *reverse(void *opaque)
{
	struct tape *tape = opaque;
	struct packet packet;
	ssize_t n;

	while ((n = receive(tape->back, &packet, sizeof(packet.bytes))) > 0)
		pass_on(tape->front, &packet, (size_t)n);
	shutdown(tape->front, SHUT_WR);
	return NULL;
}

/* What changed in guest memory since it was last looked at. */
static void put_memory(struct tape *tape, struct gw_frontend *frontend)
{
	size_t size, at = 0;
	char *now = gw_frontend_memory(frontend, &size);

	assert_int_equal(size, PLAY_MEMORY_BYTES);
	pthread_mutex_lock(&tape->lock);
	while (at < size) {
		size_t end = at;

		while (end < size && end - at < 4096 && memcmp(now + end, tape->memory + end, 8))
			end += 8;
		if (end > at) {
			put(tape, PLAY_MEMORY, 1);
			put(tape, at, 4);
			put(tape, end - at, 2);
			fwrite(now + at, end - at, 1, tape->file);
		}
		at = end > at ? end : at + 8;
	}
	memcpy(tape->memory, now, size);
	pthread_mutex_unlock(&tape->lock);
}

static void put_kick(struct tape *tape, struct gw_frontend *frontend)
{
	put_memory(tape, frontend);
	pthread_mutex_lock(&tape->lock);
	put(tape, PLAY_KICK, 1);
	pthread_mutex_unlock(&tape->lock);
}

static void put_state(struct tape *tape, int fd)
{
	char bytes[16384];
	ssize_t len = pread(fd, bytes, sizeof(bytes), 0);

	assert_true(len > 0);
	pthread_mutex_lock(&tape->lock);
	put(tape, PLAY_STATE, 1);
	put(tape, (uint64_t)len, 2);
	fwrite(bytes, (size_t)len, 1, tape->file);
	pthread_mutex_unlock(&tape->lock);
}

struct session {
	const char *name;
	uint8_t options; /* the harness's first byte */
	bool packed, indirect;
	void (*run)(struct tape *tape, struct gw_frontend *frontend);
};

static void requests(struct tape *tape, struct gw_frontend *frontend)
{
	struct echo echo[4];

	ok(gw_frontend_start(frontend));
	for (unsigned i = 0; i < 4; i++) {
		echo_init(&echo[i], frontend);
		echo_add(&echo[i], frontend, 0, i, 40 * (i + 1), 1 + i);
		put_kick(tape, frontend);
		ok(gw_driver_kick(frontend, 0));
		echo_take(frontend, 0);
	}
	ok(gw_frontend_stop(frontend));
}

static void logging(struct tape *tape, struct gw_frontend *frontend)
{
	struct echo echo;

	echo_init(&echo, frontend);
	ok(gw_frontend_start(frontend));
	ok(gw_frontend_log(frontend, true));
	echo_add(&echo, frontend, 0, 1, 100, 2);
	put_kick(tape, frontend);
	ok(gw_driver_kick(frontend, 0));
	echo_take(frontend, 0);
	ok(gw_frontend_log(frontend, false));
	ok(gw_frontend_stop(frontend));
}

static void move(struct tape *tape, struct gw_frontend *frontend)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	requests(tape, frontend);
	ok(gw_frontend_save(frontend, fd));
	ok(gw_frontend_reset_device(frontend));
	put_state(tape, fd);
	lseek(fd, 0, SEEK_SET);
	ok(gw_frontend_load(frontend, fd));
	ok(gw_frontend_start(frontend));
	ok(gw_frontend_stop(frontend));
	close(fd);
}

static void slots(struct tape *tape, struct gw_frontend *frontend)
{
	uint64_t seed = 7;
	void *base;

	ok(gw_frontend_set_config(frontend, 8, &seed, sizeof(seed), false));
	ok(gw_frontend_get_config(frontend, 0, &seed, sizeof(seed)));
	ok(gw_frontend_start(frontend));
	ok(gw_frontend_add_region(frontend, 65536, &base));
	put_kick(tape, frontend);
	ok(gw_frontend_remove_region(frontend, base));
	ok(gw_frontend_enable(frontend, 0, false));
	ok(gw_frontend_enable(frontend, 0, true));
	ok(gw_frontend_stop(frontend));
	ok(gw_frontend_reset_device(frontend));
}

static const struct session sessions[] = {
	{"split", 0, false, false, requests},	 {"split-indirect", 2, false, true, requests},
	{"packed", 0, true, false, requests},	 {"packed-indirect", 2, true, true, requests},
	{"log-split", 0, false, false, logging}, {"log-packed", 2, true, true, logging},
	{"move", 0, false, false, move},	 {"move-packed", 0, true, false, move},
	{"slots", 0, false, false, slots},	 {"parked", 6, false, false, requests},
};

static void record(const struct session *session, const char *dir)
{
	struct tape tape = {.lock = PTHREAD_MUTEX_INITIALIZER,
			    .memory = calloc(1, PLAY_MEMORY_BYTES)};
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct peer peer;
	char path[512];
	int ends[2];

	snprintf(path, sizeof(path), "%s/%s", dir, session->name);
	tape.file = fopen(path, "wb");
	assert_non_null(tape.file);
	assert_non_null(tape.memory);
	put(&tape, session->options, 1);
	peer_start(&peer, &(struct peer_options){0});
	atomic_store(&peer.script->bulk_bytes, 100);
	assert_false(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	tape.front = ends[0];
	ok(gw_socket_connect(&tape.back, peer.socket, 5000));
	assert_false(pthread_create(&tape.forth, NULL, forth, &tape));
	assert_false(pthread_create(&tape.reverse, NULL, reverse, &tape));

	config = peer_config(&peer);
	config.socket_path = NULL;
	config.fd = ends[1];
	config.memory_size = PLAY_MEMORY_BYTES;
	config.queue_size = 16;
	config.packed = session->packed;
	config.indirect = session->indirect;
	ok(gw_frontend_new(&frontend, &config));
	session->run(&tape, frontend);
	gw_frontend_free(frontend);
	pthread_join(tape.forth, NULL);
	pthread_join(tape.reverse, NULL);
	close(tape.front);
	close(tape.back);
	peer_join(&peer);
	fclose(tape.file);
	free(tape.memory);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: record DIRECTORY\n");
		return 2;
	}
	gw_log_set_level(GW_LOG_OFF);
	for (unsigned i = 0; i < sizeof(sessions) / sizeof(sessions[0]); i++)
		record(&sessions[i], argv[1]);
	return 0;
}
