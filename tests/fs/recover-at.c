/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/recover-at.c - the daemon dies right after the system call that does what the guest asked for:
 * the next process answers, and it is done once. */
#include "../common/die_after.h"
#include "../common/fuse_client.h"
#include "../common/killer.h"
#include "../common/operator.h"

#include "fs/records.h"
#include "fs/redo.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/xattr.h>

static const char *program, *preload;
static struct fuse_client guest;
static struct killer killer;
static struct die_after *death;
static char share[40];

/* -- the guest and its daemon -------------------------------------------------------------- */

static void share_death(char path[PATH_MAX])
{
	int fd;

	snprintf(path, PATH_MAX, "%s.death", share);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(*death)), 0);
	death = mmap(NULL, sizeof(*death), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(death != MAP_FAILED);
	close(fd);
}

static int set_up(void **state)
{
	static char shared[64];
	const char *argv[] = {
		program,	  shared,	    "--orphans=hide", "--log-level=error",
		"--sandbox=none", "--seccomp=none", "--xattr",	      NULL};
	char path[PATH_MAX];

	(void)state;
	strcpy(share, "/tmp/gw-at-share.XXXXXX");
	assert_non_null(mkdtemp(share));
	share_death(path);
	snprintf(shared, sizeof(shared), "--shared-dir=%s", share);
	setenv(DIE_AFTER, path, 1);
	setenv("LD_PRELOAD", preload, 1);
	killer_start(&killer, argv);
	unsetenv("LD_PRELOAD");
	fuse_start(&guest, &(struct fuse_options){.share = share, .socket = killer.socket});
	return 0;
}

static int tear_down(void **state)
{
	char command[PATH_MAX];

	(void)state;
	fuse_stop(&guest);
	killer_join(&killer);
	munmap(death, sizeof(*death));
	snprintf(command, sizeof(command), "ls -A %s | grep godwit; rm -rf %s %s.death", share,
		 share, share);
	return WEXITSTATUS(system(command));
}

static void die_after(const char *call, int left)
{
	strcpy(death->call, call);
	atomic_store(&death->left, left);
}

/* It did, and the next one answered. */
static void assert_died(void)
{
	assert_int_equal(atomic_load(&death->left), 0);
}

static struct fuse_created make(const char *name)
{
	struct fuse_created made;

	assert_true(fuse_create(&guest, 0, name, O_RDWR, 0600, &made) >= 0);
	assert_int_equal(fuse_write(&guest, made.open.fh, 0, name, (uint32_t)strlen(name), 0),
			 strlen(name));
	return made;
}

static void release(const struct fuse_created *file)
{
	assert_int_equal(fuse_release(&guest, FUSE_RELEASE, file->open.fh), 0);
}

static void make_closed(const char *name)
{
	struct fuse_created made = make(name);

	release(&made);
}

static bool is_there(const char *name)
{
	return !access(share_path(&guest, name), F_OK);
}

/* Open, without a name, and with what was written into it. */
static void assert_unnamed(const struct fuse_created *file, const char *content)
{
	struct fuse_attr attr;
	char text[64] = {0};

	assert_int_equal(fuse_read(&guest, file->open.fh, 0, text, sizeof(text) - 1),
			 strlen(content));
	assert_string_equal(text, content);
	assert_true(fuse_getattr(&guest, file->entry.nodeid, &attr) >= 0);
	assert_int_equal(attr.nlink, 0);
}

static json_int_t detail(const char *name)
{
	struct operator operator;
	json_t *session;
	json_int_t number;
	char path[32];

	snprintf(path, sizeof(path), "details.%s", name);
	operator_open(&operator, killer.control);
	session = operator_session(&operator);
	number = json_integer_value(operator_at(session, path));
	json_decref(session);
	operator_close(&operator);
	return number;
}

/* -- names --------------------------------------------------------------------------------- */

