/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-slots.c - ids: never twice, never another's, and as a stream gave them. */
#include <errno.h>

#include "fs-share.h"
#include "fs/slots.h"

struct thing {
	struct fs_slot slot;
	uint64_t content;
};

static struct fs_slots slots;

static int set_up(void **state)
{
	(void)state;
	return fs_slots_init(&slots, sizeof(struct thing), NULL);
}

static int tear_down(void **state)
{
	(void)state;
	fs_slots_fini(&slots);
	return 0;
}

static struct thing *publish(struct thing *thing)
{
	assert_non_null(thing);
	fs_slot_publish(&thing->slot);
	return thing;
}

static void end(struct thing *thing)
{
	assert_true(fs_slot_unpin(&thing->slot));
	fs_slot_free(&thing->slot);
}

static void test_an_id_ends_with_its_slot(void **state)
{
	struct thing *thing = publish(fs_slot_new(&slots));
	uint64_t id = thing->slot.id;

	(void)state;
	thing->content = 7;
	assert_ptr_equal(fs_slot_get(&slots, id), thing);
	assert_false(fs_slot_unpin(&thing->slot));
	end(thing);
	assert_null(fs_slot_get(&slots, id));
	assert_false(fs_slot_try_pin(&thing->slot));
	assert_ptr_equal(fs_slot_new(&slots), thing); /* the same slot, wiped */
	assert_int_equal(thing->content, 0);
	assert_int_not_equal(thing->slot.id, id);
	/* Not published yet, so nobody's. */
	assert_null(fs_slot_get(&slots, thing->slot.id));
}

static void test_no_such_id(void **state)
{
	(void)state;
	assert_null(fs_slot_get(&slots, 0));
	assert_null(fs_slot_get(&slots, 1));
	assert_null(fs_slot_get(&slots, FS_SLOTS_MAX));
	assert_null(fs_slot_get(&slots, UINT64_MAX));
}

static void test_ids_from_a_stream(void **state)
{
	const uint64_t far = FS_SLOTS_MAX - 1, second = (UINT64_C(9) << 32) | 2;
	struct thing *thing;

	(void)state;
	assert_null(fs_slot_adopt(&slots, 0));
	assert_null(fs_slot_adopt(&slots, FS_SLOTS_MAX));
	assert_null(fs_slot_adopt(&slots, UINT64_MAX));
	thing = publish(fs_slot_adopt(&slots, second));
	publish(fs_slot_adopt(&slots, far));
	assert_null(fs_slot_adopt(&slots, 2));
	assert_int_equal(errno, EEXIST);
	assert_ptr_equal(fs_slot_get(&slots, second), thing);
	assert_int_equal(publish(fs_slot_new(&slots))->slot.id, 1);
	assert_int_equal(publish(fs_slot_new(&slots))->slot.id, 3);
}

/* Ids that say nothing of a slot, and what is ours beside them. */
static void test_ids_of_another_make(void **state)
{
	const uint64_t strange[] = {0, FS_SLOTS_MAX, UINT64_C(7) << 32, UINT64_MAX,
				    UINT64_C(5) << 32 | 2};
	struct thing *things[5], *plain = publish(fs_slot_adopt_foreign(&slots, 2));

	(void)state;
	assert_false(fs_slot_is_foreign(&plain->slot));
	for (int i = 0; i < 5; i++) {
		things[i] = fs_slot_adopt_foreign(&slots, strange[i]);
		assert_ptr_equal(fs_slot_adopted(&slots, strange[i]), things[i]);
		assert_null(fs_slot_get(&slots, strange[i]));
		publish(things[i]);
		assert_true(fs_slot_is_foreign(&things[i]->slot));
		assert_null(fs_slot_adopt_foreign(&slots, strange[i]));
		assert_int_equal(errno, EEXIST);
	}
	assert_null(fs_slot_adopt_foreign(&slots, 2));
	assert_int_equal(errno, EEXIST);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(fs_slot_id(&things[i]->slot), strange[i]);
		assert_ptr_equal(fs_slot_get(&slots, strange[i]), things[i]);
		assert_false(fs_slot_unpin(&things[i]->slot));
		/* By our own number nobody is found. */
		assert_null(fs_slot_get(&slots, things[i]->slot.id));
		end(things[i]);
		assert_null(fs_slot_get(&slots, strange[i]));
	}
	assert_ptr_equal(fs_slot_get(&slots, 2), plain);
	assert_int_equal(slots.foreign.count, 0);
	/* What ended is not used again: no id of ours could become one of theirs. */
	assert_int_equal(publish(fs_slot_new(&slots))->slot.id, 1);
	assert_int_equal(publish(fs_slot_new(&slots))->slot.id, 3);
}

static void test_many_ids_of_another_make(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 3000; i++)
		publish(fs_slot_adopt_foreign(&slots, (i * 977) << 27));
	for (uint64_t i = 0; i < 3000; i++) {
		struct thing *thing = fs_slot_get(&slots, (i * 977) << 27);

		assert_non_null(thing);
		assert_int_equal(fs_slot_id(&thing->slot), (i * 977) << 27);
	}
}

static void test_generations_go_on_elsewhere(void **state)
{
	struct thing *thing;

	(void)state;
	for (int i = 0; i < 5; i++)
		end(publish(fs_slot_new(&slots)));
	assert_int_equal(fs_slots_floor(&slots), 5);
	tear_down(NULL);
	set_up(NULL);
	assert_int_equal(fs_slots_set_floor(&slots, UINT32_MAX), -EINVAL);
	assert_int_equal(fs_slots_set_floor(&slots, 5), 0);
	thing = publish(fs_slot_new(&slots));
	assert_int_equal(thing->slot.id, (UINT64_C(5) << 32) | 1);
	assert_int_equal(fs_slots_floor(&slots), 5);
}

static void test_a_slot_retires(void **state)
{
	struct thing *thing = publish(fs_slot_new(&slots));

	(void)state;
	atomic_store(&thing->slot.life, (UINT64_C(0xffffffff) << 32) | 1);
	end(thing);
	assert_ptr_not_equal(fs_slot_new(&slots), thing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_id_ends_with_its_slot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_such_id, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ids_from_a_stream, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ids_of_another_make, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_ids_of_another_make, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_generations_go_on_elsewhere, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_slot_retires, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
