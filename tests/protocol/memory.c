/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/memory.c - guest memory: what is refused, what may change while rings run. */
#include "../unit/cmocka-all.h"

#include "echo.h"
#include "provoke.h"
#include "vhost-user/frontend_internal.h"

#define MIB UINT64_C(0x100000)

/* A good region of 1 MiB, and what is wrong with each other one beside it. */
static const struct gw_vu_region good = {.gpa = MIB, .size = MIB, .uaddr = 16 * MIB};
static const struct gw_vu_region bad[] = {
	{.gpa = MIB, .size = MIB, .uaddr = 32 * MIB},			  /* the same gpa */
	{.gpa = MIB + 4096, .size = 4096, .uaddr = 32 * MIB},		  /* within */
	{.gpa = MIB / 2, .size = MIB, .uaddr = 32 * MIB},		  /* from below */
	{.gpa = 4 * MIB, .size = MIB, .uaddr = 16 * MIB},		  /* the same uaddr */
	{.gpa = 4 * MIB, .size = MIB, .uaddr = 16 * MIB + MIB / 2},	  /* from above */
	{.gpa = 4 * MIB, .size = 0, .uaddr = 32 * MIB},			  /* empty */
	{.gpa = UINT64_MAX - 4095, .size = MIB, .uaddr = 32 * MIB},	  /* gpa wraps */
	{.gpa = 4 * MIB, .size = MIB, .uaddr = UINT64_MAX - 4095},	  /* uaddr wraps */
	{.gpa = 4 * MIB, .size = MIB, .uaddr = 32 * MIB, .offset = 4096}, /* file is shorter */
	{.gpa = 4 * MIB, .size = MIB, .uaddr = 32 * MIB, .offset = UINT64_MAX - 4095},
	{.gpa = 4 * MIB, .size = UINT64_MAX, .uaddr = 32 * MIB},
	{.gpa = 4 * MIB, .size = INT64_MAX, .uaddr = 32 * MIB},
};

static struct provoked add(struct gw_frontend *frontend, const struct gw_vu_region *region)
{
	struct gw_vu_mem_reg reg = {.region = *region};

	return provoke(frontend, &(struct provocation){.request = GW_VU_ADD_MEM_REG,
						       .flags = GW_VU_NEED_REPLY,
						       .payload = &reg,
						       .len = sizeof(reg),
						       .fd_count = 1});
}

