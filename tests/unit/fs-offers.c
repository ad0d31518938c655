/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-offers.c - what of FUSE INIT each profile offers, for ever; and what a session that
 * comes in a state may have agreed on. */
#include "cmocka-all.h"

#include <errno.h>
#include <string.h>

#include "fs/model.h"
#include "fs/offers.h"
#include "fs/session.h"
#include "godwit/error.h"

static const struct fs_host host = {.shared_dir = "/", .policy = FS_POLICY_UNSET};

/* An instance with what is @set, and for the rest the profile. */
static void make(struct fs *fs, struct gw_params **params, const char *profile, const char *set,
		 int64_t value)
{
	assert_int_equal(gw_params_new(params, &fs_model), 0);
	if (set)
		assert_int_equal(gw_params_set(*params, set, value, NULL), 0);
	assert_int_equal(gw_params_apply_profile(*params, profile), 0);
	*fs = (struct fs){.host = &host, .params = *params};
	fs_policy_apply(fs);
}

/*
 * A released profile stands here as it was released, in numbers. What differs is a mistake of the
 * tables, not of this one: a device of an older profile would agree with its guest on what an older
 * build does not have, and could not go there.
 */
static const struct golden {
	const char *profile;
	uint64_t flags;
	unsigned minor, max_write;
} golden[] = {
	{"1", 0x44044f829, 45, 1048576},
	{"2", 0x44844f829, 45, 1048576},
	{"3", 0x44844f829, 45, 1048576},
	{"4", 0x44844f829, 45, 1048576},
};

static const struct golden *golden_of(const char *profile)
{
	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		if (!strcmp(golden[i].profile, profile))
			return &golden[i];
	}
	fail_msg("profile %s has no row here: what does it offer?", profile);
	return NULL;
}

static void test_each_profile(void **state)
{
	unsigned count = 0;

	(void)state;
	for (const struct gw_profile *p = fs_model.profiles; p->name; p++, count++) {
		const struct golden *expected = golden_of(p->name);
		struct gw_params *params;
		struct fs fs;

		make(&fs, &params, p->name, NULL, 0);
		if (fs_session_flags(&fs) != expected->flags)
			fail_msg("profile %s: flags %#llx, released with %#llx", p->name,
				 (unsigned long long)fs_session_flags(&fs),
				 (unsigned long long)expected->flags);
		assert_int_equal(fs.policy.fuse_minor, expected->minor);
		assert_int_equal(fs.policy.max_write, expected->max_write);
		gw_params_free(params);
	}
	assert_int_equal(count, sizeof(golden) / sizeof(golden[0])); /* none was taken away */
}

/* What a stream of the first release does not say is what it had. */
static void test_absence(void **state)
{
	static const char header[] = "godwit-project.org/virtio-fs\nnum-request-queues=4\n";
	struct gw_params *own, *adopted;
	struct fs fs = {.host = &host};

	(void)state;
	assert_int_equal(gw_params_new(&own, &fs_model), 0);
	assert_int_equal(gw_params_adopt(own, header, strlen(header), &adopted, NULL), 0);
	fs.params = adopted;
	fs_policy_apply(&fs);
	assert_int_equal(fs.policy.fuse_minor, 45);
	assert_int_equal(fs.policy.max_write, 1048576);
	gw_params_free(adopted);
	gw_params_free(own);
}

static void test_each_minor(void **state)
{
	const struct fs_offer *offer;
	uint64_t before = 0;

	(void)state;
	for (int64_t minor = 36; minor <= FUSE_KERNEL_MINOR_VERSION; minor++) {
		struct gw_params *params;
		uint64_t flags;
		struct fs fs;

		make(&fs, &params, NULL, "fuse-minor", minor);
		assert_int_equal(fs_model_check(&fs_model, params), 0);
		flags = fs_session_flags(&fs);
		assert_int_equal(flags & before, before); /* a newer one has all of an older's */
		for (unsigned i = 0; (offer = fs_offer_at(i)); i++)
			assert_true(!(flags & offer->bit) || offer->since <= minor);
		before = flags;
		gw_params_free(params);
	}
	assert_int_equal(before, golden_of(fs_model.default_profile)->flags);
}

