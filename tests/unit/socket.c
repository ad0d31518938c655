/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/socket.c - a socket at a path: what is replaced, what never, who may connect. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/socket.h"
#include "cmocka-all.h"
#include "godwit/error.h"

static char dir[] = "/tmp/godwit-socket-XXXXXX";
static char path[64];

static int set_up(void **state)
{
	snprintf(path, sizeof(path), "%s/s", mkdtemp(dir));
	return 0;
}

static int tear_down(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static bool exists(void)
{
	return access(path, F_OK) == 0;
}

static void test_listen_connect_accept(void **state)
{
	struct gw_listener listener;
	struct stat st;
	int ours, theirs;
	char byte;

	assert_int_equal(gw_listener_open(&listener, path), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(gw_socket_accept(listener.fd, &theirs), -EAGAIN);
	assert_int_equal(gw_socket_connect(&ours, path, 0), 0);
	assert_int_equal(gw_socket_accept(listener.fd, &theirs), 0);
	assert_true(gw_socket_peer_is_trusted(theirs));
	assert_false(fcntl(ours, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(theirs, F_GETFL) & O_NONBLOCK);
	assert_int_equal(write(ours, "x", 1), 1);
	assert_int_equal(read(theirs, &byte, 1), 1);
	close(ours);
	close(theirs);
	gw_listener_close(&listener);
	gw_listener_close(&listener); /* nothing more to close */
	assert_false(exists());
}

static void test_stale_is_replaced(void **state)
{
	struct gw_listener listener, stale;

	assert_int_equal(gw_listener_open(&stale, path), 0);
	close(stale.fd); /* as a killed process leaves it */
	assert_true(exists());
	assert_int_equal(gw_listener_open(&listener, path), 0);
	gw_listener_close(&listener);
	assert_false(exists());
}

static void test_live_is_refused_and_not_disturbed(void **state)
{
	struct gw_listener first, second;
	int fd;

	assert_int_equal(gw_listener_open(&first, path), 0);
	assert_int_equal(gw_listener_open(&second, path), -EADDRINUSE);
	assert_non_null(strstr(gw_last_error(), path));
	assert_int_equal(second.fd, -1);
	assert_int_equal(gw_socket_accept(first.fd, &fd),
			 -EAGAIN); /* the probe was no connection */
	assert_int_equal(gw_socket_connect(&fd, path, 0), 0);
	close(fd);
	gw_listener_close(&first);
}

static void test_other_things_stay(void **state)
{
	struct gw_listener listener;
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(gw_listener_open(&listener, path), -EEXIST);
	assert_true(exists());
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/nowhere", path), 0);
	assert_int_equal(gw_listener_open(&listener, path), -EEXIST);
	assert_int_equal(unlink(path), 0);
}

static void test_close_leaves_what_came_later(void **state)
{
	struct gw_listener first, second;

	assert_int_equal(gw_listener_open(&first, path), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(gw_listener_open(&second, path), 0);
	gw_listener_close(&first);
	assert_true(exists());
	gw_listener_close(&second);
	assert_false(exists());
}

static void test_names_out_of_bounds(void **state)
{
	struct gw_listener listener;
	char longer[200];
	int fd;

	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(gw_listener_open(&listener, longer), -ENAMETOOLONG);
	assert_int_equal(gw_listener_open(&listener, ""), -EINVAL);
	assert_int_equal(gw_socket_connect(&fd, longer, 0), -ENAMETOOLONG);
	assert_int_equal(gw_socket_connect(&fd, path, 30), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listen_connect_accept),
		cmocka_unit_test(test_stale_is_replaced),
		cmocka_unit_test(test_live_is_refused_and_not_disturbed),
		cmocka_unit_test(test_other_things_stay),
		cmocka_unit_test(test_close_leaves_what_came_later),
		cmocka_unit_test(test_names_out_of_bounds),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