static void test_mkdir(void **state)
{
	struct fuse_entry_out entry, again;

	(void)state;
	die_after("mkdirat", 1);
	assert_true(fuse_mkdir(&guest, 0, "d", 0755, &entry) >= 0);
	assert_died();
	assert_true(fuse_lookup(&guest, 0, "d", &again) >= 0);
	assert_int_equal(again.nodeid, entry.nodeid);
}

static void test_symlink(void **state)
{
	struct fuse_entry_out entry, again;

	(void)state;
	die_after("symlinkat", 1);
	assert_true(fuse_call(&guest, &(struct fuse_call){.opcode = FUSE_SYMLINK,
							  .name = "s",
							  .name2 = "target",
							  .answer = &entry,
							  .room = sizeof(entry)}) >= 0);
	assert_died();
	assert_true(fuse_lookup(&guest, 0, "s", &again) >= 0);
	assert_int_equal(again.nodeid, entry.nodeid);
}

static void test_mknod(void **state)
{
	const struct fuse_mknod_in in = {.mode = S_IFIFO | 0600};
	struct fuse_entry_out entry;

	(void)state;
	die_after("mknodat", 1);
	assert_true(fuse_call(&guest, &(struct fuse_call){.opcode = FUSE_MKNOD,
							  .arg = &in,
							  .arg_len = sizeof(in),
							  .name = "p",
							  .answer = &entry,
							  .room = sizeof(entry)}) >= 0);
	assert_died();
	assert_true(is_there("p"));
}

static void test_rmdir(void **state)
{
	struct fuse_entry_out entry;

	(void)state;
	assert_true(fuse_mkdir(&guest, 0, "d", 0755, &entry) >= 0);
	die_after("unlinkat", 1);
	assert_int_equal(fuse_name(&guest, FUSE_RMDIR, 0, "d"), 0);
	assert_died();
	assert_false(is_there("d"));
}

/* What was there before was not made by who failed to: however often it is asked, and however young
 * it is. */
static void test_was_there(void **state)
{
	struct fuse_created made;
	struct fuse_entry_out entry;
	struct fuse_link_in in;

	(void)state;
	die_after("openat", 1);
	assert_true(fuse_create(&guest, 0, "f", O_RDWR | O_EXCL, 0600, &made) >= 0);
	assert_died();
	release(&made);
	die_after("openat", 1);
	assert_int_equal(fuse_create(&guest, 0, "f", O_RDWR | O_EXCL, 0600, &made), -EEXIST);
	assert_died();
	assert_true(fuse_mkdir(&guest, 0, "d", 0755, &entry) >= 0);
	die_after("mkdirat", 1);
	assert_int_equal(fuse_mkdir(&guest, 0, "d", 0755, &entry), -EEXIST);
	assert_died();
	assert_true(fuse_lookup(&guest, 0, "f", &entry) >= 0);
	in = (struct fuse_link_in){.oldnodeid = entry.nodeid};
	die_after("linkat", 1);
	assert_int_equal(fuse_call(&guest, &(struct fuse_call){.opcode = FUSE_LINK,
							       .arg = &in,
							       .arg_len = sizeof(in),
							       .name = "f",
							       .answer = &entry,
							       .room = sizeof(entry)}),
			 -EEXIST);
	assert_died();
}

static void test_link(void **state)
{
	struct fuse_created file = make("one");
	const struct fuse_link_in in = {.oldnodeid = file.entry.nodeid};
	struct fuse_entry_out entry;

	(void)state;
	die_after("linkat", 1);
	assert_true(fuse_call(&guest, &(struct fuse_call){.opcode = FUSE_LINK,
							  .arg = &in,
							  .arg_len = sizeof(in),
							  .name = "two",
							  .answer = &entry,
							  .room = sizeof(entry)}) >= 0);
	assert_died();
	assert_int_equal(entry.nodeid, file.entry.nodeid);
	assert_int_equal(entry.attr.nlink, 2);
}

