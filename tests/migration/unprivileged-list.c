/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/unprivileged-list.c - an ordinary user's program: which of what the guest has
 * open moves, which does not, and that this is what is told beforehand. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/socket.h"
#include "fs/handover.h"
#include "fs/report.h"
#include "migration/report.h"
#include "move.h"

#define NOBODY 65534

enum fate {
	MOVES,
	FAILS_AT_LOAD, /* the destination cannot open it again */
	FAILS_AT_SAVE, /* the source cannot send it */
};

/*
 * The guest opens it while that is allowed, then its mode becomes another one. What the program
 * owns it opens all the same, adding the bits for a moment.
 */
static const struct row {
	const char *name;
	bool ours;
	mode_t mode;
	int flags;
	bool unlinked;
	enum fate fate;
} rows[] = {
	{"ours-may-read", true, 0444, O_RDONLY, false, MOVES},
	{"ours-may-not-read", true, 0, O_RDONLY, false, MOVES},
	{"ours-may-not-write", true, 0444, O_WRONLY, false, MOVES},
	{"ours-may-only-read", true, 0444, O_RDWR, false, MOVES},
	{"ours-may-only-write", true, 0222, O_RDWR, false, MOVES},
	{"ours-may-nothing", true, 0, O_RDWR, false, MOVES},
	{"ours-append", true, 0, O_WRONLY | O_APPEND, false, MOVES},
	{"ours-directory", true, 0, O_RDONLY | O_DIRECTORY, false, MOVES},
	{"ours-unlinked", true, 0, O_WRONLY, true, MOVES},
	{"theirs-may-read", false, 0644, O_RDONLY, false, MOVES},
	{"theirs-may-write", false, 0622, O_WRONLY, false, MOVES},
	{"theirs-may-both", false, 0666, O_RDWR, false, MOVES},
	{"theirs-may-not-read", false, 0622, O_RDONLY, false, FAILS_AT_LOAD},
	{"theirs-may-not-write", false, 0644, O_WRONLY, false, FAILS_AT_LOAD},
	{"theirs-may-only-read", false, 0644, O_RDWR, false, FAILS_AT_LOAD},
	{"theirs-may-only-write", false, 0622, O_RDWR, false, FAILS_AT_LOAD},
	{"theirs-may-nothing", false, 0600, O_RDWR, false, FAILS_AT_LOAD},
	{"theirs-append", false, 0600, O_WRONLY | O_APPEND, false, FAILS_AT_LOAD},
	{"theirs-directory", false, 0711, O_RDONLY | O_DIRECTORY, false, FAILS_AT_LOAD},
	/* Such a file cannot be made anew, whether it can be read or not. */
	{"theirs-unlinked", false, 0666, O_RDWR, true, FAILS_AT_SAVE},
	{"theirs-unlinked-unreadable", false, 0600, O_WRONLY, true, FAILS_AT_SAVE},
};
#define ROWS GW_ARRAY_LEN(rows)

static struct share from, to;
static uint64_t nodes[ROWS], handles[ROWS];

static void become(uid_t uid)
{
	assert_int_equal(seteuid(uid), 0);
}

static const char *path_of(const struct row *row)
{
	return share_path(&from, "%s", row->name);
}

static void make(const struct row *row)
{
	bool directory = row->flags & O_DIRECTORY;

	if (directory)
		share_mkdir(&from, row->name);
	else
		share_file(&from, row->name, row->name);
	assert_int_equal(chmod(path_of(row), 0777), 0);
	become(0);
	if (!row->ours)
		assert_int_equal(chown(path_of(row), 0, 0), 0);
	become(NOBODY);
}

static void open_it(size_t i)
{
	const struct row *row = &rows[i];

	nodes[i] = share_lookup(&from, FS_ROOT_ID, row->name);
	handles[i] = row->flags & O_DIRECTORY ? guest_opendir(&from, nodes[i])
					      : guest_open(&from, nodes[i], row->flags);
	become(0);
	assert_int_equal(chmod(path_of(row), row->mode), 0);
	become(NOBODY);
	if (row->unlinked)
		guest_unlink(&from, FS_ROOT_ID, row->name, path_of(row));
}

static void start(void)
{
	move_source(&from);
}

static void make_and_open(size_t i)
{
	make(&rows[i]);
	open_it(i);
}

static size_t row_of(const char *path)
{
	const char *name = strrchr(path, '/');

	for (size_t i = 0; name && i < ROWS; i++) {
		size_t len = strlen(rows[i].name);

		/* As the kernel tells what has no name any more: "name (deleted)". */
		if (!strncmp(name + 1, rows[i].name, len) &&
		    (!name[1 + len] || name[1 + len] == ' '))
			return i;
	}
	fail_msg("%s is named", path);
	return 0;
}

