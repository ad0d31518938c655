/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/guest-stale.c - a cached file that is not there any more after the guest has
 * moved: ESTALE for it alone, an event for the operator, and it is counted. */
#include "../common/fuse_client.h"
#include "../common/operator.h"

#include <stdio.h>
#include <sys/mman.h>

static struct fuse_client from, to;
static struct operator operator;
static uint64_t gone, replaced, there;

static uint64_t cache(const char *name)
{
	share_file(&from, name, name);
	return fuse_node(&from, 0, name);
}

static json_int_t counted(const char *what)
{
	json_t *session = operator_session(&operator);
	json_int_t value = json_integer_value(operator_at(session, what));

	json_decref(session);
	return value;
}

/* Two, in whatever order the daemon meets them. */
static void expect_events(void)
{
	unsigned seen = 0;

	for (unsigned i = 0; i < 2; i++) {
		json_t *event = operator_event(&operator);
		const char *path;
		uint64_t id;

		assert_string_equal(json_string_value(json_object_get(event, "event")),
				    "INODE_STALE");
		path = json_string_value(operator_at(event, "data.path"));
		id = (uint64_t)json_integer_value(operator_at(event, "data.nodeid"));
		assert_true(*json_string_value(operator_at(event, "data.reason")));
		seen |= id == gone && !strcmp(path, "/gone") ? 1u : 0;
		seen |= id == replaced && !strcmp(path, "/replaced") ? 2u : 0;
		json_decref(event);
	}
	assert_int_equal(seen, 3);
}

/* The state does not arrive before somebody listens there. */
static int state_fd, state_pipe[2];

static void *listen_and_send(void *opaque)
{
	const char *control = opaque;
	char buf[4096];
	ssize_t len;

	while (access(control, F_OK))
		usleep(1000);
	operator_open(&operator, control);
	while ((len = read(state_fd, buf, sizeof(buf))) > 0)
		assert_int_equal(write(state_pipe[1], buf, (size_t)len), len);
	close(state_pipe[1]);
	return NULL;
}

static void test_told_and_counted(void **state)
{
	char control[80];
	struct fuse_attr attr;
	pthread_t thread;
	struct fs_host host;

	(void)state;
	fuse_start(&from, &(struct fuse_options){.control = true});
	gone = cache("gone");
	replaced = cache("replaced");
	there = cache("there");
	state_fd = memfd_create("state", MFD_CLOEXEC);
	fuse_save(&from, state_fd);
	assert_int_equal(unlink(share_path(&from, "gone")), 0);
	share_file(&from, "another", "EVIL");
	assert_int_equal(rename(share_path(&from, "another"), share_path(&from, "replaced")), 0);
	host = from.host;
	host.verify = FS_VERIFY_NONE;
	snprintf(control, sizeof(control), "%.48s.to", from.control); /* as fuse_load() has it */
	assert_int_equal(pipe2(state_pipe, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&thread, NULL, listen_and_send, control), 0);
	assert_int_equal(fuse_load(&to, &from, NULL, &host, state_pipe[0]), 0);
	pthread_join(thread, NULL);
	close(state_pipe[0]);
	close(state_fd);
	assert_int_equal(fuse_getattr(&to, gone, &attr), -ESTALE);
	assert_int_equal(fuse_getattr(&to, replaced, &attr), -ESTALE);
	assert_true(fuse_getattr(&to, there, &attr) >= 0);
	expect_events();
	assert_int_equal(counted("details.stale"), 2);
	/* Once is enough. */
	assert_int_equal(fuse_getattr(&to, gone, &attr), -ESTALE);
	assert_int_equal(counted("details.stale"), 2);
	assert_int_equal(counted("details.unresolved"), 0);
	operator_close(&operator);
	fuse_stop(&to);
	fuse_stop(&from);
}

/* Without a control socket there is nobody to tell; as the program it runs in its sandbox. */
static void test_nobody_listens(void **state)
{
	struct fuse_attr attr;
	struct fs_host host;

	(void)state;
	fuse_start(&from, &(struct fuse_options){.queues = 1});
	gone = cache("gone");
	there = cache("there");
	state_fd = memfd_create("state", MFD_CLOEXEC);
	fuse_save(&from, state_fd);
	assert_int_equal(unlink(share_path(&from, "gone")), 0);
	host = from.host;
	host.verify = FS_VERIFY_NONE;
	assert_int_equal(fuse_load(&to, &from, NULL, &host, state_fd), 0);
	close(state_fd);
	assert_int_equal(fuse_getattr(&to, gone, &attr), -ESTALE);
	assert_true(fuse_getattr(&to, there, &attr) >= 0);
	fuse_stop(&to);
	fuse_stop(&from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_told_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
