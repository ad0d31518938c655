/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/replies.c - a back-end that answers our front-end with anything, on both channels and
 * in the rings: every call of the front-end ends, and says why. */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "godwit/frontend.h"
#include "harness.h"
#include "vhost-user/wire.h"

/* What is done at each message of the front-end, a byte; lengths and contents follow it. */
enum {
	ANSWER = 1,	/* a reply with its number, otherwise none */
	NUMBER = 2,	/* of 8 bytes, as most are; otherwise of as many as a byte says */
	STRANGE = 4,	/* number and flags are of the input, too */
	DESCRIPTOR = 8, /* with a file of as many KiB as a byte says */
	CHANNEL = 16,	/* on the other channel: a message of as many bytes as a byte says */
	SCRIBBLE = 32,	/* into guest memory, where two bytes say, as many as a byte says */
	HANG_UP = 64,
};

#define MESSAGE_MAX 4096
#define MEMORY	    (256 << 10)
#define TIMEOUT_MS  5

struct back_end {
	int socket, channel;
	char *memory;
	const uint8_t *at, *end;
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static uint8_t take_byte(struct back_end *be)
{
	return be->at < be->end ? *be->at++ : 0;
}

/* Up to @len bytes, zeroes where there is nothing left. */
static void take(struct back_end *be, void *to, size_t len)
{
	size_t have = GW_MIN(len, (size_t)(be->end - be->at));

	memset(to, 0, len);
	if (have)
		memcpy(to, be->at, have);
	be->at += have;
}

static void keep(struct back_end *be, uint32_t request, int fd)
{
	if (request == GW_VU_SET_BACKEND_REQ_FD && be->channel < 0) {
		be->channel = fd;
		return;
	}
	if ((request == GW_VU_SET_MEM_TABLE || request == GW_VU_ADD_MEM_REG) && !be->memory) {
		be->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (be->memory == MAP_FAILED)
			be->memory = NULL;
	}
	close(fd);
}

static bool receive(struct back_end *be, struct gw_vu_header *header)
{
	char payload[MESSAGE_MAX];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(GW_VU_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {header, sizeof(*header)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(be->socket, &msg, MSG_WAITALL) != sizeof(*header))
		return false;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		for (size_t i = 0; i < (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			keep(be, header->request, fd);
		}
	}
	must(header->size <= sizeof(payload));
	return !header->size ||
	       recv(be->socket, payload, header->size, MSG_WAITALL) == (ssize_t)header->size;
}

static void send_with(int socket, const void *bytes, size_t len, int fd)
{
	union {
		struct cmsghdr cmsg;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.cmsg = {.cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS,
			      .cmsg_len = CMSG_LEN(sizeof(int))}};
	struct iovec iov = {(void *)bytes, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.cmsg), &fd, sizeof(fd));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.bytes);
	}
	(void)!sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void answer(struct back_end *be, uint32_t request, uint8_t what)
{
	struct {
		struct gw_vu_header header;
		char payload[UINT8_MAX];
	} reply = {.header = {.request = request, .flags = GW_VU_REPLY_FLAGS}};
	size_t len = what & NUMBER ? sizeof(uint64_t) : take_byte(be);
	GW_AUTO_FD int fd = -1;

	reply.header.size = (uint32_t)len;
	if (what & STRANGE)
		take(be, &reply.header, sizeof(reply.header));
	if (what & DESCRIPTOR) {
		fd = memfd_create("any", MFD_CLOEXEC);
		(void)!ftruncate(fd, take_byte(be) << 10);
	}
	take(be, reply.payload, len);
	send_with(be->socket, &reply, offsetof(typeof(reply), payload) + len, fd);
}

static void say_on_channel(struct back_end *be)
{
	char bytes[UINT8_MAX];
	size_t len = take_byte(be);

	take(be, bytes, len);
	if (be->channel >= 0)
		send_with(be->channel, bytes, len, -1);
}

static void scribble(struct back_end *be)
{
	uint16_t at;
	size_t len;

	take(be, &at, sizeof(at));
	len = take_byte(be);
	if (be->memory)
		take(be, be->memory + at, len);
}

/* What is sent last is followed by the end of the connection, so that nobody waits for more. */
static void *serve(void *opaque)
{
	struct back_end *be = opaque;
	struct gw_vu_header header;

	while (be->at < be->end && receive(be, &header)) {
		uint8_t what = take_byte(be);

		if (what & HANG_UP)
			break;
		if (what & SCRIBBLE)
			scribble(be);
		if (what & CHANNEL)
			say_on_channel(be);
		if (what & ANSWER)
			answer(be, header.request, what);
	}
	shutdown(be->socket, SHUT_RDWR);
	return NULL;
}

static void drive(struct gw_frontend *frontend)
{
	struct iovec out = {gw_frontend_alloc(frontend, 64), 64};
	struct iovec in = {gw_frontend_alloc(frontend, 64), 64};
	uint32_t len;
	void *token;

	for (int i = 0; i < 3; i++) {
		gw_driver_add(frontend, 0, &out, 1, &in, 1, &out);
		gw_driver_kick(frontend, 0);
		gw_driver_wait(frontend, 0, 1);
		while (gw_driver_get(frontend, 0, &token, &len))
			must(token == &out);
	}
}

static void use(struct gw_frontend *frontend)
{
	GW_AUTO_FD int state = memfd_create("state", MFD_CLOEXEC);
	char config[64];

	gw_frontend_get_config(frontend, 0, config, sizeof(config));
	if (!gw_frontend_start(frontend))
		drive(frontend);
	gw_frontend_log(frontend, true);
	gw_frontend_stop(frontend);
	gw_frontend_save(frontend, state);
	lseek(state, 0, SEEK_SET);
	gw_frontend_load(frontend, state);
	gw_frontend_reset_device(frontend);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_frontend_config config = {.size = sizeof(config),
					    .timeout_ms = TIMEOUT_MS,
					    .queues = 1,
					    .queue_size = 8,
					    .memory_size = MEMORY};
	struct back_end be = {.channel = -1, .at = data + 1, .end = data + size};
	struct gw_frontend *frontend;
	pthread_t thread;
	int ends[2];

	if (!size)
		return 0;
	gw_log_set_level(GW_LOG_OFF);
	config.packed = data[0] & 1;
	config.indirect = data[0] & 2;
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	be.socket = ends[0];
	config.fd = ends[1];
	must(!pthread_create(&thread, NULL, serve, &be));
	if (!gw_frontend_new(&frontend, &config)) {
		use(frontend);
		gw_frontend_free(frontend);
	}
	pthread_join(thread, NULL);
	if (be.memory)
		munmap(be.memory, MEMORY);
	if (be.channel >= 0)
		close(be.channel);
	close(ends[0]);
	return 0;
}
