/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/guest-ready.c - a big state goes through memory that was made ready for it, out
 * of a program and into the next. */
#include "../common/fuse_client.h"

#include <stdlib.h>
#include <sys/mman.h>

#define BIG   (12u << 20) /* a state is mapped from 4 MiB on */
#define PIECE (512u << 10)

static struct fuse_client from, to;

/* Of what has no name the content goes along. */
static uint64_t open_big(void)
{
	struct fuse_created created;
	char *piece = malloc(PIECE);

	assert_non_null(piece);
	assert_true(fuse_create(&from, 0, "big", O_RDWR, 0600, &created) >= 0);
	for (uint64_t at = 0; at < BIG; at += PIECE) {
		memset(piece, (int)(at / PIECE) + 1, PIECE);
		assert_true(fuse_write(&from, created.open.fh, at, piece, PIECE, 0) > 0);
	}
	free(piece);
	assert_true(fuse_name(&from, FUSE_UNLINK, 0, "big") >= 0);
	return created.open.fh;
}

static void check_big(uint64_t fh)
{
	char byte;

	for (uint64_t at = 0; at < BIG; at += PIECE / 2) {
		assert_int_equal(fuse_read(&to, fh, at, &byte, 1), 1);
		assert_int_equal(byte, at / PIECE + 1);
	}
}

static void test_moved(void **state)
{
	int memory = gw_state_memory_new(BIG + BIG / 2);
	enum gw_transfer_reply reply;
	uint64_t fh;
	int own_fd;

	(void)state;
	assert_true(memory >= 0);
	fuse_start(&from, &(struct fuse_options){.orphan_limit = 2 * BIG});
	fh = open_big();
	assert_int_equal(gw_frontend_stop(from.frontend), 0);
	assert_int_equal(gw_frontend_transfer_offer(from.frontend, false, GW_PHASE_STOPPED, memory,
						    &own_fd, &reply),
			 0);
	assert_int_equal(reply, GW_REPLY_ACCEPTED);
	assert_int_equal(gw_frontend_transfer_check(from.frontend), 0);
	assert_true(lseek(memory, 0, SEEK_CUR) > BIG);
	assert_int_equal(gw_state_memory_seal(memory), 0);
	assert_int_equal(lseek(memory, 0, SEEK_SET), 0);
	assert_int_equal(fuse_load(&to, &from, NULL, &from.host, memory), 0);
	close(memory);
	check_big(fh);
	from.own_share = false;
	fuse_stop(&from);
	to.own_share = true;
	fuse_stop(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_moved)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
