/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/label.c - security labels that come with what is made: on it, or it is not there. */
#include "../common/fuse_client.h"

#include <dirent.h>
#include <sys/inotify.h>
#include <sys/xattr.h>

#define ALL (UINT64_MAX >> 1)

static struct fuse_client client, moved;

/* What Linux puts behind the names: one security context. */
static struct {
	uint32_t total, count;
	uint32_t size, padding;
	char text[48];
} context;

static size_t put_context(const char *name, const char *value)
{
	size_t len = strlen(name) + 1;

	memset(&context, 0, sizeof(context));
	memcpy(context.text, name, len);
	memcpy(context.text + len, value, strlen(value));
	context.count = 1;
	context.size = (uint32_t)strlen(value);
	context.total = (uint32_t)FUSE_REC_ALIGN(16 + len + strlen(value));
	return context.total;
}

static struct {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
} answer;

/* Any of the operations that make something as "new" in the root, with the context. */
static int make_on(struct fuse_client *on, uint32_t opcode)
{
	static const struct fuse_create_in file = {.flags = O_WRONLY, .mode = S_IFREG | 0600};
	static const struct fuse_mkdir_in dir = {.mode = 0700};
	static const struct fuse_mknod_in fifo = {.mode = S_IFIFO | 0600};
	struct fuse_call call = {.opcode = opcode,
				 .name = "new",
				 .data = &context,
				 .data_len = context.total,
				 .ext_units = (uint16_t)(context.total / 8),
				 .answer = &answer,
				 .room = sizeof(answer)};

	if (opcode == FUSE_CREATE || opcode == FUSE_TMPFILE) {
		call.arg = &file;
		call.arg_len = sizeof(file);
	} else if (opcode == FUSE_MKDIR) {
		call.arg = &dir;
		call.arg_len = sizeof(dir);
	} else if (opcode == FUSE_MKNOD) {
		call.arg = &fifo;
		call.arg_len = sizeof(fifo);
	} else {
		call.name2 = "where"; /* SYMLINK */
	}
	return fuse_call(on, &call);
}

static const uint32_t makers[] = {FUSE_CREATE, FUSE_MKDIR, FUSE_MKNOD, FUSE_SYMLINK};
#define MAKERS (sizeof(makers) / sizeof(makers[0]))

static void check_label(const char *expected)
{
	char value[16] = "";

	if (!expected) {
		assert_true(lgetxattr(share_path(&client, "new"), "security.gw", value, 16) < 0);
		return;
	}
	assert_int_equal(lgetxattr(share_path(&client, "new"), "security.gw", value, 16),
			 strlen(expected));
	assert_string_equal(value, expected);
}

static void start(int security_label, uint64_t offered)
{
	fuse_start(&client, &(struct fuse_options){.policy.security_label = security_label,
						   .init_flags = offered});
	share_file(&client, "probe", "");
	if (setxattr(share_path(&client, "probe"), "security.gw", "", 0, 0) < 0) {
		fuse_stop(&client);
		skip();
	}
}

static void test_labels(void **state)
{
	(void)state;
	start(FS_AUTO, ALL);
	put_context("security.gw", "label");
	for (size_t i = 0; i < MAKERS; i++) {
		assert_true(make_on(&client, makers[i]) > 0);
		check_label("label");
		assert_int_equal(remove(share_path(&client, "new")), 0);
	}
	fuse_stop(&client);
}

/* What inotify(7) saw of "new": how it came to its name, and when its attributes changed. */
static uint32_t watched(int watcher)
{
	char bytes[4096] __attribute__((aligned(8)));
	ssize_t len = read(watcher, bytes, sizeof(bytes));
	uint32_t seen = 0;

	assert_true(len > 0);
	for (char *at = bytes; at < bytes + len;) {
		const struct inotify_event *event = (const void *)at;

		if (event->len && !strcmp(event->name, "new"))
			seen |= event->mask;
		at += sizeof(*event) + event->len;
	}
	return seen;
}

static unsigned entries(void)
{
	DIR *dir = opendir(client.share);
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2; /* "." and ".." */
}

/* Nobody sees anything under its name before its label is on it. */
static void test_never_without(void **state)
{
	int watcher;

	(void)state;
	start(FS_AUTO, ALL);
	put_context("security.gw", "label");
	for (size_t i = 1; i < MAKERS; i++) {
		uint32_t kind = makers[i] == FUSE_MKDIR ? IN_ISDIR : 0;

		watcher = inotify_init1(IN_CLOEXEC);
		assert_true(inotify_add_watch(watcher, client.share,
					      IN_CREATE | IN_MOVED_TO | IN_ATTRIB) >= 0);
		assert_true(make_on(&client, makers[i]) > 0);
		check_label("label");
		assert_int_equal(watched(watcher), IN_MOVED_TO | kind);
		close(watcher);
		/* A name that is taken stays whose it was, and nothing else is left. */
		assert_int_equal(make_on(&client, makers[i]), -EEXIST);
		assert_int_equal(entries(), 2);
		assert_int_equal(remove(share_path(&client, "new")), 0);
	}
	fuse_stop(&client);
}