static void test_unlink(void **state)
{
	(void)state;
	make_closed("f");
	die_after("unlinkat", 1);
	assert_int_equal(fuse_name(&guest, FUSE_UNLINK, 0, "f"), 0);
	assert_died();
	assert_false(is_there("f"));
}

static void test_rename(void **state)
{
	(void)state;
	make_closed("from");
	make_closed("to");
	die_after("renameat2", 1);
	assert_int_equal(fuse_rename(&guest, 1, "from", 1, "to", 0), 0);
	assert_died();
	assert_false(is_there("from"));
	assert_string_equal(share_content(&guest, "to"), "from");
}

/* The process that answers dies as well, before it has written down what it found. */
static void test_rename_and_again(void **state)
{
	static const char *const names[] = {"from", "to"};
	struct fuse_entry_out entry;
	struct fuse_attr attr;

	(void)state;
	make_closed("from");
	for (unsigned i = 0; i < 2000; i++) { /* which takes a while */
		char name[16];

		snprintf(name, sizeof(name), "other-%u", i);
		share_file(&guest, name, "");
		fuse_node(&guest, 0, name);
	}
	assert_true(fuse_lookup(&guest, 0, "from", &entry) >= 0);
	for (unsigned i = 0; i < 6; i++) {
		die_after("renameat2", 1);
		assert_int_equal(fuse_rename(&guest, 0, names[i % 2], 1, names[1 - i % 2], 0), 0);
		assert_died();
		killer_kill(&killer);
		assert_true(fuse_getattr(&guest, entry.nodeid, &attr) >= 0);
	}
}

/*
 * An exchange that was carried out, and of which the process had told the journal of none, one or
 * both of the names when it died: what it would have told is put there in its place, while nobody
 * starts the next one.
 */
struct told {
	unsigned count;
	uint64_t ids[2];
	const char *names[2];
	unsigned queue;
	uint64_t serial; /* of the request */
};

static int open_journal(void)
{
	char path[64], link[64];
	int fd = -1;

	for (int i = 3; fd < 0 && i < 256; i++) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)killer.daemon, i);
		len = readlink(path, link, sizeof(link) - 1);
		if (len > 0 && !strncmp(link, "/memfd:godwit-journal", 21))
			fd = open(path, O_RDWR | O_CLOEXEC);
	}
	assert_true(fd >= 0);
	return fd;
}

static int find_request(void *opaque, const struct gw_journal_record *record)
{
	struct told *told = opaque;

	told->queue = record->queue;
	told->serial = record->serial;
	return 0;
}

static void put_told(struct told *told)
{
	static const struct gw_layout *const layouts[] = {&gw_fs_intent_v1, NULL};
	const struct gw_journal_walk walk = {
		.layouts = layouts, .fn = find_request, .opaque = told};
	const int fds[1 + GW_JOURNAL_SLOTS] = {open_journal(), -1, -1};
	struct gw_journal *journal;

	assert_int_equal(gw_journal_open(&journal, fds), 0);
	assert_int_equal(gw_journal_walk(journal, &walk), 0);
	assert_true(told->serial);
	gw_journal_for(told->queue, told->serial);
	for (unsigned i = 0; i < told->count; i++) {
		const struct gw_fs_name_v1 name = {.parent = FUSE_ROOT_ID,
						   .name = {told->names[i], strlen(told->names[i])},
						   .inode = told->ids[i]};

		gw_journal_put(journal, &gw_fs_name_v1, false, &name);
	}
	gw_journal_free(journal);
	close(fds[0]);
}

