/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/few-descriptors.c - very many cached inodes, and a hard limit of 1,024 descriptors. */
#include "../common/fuse_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/*
 * The back-ends are programs (FUSE_PROGRAM), which inherit the limit; the argument is the number of
 * inodes. 16 look-ups are under way at once, or a million would take a while.
 */
#define DESCRIPTORS 1024
#define FILES	    1000u /* in a directory */
#define BATCH	    16u
#define SAMPLE	    97u /* one file in so many is looked at and read */

static struct fuse_client from, to;
static unsigned dirs;
static uint64_t *nodes, *parents;

static void make_tree(void)
{
	char path[128];

	for (unsigned d = 0; d < dirs; d++) {
		int at;

		snprintf(path, sizeof(path), "%s/d%u", from.share, d);
		assert_int_equal(mkdir(path, 0755), 0);
		at = open(path, O_PATH | O_CLOEXEC);
		for (unsigned i = 0; i < FILES; i++) {
			char name[32];
			int fd;

			snprintf(name, sizeof(name), "file-%011u", d * FILES + i);
			fd = openat(at, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
			assert_true(fd >= 0);
			if (i % SAMPLE == 0)
				assert_int_equal(write(fd, name, 16), 16);
			close(fd);
		}
		close(at);
	}
}

static void look_up_batch(struct fuse_client *client, unsigned first, unsigned count)
{
	static struct fuse_entry_out entries[BATCH];
	static char names[BATCH][32];
	struct fuse_call calls[BATCH];

	for (unsigned i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "file-%011u", first + i);
		calls[i] = (struct fuse_call){.opcode = FUSE_LOOKUP,
					      .nodeid = parents[first / FILES],
					      .name = names[i],
					      .answer = &entries[i],
					      .room = sizeof(entries[i])};
		fuse_begin(client, 1, &calls[i]);
	}
	for (unsigned i = 0; i < count; i++) {
		fuse_wait(client, 1, &calls[i]);
		assert_int_equal(calls[i].result, sizeof(entries[i]));
		if (nodes[first + i])
			assert_int_equal(entries[i].nodeid, nodes[first + i]);
		nodes[first + i] = entries[i].nodeid;
	}
}

static void look_up_all(struct fuse_client *client)
{
	for (unsigned d = 0; d < dirs; d++) {
		char name[16];

		snprintf(name, sizeof(name), "d%u", d);
		parents[d] = fuse_node(client, 0, name);
		for (unsigned i = 0; i < FILES; i += BATCH)
			look_up_batch(client, d * FILES + i, FILES - i < BATCH ? FILES - i : BATCH);
	}
}

static void read_one(struct fuse_client *client, unsigned i)
{
	struct fuse_open_out open;
	char name[32], data[32];

	snprintf(name, sizeof(name), "file-%011u", i);
	assert_true(fuse_open(client, nodes[i], O_RDONLY, &open) > 0);
	assert_int_equal(fuse_read(client, open.fh, 0, data, sizeof(data)), 16);
	assert_memory_equal(data, name, 16);
	assert_int_equal(fuse_release(client, FUSE_RELEASE, open.fh), 0);
}

/* One in so many, with its directories. */
static void use_some(struct fuse_client *client)
{
	struct fuse_attr attr;

	for (unsigned d = 0; d < dirs; d++) {
		assert_true(fuse_getattr(client, parents[d], &attr) > 0);
		for (unsigned i = 0; i < FILES; i += SAMPLE) {
			assert_true(fuse_getattr(client, nodes[d * FILES + i], &attr) > 0);
			assert_int_equal(attr.size, 16);
			read_one(client, d * FILES + i);
		}
	}
}

static void forget_all(struct fuse_client *client, uint64_t count)
{
	struct fuse_attr attr;

	for (unsigned i = 0; i < dirs * FILES; i++)
		fuse_forget(client, nodes[i], count);
	for (unsigned d = 0; d < dirs; d++)
		fuse_forget(client, parents[d], count);
	assert_int_equal(fuse_getattr(client, nodes[0], &attr), -ESTALE);
	assert_int_equal(fuse_getattr(client, parents[0], &attr), -ESTALE);
	assert_true(fuse_getattr(client, FUSE_ROOT_ID, &attr) > 0);
}

static void test_all_is_served_and_moves(void **state)
{
	struct rlimit tight = {.rlim_cur = DESCRIPTORS, .rlim_max = DESCRIPTORS};

	(void)state;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	fuse_start(&from, &(struct fuse_options){0});
	make_tree();
	look_up_all(&from);
	use_some(&from);
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	use_some(&to);
	look_up_all(&to);
	/* Once at the source, which the state tells of, and once here. */
	forget_all(&to, 2);
	fuse_stop(&to);
	fuse_stop(&from);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_is_served_and_moves),
	};

	if (!getenv(FUSE_PROGRAM)) {
		print_message("skipped: it is a limit of programs (" FUSE_PROGRAM ")\n");
		return 77;
	}
	dirs = (argc > 1 ? (unsigned)atoi(argv[1]) : 20000) / FILES;
	nodes = calloc((size_t)dirs * FILES, sizeof(*nodes));
	parents = calloc(dirs, sizeof(*parents));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
