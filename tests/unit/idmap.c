/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/idmap.c - owners whose numbers differ: ranges, both ways, and what is no range. */
#include "cmocka-all.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/idmap.h"

static struct fs_idmap map;

static int set_up(void **state)
{
	(void)state;
	memset(&map, 0, sizeof(map));
	return 0;
}

static void add(const char *text)
{
	assert_int_equal(fs_idmap_add(&map, text), 0);
}

static void to_host(uint32_t guest, uint32_t expected)
{
	uint32_t host;

	assert_int_equal(fs_idmap_to_host(&map, guest, &host), 0);
	assert_int_equal(host, expected);
}

static void forbidden(uint32_t guest)
{
	uint32_t host;

	assert_int_equal(fs_idmap_to_host(&map, guest, &host), -EPERM);
}

static void to_guest(uint32_t host, uint32_t expected)
{
	assert_int_equal(fs_idmap_to_guest(&map, host), expected);
}

static void test_without_ranges_all_are_the_same(void **state)
{
	(void)state;
	to_host(0, 0);
	to_host(4294967294, 4294967294);
	forbidden(UINT32_MAX);
	to_guest(1000, 1000);
}

static void test_one_way(void **state)
{
	(void)state;
	add("guest:0:100000:1000");
	to_host(0, 100000);
	to_host(999, 100999);
	to_host(1000, 1000);
	to_guest(100000, 100000);
	add("host:500:0:2");
	to_guest(500, 0);
	to_guest(501, 1);
	to_guest(502, 502);
	to_host(5000, 5000);
}

static void test_both_ways(void **state)
{
	(void)state;
	add("map:0:100000:65536");
	to_host(1000, 101000);
	to_guest(101000, 1000);
	to_host(65536, 65536);
	to_guest(99999, 99999);
}

static void test_squashed(void **state)
{
	(void)state;
	add("squash-guest:0:1000:4294967295");
	add("squash-host:0:7:10");
	to_host(0, 1000);
	to_host(4294967294, 1000);
	to_guest(9, 7);
	to_guest(10, 10);
	to_guest(1000, 1000);
}

static void test_forbidden(void **state)
{
	(void)state;
	add("forbid-guest:0:1000");
	add("map:1000:1000:1");
	add("forbid-guest:1001:4294966294");
	forbidden(0);
	forbidden(999);
	to_host(1000, 1000);
	forbidden(1001);
	forbidden(4294967294);
	to_guest(0, 0);
}

static void test_nobody_is_no_owner(void **state)
{
	(void)state;
	add("guest:10:4294967290:6");
	to_host(14, 4294967294);
	forbidden(15);
}

static void test_no_ranges(void **state)
{
	static const char *const wrong[] = {
		"",
		"guest",
		"guest:",
		"guest:0:0",
		"guest:0:0:",
		"guest:0:0:1:",
		"guest:0:0:1:1",
		"guest:0:0:0",
		"guest:-1:0:1",
		"guest: 1:0:1",
		"guest:0x1:0:1",
		"guest:4294967296:0:1",
		"guest:1:0:4294967296",
		"guest:2:0:4294967295",
		"guest:0:2:4294967295",
		"squash-guest:2:0:4294967295",
		"forbid-guest:0:0",
		"forbid-guest:0:1:2",
		"forbid-guest:2:4294967295",
		"forbid-host:0:1",
		"gues:0:0:1",
		"guests:0:0:1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(fs_idmap_add(&map, wrong[i]), -EINVAL);
	assert_int_equal(map.to_host.count + map.to_guest.count, 0);
}

static void test_overlaps_are_refused(void **state)
{
	(void)state;
	add("guest:100:0:10");
	assert_int_equal(fs_idmap_add(&map, "forbid-guest:109:1"), -EINVAL);
	assert_int_equal(fs_idmap_add(&map, "squash-guest:0:5:101"), -EINVAL);
	assert_int_equal(fs_idmap_add(&map, "map:105:5:1"), -EINVAL);
	add("forbid-guest:110:1");
	add("host:100:0:10");
	assert_int_equal(fs_idmap_add(&map, "map:0:100:1"), -EINVAL);
}

static void test_count_is_bounded(void **state)
{
	char text[64];

	(void)state;
	for (unsigned i = 0; i < FS_IDMAP_RANGES_MAX; i++) {
		snprintf(text, sizeof(text), "guest:%u:0:1", i);
		add(text);
	}
	assert_int_equal(fs_idmap_add(&map, "guest:1000:0:1"), -EINVAL);
}

static void test_ids_tell_maps_apart(void **state)
{
	struct fs_idmap one = {0}, two = {0}, none = {0};

	(void)state;
	assert_int_equal(fs_idmaps_id(&none, &none), 0);
	assert_int_equal(fs_idmap_add(&one, "map:0:1:1") | fs_idmap_add(&one, "guest:5:6:1"), 0);
	assert_int_equal(fs_idmap_add(&two, "guest:5:6:1") | fs_idmap_add(&two, "map:0:1:1"), 0);
	assert_int_equal(fs_idmaps_id(&one, &none), fs_idmaps_id(&two, &none));
	assert_int_not_equal(fs_idmaps_id(&one, &none), fs_idmaps_id(&none, &one));
	assert_int_not_equal(fs_idmaps_id(&one, &none), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_without_ranges_all_are_the_same, set_up),
		cmocka_unit_test_setup(test_one_way, set_up),
		cmocka_unit_test_setup(test_both_ways, set_up),
		cmocka_unit_test_setup(test_squashed, set_up),
		cmocka_unit_test_setup(test_forbidden, set_up),
		cmocka_unit_test_setup(test_nobody_is_no_owner, set_up),
		cmocka_unit_test_setup(test_no_ranges, set_up),
		cmocka_unit_test_setup(test_overlaps_are_refused, set_up),
		cmocka_unit_test_setup(test_count_is_bounded, set_up),
		cmocka_unit_test_setup(test_ids_tell_maps_apart, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
