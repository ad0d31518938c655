/* SPDX-License-Identifier: BSD-3-Clause */
/* unit/driver-chains.c - chains reach the device as they were added, and come back by token. */
#include <errno.h>

#include "cmocka-all.h"
#include "driver-device.h"

struct variant {
	bool packed, event_idx, indirect;
};

static void add(struct device *device, unsigned out_count, unsigned in_count, int expected,
		void *token)
{
	struct iovec out[NUM], in[NUM];

	for (unsigned i = 0; i < out_count; i++)
		out[i] = (struct iovec){device->buffers + 100 * i, 10 + i};
	for (unsigned i = 0; i < in_count; i++)
		in[i] = (struct iovec){device->buffers + 5000 + 100 * i, 20 + i};
	assert_int_equal(gw_driver_queue_add(device->driver, out, out_count, in, in_count, token),
			 expected);
}

static void expect_chain(struct device *device, const struct seg *segs, unsigned count,
			 unsigned out_count)
{
	uint64_t gpa = MEM_GPA + (uint64_t)(device->buffers - device->mem);

	for (unsigned i = 0; i < count; i++) {
		bool in = i >= out_count;
		unsigned k = in ? i - out_count : i;

		assert_int_equal(segs[i].writable, in);
		assert_int_equal(segs[i].gpa, gpa + (in ? 5000 : 0) + 100 * k);
		assert_int_equal(segs[i].len, (in ? 20 : 10) + k);
	}
}

/* Lengths 1 to 5, many times round the ring. */
static void round_and_round(void **state)
{
	struct variant *v = *state;
	struct device device;
	struct seg segs[NUM];
	uint16_t id, descs;
	uint32_t len;
	void *token;

	device_setup(&device, v->packed, v->event_idx, v->indirect);
	for (unsigned i = 0; i < 1000; i++) {
		unsigned out_count = i % 3, in_count = 1 + i % 2;

		add(&device, out_count, in_count, 0, &device.mem[i]);
		assert_int_equal(device_pop(&device, segs, &id, &descs), out_count + in_count);
		expect_chain(&device, segs, out_count + in_count, out_count);
		assert_false(gw_driver_queue_get(device.driver, &token, &len));
		device_push(&device, id, descs, i);
		assert_true(gw_driver_queue_get(device.driver, &token, &len));
		assert_ptr_equal(token, &device.mem[i]);
		assert_int_equal(len, i);
	}
	assert_int_equal(gw_driver_outstanding(device.driver), 0);
	device_teardown(&device);
}

static void out_of_order(void **state)
{
	struct variant *v = *state;
	struct device device;
	struct seg segs[NUM];
	uint16_t id[4], descs[4];
	uint32_t len;
	void *token;

	device_setup(&device, v->packed, v->event_idx, v->indirect);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 4; i++)
			add(&device, 1, 1, 0, &device.mem[i]);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(device_pop(&device, segs, &id[i], &descs[i]), 2);
		for (unsigned i = 4; i-- > 0;)
			device_push(&device, id[i], descs[i], i);
		for (unsigned i = 4; i-- > 0;) {
			assert_true(gw_driver_queue_get(device.driver, &token, &len));
			assert_ptr_equal(token, &device.mem[i]);
		}
	}
	device_teardown(&device);
}

static void full_ring(void **state)
{
	struct variant *v = *state;
	struct device device;
	unsigned fit = v->indirect ? NUM : NUM / 2;

	device_setup(&device, v->packed, v->event_idx, v->indirect);
	for (unsigned i = 0; i < fit; i++)
		add(&device, 1, 1, 0, NULL);
	add(&device, 1, 1, -ENOSPC, NULL);
	assert_int_equal(gw_driver_outstanding(device.driver), fit);
	device_teardown(&device);
}

static void refused_chains(void **state)
{
	struct variant *v = *state;
	struct device device;
	struct iovec outside = {(void *)state, 16}, beyond;

	device_setup(&device, v->packed, v->event_idx, v->indirect);
	beyond = (struct iovec){device.mem + MEM_BYTES - 8, 9};
	assert_int_equal(gw_driver_queue_add(device.driver, &outside, 1, NULL, 0, NULL), -EFAULT);
	assert_int_equal(gw_driver_queue_add(device.driver, NULL, 0, &beyond, 1, NULL), -EFAULT);
	assert_int_equal(gw_driver_queue_add(device.driver, NULL, 0, NULL, 0, NULL), -EINVAL);
	assert_int_equal(gw_driver_outstanding(device.driver), 0);
	device_teardown(&device);
}

static void reset_forgets(void **state)
{
	struct variant *v = *state;
	struct device device;
	struct seg segs[NUM];
	uint16_t id, descs;

	device_setup(&device, v->packed, v->event_idx, v->indirect);
	add(&device, 1, 1, 0, NULL);
	gw_driver_reset(device.driver);
	assert_int_equal(gw_driver_outstanding(device.driver), 0);
	assert_int_equal(gw_driver_base(device.driver), v->packed ? 0x80008000 : 0);
	assert_int_equal(device_pop(&device, segs, &id, &descs), 0);
	device_teardown(&device);
}

static struct variant variants[] = {
	{false, false, false}, {false, true, false}, {false, false, true}, {false, true, true},
	{true, false, false},  {true, true, false},  {true, false, true},  {true, true, true},
};

int main(void)
{
	int failed = 0;

	for (unsigned i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		const struct CMUnitTest tests[] = {
			cmocka_unit_test_prestate(round_and_round, &variants[i]),
			cmocka_unit_test_prestate(out_of_order, &variants[i]),
			cmocka_unit_test_prestate(full_ring, &variants[i]),
			cmocka_unit_test_prestate(refused_chains, &variants[i]),
			cmocka_unit_test_prestate(reset_forgets, &variants[i]),
		};

		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return !!failed;
}