/* What is named before a move: each once, and nothing else. */
static void preflight(bool named[ROWS])
{
	struct gw_report *report = gw_report_new();
	json_t *json, *list, *one;
	size_t i;

	memset(named, 0, ROWS * sizeof(*named));
	assert_int_equal(fs_preflight(&from.fs, report), 0);
	json = gw_report_json(report);
	list = json_object_get(json, "cannot_travel");
	assert_non_null(list);
	json_array_foreach(list, i, one)
	{
		size_t at = row_of(json_string_value(json_object_get(one, "path")));

		assert_false(named[at]);
		named[at] = true;
	}
	json_decref(json);
	gw_report_free(report);
}

static void end(void)
{
	become(0); /* what is theirs goes too */
	share_close(&from);
	become(NOBODY);
}

static void assert_as_it_was(const struct row *row)
{
	struct stat st;

	if (row->unlinked)
		return;
	assert_int_equal(lstat(path_of(row), &st), 0);
	assert_int_equal(st.st_mode & 07777, row->mode);
	assert_int_equal(st.st_uid, row->ours ? NOBODY : 0);
}

/* The open file is as it was. */
static void assert_moved(size_t i)
{
	const struct row *row = &rows[i];
	int fd = guest_fd(&to, handles[i]);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND),
			 row->flags & (O_ACCMODE | O_APPEND));
	if ((row->flags & O_ACCMODE) != O_WRONLY && !(row->flags & O_DIRECTORY))
		assert_string_equal(guest_read(&to, handles[i]), row->name);
	if ((row->flags & O_ACCMODE) != O_RDONLY)
		guest_append(&to, handles[i], "!");
	assert_as_it_was(row);
}

/* Each alone: what is told beforehand, and what becomes of the move. */
static void test_one_by_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *row = &rows[i];
		bool named[ROWS];
		int stream, err;

		start();
		make_and_open(i);
		preflight(named);
		if (named[i] != (row->fate != MOVES))
			fail_msg("%s: %s", row->name, named[i] ? "named" : "not named");
		move_twin(&to, &from);
		err = move_save_result(&from, &stream);
		if (row->fate == FAILS_AT_SAVE) {
			assert_true(err < 0);
			close(stream);
		} else {
			assert_int_equal(err, 0);
			err = move_load(&to, stream);
		}
		if (row->fate != MOVES && !(err < 0 && strstr(gw_last_error(), row->name)))
			fail_msg("%s: %d, %s", row->name, err, gw_last_error());
		if (row->fate == MOVES && err)
			fail_msg("%s: %s", row->name, gw_last_error());
		if (row->fate == MOVES)
			assert_moved(i);
		assert_as_it_was(row);
		move_twin_close(&to);
		end();
	}
}

/* All at once, where errors are the guest's: those and no others. */
static void test_exactly_that_list(void **state)
{
	bool named[ROWS];

	(void)state;
	start();
	from.host.on_error = FS_ON_ERROR_GUEST;
	for (size_t i = 0; i < ROWS; i++)
		make_and_open(i);
	preflight(named);
	move_over(&to, &from);
	for (size_t i = 0; i < ROWS; i++) {
		bool gone = guest_fd(&to, handles[i]) < 0;

		if (named[i] != (rows[i].fate != MOVES) || gone != named[i])
			fail_msg("%s: %snamed, %s", rows[i].name, named[i] ? "" : "not ",
				 gone ? "lost" : "moved");
		if (!gone)
			assert_moved(i);
	}
	move_twin_close(&to);
	end();
}

/* From hand to hand all of it moves. */
static void test_by_descriptor(void **state)
{
	struct gw_listener listener;
	char path[80];
	int peer;

	(void)state;
	start();
	for (size_t i = 0; i < ROWS; i++)
		make_and_open(i);
	snprintf(path, sizeof(path), "%s.handover", from.path);
	assert_int_equal(gw_listener_open(&listener, path), 0);
	assert_int_equal(fs_handover_new(&from.fs.handover, &from.fs, listener.fd), 0);
	assert_int_equal(gw_socket_connect(&peer, path, 0), 0);
	/* Until it has seen who is there the last of the rows cannot be sent. */
	for (int i = 0, fd = -1, err = -1; err && i < 2000; i++) {
		err = move_save_result(&from, &fd);
		close(fd);
		usleep(5000);
	}
	assert_true(fs_handover_is_offered(from.fs.handover));
	move_twin(&to, &from);
	to.fs.handover_peer = peer;
	if (move_load(&to, move_save(&from)))
		fail_msg("load: %s", gw_last_error());
	for (size_t i = 0; i < ROWS; i++)
		assert_moved(i);
	move_twin_close(&to);
	fs_handover_free(from.fs.handover);
	from.fs.handover = NULL;
	gw_listener_close(&listener);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_by_one),
		cmocka_unit_test(test_exactly_that_list),
		cmocka_unit_test(test_by_descriptor),
	};

	int failed;

	/* The saved id stays root's, for what somebody else does with his files. */
	if (geteuid() || setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, 0)) {
		printf("needs root, to give files to somebody else: run it as root\n");
		return 77;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	become(0); /* who looks for leaks wants to look at this process */
	return failed;
}
