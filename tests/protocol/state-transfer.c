/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/state-transfer.c - device state through channels of all kinds and sizes. */
#include "../unit/cmocka-all.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"

#define MIB UINT64_C(0x100000)

static int new_stream(void)
{
	int fd = memfd_create("stream", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void set_seed(struct gw_frontend *frontend, uint64_t seed)
{
	ok(gw_frontend_set_config(frontend, offsetof(struct scripted_config, seed), &seed,
				  sizeof(seed), false));
}

static struct scripted_config config_of(struct gw_frontend *frontend)
{
	struct scripted_config config;

	ok(gw_frontend_get_config(frontend, 0, &config, sizeof(config)));
	return config;
}

/* Save from one, load into another, and look whether all of it came. */
static void move(uint64_t bulk_bytes, bool own_channel)
{
	struct gw_frontend_config config;
	struct gw_frontend *from, *to;
	struct echo echo;
	struct peer a, b;
	int stream = new_stream();

	peer_start(&a, &(struct peer_options){0});
	peer_start(&b, &(struct peer_options){0});
	atomic_store(&a.script->bulk_bytes, bulk_bytes);
	atomic_store(&a.script->own_channel, own_channel);
	atomic_store(&b.script->own_channel, own_channel);
	from = peer_frontend(&a);
	echo_init(&echo, from);
	for (unsigned i = 0; i < 3; i++)
		echo_once(&echo, from, 0, i);
	set_seed(from, 42);
	ok(gw_frontend_stop(from));
	ok(gw_frontend_save(from, stream));
	assert_true((uint64_t)lseek(stream, 0, SEEK_CUR) > bulk_bytes);

	lseek(stream, 0, SEEK_SET);
	config = peer_config(&b);
	ok(gw_frontend_migrate(&to, from, &config));
	ok(gw_frontend_load(to, stream));
	assert_int_equal(config_of(to).answered, 3);
	assert_int_equal(config_of(to).seed, 42);
	assert_int_equal(atomic_load(&b.script->bulk_loaded), bulk_bytes);
	assert_int_equal(atomic_load(&b.script->runs[GW_RUN_LOADED]), 0);
	ok(gw_frontend_start(to));
	assert_int_equal(atomic_load(&b.script->runs[GW_RUN_LOADED]), 1);
	echo_once(&echo, to, 0, 9);
	assert_int_equal(config_of(to).answered, 4);
	gw_frontend_free(to);
	gw_frontend_free(from);
	close(stream);
	assert_int_equal(peer_join(&a), 0);
	assert_int_equal(peer_join(&b), 0);
}

static void small(void **state)
{
	move(0, false);
}

static void larger_than_a_pipe(void **state)
{
	move(1 * MIB, false);
}

static void large(void **state)
{
	move(64 * MIB, false);
}

static void own_descriptor(void **state)
{
	move(1 * MIB, true);
}

/* Any descriptor that can be written and read as a stream serves as channel. */
static void save_to(struct gw_frontend *frontend, int offer)
{
	enum gw_transfer_reply reply;
	int own_fd;

	ok(gw_frontend_transfer_offer(frontend, false, GW_PHASE_STOPPED, offer, &own_fd, &reply));
	assert_int_equal(reply, GW_REPLY_ACCEPTED);
	assert_int_equal(own_fd, -1);
	ok(gw_frontend_transfer_check(frontend));
}

static void load_from(struct gw_frontend *frontend, int offer)
{
	enum gw_transfer_reply reply;
	int own_fd;

	ok(gw_frontend_transfer_offer(frontend, true, GW_PHASE_STOPPED, offer, &own_fd, &reply));
	ok(gw_frontend_transfer_check(frontend));
}

static void into_a_file(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;
	int stream = new_stream();

	peer_start(&peer, &(struct peer_options){0});
	atomic_store(&peer.script->bulk_bytes, MIB);
	frontend = peer_frontend(&peer);
	set_seed(frontend, 7);
	ok(gw_frontend_stop(frontend));
	save_to(frontend, stream);
	ok(gw_frontend_reset_device(frontend));
	assert_int_equal(config_of(frontend).seed, 1);
	lseek(stream, 0, SEEK_SET);
	load_from(frontend, stream);
	assert_int_equal(config_of(frontend).seed, 7);
	close(stream);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

static void through_a_socket(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;
	int ends[2], stream = new_stream();
	char buf[65536];
	enum gw_transfer_reply reply;
	int own_fd;
	ssize_t got;

	peer_start(&peer, &(struct peer_options){0});
	atomic_store(&peer.script->bulk_bytes, MIB);
	frontend = peer_frontend(&peer);
	ok(gw_frontend_stop(frontend));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	ok(gw_frontend_transfer_offer(frontend, false, GW_PHASE_STOPPED, ends[1], &own_fd, &reply));
	close(ends[1]);
	while ((got = read(ends[0], buf, sizeof(buf))) > 0)
		assert_int_equal(write(stream, buf, (size_t)got), got);
	close(ends[0]);
	ok(gw_frontend_transfer_check(frontend));

	ok(gw_frontend_reset_device(frontend));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	ok(gw_frontend_transfer_offer(frontend, true, GW_PHASE_STOPPED, ends[1], &own_fd, &reply));
	close(ends[1]);
	lseek(stream, 0, SEEK_SET);
	while ((got = read(stream, buf, sizeof(buf))) > 0)
		assert_int_equal(write(ends[0], buf, (size_t)got), got);
	close(ends[0]);
	ok(gw_frontend_transfer_check(frontend));
	assert_int_equal(atomic_load(&peer.script->bulk_loaded), MIB);
	close(stream);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* There and back: the state that returns is the one that left, and things that happened since. */
static void there_and_back(void **state)
{
	struct gw_frontend_config to_a, to_b;
	struct gw_frontend *here, *there;
	struct echo echo;
	struct peer a, b;

	peer_start(&a, &(struct peer_options){.reconnect = true});
	peer_start(&b, &(struct peer_options){.reconnect = true});
	to_a = peer_config(&a);
	to_b = peer_config(&b);
	here = peer_frontend(&a);
	echo_init(&echo, here);
	for (unsigned trip = 0; trip < 6; trip++) {
		int stream = new_stream();

		echo_once(&echo, here, 0, trip);
		ok(gw_frontend_log(here, true)); /* each time: it must stay available */
		echo_once(&echo, here, 0, trip + 1);
		ok(gw_frontend_stop(here));
		ok(gw_frontend_save(here, stream));
		lseek(stream, 0, SEEK_SET);
		ok(gw_frontend_migrate(&there, here, trip % 2 ? &to_a : &to_b));
		gw_frontend_free(here);
		ok(gw_frontend_reset_device(there)); /* every VMM does at its start */
		ok(gw_frontend_load(there, stream));
		here = there;
		ok(gw_frontend_start(here));
		close(stream);
	}
	echo_once(&echo, here, 0, 77);
	assert_int_equal(config_of(here).answered, 13);
	gw_frontend_free(here);
	peer_stop(&a);
	peer_stop(&b);
}

/* What is parked travels in the stream and is answered at the other side. */
static void parked_travels(void **state)
{
	struct gw_frontend_config config;
	struct gw_frontend *from, *to;
	struct echo echoes[4];
	struct peer a, b;
	int stream = new_stream();

	peer_start(&a, &(struct peer_options){0});
	peer_start(&b, &(struct peer_options){0});
	atomic_store(&a.script->hold, true);
	atomic_store(&a.script->park, true);
	config = peer_config(&a);
	config.packed = *state;
	ok(gw_frontend_new(&from, &config));
	ok(gw_frontend_start(from));
	for (unsigned i = 0; i < 4; i++) {
		echo_init(&echoes[i], from);
		echo_add(&echoes[i], from, 0, i, 300, 2);
	}
	ok(gw_driver_kick(from, 0));
	wait_until(&a.script->elements, 4);
	ok(gw_frontend_stop(from));
	ok(gw_frontend_save(from, stream));
	lseek(stream, 0, SEEK_SET);
	config = peer_config(&b);
	ok(gw_frontend_migrate(&to, from, &config));
	ok(gw_frontend_load(to, stream));
	ok(gw_frontend_start(to));
	for (unsigned i = 0; i < 4; i++)
		echo_take(to, 0);
	assert_int_equal(atomic_load(&b.script->again), 4);
	for (unsigned i = 0; i < 300; i++)
		echo_once(&echoes[0], to, 0, i);
	gw_frontend_free(to);
	gw_frontend_free(from);
	close(stream);
	peer_join(&a);
	peer_join(&b);
}

int main(void)
{
	static char packed;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small),
		cmocka_unit_test(larger_than_a_pipe),
		cmocka_unit_test(large),
		cmocka_unit_test(own_descriptor),
		cmocka_unit_test(into_a_file),
		cmocka_unit_test(through_a_socket),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(parked_travels),
		cmocka_unit_test_prestate(parked_travels, &packed),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