static void test_unnamed_files_have_one(void **state)
{
	char value[16] = "";
	struct fuse_getxattr_in in = {.size = 16};

	(void)state;
	fuse_start(&client,
		   &(struct fuse_options){.policy = {.security_label = FS_AUTO, .xattr = true}});
	put_context("security.gw", "label");
	if (make_on(&client, FUSE_TMPFILE) == -EOPNOTSUPP) {
		fuse_stop(&client);
		skip();
	}
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_GETXATTR,
								.nodeid = answer.entry.nodeid,
								.arg = &in,
								.arg_len = sizeof(in),
								.name = "security.gw",
								.answer = value,
								.room = 16}),
			 5);
	fuse_stop(&client);
}

/* What cannot have its label is not made. */
static void test_not_without(void **state)
{
	(void)state;
	start(FS_AUTO, ALL);
	put_context("nonsense.gw", "label");
	for (size_t i = 0; i < MAKERS; i++) {
		assert_int_equal(make_on(&client, makers[i]), -EOPNOTSUPP);
		assert_int_equal(access(share_path(&client, "new"), F_OK), -1);
	}
	fuse_stop(&client);
}

static void test_not_agreed_on(void **state)
{
	(void)state;
	start(FS_NEVER, ALL);
	put_context("security.gw", "label");
	assert_true(make_on(&client, FUSE_CREATE) > 0);
	check_label(NULL);
	fuse_stop(&client);
}

/* 7.31 to 7.37 sent it, too, without a word of it in the header. */
static void test_old_guests(void **state)
{
	const struct fuse_mkdir_in dir = {.mode = 0700};

	(void)state;
	start(FS_AUTO, ALL);
	put_context("security.gw", "old");
	assert_true(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_MKDIR,
							   .arg = &dir,
							   .arg_len = sizeof(dir),
							   .name = "new",
							   .data = &context,
							   .data_len = context.total,
							   .answer = &answer.entry,
							   .room = sizeof(answer.entry)}) > 0);
	check_label("old");
	fuse_stop(&client);
}

static void test_malformed(void **state)
{
	(void)state;
	start(FS_AUTO, ALL);
	put_context("security.gw", "label");
	context.size = 100;
	assert_int_equal(make_on(&client, FUSE_MKDIR), -EINVAL);
	context.size = UINT32_MAX;
	assert_int_equal(make_on(&client, FUSE_MKDIR), -EINVAL);
	put_context("", "label");
	assert_int_equal(make_on(&client, FUSE_MKDIR), -EINVAL);
	put_context("security.gw", "label");
	memset(context.text, 'n', sizeof(context.text));
	assert_int_equal(make_on(&client, FUSE_MKDIR), -EINVAL);
	put_context("security.gw", "label");
	context.total = 8; /* a count, and nothing of what it counts */
	assert_int_equal(make_on(&client, FUSE_MKDIR), -EINVAL);
	/* None is none. */
	context.count = 0;
	assert_true(make_on(&client, FUSE_MKDIR) > 0);
	fuse_stop(&client);
}

static void test_required(void **state)
{
	(void)state;
	fuse_start(&client,
		   &(struct fuse_options){.policy.security_label = FS_ALWAYS, .no_init = true});
	assert_int_equal(fuse_init(&client, 7, 45, ALL & ~FUSE_SECURITY_CTX), -EPROTO);
	assert_true(fuse_init(&client, 7, 45, ALL) > 0);
	fuse_stop(&client);
}

static void test_moves(void **state)
{
	(void)state;
	start(FS_AUTO, ALL);
	assert_int_equal(fuse_move(&moved, &client, FS_ON_ERROR_ABORT), 0);
	put_context("security.gw", "label");
	assert_true(make_on(&moved, FUSE_MKDIR) > 0);
	check_label("label");
	fuse_stop(&moved);
	fuse_stop(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_without),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_unnamed_files_have_one),
		cmocka_unit_test(test_not_without),
		cmocka_unit_test(test_not_agreed_on),
		cmocka_unit_test(test_old_guests),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_required),
		cmocka_unit_test(test_moves),
	};

	if (geteuid() != 0)
		return 77; /* attributes of this kind are root's to set */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
