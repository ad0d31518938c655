/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/frontend-hostile.c - a back-end that lies, falls silent or goes: the front-end says so.
 */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "peer.h"
#include "vhost-user/messages.h"
#include "vhost-user/frontend_internal.h"

enum lie {
	LIE_NONE,
	LIE_REQUEST, /* another message's number */
	LIE_FLAGS,
	LIE_SHORT, /* some bytes of payload are missing, and it says so */
	LIE_LONG,
	LIE_HUGE,  /* a length that is no message's */
	LIE_CUT,   /* the header says more than comes before the end */
	LIE_EMPTY, /* a payload of nothing: "refused" */
	LIE_SILENCE,
	LIE_CLOSE,
	LIES,
};

/* A back-end that answers all that is always answered, and lies about one message. */
struct liar {
	int socket;
	pthread_t thread;
	uint32_t about;
	enum lie lie;
	uint64_t transfer; /* the answer to SET_DEVICE_STATE_FD; no descriptor comes with it */
};

#define OFFERED                                                                        \
	(GW_VIRTIO_F_PROTOCOL_FEATURES | GW_VIRTIO_F_VERSION_1 | GW_VIRTIO_F_LOG_ALL | \
	 GW_VIRTIO_F_RING_PACKED)

static uint32_t fill_answer(const struct liar *liar, const struct gw_vu_header *header,
			    const union gw_vu_payload *asked, union gw_vu_payload *answer)
{
	switch (header->request) {
	case GW_VU_GET_FEATURES:
		answer->u64 = OFFERED;
		return 8;
	case GW_VU_GET_PROTOCOL_FEATURES:
		answer->u64 = UINT64_MAX & ~GW_VU_PF(BACKEND_REQ);
		return 8;
	case GW_VU_GET_QUEUE_NUM:
	case GW_VU_GET_MAX_MEM_SLOTS:
		answer->u64 = UINT64_MAX;
		return 8;
	case GW_VU_GET_VRING_BASE:
		*answer = *asked;
		answer->state.num = UINT32_MAX;
		return 8;
	case GW_VU_GET_CONFIG:
		*answer = *asked;
		return header->size;
	case GW_VU_SET_DEVICE_STATE_FD:
		answer->u64 = liar->transfer;
		return 8;
	case GW_VU_CHECK_DEVICE_STATE:
		return 8;
	default: /* SET_LOG_BASE too */
		return header->flags & GW_VU_NEED_REPLY ? 8 : UINT32_MAX;
	}
}

static bool send_answer(const struct liar *liar, const struct gw_vu_header *asked,
			union gw_vu_payload *answer, uint32_t len)
{
	enum lie lie = asked->request == liar->about ? liar->lie : LIE_NONE;
	struct gw_vu_header header = {
		.request = asked->request, .flags = GW_VU_REPLY_FLAGS, .size = len};
	uint32_t sent = len;

	if (lie == LIE_SILENCE)
		return true;
	if (lie == LIE_CLOSE)
		return false;
	header.request += lie == LIE_REQUEST;
	header.flags |= lie == LIE_FLAGS ? GW_VU_NEED_REPLY : 0;
	if (lie == LIE_SHORT)
		header.size = sent = len - 1;
	if (lie == LIE_LONG)
		header.size = sent = len + 1;
	if (lie == LIE_HUGE)
		header.size = UINT32_MAX;
	if (lie == LIE_EMPTY)
		header.size = sent = 0;
	if (lie == LIE_CUT)
		sent = len - 1;
	if (send(liar->socket, &header, sizeof(header), MSG_NOSIGNAL) != sizeof(header))
		return false;
	if (sent && send(liar->socket, answer, sent, MSG_NOSIGNAL) != (ssize_t)sent)
		return false;
	return lie != LIE_CUT;
}

static void *serve(void *opaque)
{
	struct liar *liar = opaque;
	struct gw_vu_header header;
	union gw_vu_payload asked;

	while (recv(liar->socket, &header, sizeof(header), MSG_WAITALL) == sizeof(header)) {
		union gw_vu_payload answer = {.bytes = {0}};
		uint32_t len;

		if (header.size &&
		    recv(liar->socket, &asked, header.size, MSG_WAITALL) != (ssize_t)header.size)
			break;
		len = fill_answer(liar, &header, &asked, &answer);
		if (len != UINT32_MAX && !send_answer(liar, &header, &answer, len))
			break;
	}
	shutdown(liar->socket, SHUT_RDWR);
	return NULL;
}

static struct gw_frontend_config start_liar(struct liar *liar, uint32_t about, enum lie lie)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	*liar = (struct liar){
		.socket = ends[0], .about = about, .lie = lie, .transfer = GW_VU_STATE_ACCEPTED};
	assert_int_equal(pthread_create(&liar->thread, NULL, serve, liar), 0);
	return (struct gw_frontend_config){
		.size = sizeof(struct gw_frontend_config),
		.fd = ends[1],
		.timeout_ms = lie == LIE_SILENCE ? 50 : 5000,
		.queues = 1,
		.memory_size = 1 << 20,
		.refuse_protocol_features = GW_VU_PF(INFLIGHT_SHMFD),
	};
}

static void end_liar(struct liar *liar)
{
	shutdown(liar->socket, SHUT_RDWR);
	pthread_join(liar->thread, NULL);
	close(liar->socket);
}

