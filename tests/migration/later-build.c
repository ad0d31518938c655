/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/later-build.c - a later build offers more at FUSE INIT: a device of its newest
 * profile is refused by name, before a migration too; one of a profile that both have goes there
 * and back, and its guest is never offered more or less. */
/*
 * usage: later-build LATER-GODWIT-FS GODWIT-FS GODWIT. All guests offer whatever there may be.
 */
#include "../common/fuse_client.h"
#include "../common/said.h"

#include <stdlib.h>

#define OK(call)                                                             \
	({                                                                   \
		int ok_ = (call);                                            \
		if (ok_ < 0)                                                 \
			fail_msg("%s: %s\n%s", #call, strerror(-ok_), said); \
		ok_;                                                         \
	})

#define EVERYTHING     (UINT64_MAX >> 1)
#define LATER_MINOR    (FUSE_KERNEL_MINOR_VERSION + 1)
#define RELEASED_MINOR 45
#define LATER_FLAG     FUSE_CACHE_SYMLINKS

static struct fuse_client from, to;
static char share[] = "/tmp/gw-later.XXXXXX"; /* outlives each back-end */
static const char *later, *today, *command;

static void told(const char *program, const char *options)
{
	char words[1024];

	snprintf(words, sizeof(words), "%s --sandbox=none %s", program, options);
	setenv(FUSE_PROGRAM, words, 1);
}

static const struct fs_policy nothing = FS_POLICY_UNSET;

static void start(const char *program, const char *options)
{
	told(program, options);
	fuse_start(&from, &(struct fuse_options){.policy = nothing,
						 .queues = 2,
						 .untold = true,
						 .control = true,
						 .share = share,
						 .no_init = true});
	share_file(&from, "file", "content");
	OK(fuse_init(&from, 7, LATER_MINOR, EVERYTHING));
}

static void offers(const struct fuse_client *client, unsigned minor, bool flag)
{
	assert_int_equal(client->init.minor, minor);
	assert_int_equal(!!(client->init.flags & LATER_FLAG), flag);
}

/* Its exit code, and what it says. */
static int check(const struct fuse_client *client, const char *destination)
{
	char line[1024];
	int status;

	snprintf(line, sizeof(line), "%s check --from %s --to '%s --shared-dir %s' >&2", command,
		 client->control, destination, client->share);
	listen_to_it();
	status = system(line);
	listen_no_more();
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int move(struct fuse_client *there, struct fuse_client *here)
{
	const struct fs_host host = {.tag = "test", .policy = nothing};
	int stream = memfd_create("state", MFD_CLOEXEC);
	int err;

	assert_true(stream >= 0);
	fuse_save(here, stream);
	listen_to_it();
	err = fuse_load(there, here, NULL, &host, stream);
	listen_no_more();
	close(stream);
	return err;
}

static void goes_on(struct fuse_client *client, uint64_t fh)
{
	char text[8];

	assert_int_equal(fuse_read(client, fh, 0, text, sizeof(text)), 7);
}

static uint64_t open_file(void)
{
	struct fuse_open_out out;

	OK(fuse_open(&from, fuse_node(&from, 0, "file"), O_RDONLY, &out));
	return out.fh;
}

static void test_newest_stays(void **state)
{
	uint64_t fh;

	(void)state;
	start(later, "");
	offers(&from, LATER_MINOR, true);
	fh = open_file();
	assert_int_equal(check(&from, today), 1);
	assert_non_null(strstr(said, "value-not-allowed: parameter fuse-minor"));
	assert_non_null(strstr(said, "param-unknown: parameter later-symlinks"));
	assert_int_equal(check(&from, later), 0);
	/* Who does it all the same is refused before a byte of state is used, and goes on. */
	told(today, "");
	assert_true(move(&to, &from) < 0);
	assert_non_null(strstr(said, "fuse-minor"));
	fuse_resume(&from);
	goes_on(&from, fh);
	fuse_stop(&from);
}

/* Of two things that are new one alone is enough. */
static void test_each_by_itself(void **state)
{
	(void)state;
	start(later, "--migration-profile=3 --m-later-symlinks=on");
	offers(&from, RELEASED_MINOR, true);
	assert_int_equal(check(&from, today), 1);
	assert_non_null(strstr(said, "param-unknown: parameter later-symlinks"));
	assert_null(strstr(said, "fuse-minor"));
	fuse_stop(&from);
	start(later, "--migration-profile=3 --m-fuse-minor=46");
	offers(&from, LATER_MINOR, false);
	assert_int_equal(check(&from, today), 1);
	assert_non_null(strstr(said, "value-not-allowed: parameter fuse-minor"));
	assert_null(strstr(said, "later-symlinks"));
	fuse_stop(&from);
}

/* What a guest was offered stays for the device's life, whatever the build's own default is. */
static void there_and_back(const char *const programs[3], const char *options)
{
	struct fuse_client clients[2];
	struct fuse_init_out first;
	uint64_t fh;

	start(programs[0], options);
	offers(&from, RELEASED_MINOR, false);
	first = from.init;
	fh = open_file();
	clients[0] = from;
	for (unsigned i = 1; i < 3; i++) {
		struct fuse_client *here = &clients[(i - 1) % 2], *there = &clients[i % 2];

		if (check(here, programs[i]))
			fail_msg("%s", said);
		told(programs[i], "");
		OK(move(there, here));
		goes_on(there, fh);
		fuse_stop(here);
	}
	OK(fuse_init(&clients[0], 7, LATER_MINOR, EVERYTHING));
	assert_memory_equal(&clients[0].init, &first, sizeof(first));
	fuse_stop(&clients[0]);
}

static void test_born_later(void **state)
{
	(void)state;
	there_and_back((const char *const[]){later, today, later}, "--migration-profile=3");
}

static void test_born_today(void **state)
{
	(void)state;
	there_and_back((const char *const[]){today, later, today}, "");
}

static void test_told_more(void **state)
{
	static const char *const options[] = {"--m-fuse-minor=46", "--m-later-symlinks=on",
					      "--migration-profile=later"};

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		start(today, "");
		told(later, options[i]);
		assert_true(move(&to, &from) < 0);
		assert_non_null(strstr(said, "param-differs: parameter "));
		assert_non_null(strstr(said, i == 1 ? "parameter later-symlinks: the source has off"
						    : "parameter fuse-minor: the source has 45"));
		fuse_stop(&from);
	}
}

static int make_share(void **state)
{
	(void)state;
	return mkdtemp(share) ? 0 : -1;
}

static int remove_share(void **state)
{
	char file[64];

	(void)state;
	snprintf(file, sizeof(file), "%s/file", share);
	unlink(file);
	return rmdir(share);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_newest_stays, said_tear_down),
		cmocka_unit_test_teardown(test_each_by_itself, said_tear_down),
		cmocka_unit_test_teardown(test_born_later, said_tear_down),
		cmocka_unit_test_teardown(test_born_today, said_tear_down),
		cmocka_unit_test_teardown(test_told_more, said_tear_down),
	};

	if (argc != 4) {
		fprintf(stderr, "usage: later-build LATER-GODWIT-FS GODWIT-FS GODWIT\n");
		return 1;
	}
	later = argv[1];
	today = argv[2];
	command = argv[3];
	return cmocka_run_group_tests(tests, make_share, remove_share);
}