static bool is_dead(pid_t pid)
{
	char path[64], text[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	return strstr(text, ") Z ");
}

static void *tell(void *opaque)
{
	pid_t pid = killer_target(&killer);

	die_after("renameat2", 1);
	while (!is_dead(pid))
		usleep(1000);
	put_told(opaque);
	kill(killer.daemon, SIGCONT);
	return NULL;
}

static uint64_t size_of(uint64_t nodeid)
{
	struct fuse_attr attr;

	assert_true(fuse_getattr(&guest, nodeid, &attr) >= 0);
	return attr.size;
}

/* With directories among them: those have one name each. */
static void exchange(unsigned count, bool dirs)
{
	struct fuse_entry_out a, b, inner, again;
	struct told told = {.count = count, .names = {"b", "a"}};
	pthread_t thread;

	make_closed("a");
	if (dirs) {
		assert_true(fuse_mkdir(&guest, 0, "b", 0755, &b) >= 0);
		share_file(&guest, "b/inner", "12");
		assert_true(fuse_lookup(&guest, b.nodeid, "inner", &inner) >= 0);
	} else {
		make_closed("b");
	}
	assert_true(fuse_lookup(&guest, 0, "a", &a) >= 0);
	assert_true(fuse_lookup(&guest, 0, "b", &b) >= 0);
	told.ids[0] = a.nodeid;
	told.ids[1] = b.nodeid;
	kill(killer.daemon, SIGSTOP);
	atomic_store(&death->left, INT_MAX); /* not before it is known who dies */
	assert_int_equal(pthread_create(&thread, NULL, tell, &told), 0);
	while (atomic_load(&death->left) != 1)
		usleep(1000);
	assert_int_equal(fuse_rename(&guest, 1, "a", 1, "b", RENAME_EXCHANGE), 0);
	assert_died();
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(size_of(a.nodeid), 1);
		if (dirs)
			assert_int_equal(size_of(inner.nodeid), 2);
		else
			assert_int_equal(size_of(b.nodeid), 1);
		killer_kill(&killer);
	}
	assert_true(fuse_lookup(&guest, 0, "a", &again) >= 0);
	assert_int_equal(again.nodeid, b.nodeid);
	assert_true(fuse_lookup(&guest, 0, "b", &again) >= 0);
	assert_int_equal(again.nodeid, a.nodeid);
	assert_int_equal(detail("undecided"), 0);
}

static void test_exchange_nothing_told(void **state)
{
	(void)state;
	exchange(0, false);
}

static void test_exchange_half_told(void **state)
{
	(void)state;
	exchange(1, false);
}

static void test_exchange_told(void **state)
{
	(void)state;
	exchange(2, false);
}

static void test_exchange_with_directory(void **state)
{
	(void)state;
	exchange(0, true);
}

static void test_exchange_half_with_directory(void **state)
{
	(void)state;
	exchange(1, true);
}

/* -- data ---------------------------------------------------------------------------------- */

static void test_append(void **state)
{
	struct fuse_created file;

	(void)state;
	assert_true(fuse_create(&guest, 0, "log", O_WRONLY | O_APPEND, 0600, &file) >= 0);
	for (unsigned i = 0; i < 4; i++) {
		die_after("pwritev2", 1);
		assert_int_equal(
			fuse_write(&guest, file.open.fh, 5 * i, "line\n", 5, O_WRONLY | O_APPEND),
			5);
		assert_died();
	}
	assert_string_equal(share_content(&guest, "log"), "line\nline\nline\nline\n");
}

/* What somebody else has appended meanwhile cannot be told from what the guest has: it is counted.
 */
static void test_append_undecided(void **state)
{
	struct fuse_created file;

	(void)state;
	assert_int_equal(detail("undecided"), 0);
	assert_true(fuse_create(&guest, 0, "log", O_WRONLY | O_APPEND, 0600, &file) >= 0);
	death->intrudes = 1;
	for (unsigned i = 1; i <= 2; i++) {
		die_after("pwritev2", 1);
		assert_int_equal(
			fuse_write(&guest, file.open.fh, 0, "line\n", 5, O_WRONLY | O_APPEND), 5);
		assert_died();
		assert_int_equal(detail("undecided"), i);
		assert_int_equal(detail("recoveries"), i);
	}
	death->intrudes = 0;
	die_after("pwritev2", 1);
	assert_int_equal(fuse_write(&guest, file.open.fh, 0, "line\n", 5, O_WRONLY | O_APPEND), 5);
	assert_died();
	/* Of each life, and of those before it. */
	assert_int_equal(detail("undecided"), 2);
	assert_int_equal(detail("recoveries"), 3);
}