/* Each flag by itself: taken with its parameter, and no earlier than it came. */
static void test_each_flag(void **state)
{
	const struct fs_offer *offer;
	uint64_t all = 0;

	(void)state;
	for (unsigned i = 0; (offer = fs_offer_at(i)); i++) {
		struct gw_params *params;
		struct fs fs;

		assert_int_equal(__builtin_popcountll(offer->bit), 1);
		assert_false(all & offer->bit);
		all |= offer->bit;
		make(&fs, &params, NULL, offer->param, 1);
		assert_true(fs_session_flags(&fs) & offer->bit);
		fs.policy.fuse_minor = offer->since - 1;
		assert_false(fs_session_flags(&fs) & offer->bit);
		gw_params_free(params);
		if (!offer->param)
			continue;
		make(&fs, &params, NULL, offer->param, 0);
		assert_false(fs_session_flags(&fs) & offer->bit);
		gw_params_free(params);
	}
}

static void test_combinations(void **state)
{
	struct gw_params *params;

	(void)state;
	assert_int_equal(gw_params_new(&params, &fs_model), 0);
	gw_params_set(params, "direct-mmap", true, NULL);
	assert_int_equal(fs_model_check(&fs_model, params), 0); /* may still become what fits */
	gw_params_set(params, "fuse-minor", 38, NULL);
	assert_int_equal(fs_model_check(&fs_model, params), -EINVAL);
	assert_non_null(strstr(gw_last_error(), "parameter direct-mmap: FUSE_DIRECT_IO_ALLOW_MMAP "
						"came with FUSE 7.39"));
	gw_params_set(params, "fuse-minor", 39, NULL);
	assert_int_equal(fs_model_check(&fs_model, params), 0);
	gw_params_free(params);
}

/* Of a state whose header and session do not agree, or that came from who knows what. */
static void test_session(void **state)
{
	static const struct {
		struct gw_fs_session_v1 session;
		const char *refused; /* NULL: it fits */
	} rows[] = {
		{{.minor = 27}, NULL},
		{{.minor = 40, .flags = FUSE_MAX_PAGES | FUSE_CREATE_SUPP_GROUP}, NULL},
		{{.minor = 38, .max_write = 1 << 19, .max_pages = 128}, NULL},
		{{.minor = 38, .flags = FUSE_DO_READDIRPLUS}, NULL},
		{{.minor = 26}, "parameter fuse-minor: the guest's session is FUSE 7.26"},
		{{.minor = 41}, "parameter fuse-minor: the guest's session is FUSE 7.41"},
		{{.minor = 38, .flags = FUSE_WRITEBACK_CACHE},
		 "parameter writeback: the guest was offered FUSE_WRITEBACK_CACHE"},
		{{.minor = 38, .flags = FUSE_SECURITY_CTX}, "parameter security-label: "},
		{{.minor = 38, .flags = FUSE_DIRECT_IO_ALLOW_MMAP}, "parameter direct-mmap: "},
		{{.minor = 38, .max_write = (1 << 19) + 1}, "parameter max-write: "},
		{{.minor = 38, .max_pages = 129}, "parameter max-write: "},
		{{.minor = 38, .flags = FUSE_CACHE_SYMLINKS}, "FUSE flags 0x800000 are not"},
		{{.minor = 38, .flags = FUSE_EXPORT_SUPPORT}, "FUSE flags 0x10 are not"},
	};
	struct gw_params *params;
	struct fs fs;

	(void)state;
	make(&fs, &params, NULL, "fuse-minor", 40);
	fs.policy.max_write = 1 << 19;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int err = fs_session_check(&fs, &rows[i].session);

		assert_int_equal(err, rows[i].refused ? -EINVAL : 0);
		if (rows[i].refused && !strstr(gw_last_error(), rows[i].refused))
			fail_msg("'%s', expected: %s", gw_last_error(), rows[i].refused);
	}
	/* A flag of a FUSE that this instance does not have, whatever the minor says. */
	fs.policy.fuse_minor = 37;
	assert_int_equal(
		fs_session_check(&fs, &(struct gw_fs_session_v1){.minor = 37,
								 .flags = FUSE_CREATE_SUPP_GROUP}),
		-EINVAL);
	assert_non_null(strstr(gw_last_error(),
			       "parameter fuse-minor: the guest was offered "
			       "FUSE_CREATE_SUPP_GROUP, of FUSE 7.38, this instance has 7.37"));
	gw_params_free(params);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_profile), cmocka_unit_test(test_absence),
		cmocka_unit_test(test_each_minor),   cmocka_unit_test(test_each_flag),
		cmocka_unit_test(test_combinations), cmocka_unit_test(test_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
