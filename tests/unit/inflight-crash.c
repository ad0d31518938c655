/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/inflight-crash.c - a back-end dies before every single store to the in-flight region,
 * its successor before every one of its own: what was not done is found, and nothing else. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static void store(void);
#define GW_TRACK_STORE(field, value)                                   \
	do {                                                           \
		store();                                               \
		__atomic_store_n(&(field), (value), __ATOMIC_RELEASE); \
	} while (0)

/* The files themselves: their stores are what this is about. */
#include "virtio/track.c"
#include "virtio/track_packed.c"

#include "cmocka-all.h"

#define NUM   5 /* for packed rings, which need no power of two */
#define STEPS 60
#define ALIVE UINT32_MAX

/* A driver, a device, and what both know for certain. */
struct world {
	bool packed;
	unsigned num;
	struct gw_inflight *region;
	struct gw_track *track;
	struct vring_packed_desc desc[8]; /* the ring, which outlives the back-end */
	unsigned used;			  /* position, and wrap */
	unsigned avail;
	bool used_wrap, avail_wrap;

	/* Requests given to the device and not published, in the order of popping. */
	struct {
		uint16_t id, entry, count;
	} live[8];
	unsigned live_count;
	/* One that is being recorded; it was not given to the device yet. */
	bool popping;
	uint16_t pop_count;
	uint16_t next_id;
	uint32_t seed;
};

static struct world w;
static jmp_buf death;
static volatile uint32_t stores_left = ALIVE;

/* Memory is as it is when a process dies: what was stored stays. */
static void store(void)
{
	if (stores_left == ALIVE)
		return;
	if (!stores_left)
		longjmp(death, 1);
	stores_left--;
}

static unsigned any(unsigned below)
{
	w.seed = w.seed * 1664525 + 1013904223;
	return (w.seed >> 16) % below;
}

static struct gw_track_ring ring_now(void)
{
	return (struct gw_track_ring){.num = w.num,
				      .packed = w.packed,
				      .used = (uint16_t)w.used,
				      .used_wrap = w.used_wrap,
				      .desc = w.desc};
}

static void advance(unsigned *at, bool *wrap, unsigned by)
{
	*at += by;
	if (!w.packed) {
		*at &= 0xffff;
	} else if (*at >= w.num) {
		*at -= w.num;
		*wrap = !*wrap;
	}
}

static uint16_t flags_of(bool avail, bool used)
{
	return (uint16_t)(avail << VRING_PACKED_DESC_F_AVAIL | used << VRING_PACKED_DESC_F_USED);
}

static unsigned descs_out(void)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < w.live_count; i++)
		sum += w.live[i].count;
	return sum;
}

/* The driver makes a chain available, and the device takes it. */
static void pop_one(void)
{
	struct vring_packed_desc copies[NUM] = {0};
	unsigned room = w.num - descs_out();
	uint16_t count, id, entry;

	if (!room)
		return;
	count = w.packed ? (uint16_t)(1 + any(room < 3 ? room : 3)) : 1;
	for (id = w.next_id;; id = (uint16_t)((id + 1) % w.num)) {
		bool taken = false;

		for (unsigned i = 0; i < w.live_count; i++)
			taken |= w.live[i].id == id;
		if (!taken)
			break;
	}
	w.next_id = (uint16_t)((id + 1) % w.num);
	for (unsigned i = 0; i < count; i++) {
		copies[i].id = id;
		copies[i].addr = 0x1000u * id + i;
		w.desc[w.avail % 8].flags = flags_of(w.avail_wrap, !w.avail_wrap);
		advance(&w.avail, &w.avail_wrap, 1);
	}
	w.popping = true;
	w.pop_count = count;
	entry = gw_track_pop(w.track, id, copies, count);
	w.popping = false;
	assert_int_not_equal(entry, GW_TRACK_NONE);
	w.live[w.live_count].id = id;
	w.live[w.live_count].entry = entry;
	w.live[w.live_count++].count = count;
}

static void forget_live(unsigned i)
{
	w.live_count--;
	memmove(&w.live[i], &w.live[i + 1], (w.live_count - i) * sizeof(w.live[0]));
}

/* Some of what is out is answered, in any order, and published together. */
static void publish_some(void)
{
	unsigned n = w.live_count ? 1 + any(w.live_count) : 0, first = w.used % 8;
	unsigned used = w.used;
	bool wrap = w.used_wrap;
	uint16_t first_flags = flags_of(wrap, wrap);
	bool chosen[8] = {false};

	if (!n)
		return;
	for (unsigned k = 0; k < n; k++) {
		unsigned i = any(w.live_count);

		while (chosen[i])
			i = (i + 1) % w.live_count;
		chosen[i] = true;
		if (k)
			w.desc[used % 8].flags = flags_of(wrap, wrap);
		advance(&used, &wrap, w.live[i].count);
		gw_track_push(w.track, w.live[i].entry);
	}
	gw_track_publishing(w.track, (uint16_t)used, wrap);
	store();
	w.desc[first].flags = first_flags;
	w.used = used;
	w.used_wrap = wrap;
	for (unsigned i = w.live_count; i--;) {
		if (chosen[i])
			forget_live(i);
	}
	gw_track_published(w.track);
}

