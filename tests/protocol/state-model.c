/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/state-model.c - a stream says of what device it is: adopted, or compared. */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer.h"

struct move {
	const char *source, *destination; /* parameters */
	int expected;
};

static const struct move moves[] = {
	{NULL, NULL, 0},
	{"colour=3", NULL, 0}, /* adopted */
	{"colour=3", "colour=3", 0},
	{"colour=3", "colour=2", -EIO},
	{"colour=3", "colour=0", -EIO}, /* given as off */
	{NULL, "colour=0", 0},		/* absence is off */
	{NULL, "colour=3", -EIO},
};

static struct gw_frontend *make(const struct peer *peer)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	ok(gw_frontend_new(&frontend, &config));
	return frontend;
}

static void try_move(const struct move *move)
{
	struct gw_frontend *from, *to;
	struct peer a, b;
	int stream = memfd_create("stream", MFD_CLOEXEC);

	peer_start(&a, &(struct peer_options){.params = move->source});
	peer_start(&b, &(struct peer_options){.params = move->destination});
	from = make(&a);
	to = make(&b);
	ok(gw_frontend_save(from, stream));
	lseek(stream, 0, SEEK_SET);
	if (gw_frontend_load(to, stream) != move->expected)
		fail_msg("%s to %s: %s", move->source, move->destination, gw_last_error());
	assert_int_equal(atomic_load(&b.script->loads), !move->expected);
	/* What refused still is a device. */
	ok(gw_frontend_start(to));
	gw_frontend_free(from);
	gw_frontend_free(to);
	close(stream);
	peer_join(&a);
	peer_join(&b);
}

static void each_pair(void **state)
{
	for (unsigned i = 0; i < sizeof(moves) / sizeof(moves[0]); i++)
		try_move(&moves[i]);
}

/* Adopted, and passed on when it moves again. */
static void adopted_for_good(void **state)
{
	struct gw_frontend *from, *to, *third;
	struct peer a, b, c;
	int first = memfd_create("stream", MFD_CLOEXEC), second = memfd_create("s", MFD_CLOEXEC);

	peer_start(&a, &(struct peer_options){.params = "colour=5"});
	peer_start(&b, &(struct peer_options){0});
	peer_start(&c, &(struct peer_options){.params = "colour=5"});
	from = make(&a);
	to = make(&b);
	third = make(&c);
	ok(gw_frontend_save(from, first));
	lseek(first, 0, SEEK_SET);
	ok(gw_frontend_load(to, first));
	ok(gw_frontend_start(to));
	ok(gw_frontend_stop(to));
	ok(gw_frontend_save(to, second));
	lseek(second, 0, SEEK_SET);
	ok(gw_frontend_load(third, second));
	gw_frontend_free(from);
	gw_frontend_free(to);
	gw_frontend_free(third);
	close(first);
	close(second);
	peer_join(&a);
	peer_join(&b);
	peer_join(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_pair),
		cmocka_unit_test(adopted_for_good),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
