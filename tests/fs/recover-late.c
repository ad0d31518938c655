/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/recover-late.c - a checkpoint does not end, and the journal is full: the guest goes on, and
 * nobody goes on with what the journal lacks.
 *
 * usage: fs-recover-late GODWIT-FS DIE-AFTER
 */
#include "../common/die_after.h"
#include "../common/fuse_client.h"
#include "../common/killer.h"
#include "../common/operator.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/upgrade.h"

#define FILES	    256
#define PATIENCE_S  11 /* more than anybody waits for a checkpoint */
#define PAUSE_MS    20
#define FIRST_FILE  "before"
#define SECOND_FILE "meanwhile"

static const char *program, *preload;
static struct fuse_client guest;
static struct killer killer;
static struct die_after *shared;
static char share[40];
static int own_stderr;

/* -- the guest and its daemon -------------------------------------------------------------- */

static void sleep_ms(unsigned ms)
{
	poll(NULL, 0, (int)ms);
}

static void map_shared(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(*shared)), 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(shared != MAP_FAILED);
	close(fd);
}

/* What the daemon says is for the test to read. */
static void log_to(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	own_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
}

static void log_to_own(void)
{
	dup2(own_stderr, STDERR_FILENO);
	close(own_stderr);
}

static bool has_said(const char *words)
{
	char path[PATH_MAX], line[1024];
	bool found = false;
	FILE *log;

	snprintf(path, sizeof(path), "%s.log", share);
	log = fopen(path, "re");
	assert_non_null(log);
	while (fgets(line, sizeof(line), log))
		found |= strstr(line, words) != NULL;
	fclose(log);
	return found;
}

static void start_daemon(void)
{
	char path[PATH_MAX], log[PATH_MAX], shared_dir[64];
	const char *argv[] = {program,		shared_dir,	  "--log-level=info",
			      "--sandbox=none", "--seccomp=none", NULL};

	snprintf(path, sizeof(path), "%s.shared", share);
	snprintf(log, sizeof(log), "%s.log", share);
	snprintf(shared_dir, sizeof(shared_dir), "--shared-dir=%s", share);
	map_shared(path);
	setenv(DIE_AFTER, path, 1);
	setenv("LD_PRELOAD", preload, 1);
	log_to(log);
	killer_start(&killer, argv);
	log_to_own();
	unsetenv("LD_PRELOAD");
}

static int set_up(void **state)
{
	char name[40];

	(void)state;
	strcpy(share, "/tmp/gw-late-share.XXXXXX");
	assert_non_null(mkdtemp(share));
	start_daemon();
	fuse_start(&guest, &(struct fuse_options){.share = share, .socket = killer.socket});
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		share_file(&guest, name, "");
	}
	return 0;
}

static int tear_down(void **state)
{
	char command[PATH_MAX];

	(void)state;
	munmap(shared, sizeof(*shared));
	snprintf(command, sizeof(command), "rm -rf %s %s.shared %s.log", share, share, share);
	return system(command);
}

static struct fuse_created make(const char *name)
{
	struct fuse_created made;

	assert_true(fuse_create(&guest, 0, name, O_RDWR | O_EXCL, 0600, &made) >= 0);
	assert_int_equal(fuse_write(&guest, made.open.fh, 0, name, (uint32_t)strlen(name), 0),
			 strlen(name));
	return made;
}

/* What the guest has open has what it wrote. */
static void assert_open(const struct fuse_created *file, const char *name)
{
	char text[64] = {0};

	assert_int_equal(fuse_read(&guest, file->open.fh, 0, text, sizeof(text) - 1), strlen(name));
	assert_string_equal(text, name);
}

static json_int_t unrecorded(void)
{
	struct operator operator;
	json_t *session;
	json_int_t number;

	operator_open(&operator, killer.control);
	session = operator_session(&operator);
	number = json_integer_value(operator_at(session, "details.unrecorded"));
	json_decref(session);
	operator_close(&operator);
	return number;
}

/* -- a checkpoint that does not end -------------------------------------------------------- */

