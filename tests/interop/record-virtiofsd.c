/* SPDX-License-Identifier: BSD-3-Clause */
/* interop/record-virtiofsd.c - record what virtiofsd's device state looks like, for tests/golden.
 */
#include "virtiofsd.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * usage: VIRTIOFSD=... record-virtiofsd DIRECTORY
 *
 * Writes DIRECTORY/virtiofsd-NAME.stream for each row: a guest works on the tree of virtiofsd.c,
 * then is stopped and saved. Every run differs in handles, mount ids and in the order of inodes.
 */
static const struct recording {
	const char *name;
	const char *options[3];
	bool no_init; /* the guest never mounts */
	bool lookup;  /* it looks up hello and nothing else */
	bool gone;    /* it has a file open that has no name any more */
} recordings[] = {
	{.name = "fresh", .no_init = true},
	{.name = "lookup", .lookup = true},
	{.name = "paths"},
	{.name = "handles", .options = {"--migration-mode=file-handles"}},
	{.name = "verify", .options = {"--migration-verify-handles"}},
	{.name = "gone", .gone = true},
	{.name = "gone-handles", .options = {"--migration-mode=file-handles"}, .gone = true},
	{.name = "writeback", .options = {"--writeback"}, .lookup = true},
	{.name = "submounts", .options = {"--announce-submounts"}, .lookup = true},
	{.name = "acl", .options = {"--xattr", "--posix-acl"}, .lookup = true},
};

static void open_and_remove(struct fuse_client *client)
{
	uint64_t gone = fuse_node(client, FUSE_ROOT_ID, "gone");
	struct fuse_open_out open;

	assert_true(fuse_open(client, gone, O_RDWR, &open) >= 0);
	assert_int_equal(fuse_name(client, FUSE_UNLINK, FUSE_ROOT_ID, "gone"), 0);
}

static void record(const struct recording *recording, const char *to)
{
	char dir[] = "/tmp/gw-record.XXXXXX", path[256];
	struct fuse_options options = {.no_init = recording->no_init};
	struct virtiofsd daemon;
	struct fuse_client client;
	struct tree_guest guest;
	int stream;

	assert_non_null(mkdtemp(dir));
	tree_make(dir);
	virtiofsd_start(&daemon, dir, "source", recording->options);
	options.share = dir;
	options.socket = daemon.socket;
	fuse_start(&client, &options);
	if (recording->lookup)
		fuse_node(&client, FUSE_ROOT_ID, "hello");
	else if (!recording->no_init)
		tree_use(&client, &guest);
	if (recording->gone)
		open_and_remove(&client);
	snprintf(path, sizeof(path), "%s/virtiofsd-%s.stream", to, recording->name);
	stream = open(path, O_CREAT | O_TRUNC | O_RDWR, 0644);
	assert_true(stream >= 0);
	fuse_save(&client, stream);
	close(stream);
	fuse_stop(&client);
	virtiofsd_wait(&daemon);
	tree_remove(dir);
}

static const char *directory;

static void record_all(void **state)
{
	for (size_t i = 0; i < sizeof(recordings) / sizeof(recordings[0]); i++)
		record(&recordings[i], directory);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(record_all)};

	if (argc != 2) {
		fprintf(stderr, "usage: record-virtiofsd DIRECTORY\n");
		return 2;
	}
	if (!virtiofsd_program())
		return 77;
	directory = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
