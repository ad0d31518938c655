/* SPDX-License-Identifier: BSD-3-Clause */
/* common/provoke.c - raw messages to a back-end. */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "provoke.h"
#include "vhost-user/frontend_internal.h"

#define FDS_MAX	   16
#define FILE_BYTES (1 << 20)

static uint32_t harmless(uint32_t request)
{
	return request == GW_VU_GET_FEATURES ? GW_VU_GET_PROTOCOL_FEATURES : GW_VU_GET_FEATURES;
}

/* A closed connection may show already while sending. */
static int send_both(struct gw_frontend *frontend, const struct provocation *message)
{
	int fds[FDS_MAX];
	int err;

	for (unsigned i = 0; i < message->fd_count; i++) {
		fds[i] = memfd_create("provoked", MFD_CLOEXEC);
		assert_true(fds[i] >= 0 && !ftruncate(fds[i], FILE_BYTES));
	}
	err = gw_frontend_send_raw(frontend, message->request, GW_VU_VERSION | message->flags,
				   message->payload, message->len, fds, message->fd_count);
	for (unsigned i = 0; i < message->fd_count; i++)
		close(fds[i]);
	if (err)
		return err;
	return gw_frontend_send_raw(frontend, harmless(message->request), GW_VU_VERSION, NULL, 0,
				    NULL, 0);
}

/* False: the connection is closed. */
static bool receive(struct gw_frontend *frontend, struct provoked *provoked, uint32_t *request)
{
	int fd;
	int size = gw_frontend_recv_raw(frontend, request, &provoked->flags, &provoked->payload,
					sizeof(provoked->payload), &fd);

	if (size == -ECONNRESET)
		return false;
	ok(size);
	provoked->size = size;
	provoked->with_fd = fd >= 0;
	if (fd >= 0)
		close(fd);
	return true;
}

struct provoked provoke(struct gw_frontend *frontend, const struct provocation *message)
{
	struct provoked provoked = {.answer = ANSWER_CLOSED}, after = {0};
	uint32_t request;

	send_both(frontend, message);
	if (!receive(frontend, &provoked, &request))
		return provoked;
	if (request == harmless(message->request)) {
		provoked.answer = ANSWER_NONE;
		return provoked;
	}
	assert_int_equal(request, message->request);
	assert_int_equal(provoked.flags, GW_VU_REPLY_FLAGS);
	provoked.answer = ANSWER_GIVEN;
	assert_true(receive(frontend, &after, &request));
	assert_int_equal(request, harmless(message->request));
	return provoked;
}

struct gw_frontend *connect_negotiated(const struct peer *peer, uint64_t refuse)
{
	struct gw_frontend *frontend = peer_connect(peer);
	uint64_t features, protocol;

	ok(gw_frontend_get_u64(frontend, GW_VU_GET_FEATURES, &features));
	ok(gw_frontend_get_u64(frontend, GW_VU_GET_PROTOCOL_FEATURES, &protocol));
	ok(gw_frontend_set_u64(frontend, GW_VU_SET_PROTOCOL_FEATURES, GW_VU_NO_WAIT,
			       protocol & ~refuse));
	frontend->protocol = protocol & ~refuse;
	ok(gw_frontend_tell(frontend, GW_VU_NO_WAIT,
			    &(struct gw_vu_out){.request = GW_VU_SET_OWNER}));
	ok(gw_frontend_set_u64(frontend, GW_VU_SET_FEATURES, GW_VU_NO_WAIT,
			       features & ~GW_VIRTIO_F_LOG_ALL));
	return frontend;
}

bool has_error_form(const struct gw_vu_row *row)
{
	return row->reply != GW_VU_REPLY_VALUE && row->reply != GW_VU_REPLY_STATE &&
	       row->reply != GW_VU_REPLY_SESSION;
}

bool says_error(const struct gw_vu_row *row, const struct provoked *provoked)
{
	if (!has_error_form(row))
		return provoked->answer == ANSWER_CLOSED;
	if (provoked->answer != ANSWER_GIVEN || provoked->with_fd)
		return false;
	switch (row->reply) {
	case GW_VU_REPLY_CONFIG:
	case GW_VU_REPLY_PENDING:
	case GW_VU_REPLY_FD:
		return !provoked->size;
	case GW_VU_REPLY_INFLIGHT:
		return !provoked->payload.inflight.size;
	case GW_VU_REPLY_SHMEM:
		return !provoked->payload.shmem.count;
	case GW_VU_REPLY_TRANSFER:
		return provoked->size == 8 && provoked->payload.u64 == GW_VU_STATE_REFUSED;
	default:
		return provoked->size == 8 && provoked->payload.u64;
	}
}

struct gw_frontend *keep_open(struct gw_frontend *frontend, const struct provoked *provoked)
{
	if (provoked->answer != ANSWER_CLOSED)
		return frontend;
	gw_frontend_free(frontend);
	return NULL;
}
