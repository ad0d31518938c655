/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/message-lengths.c - every message with every length from 0 to one above its longest. */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <sys/socket.h>

#include "provoke.h"

static const uint8_t zeros[GW_VU_PAYLOAD_MAX + 1];

static void try_lengths(const struct peer *peer, uint32_t request, const struct gw_vu_row *row)
{
	struct gw_frontend *frontend = NULL;

	for (uint32_t len = 0; len <= row->max + 1u && len <= GW_VU_PAYLOAD_MAX; len++) {
		struct provocation message = {.request = request,
					      .flags = GW_VU_NEED_REPLY,
					      .payload = zeros,
					      .len = len,
					      .fd_count = row->fds_min};
		struct provoked provoked;

		if (!frontend)
			frontend = connect_negotiated(peer, 0);
		provoked = provoke(frontend, &message);
		if ((len < row->min || len > row->max) && !says_error(row, &provoked))
			fail_msg("%s with %u bytes: answer %d, %d bytes, 0x%llx", row->name, len,
				 provoked.answer, provoked.size,
				 (unsigned long long)provoked.payload.u64);
		/* What was taken may have changed what is negotiated. */
		if (len >= row->min && len <= row->max)
			provoked.answer = ANSWER_CLOSED;
		frontend = keep_open(frontend, &provoked);
	}
	gw_frontend_free(frontend);
}

static void every_length(void **state)
{
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	for (uint32_t request = 0; request < GW_VU_REQUESTS; request++) {
		const struct gw_vu_row *row = gw_vu_row(request);

		/* What is not implemented is refused for that, whatever its length. */
		if (row && row->handle)
			try_lengths(&peer, request, row);
	}
	gw_frontend_free(peer_frontend(&peer));
	peer_stop(&peer);
}

/* Nobody needs so much: the connection ends, the back-end does not. */
static void longer_than_any(void **state)
{
	static const uint32_t lengths[] = {GW_VU_PAYLOAD_MAX + 1, UINT32_MAX / 2, UINT32_MAX};
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct gw_frontend *frontend = peer_connect(&peer);
		struct gw_vu_header header = {
			.request = GW_VU_SET_MEM_TABLE, .flags = GW_VU_VERSION, .size = lengths[i]};
		uint32_t request, flags;
		uint64_t value;
		int fd;

		assert_int_equal(send(gw_frontend_socket(frontend), &header, sizeof(header), 0),
				 sizeof(header));
		assert_int_equal(gw_frontend_recv_raw(frontend, &request, &flags, &value,
						      sizeof(value), &fd),
				 -ECONNRESET);
		gw_frontend_free(frontend);
	}
	gw_frontend_free(peer_frontend(&peer));
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length),
		cmocka_unit_test(longer_than_any),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
