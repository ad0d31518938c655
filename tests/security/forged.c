/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/security/forged.c - states that somebody made up to get at a file outside the share: by
 * names, by its file handle, by both. Unsigned they come from anybody, signed from who has the key.
 */
#include "../common/fuse_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fs/evidence.h"
#include "fs/open.h"
#include "fs/records.h"
#include "fs/slots.h"
#include "state/stream.h"

#define SECRET	  "this is not for guests"
#define FILE_ID	  10
#define DIR_ID	  11
#define HANDLE_ID 5
/* What the guest is told where a state cannot be loaded. */
#define REFUSED 1

/* Rings go on where they were, so each guest that could be loaded is the next one's predecessor. */
static struct fuse_client guests[2];
static struct fuse_client *client = &guests[0];
static char outside[64]; /* a directory beside the share, with "secret" and the key in it */
static uint8_t key[GW_STATE_KEY_LEN];
static struct fuse_init_out init;     /* what the guest agreed on */
static struct gw_state_header header; /* of a real state of this guest */
static struct gw_state_writer *out;

static const char *beside(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", outside, name);
	return path;
}

static void write_beside(const char *name, const void *bytes, size_t len)
{
	int fd = open(beside(name), O_CREAT | O_WRONLY | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

/*
 * Records. What is said of a file is true: all that its handle, number and time of birth are.
 */

static void put(const struct gw_layout *layout, const void *object)
{
	assert_int_equal(gw_state_put(out, layout, object), 0);
}

#define PUT(layout_, ...) put(&(layout_), &(const struct layout_){__VA_ARGS__})

static void put_inode(uint64_t id, const char *path, uint32_t mount, bool links)
{
	struct fs_fhandle handle;
	struct statx stx;
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fs_statx_fd(fd, &stx), 0);
	/* Not every file system has handles. */
	if (fs_fhandle_of(fd, &handle))
		handle = (struct fs_fhandle){.len = 0};
	PUT(gw_fs_inode_v1, .id = id, .type = (uint16_t)(stx.stx_mode >> 12), .mount = mount,
	    .ino = stx.stx_ino, .btime = fs_btime(&stx), .lookups = id == FUSE_ROOT_ID ? 0 : 1,
	    .links = links, .handle_type = handle.type,
	    .handle = {.data = handle.bytes, .len = handle.len});
	close(fd);
}

static void put_name(uint64_t parent, const char *name, uint64_t id)
{
	PUT(gw_fs_name_v1, .parent = parent, .name = {.data = name, .len = strlen(name)},
	    .inode = id);
}

static void put_secret(bool links)
{
	put_inode(FILE_ID, beside("secret"), 0, links);
}

/* What every state begins with. */
static void put_session(void)
{
	PUT(gw_fs_session_v1, .initialised = true, .minor = init.minor,
	    .flags = init.flags | (uint64_t)init.flags2 << 32, .max_write = init.max_write,
	    .max_readahead = init.max_readahead, .max_pages = init.max_pages);
	put_inode(FUSE_ROOT_ID, client->share, 0, false);
}

/*
 * Forgeries. Those that say how the file is to be found come with an open file of it.
 */

static void by_handle_alone(void)
{
	put_secret(false);
}

static void by_handle_with_a_name_that_is_not(void)
{
	put_secret(false);
	put_name(FUSE_ROOT_ID, "nothing", FILE_ID);
}

static void by_handle_with_another_files_name(void)
{
	put_secret(true);
	put_name(FUSE_ROOT_ID, "file", FILE_ID);
}

static void below_a_directory_outside(void)
{
	put_inode(DIR_ID, outside, 0, false);
	put_name(FUSE_ROOT_ID, "nothing", DIR_ID);
	put_secret(false);
	put_name(DIR_ID, "secret", FILE_ID);
}

static void below_a_directory_without_a_name(void)
{
	put_inode(DIR_ID, outside, 0, false);
	put_secret(false);
	put_name(DIR_ID, "secret", FILE_ID);
}

static void below_a_directory_in_anothers_place(void)
{
	put_inode(DIR_ID, outside, 0, false);
	put_name(FUSE_ROOT_ID, "dir", DIR_ID);
	put_secret(false);
	put_name(DIR_ID, "secret", FILE_ID);
}

static void through_a_link_to_it(void)
{
	put_secret(false);
	put_name(FUSE_ROOT_ID, "to-secret", FILE_ID);
}

static void through_a_link_to_its_directory(void)
{
	put_inode(DIR_ID, outside, 0, false);
	put_name(FUSE_ROOT_ID, "to-outside", DIR_ID);
	put_secret(false);
	put_name(DIR_ID, "secret", FILE_ID);
}

/* The directory is what it says; by its mount the handle would be opened. */
static void on_a_mount_that_is_there(void)
{
	PUT(gw_fs_mount_v1, .index = 1);
	put_inode(DIR_ID, share_path(client, "dir"), 1, false);
	put_name(FUSE_ROOT_ID, "dir", DIR_ID);
	put_inode(FILE_ID, beside("secret"), 1, true);
	put_name(DIR_ID, "nothing", FILE_ID);
}

static void by_a_name_upwards(void)
{
	put_secret(false);
	put_name(FUSE_ROOT_ID, "..", FILE_ID);
}

static void by_a_path(void)
{
	char path[160];

	put_secret(false);
	snprintf(path, sizeof(path), "..%s", beside("secret"));
	put_name(FUSE_ROOT_ID, path, FILE_ID);
}

static const struct forgery {
	const char *name;
	void (*put)(void);
	bool never_loads; /* it is no state at all */
} forgeries[] = {
	{"by handle alone", by_handle_alone},
	{"with a name that is not there", by_handle_with_a_name_that_is_not},
	{"with another file's name", by_handle_with_another_files_name},
	{"below a directory outside", below_a_directory_outside},
	{"below a directory without a name", below_a_directory_without_a_name},
	{"below a directory in another's place", below_a_directory_in_anothers_place},
	{"through a link to it", through_a_link_to_it},
	{"through a link to its directory", through_a_link_to_its_directory},
	{"on a mount that is there", on_a_mount_that_is_there},
	{"by a name upwards", by_a_name_upwards, true},
	{"by a path", by_a_path, true},
};
#define FORGERIES (sizeof(forgeries) / sizeof(forgeries[0]))

static int forge(const struct forgery *forgery, bool opened, bool is_signed)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	const struct gw_state_channel channel = {
		.fd = fd, .cancel = -1, .key = is_signed ? key : NULL};

	assert_int_equal(gw_state_writer_new(&out, &channel, &header), 0);
	assert_int_equal(gw_state_writer_phase(out, GW_PHASE_STOPPED), 0);
	put_session();
	forgery->put();
	if (opened)
		PUT(gw_fs_handle_v1, .id = HANDLE_ID, .inode = FILE_ID, .flags = O_RDONLY);
	assert_int_equal(gw_state_writer_end(out), 0);
	gw_state_writer_free(out);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/*
 * The guest that goes on with it.
 */

static void assert_no_secret(uint64_t fh)
{
	char text[64] = "";

	fuse_read(client, fh, 0, text, sizeof(text) - 1);
	assert_null(strstr(text, "not for guests"));
}

/* Everything that a node could give away; that there is such a file, too. */
static void assert_closed(uint64_t node, const char *path)
{
	struct fuse_open_out open;
	struct fuse_attr attr;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	if (fuse_open(client, node, O_RDONLY, &open) >= 0) {
		assert_no_secret(open.fh);
		fail_msg("it could be opened");
	}
	assert_true(fuse_opendir(client, node, &open.fh) < 0);
	assert_true(fuse_lookup(client, node, "secret", NULL) < 0);
	if (fuse_getattr(client, node, &attr) >= 0)
		assert_int_not_equal(attr.ino, st.st_ino);
}

static char plain_program[1024];

/* The destination's options beyond those that the client has. */
static void set_options(const char *mode, bool with_key)
{
	char program[2048];

	snprintf(program, sizeof(program), "%s --migration-mode=%s%s%s", plain_program, mode,
		 with_key ? " --state-key=" : "", with_key ? beside("key") : "");
	setenv(FUSE_PROGRAM, program, 1);
}

struct trial {
	const char *mode;
	bool with_key, is_signed, opened;
	enum fs_on_error on_error;
	/* Who made the stream is believed of files that only a handle leads to (docs/security.md):
	 * nothing is promised of the file then, but that there is no way on from it. */
	bool is_believed;
};

/* The guest goes on with the state, or stays as it is: 0 or REFUSED. */
static int go_on(int stream, const struct trial *trial)
{
	struct fuse_client *to = client == guests ? &guests[1] : &guests[0];
	struct fs_host host = client->host;
	int err;

	gw_frontend_stop(client->frontend);
	host.on_error = trial->on_error;
	set_options(trial->mode, trial->with_key);
	err = fuse_load(to, client, NULL, &host, stream);
	setenv(FUSE_PROGRAM, plain_program, 1);
	if (err)
		return REFUSED;
	to->own_share = client->own_share;
	client->own_share = false;
	fuse_stop(client);
	client = to;
	return 0;
}

static int try_it(const struct forgery *forgery, const struct trial *trial)
{
	int stream = forge(forgery, trial->opened, trial->is_signed);
	int result = go_on(stream, trial);

	close(stream);
	if (result == REFUSED)
		return REFUSED;
	if (!trial->is_believed) {
		assert_no_secret(HANDLE_ID);
		assert_closed(FILE_ID, beside("secret"));
	}
	assert_closed(DIR_ID, outside);
	return 0;
}

/* Else the program says at its start that it cannot (process.py). */
static bool can_open_by_handle(void)
{
	return geteuid() == 0 && !strstr(plain_program, "-dac_read_search");
}

static void try_all(const struct trial *trial, bool must_be_refused)
{
	if (!strcmp(trial->mode, "file-handles") && !can_open_by_handle())
		return;
	for (size_t i = 0; i < FORGERIES; i++) {
		int result;

		print_message("%s%s\n", forgeries[i].name, trial->opened ? ", open" : "");
		result = try_it(&forgeries[i], trial);
		assert_int_equal(result, must_be_refused || forgeries[i].never_loads ? REFUSED : 0);
	}
}

/* Losses are no reason to refuse, so that as much as can be is loaded. */
static void test_by_anybody(void **state)
{
	(void)state;
	for (int opened = 0; opened < 2; opened++)
		try_all(&(struct trial){"auto", .opened = opened, .on_error = FS_ON_ERROR_GUEST},
			false);
	try_all(&(struct trial){"find-paths", .on_error = FS_ON_ERROR_GUEST}, false);
	try_all(&(struct trial){"file-handles", .opened = true, .on_error = FS_ON_ERROR_GUEST,
				.is_believed = true},
		false);
}

static void test_where_a_signature_is_asked_for(void **state)
{
	const struct trial trial = {"auto", .with_key = true, .on_error = FS_ON_ERROR_GUEST};

	(void)state;
	try_all(&trial, true);
}

/* Who has the key may say what is open, and not what the share is; and only by a handle, unless the
 * operator takes none, that a file is what the guest had. */
static void test_signed(void **state)
{
	static const char *const modes[] = {"auto", "file-handles", "find-paths"};

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct trial trial = {modes[i % 3],
				      .with_key = true,
				      .is_signed = true,
				      .opened = i / 3,
				      .on_error = FS_ON_ERROR_GUEST,
				      .is_believed = i % 3 != 2};

		try_all(&trial, false);
	}
}