static const int expected[LIES] = {
	[LIE_REQUEST] = -EPROTO, [LIE_FLAGS] = -EPROTO,	     [LIE_SHORT] = -EPROTO,
	[LIE_LONG] = -EPROTO,	 [LIE_HUGE] = -EPROTO,	     [LIE_CUT] = -ECONNRESET,
	[LIE_EMPTY] = -EIO,	 [LIE_SILENCE] = -ETIMEDOUT, [LIE_CLOSE] = -ECONNRESET,
};

/* All that a front-end does in its life, up to the first failure. */
static int whole_life(struct gw_frontend **frontend, const struct gw_frontend_config *config)
{
	uint8_t byte;
	int stream = memfd_create("stream", MFD_CLOEXEC);
	int err = gw_frontend_new(frontend, config);

	if (!err)
		err = gw_frontend_get_config(*frontend, 0, &byte, 1);
	if (!err)
		err = gw_frontend_start(*frontend);
	if (!err)
		err = gw_frontend_stop(*frontend);
	if (!err)
		err = gw_frontend_transfer_check(*frontend);
	close(stream);
	return err;
}

static void every_lie(void **state)
{
	static const uint32_t answered[] = {
		GW_VU_GET_FEATURES,	 GW_VU_GET_PROTOCOL_FEATURES, GW_VU_GET_QUEUE_NUM,
		GW_VU_GET_MAX_MEM_SLOTS, GW_VU_SET_VRING_CALL,	      GW_VU_GET_CONFIG,
		GW_VU_ADD_MEM_REG,	 GW_VU_SET_VRING_KICK,	      GW_VU_SET_VRING_ENABLE,
		GW_VU_GET_VRING_BASE,	 GW_VU_CHECK_DEVICE_STATE,
	};

	for (unsigned i = 0; i < sizeof(answered) / sizeof(answered[0]); i++) {
		for (enum lie lie = LIE_REQUEST; lie < LIES; lie++) {
			struct gw_frontend *frontend = NULL;
			struct gw_frontend_config config;
			struct liar liar;
			int err;

			config = start_liar(&liar, answered[i], lie);
			err = whole_life(&frontend, &config);
			if (err != expected[lie])
				fail_msg("request %u, lie %d: %d (%s)", answered[i], lie, err,
					 gw_last_error());
			gw_frontend_free(frontend);
			end_liar(&liar);
		}
	}
}

/* What follows a failed connection fails at once, and does not take a late reply for its own. */
static void failed_for_good(void **state)
{
	struct gw_frontend *frontend;
	struct gw_frontend_config config;
	struct liar liar;
	uint64_t value;
	int64_t began;

	config = start_liar(&liar, GW_VU_CHECK_DEVICE_STATE, LIE_SILENCE);
	config.timeout_ms = 300;
	ok(gw_frontend_new(&frontend, &config));
	assert_int_equal(gw_frontend_transfer_check(frontend), -ETIMEDOUT);
	began = gw_now_ms();
	assert_int_equal(gw_frontend_get_u64(frontend, GW_VU_GET_FEATURES, &value), -EPIPE);
	assert_true(gw_now_ms() - began < 250);
	gw_frontend_free(frontend);
	end_liar(&liar);
}

/* The answer to SET_DEVICE_STATE_FD must fit what came with it. */
static void transfer_answers(void **state)
{
	static const struct {
		uint64_t answer;
		int expected;
	} cases[] = {
		{GW_VU_STATE_OWN_FD, -EPROTO}, /* none came */
		{GW_VU_STATE_REFUSED, -EIO},   {1, -EIO}, {0xff, -EIO}, {GW_VU_STATE_ACCEPTED, 0},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum gw_transfer_reply reply;
		struct gw_frontend *frontend;
		struct gw_frontend_config config;
		struct liar liar;
		int channel = -1;

		config = start_liar(&liar, 0, LIE_NONE);
		liar.transfer = cases[i].answer;
		ok(gw_frontend_new(&frontend, &config));
		assert_int_equal(gw_frontend_transfer_begin(frontend, false, GW_PHASE_STOPPED,
							    &channel, &reply),
				 cases[i].expected);
		assert_int_equal(channel >= 0, !cases[i].expected);
		gw_close(&channel);
		gw_frontend_free(frontend);
		end_liar(&liar);
	}
}

/* Accepted, and then nothing comes: a save ends after the timeout. Nor may SIGPIPE end a load. */
static void transfer_without_data(void **state)
{
	struct gw_frontend *frontend;
	struct gw_frontend_config config;
	struct liar liar;
	int stream = memfd_create("stream", MFD_CLOEXEC);
	char bytes[300000] = {0};

	config = start_liar(&liar, 0, LIE_NONE);
	ok(gw_frontend_new(&frontend, &config));
	/* The liar never took the descriptor out of the message, so nobody holds the other end. */
	assert_int_equal(gw_frontend_save(frontend, stream), 0);
	assert_int_equal(write(stream, bytes, sizeof(bytes)), sizeof(bytes));
	lseek(stream, 0, SEEK_SET);
	assert_int_equal(gw_frontend_load(frontend, stream), -EPIPE);
	gw_frontend_free(frontend);
	end_liar(&liar);
	close(stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_lie),
		cmocka_unit_test(failed_for_good),
		cmocka_unit_test(transfer_answers),
		cmocka_unit_test(transfer_without_data),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