/* Each name is one look-up more, and so a record in the journal. */
static void list(uint64_t fh)
{
	struct fuse_read_in in = {.fh = fh, .size = FUSE_ROOM - 4096};
	static char data[FUSE_ROOM - 4096];
	struct fuse_call call = {.opcode = FUSE_READDIRPLUS,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .answer = data,
				 .room = sizeof(data)};

	assert_true(fuse_call(&guest, &call) > 0);
}

static void *fill(void *opaque)
{
	atomic_bool *end = opaque;
	uint64_t fh;

	assert_true(fuse_opendir(&guest, FUSE_ROOT_ID, &fh) >= 0);
	while (!atomic_load(end))
		list(fh);
	assert_int_equal(fuse_release(&guest, FUSE_RELEASEDIR, fh), 0);
	return NULL;
}

/* Until who has something to put has waited for long enough, of which little goes by outside. */
static void let_it_be_late(void)
{
	atomic_bool end = false;
	pthread_t thread;

	atomic_store(&shared->stuck, killer_target(&killer));
	assert_int_equal(pthread_create(&thread, NULL, fill, &end), 0);
	while (!unrecorded()) {
		sleep_ms(PAUSE_MS);
		atomic_fetch_add(&shared->ahead_s, PATIENCE_S);
	}
	atomic_store(&end, true);
	pthread_join(thread, NULL);
	assert_true(has_said("journal: no checkpoint for"));
}

/* Whoever keeps the daemon is asked, as `godwit upgrade` asks. */
static enum gw_upgrade_answer upgrade(void)
{
	const struct timespec patience = {.tv_sec = 60};
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	assert_int_equal(
		sigqueue(killer.daemon, SIGUSR2, (union sigval){.sival_int = GW_UPGRADE_QUESTION}),
		0);
	assert_int_equal(sigtimedwait(&set, &info, &patience), SIGUSR2);
	return (enum gw_upgrade_answer)info.si_value.sival_int;
}

/* The guest is served by the same process, and what it does meanwhile is done. Once there is a
 * checkpoint another process can go on, and does, with all of it. */
static void test_goes_on(void **state)
{
	struct fuse_created first = make(FIRST_FILE), second;
	pid_t serves = killer_target(&killer);

	(void)state;
	let_it_be_late();
	second = make(SECOND_FILE);
	assert_int_equal(upgrade(), GW_UPGRADE_REFUSED);
	assert_true(has_said("the journal is not whole, since a checkpoint is late"));
	assert_int_equal(killer_target(&killer), serves);
	assert_open(&first, FIRST_FILE);
	assert_open(&second, SECOND_FILE);

	atomic_store(&shared->stuck, 0);
	while (upgrade() == GW_UPGRADE_REFUSED)
		sleep_ms(PAUSE_MS);
	assert_int_not_equal(killer_target(&killer), serves);
	assert_open(&first, FIRST_FILE);
	assert_open(&second, SECOND_FILE);
	killer_kill(&killer);
	assert_open(&first, FIRST_FILE);
	assert_open(&second, SECOND_FILE);
	fuse_stop(&guest);
	killer_join(&killer);
}

/* The connection ends, with a sentence, and not with a guest whose device has forgotten something.
 * What was answered is on the share, and whoever comes next is served. */
static void test_dies(void **state)
{
	(void)state;
	make(FIRST_FILE);
	let_it_be_late();
	make(SECOND_FILE);
	killer_kill(&killer);
	assert_int_equal(gw_driver_wait(guest.frontend, 1, 60000), -ECONNRESET);
	/* It says so when it ends. */
	while (!has_said("records found no room, and no checkpoint has come since"))
		sleep_ms(PAUSE_MS);
	assert_string_equal(share_content(&guest, FIRST_FILE), FIRST_FILE);
	assert_string_equal(share_content(&guest, SECOND_FILE), SECOND_FILE);
	fuse_stop(&guest);

	fuse_start(&guest, &(struct fuse_options){.share = share, .socket = killer.socket});
	fuse_node(&guest, 0, SECOND_FILE);
	killer_kill(&killer);
	fuse_node(&guest, 0, FIRST_FILE);
	assert_int_equal(unrecorded(), 0);
	fuse_stop(&guest);
	killer_join(&killer);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dies, set_up, tear_down),
	};

	if (argc < 3)
		return 1;
	program = argv[1];
	preload = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
