/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/message-fds.c - every message with 0 to 9 descriptors: too few are refused, none leaks.
 */
#include "../unit/cmocka-all.h"

#include "provoke.h"

#define FDS 9 /* one more than the protocol has */

static const uint8_t zeros[GW_VU_PAYLOAD_MAX];

static void try_counts(const struct peer *peer, uint32_t request, const struct gw_vu_row *row)
{
	for (unsigned count = 0; count <= FDS; count++) {
		struct gw_frontend *frontend = connect_negotiated(peer, 0);
		struct provocation message = {.request = request,
					      .flags = GW_VU_NEED_REPLY,
					      .payload = zeros,
					      .len = row->min,
					      .fd_count = count};
		struct provoked provoked = provoke(frontend, &message);

		if (count < row->fds_min && !says_error(row, &provoked))
			fail_msg("%s with %u descriptors was not refused", row->name, count);
		gw_frontend_free(frontend);
	}
}

/* The back-end is in a thread: what it leaks is seen in this process. */
static void every_count(void **state)
{
	struct peer peer;
	unsigned before, after = 0;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	gw_frontend_free(peer_frontend(&peer));
	before = open_descriptors();
	for (uint32_t request = 0; request < GW_VU_REQUESTS; request++) {
		const struct gw_vu_row *row = gw_vu_row(request);

		if (row)
			try_counts(&peer, request, row);
	}
	/* The last connection's end is noticed a little later. */
	for (unsigned i = 0; i < 500 && (after = open_descriptors()) > before; i++)
		sleep_ms(10);
	assert_true(after <= before);
	gw_frontend_free(peer_frontend(&peer));
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_count),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
