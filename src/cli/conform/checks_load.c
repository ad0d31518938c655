/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/checks_load.c - states that are none: cut, flipped, lengthened, made up. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

#define GARBAGE (256u * 1024)
#define FLIPS	24

/* A small generator that is the same everywhere: what fails once, fails again. */
static uint64_t next(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

/* The state of a guest that was used, which stays stopped. */
static void saved(struct cf_run *run, struct cf_guest *guest, struct cf_blob *blob)
{
	static struct cf_backend source;

	cf_guest_start(run, &source, guest);
	if (guest->work->memo)
		guest->work->memo(guest);
	cf_ok(run, gw_frontend_stop(guest->frontend), "stop");
	cf_save(run, guest->frontend, blob);
}

/* Offered to a new back-end, which must survive it: was it taken? */
static bool taken(struct cf_run *run, struct cf_guest *guest, const void *bytes, size_t len)
{
	struct cf_backend backend;
	struct gw_frontend *frontend = cf_destination(run, guest->frontend, &backend);
	int err = cf_try_load(run, frontend, bytes, len);

	cf_not_crashed(run, &backend);
	if (err)
		cf_answers(run, frontend);
	gw_frontend_free(frontend);
	return !err;
}

static void empty(struct cf_run *run)
{
	struct cf_guest guest;
	struct cf_blob blob;

	saved(run, &guest, &blob);
	if (!blob.len)
		cf_skip(run, "the state has no bytes");
	CF_EXPECT(run, !taken(run, &guest, "", 0), "a state of no bytes was taken");
}

static void garbage(struct cf_run *run)
{
	struct cf_guest guest;
	struct cf_blob blob;
	uint64_t seed = 1;
	char *bytes = malloc(GARBAGE);

	CF_EXPECT(run, bytes, "no memory");
	saved(run, &guest, &blob);
	for (size_t i = 0; i < GARBAGE; i++)
		bytes[i] = (char)next(&seed);
	CF_EXPECT(run, !taken(run, &guest, bytes, GARBAGE), "%u random bytes were taken", GARBAGE);
}

static void cut(struct cf_run *run)
{
	struct cf_guest guest;
	struct cf_blob blob;
	uint64_t seed = 2;

	saved(run, &guest, &blob);
	if (blob.len < 2)
		cf_skip(run, "the state has %zu bytes", blob.len);
	for (unsigned i = 0; i < FLIPS; i++) {
		size_t len = i ? next(&seed) % blob.len : blob.len - 1;

		CF_EXPECT(run, !taken(run, &guest, blob.bytes, len),
			  "the first %zu of %zu bytes were taken for a state", len, blob.len);
	}
}

static void flipped(struct cf_run *run)
{
	struct cf_guest guest;
	struct cf_blob blob;
	uint64_t seed = 3;
	unsigned took = 0;

	saved(run, &guest, &blob);
	if (!blob.len)
		cf_skip(run, "the state has no bytes");
	for (unsigned i = 0; i < FLIPS; i++) {
		uint64_t bit = next(&seed) % (blob.len * 8);

		blob.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		took += taken(run, &guest, blob.bytes, blob.len);
		blob.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	CF_EXPECT(run, !took, "%u of %d states with one flipped bit were taken", took, FLIPS);
}

static void appended(struct cf_run *run)
{
	struct cf_guest guest;
	struct cf_blob blob;

	saved(run, &guest, &blob);
	if (!blob.len)
		cf_skip(run, "the state has no bytes");
	blob.bytes[blob.len] = 0; /* there is room for one more */
	CF_EXPECT(run, !taken(run, &guest, blob.bytes, blob.len + 1),
		  "a state with one more byte was taken");
}

/* Whatever the destination thinks, the source goes on. */
static void source_goes_on(struct cf_run *run)
{
	struct cf_guest guest;
	struct cf_blob blob;
	const char *wrong = NULL;

	saved(run, &guest, &blob);
	taken(run, &guest, "no state", 8);
	cf_guest_begin(&guest);
	cf_guest_works(&guest);
	if (guest.work->memo)
		wrong = guest.work->recall(&guest);
	CF_EXPECT(run, !wrong, "at the source, after a failed migration: %s", wrong);
}

/* A failed load leaves a device that can be started, or loaded again. */
static void again(struct cf_run *run)
{
	struct cf_guest guest;
	struct cf_blob blob;
	struct cf_backend backend;
	struct gw_frontend *frontend;

	saved(run, &guest, &blob);
	if (!blob.len)
		cf_skip(run, "the state has no bytes");
	frontend = cf_destination(run, guest.frontend, &backend);
	CF_EXPECT(run, cf_try_load(run, frontend, blob.bytes, blob.len / 2),
		  "half a state was taken");
	cf_load(run, frontend, &blob);
	guest.frontend = frontend;
	cf_guest_begin(&guest);
	if (guest.work->request)
		cf_guest_works(&guest);
}

#define LOAD CF_NEEDS_STATE | CF_NEEDS_EXEC
#define NAME "Migrating back-end state"
const struct cf_check cf_checks_load[] = {
	{"load-empty", "no bytes are no state", NAME, CF_SHOULD, LOAD, .run = empty},
	{"load-garbage", "random bytes are refused, and harmless", NAME, CF_MUST, LOAD,
	 .run = garbage},
	{"load-cut", "so is a state that was cut: a front-end cannot tell", NAME, CF_SHOULD, LOAD,
	 .run = cut},
	{"load-flipped", "so is one with a flipped bit", NAME, CF_SHOULD, LOAD, .run = flipped},
	{"load-appended", "so is one with a byte too many", NAME, CF_SHOULD, LOAD, .run = appended},
	{"load-refused-source", "after a load that failed the source goes on", NAME, CF_MUST,
	 LOAD | CF_NEEDS_WORK, .run = source_goes_on},
	{"load-again", "after a load that failed another one can succeed", NAME, CF_SHOULD, LOAD,
	 .run = again},
	{NULL},
};
