/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/mutate.c - a small fuzzer for compilers that bring none: seeds, changed at random. It
 * does not know which branches were taken; where there is clang, libFuzzer does. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "harness.h"
#include "mutate.h"

/* Inputs get no longer than the longest seed and this. */
#define GROWTH 4096
/* One after the other on one input, at most. */
#define CHANGES_MAX 8

static uint64_t state;

/* splitmix64: small, and good enough for this. */
static uint64_t next_random(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static size_t below(size_t limit)
{
	return limit ? (size_t)(next_random() % limit) : 0;
}

/*
 * What ended the program is written down by a signal's handler, or by the sanitizer's last words.
 */
static struct {
	char path[4096];
	const uint8_t *data;
	size_t len;
} current;

static void leave_input(void)
{
	int fd = current.data ? open(current.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
			      : -1;

	if (fd >= 0 && write(fd, current.data, current.len) == (ssize_t)current.len)
		dprintf(STDERR_FILENO, "the input is left in %s\n", current.path);
	current.data = NULL;
}

static void on_signal(int number)
{
	if (number == SIGALRM)
		dprintf(STDERR_FILENO, "an input takes too long\n");
	leave_input();
	signal(number, SIG_DFL);
	raise(number);
}

/* Of the sanitizers' runtime, where there is one. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static void watch(const char *prefix)
{
	static const int deadly[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};

	snprintf(current.path, sizeof(current.path), "%scrash-%d", prefix, getpid());
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(leave_input);
	for (size_t i = 0; i < GW_ARRAY_LEN(deadly); i++)
		signal(deadly[i], on_signal);
}

/*
 * Changes. @input has room for @max bytes.
 */

struct input {
	uint8_t *data;
	size_t len, max;
	const struct seed *other; /* to take parts of */
};

static void flip_bit(struct input *in)
{
	if (in->len)
		in->data[below(in->len)] ^= (uint8_t)(1u << below(8));
}

static void set_byte(struct input *in)
{
	if (in->len)
		in->data[below(in->len)] = (uint8_t)next_random();
}

/* Where lengths and indexes go wrong; both byte orders come by chance. */
static void set_number(struct input *in)
{
	static const uint64_t numbers[] = {0,	       1,	   2,	       0x7f,
					   0x80,       0xff,	   0x7fff,     0x8000,
					   0xffff,     0x10000,	   0x7fffffff, 0x80000000,
					   0xffffffff, 1ull << 32, INT64_MAX,  UINT64_MAX};
	uint64_t number = numbers[below(GW_ARRAY_LEN(numbers))] + below(3) - 1;
	size_t size = (size_t)1 << below(4);

	if (in->len >= size)
		memcpy(in->data + below(in->len - size + 1), &number, size);
}

static void add_little(struct input *in)
{
	if (in->len)
		in->data[below(in->len)] += (uint8_t)(below(33) - 16);
}

static void cut_end(struct input *in)
{
	in->len = below(in->len + 1);
}

static void remove_part(struct input *in)
{
	size_t at = below(in->len), part = below(GW_MIN(in->len - at, (size_t)64) + 1);

	memmove(in->data + at, in->data + at + part, in->len - at - part);
	in->len -= part;
}

static void insert(struct input *in, const uint8_t *part, size_t len)
{
	size_t at = below(in->len + 1);

	len = GW_MIN(len, in->max - in->len);
	memmove(in->data + at + len, in->data + at, in->len - at);
	memmove(in->data + at, part, len);
	in->len += len;
}

static void repeat_part(struct input *in)
{
	uint8_t part[64];
	size_t at = below(in->len), len = GW_MIN(in->len - at, below(sizeof(part)) + 1);

	memcpy(part, in->data + at, len);
	insert(in, part, len);
}

static void insert_noise(struct input *in)
{
	uint8_t part[16];

	for (size_t i = 0; i < sizeof(part); i++)
		part[i] = (uint8_t)next_random();
	insert(in, part, below(sizeof(part)) + 1);
}

static void take_from_other(struct input *in)
{
	size_t at = below(in->other->len);

	if (in->other->len)
		insert(in, in->other->data + at, below(in->other->len - at) + 1);
}

static void overwrite(struct input *in)
{
	size_t from = below(in->other->len), at = below(in->len);
	size_t len = GW_MIN(in->other->len - from, in->len - at);

	if (len)
		memcpy(in->data + at, in->other->data + from, below(len) + 1);
}

static void (*const changes[])(struct input *in) = {
	flip_bit,    set_byte,	  set_number,	add_little,	 cut_end,
	remove_part, repeat_part, insert_noise, take_from_other, overwrite,
};

static void feed(const struct input *in)
{
	/* A block of the very size, so that a sanitizer sees one byte too many. */
	GW_AUTO_FREE uint8_t *exact = malloc(in->len ? in->len : 1);

	if (!exact)
		abort();
	memcpy(exact, in->data, in->len);
	current.data = exact;
	current.len = in->len;
	LLVMFuzzerTestOneInput(exact, in->len);
	current.data = NULL;
}

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

uint64_t mutate(const struct seed *seeds, size_t count, unsigned seconds, uint64_t random,
		unsigned timeout, const char *prefix)
{
	time_t end = now() + seconds;
	GW_AUTO_FREE uint8_t *room = NULL;
	struct input in = {.max = GROWTH};
	uint64_t runs = 0;

	state = random;
	for (size_t i = 0; i < count; i++)
		in.max = GW_MAX(in.max, seeds[i].len + GROWTH);
	in.data = room = malloc(in.max);
	if (!room)
		abort();
	watch(prefix);
	for (; now() < end; runs++) {
		const struct seed *seed = &seeds[below(count)];

		memcpy(in.data, seed->data, seed->len);
		in.len = seed->len;
		in.other = &seeds[below(count)];
		for (size_t n = below(CHANGES_MAX) + 1; n; n--)
			changes[below(GW_ARRAY_LEN(changes))](&in);
		alarm(timeout);
		feed(&in);
	}
	alarm(0);
	return runs;
}
