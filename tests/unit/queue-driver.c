/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/queue-driver.c - both sides of a ring together: no kick and no call is ever lost. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <unistd.h>

#include "rig.h"
#include "virtio/driver.h"

#define REQUESTS 3000
#define DEPTH	 4

/* Answers with the bytes inverted, one by one, however they are cut. */
static void invert(struct gw_elem *elem)
{
	uint8_t buf[64];
	size_t len = gw_elem_copy_from(elem, 0, buf, sizeof(buf));

	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)~buf[i];
	gw_elem_push(elem, gw_elem_copy_to(elem, 0, buf, len));
}

static void ready(void *opaque, struct gw_queue *queue)
{
	struct gw_elem *elem;

	(void)opaque;
	while ((elem = gw_queue_pop(queue)))
		invert(elem);
}

static const struct gw_queue_ops ops = {.ready = ready};

/* A request of 48 bytes out of two pieces, answered into three. */
struct request {
	uint8_t *out, *in;
	uint8_t seed;
};

static void ask(struct rig *rig, struct gw_driver *driver, struct request *r)
{
	struct iovec out[] = {{r->out, 16}, {r->out + 100, 32}};
	struct iovec in[] = {{r->in, 1}, {r->in + 50, 40}, {r->in + 150, 7}};

	memset(r->out, r->seed, 16);
	memset(r->out + 100, r->seed + 1, 32);
	memset(r->in, 0, 200);
	assert_int_equal(gw_driver_queue_add(driver, out, 2, in, 3, r), 0);
	if (gw_driver_wants_kick(driver))
		rig_kick(rig);
}

static void check(const struct request *r, uint32_t len)
{
	assert_int_equal(len, 48);
	assert_int_equal(r->in[0], (uint8_t)~r->seed);
	assert_int_equal(r->in[50], (uint8_t)~r->seed);
	assert_int_equal(r->in[50 + 39], (uint8_t) ~(r->seed + 1));
	assert_int_equal(r->in[156], (uint8_t) ~(r->seed + 1));
}

/* The driver sleeps whenever there is nothing: a notification lost is a test that fails. */
static void serve(struct rig *rig, struct gw_driver *driver, struct request *requests)
{
	unsigned asked = 0, answered = 0;

	while (answered < REQUESTS) {
		uint32_t len;
		void *token;

		while (asked < REQUESTS && asked - answered < DEPTH)
			ask(rig, driver, &requests[asked++ % DEPTH]);
		while (gw_driver_queue_get(driver, &token, &len)) {
			struct request *r = token;

			check(r, len);
			r->seed++;
			answered++;
			if (asked < REQUESTS) {
				ask(rig, driver, r);
				asked++;
			}
		}
		if (answered < REQUESTS && !gw_driver_arm(driver))
			assert_true(rig_wait(rig->call, 5000));
	}
}

static uint64_t gpa_of(const void *opaque, const void *ptr, size_t len)
{
	(void)len;
	return gw_mem_gpa_of(opaque, ptr);
}

static void run(bool packed, bool event_idx, bool indirect)
{
	struct rig rig = {.num = packed ? 21 : 32,
			  .packed = packed,
			  .event_idx = event_idx,
			  .base = packed ? 0x80008000 : 0};
	struct gw_queue_change addr = {.what = GW_QUEUE_ADDR};
	struct gw_driver_config config = {.num = rig.num,
					  .packed = packed,
					  .event_idx = event_idx,
					  .indirect = indirect,
					  .ring_gpa = RIG_GPA,
					  .gpa_of = gpa_of};
	struct request requests[DEPTH];
	struct gw_driver *driver;

	rig_memory(&rig);
	config.opaque = rig.mem;
	config.ring = gw_mem_at_gpa(rig.mem, RIG_GPA, RIG_DATA);
	assert_true(gw_driver_bytes(rig.num, packed, indirect) <= RIG_DATA);
	assert_int_equal(gw_driver_new(&driver, &config), 0);
	gw_driver_areas(driver, &addr.desc, &addr.avail, &addr.used);
	addr.desc += RIG_UADDR;
	addr.avail += RIG_UADDR;
	addr.used += RIG_UADDR;
	for (unsigned i = 0; i < DEPTH; i++) {
		uint8_t *at = gw_mem_at_gpa(rig.mem, RIG_GPA + RIG_DATA + 4096 * i, 4096);

		requests[i] = (struct request){.out = at, .in = at + 2048, .seed = (uint8_t)i};
	}
	rig_queue(&rig, &ops, NULL);
	assert_int_equal(rig_change(&rig, &addr), 0);
	rig_start(&rig);
	serve(&rig, driver, requests);
	rig_stop(&rig);
	gw_driver_free(driver);
	rig_free(&rig);
}

static void test_split(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		run(false, i & 1, i & 2);
}

static void test_packed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		run(true, i & 1, i & 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_packed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
