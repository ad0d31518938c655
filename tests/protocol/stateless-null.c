/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/stateless-null.c - the smallest device stays in its process as well: nothing in it knows
 * of that. */
#include "../unit/cmocka-all.h"

#include <endian.h>
#include <sys/mman.h>
#include <unistd.h>

#include "echo.h"
#include "null/null.h"
#include "peer.h"

static struct peer peer;
static struct gw_frontend *source;
static struct echo echo;

static uint64_t served(struct gw_frontend *frontend)
{
	uint64_t count;

	ok(gw_frontend_get_config(frontend, 0, &count, sizeof(count)));
	return le64toh(count);
}

static void start(void)
{
	struct gw_frontend_config config;

	peer_start(&peer, &(struct peer_options){.ops = &gw_null_ops,
						 .migration = GW_MIGRATION_STATELESS});
	config = peer_config(&peer);
	config.queues = 1;
	ok(gw_frontend_new(&source, &config));
	ok(gw_frontend_start(source));
	echo_init(&echo, source);
	for (unsigned i = 0; i < 3; i++)
		echo_once(&echo, source, 0, i);
	assert_int_equal(served(source), 3);
}

static struct gw_frontend *saved_and_loaded(void)
{
	struct gw_frontend_config config = peer_config(&peer);
	int stream = memfd_create("stream", MFD_CLOEXEC);
	struct gw_frontend *to;

	config.queues = 1;
	ok(gw_frontend_stop(source));
	ok(gw_frontend_save(source, stream));
	ok(gw_frontend_migrate(&to, source, &config));
	/* A device of its own, until a ring is on. */
	assert_int_equal(served(to), 0);
	assert_int_equal(served(source), 3);
	lseek(stream, 0, SEEK_SET);
	ok(gw_frontend_load(to, stream));
	close(stream);
	return to;
}

static void ends(struct gw_frontend *last)
{
	gw_frontend_free(last);
	assert_int_equal(peer_join(&peer), 0);
}

static void moves(void **state)
{
	struct gw_frontend *to;

	start();
	to = saved_and_loaded();
	ok(gw_frontend_start(to));
	echo_once(&echo, to, 0, 9);
	assert_int_equal(served(to), 4);
	assert_true(gw_frontend_start(source) < 0);
	gw_frontend_free(source);
	echo_once(&echo, to, 0, 10);
	assert_int_equal(served(to), 5);
	ends(to);
}

static void fails(void **state)
{
	struct gw_frontend *to;

	start();
	to = saved_and_loaded();
	ok(gw_frontend_start(source));
	echo_once(&echo, source, 0, 9);
	assert_int_equal(served(source), 4);
	assert_true(gw_frontend_start(to) < 0);
	gw_frontend_free(to);
	echo_once(&echo, source, 0, 10);
	ends(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves),
		cmocka_unit_test(fails),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
