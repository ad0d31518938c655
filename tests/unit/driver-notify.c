/* SPDX-License-Identifier: BSD-3-Clause */
/* unit/driver-notify.c - kicks are given when the device asked, calls are asked for in time. */
#include <string.h>

#include "cmocka-all.h"
#include "driver-device.h"

static bool packed_of(void **state)
{
	return *state != NULL;
}

static void add_one(struct device *device)
{
	struct iovec in = {device->buffers, 16};

	assert_int_equal(gw_driver_queue_add(device->driver, NULL, 0, &in, 1, NULL), 0);
}

static void serve_all(struct device *device)
{
	struct seg segs[NUM];
	uint16_t id, descs;
	uint32_t len;
	void *token;

	while (device_pop(device, segs, &id, &descs))
		device_push(device, id, descs, 0);
	while (gw_driver_queue_get(device->driver, &token, &len))
		;
}

static void kick_once_a_batch(void **state)
{
	struct device device;

	for (int event_idx = 0; event_idx < 2; event_idx++) {
		device_setup(&device, packed_of(state), event_idx, false);
		for (unsigned round = 0; round < 3 * NUM; round++) {
			assert_false(gw_driver_wants_kick(device.driver));
			device_ask_kick(&device, true);
			for (unsigned i = 0; i <= round % 5; i++)
				add_one(&device);
			assert_true(gw_driver_wants_kick(device.driver));
			assert_false(gw_driver_wants_kick(device.driver));
			serve_all(&device);
		}
		device_teardown(&device);
	}
}

/* The device asked for the next one and has been told: more of them are not worth a kick. */
static void event_already_passed(void **state)
{
	struct device device;

	device_setup(&device, packed_of(state), true, false);
	for (unsigned round = 0; round < 3 * NUM; round++) {
		device_ask_kick(&device, true);
		add_one(&device);
		assert_true(gw_driver_wants_kick(device.driver));
		add_one(&device);
		assert_false(gw_driver_wants_kick(device.driver));
		serve_all(&device);
	}
	device_teardown(&device);
}

static void no_kick_wanted(void **state)
{
	struct device device;

	device_setup(&device, packed_of(state), false, false);
	device_ask_kick(&device, false);
	add_one(&device);
	assert_false(gw_driver_wants_kick(device.driver));
	device_teardown(&device);
}

static void arm_sees_what_is_there(void **state)
{
	struct device device;
	struct seg segs[NUM];
	uint16_t id, descs;

	device_setup(&device, packed_of(state), true, false);
	assert_false(gw_driver_arm(device.driver));
	add_one(&device);
	assert_int_equal(device_pop(&device, segs, &id, &descs), 1);
	assert_false(gw_driver_arm(device.driver));
	device_push(&device, id, descs, 0);
	assert_true(gw_driver_arm(device.driver));
	device_teardown(&device);
}

/* A used element that is not outstanding, or numbered out of the ring, breaks the driver. */
static void invented_element(void **state)
{
	static const uint16_t invented[] = {0, NUM - 1, NUM, UINT16_MAX};
	struct device device;
	uint32_t len;
	void *token;

	for (unsigned i = 0; i < sizeof(invented) / sizeof(invented[0]); i++) {
		device_setup(&device, packed_of(state), true, false);
		device_push(&device, invented[i], 1, 0);
		assert_false(gw_driver_queue_get(device.driver, &token, &len));
		assert_true(gw_driver_is_broken(device.driver));
		assert_false(gw_driver_queue_get(device.driver, &token, &len));
		device_teardown(&device);
	}
}

int main(void)
{
	static char packed;
	int failed = 0;

	for (int i = 0; i < 2; i++) {
		void *state = i ? &packed : NULL;
		const struct CMUnitTest tests[] = {
			cmocka_unit_test_prestate(kick_once_a_batch, state),
			cmocka_unit_test_prestate(event_already_passed, state),
			cmocka_unit_test_prestate(no_kick_wanted, state),
			cmocka_unit_test_prestate(arm_sees_what_is_there, state),
			cmocka_unit_test_prestate(invented_element, state),
		};

		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return !!failed;
}
