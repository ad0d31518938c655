/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/messages-doc.c - docs/protocol.md and the message table say the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmocka-all.h"
#include "vhost-user/messages.h"

static const char *const replies[GW_VU_REPLIES] = {
	[GW_VU_REPLY_ACK] = "ack",	   [GW_VU_REPLY_ACK_LOG] = "ack-log",
	[GW_VU_REPLY_VERDICT] = "verdict", [GW_VU_REPLY_TRANSFER] = "transfer",
	[GW_VU_REPLY_VALUE] = "value",	   [GW_VU_REPLY_STATE] = "state",
	[GW_VU_REPLY_CONFIG] = "config",   [GW_VU_REPLY_INFLIGHT] = "inflight",
	[GW_VU_REPLY_FD] = "descriptor",   [GW_VU_REPLY_SHMEM] = "shmem",
	[GW_VU_REPLY_SESSION] = "session", [GW_VU_REPLY_PENDING] = "pending",
};

static const char *const when[] = {
	[GW_VU_WHEN_ANY] = "any",
	[GW_VU_WHEN_RING_STOPPED] = "ring stopped",
	[GW_VU_WHEN_ALL_STOPPED] = "all stopped",
	[GW_VU_WHEN_PHASE] = "phase",
};

static void print_bounds(char *text, size_t size, unsigned min, unsigned max)
{
	if (min == max)
		snprintf(text, size, "%u", min);
	else
		snprintf(text, size, "%u-%u", min, max);
}

static void print_needs(char *text, size_t size, const struct gw_vu_row *row)
{
	snprintf(text, size, "-");
	if (row->virtio)
		snprintf(text, size, "virtio %d", __builtin_ctzll(row->virtio));
	if (row->protocol)
		snprintf(text, size, "%s",
			 gw_vu_protocol_feature_name((unsigned)__builtin_ctzll(row->protocol)));
}

/* The row as the page is to have it. */
static void print_row(char *line, size_t size, uint32_t id, const struct gw_vu_row *row)
{
	char payload[16], fds[16], needs[64], number[16];

	snprintf(number, sizeof(number), id < GW_VU_EXPERIMENTAL ? "%u" : "0x%08x", id);

	print_bounds(payload, sizeof(payload), row->min, row->max);
	print_bounds(fds, sizeof(fds), row->fds_min, row->fds_max);
	print_needs(needs, sizeof(needs), row);
	snprintf(line, size, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", number, row->name,
		 row->handle ? "yes" : "no", payload, fds, needs, when[row->when],
		 replies[row->reply]);
}

static void check_experimental(const char *line, uint32_t id)
{
	char expected[512];

	assert_non_null(gw_vu_row(id));
	print_row(expected, sizeof(expected), id, gw_vu_row(id));
	assert_string_equal(line, expected);
}

static void test_page_and_table_agree(void **state)
{
	GW_AUTO_FCLOSE FILE *page = fopen(GODWIT_SOURCE "/docs/protocol.md", "re");
	char line[512], expected[512];
	uint32_t id = 0, own = GW_VU_EXPERIMENTAL;

	assert_non_null(page);
	while (fgets(line, sizeof(line), page)) {
		/* The rows of requests are the ones that begin with a number. */
		if (strncmp(line, "| ", 2) || line[2] < '0' || line[2] > '9')
			continue;
		if (!strncmp(line, "| 0x", 4)) {
			check_experimental(line, ++own);
			continue;
		}
		id++;
		assert_non_null(gw_vu_row(id));
		print_row(expected, sizeof(expected), id, gw_vu_row(id));
		assert_string_equal(line, expected);
	}
	assert_int_equal(id, GW_VU_REQUESTS - 1);
	assert_int_equal(own, GW_VU_EXPERIMENTAL_END - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_and_table_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
