/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/ring-corrupt.c - a corrupt ring signals its err descriptor; the device lives on. */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "echo.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"

struct areas {
	struct vring_desc *desc;
	struct vring_packed_desc *packed;
	struct vring_avail *avail;
};

/* What a hostile guest writes into a chain of two that is there already. */
static void far_address(struct areas *ring, bool packed)
{
	if (packed)
		ring->packed[0].addr = UINT64_MAX - 4;
	else
		ring->desc[0].addr = UINT64_MAX - 4;
}

static void no_memory_there(struct areas *ring, bool packed)
{
	if (packed)
		ring->packed[0].addr = 0;
	else
		ring->desc[0].addr = 0;
}

static void beyond_the_end(struct areas *ring, bool packed)
{
	if (packed)
		ring->packed[0].len = UINT32_MAX;
	else
		ring->desc[0].len = UINT32_MAX;
}

static void bad_indirect(struct areas *ring, bool packed)
{
	uint16_t flags = VRING_DESC_F_INDIRECT;

	if (packed)
		ring->packed[0].flags =
			(uint16_t)((ring->packed[0].flags & ~VRING_DESC_F_NEXT) | flags);
	else
		ring->desc[0].flags = flags;
	if (packed)
		ring->packed[0].len = 17;
	else
		ring->desc[0].len = 17;
}

static void loop(struct areas *ring, bool packed)
{
	/* A packed chain cannot point anywhere; let it never end instead. */
	if (packed) {
		for (unsigned i = 0; i < 128; i++) {
			ring->packed[i] = ring->packed[0];
			ring->packed[i].flags |= VRING_DESC_F_NEXT;
		}
		return;
	}
	ring->desc[0].flags |= VRING_DESC_F_NEXT;
	ring->desc[0].next = 0;
}

static void next_outside(struct areas *ring, bool packed)
{
	if (packed)
		loop(ring, packed);
	ring->desc[0].flags |= packed ? 0 : VRING_DESC_F_NEXT;
	ring->desc[0].next = packed ? ring->desc[0].next : 4000;
}

static void head_outside(struct areas *ring, bool packed)
{
	if (packed)
		loop(ring, packed);
	else
		ring->avail->ring[0] = 60000;
}

static void index_runs_away(struct areas *ring, bool packed)
{
	if (packed)
		loop(ring, packed);
	else
		ring->avail->idx = 30000;
}

static void readable_after_writable(struct areas *ring, bool packed)
{
	if (packed) {
		ring->packed[0].flags |= VRING_DESC_F_WRITE;
		ring->packed[1].flags &= (uint16_t)~VRING_DESC_F_WRITE;
		return;
	}
	ring->desc[0].flags |= VRING_DESC_F_WRITE;
	ring->desc[1].flags &= (uint16_t)~VRING_DESC_F_WRITE;
}

static void (*const corruptions[])(struct areas *ring, bool packed) = {
	far_address,  no_memory_there, beyond_the_end,		bad_indirect, loop, next_outside,
	head_outside, index_runs_away, readable_after_writable,
};

static struct gw_frontend *make(const struct peer *peer, bool packed)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	config.queues = 2;
	config.packed = packed;
	ok(gw_frontend_new(&frontend, &config));
	return frontend;
}

static void corrupt_one(void (*corrupt)(struct areas *ring, bool packed), bool packed)
{
	struct gw_frontend *frontend;
	struct echo echoes[2];
	struct areas ring;
	struct peer peer;
	uint64_t desc, avail, used;

	peer_start(&peer, &(struct peer_options){0});
	frontend = make(&peer, packed);
	echo_init(&echoes[0], frontend);
	echo_init(&echoes[1], frontend);
	echo_add(&echoes[0], frontend, 0, 1, 100, 1);
	gw_driver_areas(frontend->guest->drivers[0], &desc, &avail, &used);
	ring.desc = frontend->guest->rings[0];
	ring.packed = frontend->guest->rings[0];
	ring.avail = (void *)((char *)frontend->guest->rings[0] + avail);
	corrupt(&ring, packed);
	ok(gw_frontend_start(frontend));
	assert_int_equal(gw_driver_wait(frontend, 0, 5000), -EIO);
	assert_int_equal(atomic_load(&peer.script->elements), 0);
	/* The other ring does not mind, and after a reset this one is good again. */
	echo_once(&echoes[1], frontend, 1, 1);
	ok(gw_frontend_reset_device(frontend));
	ok(gw_frontend_start(frontend));
	echo_once(&echoes[0], frontend, 0, 1);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

static void each_corruption(void **state)
{
	for (unsigned i = 0; i < sizeof(corruptions) / sizeof(corruptions[0]); i++)
		corrupt_one(corruptions[i], *state);
}

int main(void)
{
	static char packed;
	int failed = 0;

	gw_log_set_level(GW_LOG_OFF);
	for (int i = 0; i < 2; i++) {
		const struct CMUnitTest tests[] = {
			cmocka_unit_test_prestate(each_corruption, i ? &packed : NULL),
		};

		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return !!failed;
}
