/* SPDX-License-Identifier: BSD-3-Clause */
/* interop/virtiofsd-to-godwit.c - a guest of virtiofsd's goes on at godwit-fs, and moves on. */
#include "virtiofsd.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static char dir[] = "/tmp/gw-takeover.XXXXXX";

struct source {
	struct virtiofsd daemon;
	struct fuse_client client;
	struct tree_guest guest;
	struct fs_host host; /* of the destination */
	int stream;
};

static void start(struct source *source, const char *option)
{
	struct fuse_options options = {.share = dir, .policy.submounts = FS_UNSET};

	memset(source, 0, sizeof(*source));
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	tree_make(dir);
	virtiofsd_start(&source->daemon, dir, "source", (const char *const[3]){option});
	options.socket = source->daemon.socket;
	fuse_start(&source->client, &options);
	strcat(source->client.share, "/share"); /* where godwit-fs will serve it from */
	source->host = source->client.host;
	source->stream = memfd_create("stream", MFD_CLOEXEC);
	tree_use(&source->client, &source->guest);
}

static void end(struct source *source)
{
	close(source->stream);
	fuse_stop(&source->client);
	virtiofsd_wait(&source->daemon);
	tree_remove(dir);
}

static int load(struct fuse_client *to, struct source *source)
{
	assert_int_equal(lseek(source->stream, 0, SEEK_SET), 0);
	return fuse_load(to, &source->client, NULL, &source->host, source->stream);
}

static void moves(const char *option, enum fs_migration_mode mode)
{
	struct source source;
	struct fuse_client there, further;

	start(&source, option);
	source.host.migration_mode = mode;
	fuse_save(&source.client, source.stream);
	if (load(&there, &source))
		fail_msg("%s", gw_last_error());
	tree_check(&there, &source.guest);
	/* Its numbers are not ours, and stay as they are when it moves again. */
	assert_int_equal(fuse_move(&further, &there, FS_ON_ERROR_ABORT), 0);
	assert_int_equal(fuse_node(&further, source.guest.dir, "inner"), source.guest.inner);
	assert_int_equal(fuse_release(&further, FUSE_RELEASE, source.guest.hello_fh), 0);
	assert_int_equal(fuse_release(&further, FUSE_RELEASE, source.guest.hello_fh), -EBADF);
	assert_int_equal(fuse_release(&further, FUSE_RELEASEDIR, source.guest.many_fh), 0);
	fuse_stop(&further);
	fuse_stop(&there);
	end(&source);
}

static void test_by_name(void **state)
{
	moves(NULL, FS_MIGRATION_AUTO);
}

static void test_by_name_with_proof(void **state)
{
	moves("--migration-verify-handles", FS_MIGRATION_AUTO);
}

static void test_by_handle(void **state)
{
	moves("--migration-mode=file-handles", FS_MIGRATION_HANDLES);
}

/* What comes by handle can lead anywhere: only where the operator says so. */
static void test_by_handle_unasked(void **state)
{
	struct source source;
	struct fuse_client there;

	start(&source, "--migration-mode=file-handles");
	fuse_save(&source.client, source.stream);
	assert_int_not_equal(load(&there, &source), 0);
	fuse_resume(&source.client);
	tree_check(&source.client, &source.guest);
	end(&source);
}

/* FORGETs balance what virtiofsd counted. */
static void test_look_ups_are_the_guests(void **state)
{
	struct source source;
	struct fuse_client there;
	struct fuse_attr attr;

	start(&source, NULL);
	fuse_save(&source.client, source.stream);
	assert_int_equal(load(&there, &source), 0);
	fuse_release(&there, FUSE_RELEASE, source.guest.hello_fh);
	fuse_release(&there, FUSE_RELEASE, source.guest.deep_fh);
	fuse_forget(&there, source.guest.hello, 2);
	assert_true(fuse_getattr(&there, source.guest.hello, &attr) > 0);
	fuse_forget(&there, source.guest.hello, 1);
	assert_int_equal(fuse_getattr(&there, source.guest.hello, &attr), -ESTALE);
	fuse_forget(&there, source.guest.dir, 1);
	assert_true(fuse_getattr(&there, source.guest.inner, &attr) > 0);
	fuse_forget(&there, source.guest.deep, 1);
	fuse_forget(&there, source.guest.inner, 1);
	assert_int_equal(fuse_getattr(&there, source.guest.inner, &attr), -ESTALE);
	assert_int_equal(fuse_getattr(&there, source.guest.dir, &attr), -ESTALE);
	fuse_stop(&there);
	end(&source);
}