static void bad_regions(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = connect_negotiated(&peer, 0);
	assert_int_equal(add(frontend, &good).payload.u64, 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!add(frontend, &bad[i]).payload.u64)
			fail_msg("region %u was taken", i);
	/* The table is what it was: the good one is there, so its like is refused. */
	assert_true(add(frontend, &good).payload.u64);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* In one table: all or nothing. */
static void bad_tables(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = connect_negotiated(&peer, 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gw_vu_mem_table table = {.count = 2, .regions = {good, bad[i]}};
		struct provoked provoked =
			provoke(frontend, &(struct provocation){.request = GW_VU_SET_MEM_TABLE,
								.flags = GW_VU_NEED_REPLY,
								.payload = &table,
								.len = 8 + 2 * sizeof(good),
								.fd_count = 2});

		if (!provoked.payload.u64)
			fail_msg("table with region %u was taken", i);
	}
	assert_int_equal(add(frontend, &good).payload.u64, 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

static void remove_needs_all_of_it(void **state)
{
	struct gw_vu_region others[] = {good, good, good};
	struct gw_frontend *frontend;
	struct peer peer;

	others[0].size /= 2;
	others[1].uaddr += 4096;
	others[2].gpa += 4096;
	peer_start(&peer, &(struct peer_options){0});
	frontend = connect_negotiated(&peer, 0);
	assert_int_equal(add(frontend, &good).payload.u64, 0);
	for (unsigned i = 0; i <= 3; i++) {
		struct gw_vu_mem_reg reg = {.region = i < 3 ? others[i] : good};
		struct provoked provoked =
			provoke(frontend, &(struct provocation){.request = GW_VU_REM_MEM_REG,
								.flags = GW_VU_NEED_REPLY,
								.payload = &reg,
								.len = sizeof(reg),
								.fd_count = i % 2});

		assert_int_equal(!provoked.payload.u64, i == 3);
	}
	assert_int_equal(add(frontend, &good).payload.u64, 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* As many as there are slots, and not one more. */
static void all_slots(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;
	uint64_t slots;

	peer_start(&peer, &(struct peer_options){0});
	frontend = connect_negotiated(&peer, 0);
	ok(gw_frontend_get_u64(frontend, GW_VU_GET_MAX_MEM_SLOTS, &slots));
	for (uint64_t i = 0; i <= slots; i++) {
		struct gw_vu_region region = {
			.gpa = i * 8192, .size = 4096, .uaddr = MIB + i * 8192};

		assert_int_equal(!add(frontend, &region).payload.u64, i < slots);
	}
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* Regions come and go while requests are under way in other ones, and in themselves. */
static void hot_add_and_remove(void **state)
{
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct echo echo, hot;
	struct peer peer;
	void *base;

	peer_start(&peer, &(struct peer_options){0});
	atomic_store(&peer.script->hold_ms, 3);
	config = peer_config(&peer);
	config.packed = *state;
	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_start(frontend));
	echo_init(&echo, frontend);
	for (unsigned i = 0; i < 20; i++) {
		echo_add(&echo, frontend, 0, i, 100, 1);
		ok(gw_driver_kick(frontend, 0));
		ok(gw_frontend_add_region(frontend, MIB, &base));
		hot = (struct echo){.out = base, .in = (char *)base + MIB / 2};
		echo_add(&hot, frontend, 0, i, ECHO_MAX, 2);
		ok(gw_driver_kick(frontend, 0));
		echo_take(frontend, 0);
		echo_take(frontend, 0);
		ok(gw_frontend_remove_region(frontend, base));
	}
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* An element keeps the memory it points to, though its region is removed under it. */
static void removed_under_an_element(void **state)
{
	struct gw_frontend *frontend;
	struct echo hot;
	struct peer peer;
	uint32_t len;
	void *base, *token;

	peer_start(&peer, &(struct peer_options){0});
	atomic_store(&peer.script->hold, true);
	frontend = peer_frontend(&peer);
	ok(gw_frontend_add_region(frontend, MIB, &base));
	hot = (struct echo){.out = base, .in = (char *)base + MIB / 2};
	echo_add(&hot, frontend, 0, 1, ECHO_MAX, 1);
	ok(gw_driver_kick(frontend, 0));
	wait_until(&peer.script->elements, 1);
	ok(gw_frontend_remove_region(frontend, base));
	atomic_store(&peer.script->hold, false);
	while (!gw_driver_get(frontend, 0, &token, &len))
		ok(gw_driver_wait(frontend, 0, 5000));
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* Without memory slots the whole table is sent again. */
static void whole_tables(void **state)
{
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct echo echo, hot;
	struct peer peer;
	void *base;

	peer_start(&peer, &(struct peer_options){0});
	config = peer_config(&peer);
	config.refuse_protocol_features = GW_VU_PF(CONFIGURE_MEM_SLOTS);
	config.packed = *state;
	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_start(frontend));
	echo_init(&echo, frontend);
	for (unsigned i = 0; i < 20; i++) {
		ok(gw_frontend_add_region(frontend, MIB, &base));
		hot = (struct echo){.out = base, .in = (char *)base + MIB / 2};
		echo_once(&hot, frontend, 0, i);
		echo_once(&echo, frontend, 0, i);
		ok(gw_frontend_remove_region(frontend, base));
		echo_once(&echo, frontend, 0, i);
	}
	gw_frontend_free(frontend);
	peer_join(&peer);
}

int main(void)
{
	static char packed;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_regions),
		cmocka_unit_test(bad_tables),
		cmocka_unit_test(remove_needs_all_of_it),
		cmocka_unit_test(all_slots),
		cmocka_unit_test(hot_add_and_remove),
		cmocka_unit_test_prestate(hot_add_and_remove, &packed),
		cmocka_unit_test(removed_under_an_element),
		cmocka_unit_test(whole_tables),
		cmocka_unit_test_prestate(whole_tables, &packed),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
