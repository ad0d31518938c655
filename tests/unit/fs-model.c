/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-model.c - what a command line says is a parameter: adopted if unset, else equal. */
#include "cmocka-all.h"

#include <errno.h>

#include "fs/model.h"

#define HOST(...) (&(struct fs_host){.shared_dir = "/", __VA_ARGS__})

static struct gw_params *made(const struct fs_host *host)
{
	struct gw_params *params;

	assert_int_equal(fs_host_check(host), 0);
	assert_int_equal(gw_params_new(&params, &fs_model), 0);
	assert_int_equal(fs_host_params(host, params), 0);
	return params;
}

/* Can what runs as @source go on as @here? *@policy: as what. */
static int moves(const struct fs_host *source, const struct fs_host *here, struct fs_policy *policy)
{
	struct gw_params *from = made(source), *to = made(here), *adopted = NULL;
	struct fs fs = {.host = here};
	char text[GW_CANONICAL_MAX];
	int len, err;

	assert_int_equal(gw_params_apply_profile(from, NULL), 0);
	len = gw_params_canonical(from, text, sizeof(text));
	assert_true(len > 0);
	err = gw_params_adopt(to, text, (size_t)len, &adopted, NULL);
	if (!err) {
		fs.params = adopted;
		fs_policy_apply(&fs);
		*policy = fs.policy;
	}
	gw_params_free(adopted);
	gw_params_free(to);
	gw_params_free(from);
	return err;
}

#define UNSET                                                                                 \
	.policy.cache = FS_UNSET, .policy.submounts = FS_UNSET, .policy.posix_acl = FS_UNSET, \
	.policy.security_label = FS_UNSET

static void test_unset_is_adopted(void **state)
{
	struct fs_policy policy;

	(void)state;
	assert_int_equal(moves(HOST(.policy = {.cache = FS_CACHE_NEVER,
					       .submounts = FS_UNSET,
					       .xattr = true}),
			       HOST(UNSET), &policy),
			 0);
	assert_int_equal(policy.cache, FS_CACHE_NEVER);
	assert_true(policy.xattr);
	assert_int_equal(moves(HOST(UNSET), HOST(UNSET), &policy), 0);
	assert_int_equal(policy.cache, FS_CACHE_AUTO);
	assert_false(policy.xattr);
	assert_true(policy.submounts);
}

static void test_what_differs_is_refused(void **state)
{
	struct fs_policy policy;

	(void)state;
	assert_int_not_equal(
		moves(HOST(UNSET),
		      HOST(.policy = {.cache = FS_CACHE_ALWAYS, .submounts = FS_UNSET}), &policy),
		0);
	assert_int_not_equal(moves(HOST(UNSET), HOST(UNSET, .policy.xattr = true), &policy), 0);
	/* Said or unsaid, auto is auto. */
	assert_int_equal(moves(HOST(UNSET), HOST(.policy.submounts = FS_UNSET), &policy), 0);
}

/* Nor can ranges. */
static void test_id_maps(void **state)
{
	struct fs_policy policy;
	const struct gw_texts map = {.count = 1, .text = {"map:0:100000:1000"}};

	(void)state;
	assert_int_equal(moves(HOST(UNSET, .translate_uid = map), HOST(UNSET, .translate_uid = map),
			       &policy),
			 0);
	assert_int_not_equal(moves(HOST(UNSET, .translate_uid = map), HOST(UNSET), &policy), 0);
	assert_int_not_equal(moves(HOST(UNSET, .translate_uid = map),
				   HOST(UNSET, .translate_gid = map), &policy),
			     0);
}

/* Rules cannot be adopted, only be the same. */
static void test_xattr_maps(void **state)
{
	struct fs_policy policy;

	(void)state;
	assert_int_equal(moves(HOST(UNSET, .xattrmap = ":map::user.v.:"),
			       HOST(UNSET, .xattrmap = "/map//user.v./"), &policy),
			 0);
	assert_true(policy.xattr);
	assert_int_not_equal(moves(HOST(UNSET, .xattrmap = ":map::user.v.:"), HOST(UNSET), &policy),
			     0);
	assert_int_not_equal(moves(HOST(UNSET, .policy.xattr = true),
				   HOST(UNSET, .xattrmap = ":map::user.v.:"), &policy),
			     0);
	assert_int_not_equal(moves(HOST(UNSET, .xattrmap = ":map::user.v.:"),
				   HOST(UNSET, .xattrmap = ":map::user.w.:"), &policy),
			     0);
}

static void test_impossible_hosts(void **state)
{
	static const struct fs_host wrong[] = {
		{.shared_dir = NULL},
		{.shared_dir = "/", .tag = ""},
		{.shared_dir = "/", .num_request_queues = FS_REQUEST_QUEUES_MAX + 1},
		{.shared_dir = "/", .xattrmap = ":map:"},
		{.shared_dir = "/", .xattrmap = ":map::user.v.:", .policy.posix_acl = FS_AUTO},
		{.shared_dir = "/",
		 .policy.posix_acl = FS_AUTO,
		 .translate_uid = {.count = 1, .text = {"map:0:1:1"}}},
		{.shared_dir = "/", .translate_uid = {.count = 1, .text = {"map:0"}}},
		{.shared_dir = "/", .translate_gid = {.count = 1, .text = {"map:0"}}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(fs_host_check(&wrong[i]), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unset_is_adopted),
		cmocka_unit_test(test_what_differs_is_refused),
		cmocka_unit_test(test_xattr_maps),
		cmocka_unit_test(test_id_maps),
		cmocka_unit_test(test_impossible_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