static void replace_hello(void)
{
	char from[64], to[64];

	snprintf(from, sizeof(from), "%s/share/gone", dir);
	snprintf(to, sizeof(to), "%s/share/hello", dir);
	assert_int_equal(rename(from, to), 0);
}

/* With a handle as proof another file is not taken for the one the guest has. */
static void test_replaced_file(void **state)
{
	struct source source;
	struct fuse_client there;
	struct fuse_attr attr;
	char byte;

	start(&source, "--migration-verify-handles");
	fuse_save(&source.client, source.stream);
	replace_hello();
	assert_int_not_equal(load(&there, &source), 0);
	source.host.on_error = FS_ON_ERROR_GUEST;
	assert_int_equal(load(&there, &source), 0);
	assert_int_equal(fuse_getattr(&there, source.guest.hello, &attr), -ESTALE);
	assert_true(fuse_read(&there, source.guest.hello_fh, 0, &byte, 1) < 0);
	assert_true(fuse_getattr(&there, source.guest.deep, &attr) > 0);
	fuse_stop(&there);
	end(&source);
}

/* What virtiofsd itself has lost is the destination's operator's choice as well. */
static void test_lost_at_the_source(void **state)
{
	struct source source;
	struct fuse_client there;
	struct fuse_attr attr;
	uint64_t gone;

	start(&source, NULL);
	gone = fuse_node(&source.client, FUSE_ROOT_ID, "gone");
	assert_int_equal(fuse_name(&source.client, FUSE_UNLINK, FUSE_ROOT_ID, "gone"), 0);
	fuse_save(&source.client, source.stream);
	assert_int_not_equal(load(&there, &source), 0);
	source.host.on_error = FS_ON_ERROR_GUEST;
	assert_int_equal(load(&there, &source), 0);
	assert_int_equal(fuse_getattr(&there, gone, &attr), -ESTALE);
	tree_check(&there, &source.guest);
	fuse_stop(&there);
	end(&source);
}

/* From @from, a godwit-fs that saves for virtiofsd, to a virtiofsd. */
static void go_back(struct fuse_client *back, struct virtiofsd *daemon, struct fuse_client *from)
{
	int stream = memfd_create("stream", MFD_CLOEXEC);

	virtiofsd_start(daemon, dir, "back", (const char *const[3]){NULL});
	fuse_save(from, stream);
	if (fuse_load(back, from, daemon->socket, &from->host, stream))
		fail_msg("%s", gw_last_error());
	close(stream);
}

static void test_there_and_back(void **state)
{
	struct source source;
	struct fuse_client there, back;
	struct virtiofsd daemon;
	struct fuse_open_out open;
	uint64_t gone;

	start(&source, NULL);
	source.host.state_format = FS_STATE_VIRTIOFSD_V2;
	fuse_save(&source.client, source.stream);
	assert_int_equal(load(&there, &source), 0);
	/* What it found here has ids of ours. */
	gone = fuse_node(&there, FUSE_ROOT_ID, "gone");
	assert_true(fuse_open(&there, gone, O_RDONLY, &open) > 0);
	tree_read_many(&there, &source.guest, 1024);
	go_back(&back, &daemon, &there);
	tree_check(&back, &source.guest);
	assert_int_equal(fuse_node(&back, FUSE_ROOT_ID, "gone"), gone);
	fuse_stop(&back);
	virtiofsd_wait(&daemon);
	fuse_stop(&there);
	end(&source);
}

/* Its look-up counts are right in both directions: what the guest forgets is gone there. */
static void test_back_with_what_was_forgotten(void **state)
{
	struct source source;
	struct fuse_client there, back;
	struct virtiofsd daemon;
	struct fuse_attr attr;

	start(&source, NULL);
	source.host.state_format = FS_STATE_VIRTIOFSD_V2;
	fuse_save(&source.client, source.stream);
	assert_int_equal(load(&there, &source), 0);
	fuse_forget(&there, source.guest.dir, 1);
	go_back(&back, &daemon, &there);
	assert_true(fuse_getattr(&back, source.guest.deep, &attr) > 0);
	fuse_forget(&back, source.guest.hello, 3);
	assert_true(fuse_getattr(&back, source.guest.hello, &attr) < 0);
	fuse_stop(&back);
	virtiofsd_wait(&daemon);
	fuse_stop(&there);
	end(&source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_name),
		cmocka_unit_test(test_by_name_with_proof),
		cmocka_unit_test(test_by_handle),
		cmocka_unit_test(test_by_handle_unasked),
		cmocka_unit_test(test_look_ups_are_the_guests),
		cmocka_unit_test(test_replaced_file),
		cmocka_unit_test(test_lost_at_the_source),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_back_with_what_was_forgotten),
	};

	if (!virtiofsd_program())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