static void run_script(void)
{
	for (unsigned step = 0; step < STEPS; step++) {
		if (any(3))
			pop_one();
		else
			publish_some();
	}
}

static void begin(bool packed, uint32_t seed)
{
	struct gw_track_ring ring;
	int fd;

	w = (struct world){.packed = packed,
			   .num = packed ? NUM : 4,
			   .avail_wrap = true,
			   .used_wrap = true,
			   .seed = seed};
	/* Near the end of the 16 bits, so that the used index of a split ring wraps as well. */
	if (!packed)
		w.used = w.avail = 65530;
	assert_int_equal(gw_inflight_create(&w.region, packed, 1, w.num, &fd), 0);
	close(fd);
	ring = ring_now();
	assert_int_equal(gw_track_open(&w.track, w.region, 0, &ring), 0);
}

static void end(void)
{
	gw_track_close(w.track);
	gw_inflight_unref(w.region);
}

/* A request whose recording was cut short was given to nobody: it is there or not, but whole. */
static bool is_half_popped(uint16_t count)
{
	return w.popping && count == w.pop_count;
}

static void expect_live(void)
{
	unsigned found = gw_track_count(w.track), match = 0, extra = 0;

	for (unsigned i = 0; i < found; i++) {
		struct gw_track_entry entry = gw_track_entry_at(w.track, i);

		if (match < w.live_count && entry.entry == w.live[match].entry) {
			assert_int_equal(entry.descs, w.live[match].count);
			match++;
		} else {
			assert_true(is_half_popped(entry.descs));
			extra++;
		}
	}
	assert_int_equal(match, w.live_count);
	assert_true(extra <= 1);
}

/* As many single requests as the ring has room for can be recorded. */
static void expect_room(void)
{
	unsigned used = 0;

	for (unsigned i = 0; i < gw_track_count(w.track); i++)
		used += gw_track_entry_at(w.track, i).descs;
	for (; used < w.num; used++) {
		struct vring_packed_desc desc = {0};

		assert_int_not_equal(gw_track_pop(w.track, 0, &desc, 1), GW_TRACK_NONE);
	}
}

static void expect_recovered(void)
{
	uint16_t used;
	bool wrap;

	expect_live();
	assert_true(gw_track_is_old(w.track, &used, &wrap));
	if (!w.packed)
		return;
	assert_int_equal(used, w.used);
	assert_int_equal(wrap, w.used_wrap);
	expect_room();
}

static void open_again(void)
{
	struct gw_track_ring ring = ring_now();

	assert_int_equal(gw_track_open(&w.track, w.region, 0, &ring), 0);
}

/* False: it came to its end alive. */
static bool dies(void (*fn)(void), uint32_t after)
{
	stores_left = after;
	if (setjmp(death)) {
		stores_left = ALIVE;
		return true;
	}
	fn();
	stores_left = ALIVE;
	return false;
}

/* Leaks the tracker, as a dead process does; all else stays. */
static void die_in_script(bool packed, uint32_t seed)
{
	for (uint32_t at = 0;; at++) {
		begin(packed, seed);
		if (!dies(run_script, at)) {
			end();
			return;
		}
		gw_track_close(w.track);
		open_again();
		expect_recovered();
		end();
	}
}

static void die_in_recovery(bool packed, uint32_t seed)
{
	for (uint32_t at = 0, again = 0;; again++) {
		begin(packed, seed);
		if (!dies(run_script, at)) {
			end();
			return;
		}
		gw_track_close(w.track);
		w.track = NULL;
		if (!dies(open_again, again)) {
			/* All of its stores were died at: the next of the first one's. */
			at++;
			again = 0;
		} else {
			open_again();
		}
		expect_recovered();
		end();
	}
}

/* Who dies frees nothing. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void test_script(void **state)
{
	for (uint32_t seed = 0; seed < 20; seed++)
		die_in_script(*(bool *)*state, seed);
}

static void test_recovery(void **state)
{
	for (uint32_t seed = 0; seed < 3; seed++)
		die_in_recovery(*(bool *)*state, seed);
}

int main(void)
{
	static bool split = false, packed = true;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_script, &split),
		cmocka_unit_test_prestate(test_recovery, &split),
		cmocka_unit_test_prestate(test_script, &packed),
		cmocka_unit_test_prestate(test_recovery, &packed),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