/* -- attributes ---------------------------------------------------------------------------- */

static int set_attribute(const char *name, const char *value, uint32_t flags)
{
	const struct fuse_setxattr_in in = {.size = (uint32_t)strlen(value), .flags = flags};

	return fuse_call(&guest, &(struct fuse_call){.opcode = FUSE_SETXATTR,
						     .nodeid = FUSE_ROOT_ID,
						     .arg = &in,
						     .arg_len = 8,
						     .name = name,
						     .data = value,
						     .data_len = strlen(value)});
}

static void test_xattr(void **state)
{
	(void)state;
	die_after("setxattr", 1);
	assert_int_equal(set_attribute("user.a", "one", XATTR_CREATE), 0);
	assert_died();
	/* It was there before: that is the answer, however often it is asked. */
	die_after("setxattr", 1);
	assert_int_equal(set_attribute("user.a", "two", XATTR_CREATE), -EEXIST);
	assert_died();
	die_after("removexattr", 1);
	assert_int_equal(fuse_name(&guest, FUSE_REMOVEXATTR, FUSE_ROOT_ID, "user.a"), 0);
	assert_died();
	die_after("removexattr", 1);
	assert_int_equal(fuse_name(&guest, FUSE_REMOVEXATTR, FUSE_ROOT_ID, "user.a"), -ENODATA);
	assert_died();
}

/* -- files that are hidden ----------------------------------------------------------------- */

static void unlink_open(const char *call)
{
	struct fuse_created file = make("f");

	die_after(call, 1);
	assert_int_equal(fuse_name(&guest, FUSE_UNLINK, 0, "f"), 0);
	assert_died();
	assert_false(is_there("f"));
	assert_unnamed(&file, "f");
	release(&file);
}

static void test_hide(void **state)
{
	(void)state;
	unlink_open("renameat2");
}

/* It may be left as it was made, and is nobody's. */
static void test_make_attic(void **state)
{
	(void)state;
	unlink_open("mkdirat");
}

static void replace_open(const char *call)
{
	struct fuse_created old = make("old"), new = make("new");

	die_after(call, 1);
	assert_int_equal(fuse_rename(&guest, 1, "new", 1, "old", 0), 0);
	assert_died();
	assert_false(is_there("new"));
	assert_string_equal(share_content(&guest, "old"), "new");
	assert_unnamed(&old, "old");
	release(&old);
	release(&new);
}

static void test_replace_linked(void **state)
{
	(void)state;
	replace_open("linkat");
}

static void test_replace_renamed(void **state)
{
	(void)state;
	replace_open("renameat2");
}

static void test_remove_hidden(void **state)
{
	struct fuse_created file = make("f"), other = make("g");

	(void)state;
	assert_int_equal(fuse_name(&guest, FUSE_UNLINK, 0, "f"), 0);
	assert_int_equal(fuse_name(&guest, FUSE_UNLINK, 0, "g"), 0);
	die_after("unlinkat", 1);
	release(&file);
	assert_died();
	assert_unnamed(&other, "g");
	release(&other);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(was_there),
		TEST(rename_and_again),
		TEST(mkdir),
		TEST(link),
		TEST(unlink),
		TEST(rename),
		TEST(exchange_nothing_told),
		TEST(exchange_half_told),
		TEST(exchange_told),
		TEST(exchange_with_directory),
		TEST(exchange_half_with_directory),
		TEST(symlink),
		TEST(mknod),
		TEST(rmdir),
		TEST(xattr),
		TEST(append_undecided),
		TEST(append),
		TEST(hide),
		TEST(make_attic),
		TEST(replace_linked),
		TEST(replace_renamed),
		TEST(remove_hidden),
	};

	if (argc < 3)
		return 1;
	program = argv[1];
	preload = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