static void test_losses_that_abort(void **state)
{
	(void)state;
	try_all(&(struct trial){"auto", .opened = true, .on_error = FS_ON_ERROR_ABORT}, true);
}

/* A forger's work is good: where it speaks of what is in the share, it is taken. */
static void of_a_file_inside(void)
{
	put_inode(FILE_ID, share_path(client, "file"), 0, false);
	put_name(FUSE_ROOT_ID, "file", FILE_ID);
}

static void test_the_same_of_a_file_inside_is_read(void **state)
{
	static const struct forgery inside = {"inside", of_a_file_inside, false};
	const struct trial trial = {"auto", .with_key = true};
	char text[64] = "";
	int stream = forge(&inside, true, true);

	(void)state;
	assert_int_equal(go_on(stream, &trial), 0);
	assert_int_equal(fuse_read(client, HANDLE_ID, 0, text, sizeof(text) - 1), 5);
	assert_string_equal(text, "inner");
	close(stream);
}

static void take_header(void)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct gw_state_reader *reader;

	fuse_save(client, fd);
	assert_int_equal(gw_state_reader_new(&reader, &channel), 0);
	header = *gw_state_reader_header(reader);
	gw_state_reader_free(reader);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	snprintf(plain_program, sizeof(plain_program), "%s", getenv(FUSE_PROGRAM));
	strcpy(outside, "/tmp/gw-outside.XXXXXX");
	assert_non_null(mkdtemp(outside));
	write_beside("secret", SECRET, strlen(SECRET));
	memset(key, 'k', sizeof(key));
	write_beside("key", key, sizeof(key));
	fuse_start(client, &(struct fuse_options){.queues = 1});
	share_file(client, "file", "inner");
	assert_int_equal(mkdir(share_path(client, "dir"), 0777), 0);
	assert_int_equal(symlink(beside("secret"), share_path(client, "to-secret")), 0);
	assert_int_equal(symlink(outside, share_path(client, "to-outside")), 0);
	init = client->init;
	take_header();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(client);
	unlink(beside("secret"));
	unlink(beside("key"));
	assert_int_equal(rmdir(outside), 0);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_of_a_file_inside_is_read),
		cmocka_unit_test(test_by_anybody),
		cmocka_unit_test(test_where_a_signature_is_asked_for),
		cmocka_unit_test(test_signed),
		cmocka_unit_test(test_losses_that_abort),
	};

	if (!getenv(FUSE_PROGRAM)) {
		print_message("skipped: it is a program that is shut in (" FUSE_PROGRAM ")\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
