/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-virtiofsd.c - virtiofsd's state: what it says, and that nothing else is taken for
 * it. */
#include "cmocka-all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/foreign_virtiofsd.h"
#include "godwit/error.h"

static const char *golden;
static uint8_t bytes[4096];

static size_t read_golden(const char *name)
{
	char path[512];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/virtiofsd-%s.stream", golden, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	len = read(fd, bytes, sizeof(bytes));
	close(fd);
	assert_true(len > 0);
	return (size_t)len;
}

static void parse_golden(struct fs_virtiofsd *state, const char *name)
{
	if (fs_virtiofsd_parse(state, bytes, read_golden(name)))
		fail_msg("%s: %s", name, gw_last_error());
	assert_int_equal(state->version, 2);
}

static const struct fs_virtiofsd_inode *inode(const struct fs_virtiofsd *state, uint64_t id)
{
	assert_true(id <= state->inode_count);
	assert_int_equal(state->inodes[id - 1].id, id);
	return &state->inodes[id - 1];
}

static void test_fresh(void **state)
{
	struct fs_virtiofsd parsed;

	parse_golden(&parsed, "fresh");
	assert_int_equal(parsed.inode_count, 0);
	assert_int_equal(parsed.open_count, 0);
	assert_int_equal(parsed.next_inode, 2);
	fs_virtiofsd_clear(&parsed);
}

static void test_paths(void **state)
{
	struct fs_virtiofsd parsed;
	const struct fs_virtiofsd_inode *deep;

	parse_golden(&parsed, "paths");
	assert_int_equal(parsed.inode_count, 7);
	assert_int_equal(inode(&parsed, 1)->kind, FS_VIRTIOFSD_ROOT);
	assert_int_equal(inode(&parsed, 1)->children, 4);
	assert_int_equal(inode(&parsed, 2)->references, 3); /* looked up so often */
	assert_int_equal(inode(&parsed, 3)->references - inode(&parsed, 3)->children, 1);
	deep = inode(&parsed, 5);
	assert_int_equal(deep->parent_id, 4);
	assert_int_equal(deep->name.len, 4);
	assert_memory_equal(deep->name.data, "deep", 4);
	assert_int_equal(parsed.open_count, 3);
	assert_int_equal(parsed.opens[0].id, 0);
	assert_int_equal(parsed.opens[1].flags, O_RDWR);
	assert_int_equal(parsed.opens[2].flags, O_RDONLY | O_DIRECTORY);
	assert_int_equal(parsed.mount_count, 0);
	fs_virtiofsd_clear(&parsed);
}

static void test_handles(void **state)
{
	struct fs_virtiofsd parsed;
	const struct fs_virtiofsd_inode *hello;

	parse_golden(&parsed, "handles");
	hello = inode(&parsed, 2);
	assert_int_equal(hello->kind, FS_VIRTIOFSD_HANDLE);
	assert_true(hello->has_fhandle);
	assert_int_equal(hello->fhandle.bytes.len, 8);
	assert_int_equal(hello->fhandle.type, 1);
	assert_int_equal(parsed.mount_count, 1);
	assert_non_null(fs_virtiofsd_mount(&parsed, hello->fhandle.mount));
	assert_memory_equal(parsed.mounts[0].path.data, ".", 1);
	fs_virtiofsd_clear(&parsed);
	parse_golden(&parsed, "verify");
	assert_int_equal(inode(&parsed, 2)->kind, FS_VIRTIOFSD_PATH);
	assert_true(inode(&parsed, 2)->has_fhandle);
	fs_virtiofsd_clear(&parsed);
}

static void test_negotiated(void **state)
{
	struct fs_virtiofsd parsed;

	parse_golden(&parsed, "writeback");
	assert_true(parsed.writeback && !parsed.posix_acl);
	fs_virtiofsd_clear(&parsed);
	parse_golden(&parsed, "acl");
	assert_true(!parsed.writeback && parsed.posix_acl);
	fs_virtiofsd_clear(&parsed);
}

static void test_lost_inode(void **state)
{
	struct fs_virtiofsd parsed;

	parse_golden(&parsed, "gone");
	assert_int_equal(inode(&parsed, 8)->kind, FS_VIRTIOFSD_INVALID);
	fs_virtiofsd_clear(&parsed);
	parse_golden(&parsed, "gone-handles");
	assert_int_equal(inode(&parsed, 8)->kind, FS_VIRTIOFSD_HANDLE);
	fs_virtiofsd_clear(&parsed);
}

/* Parents come before children, whatever their ids. */
static void test_order(void **state)
{
	static const char stream[] = "\1\3\1\3\0\0\2\1\1\3\1x\0\3\2\1\1\1y\0\4\0\0\0\1\0\1\0";
	struct fs_virtiofsd parsed;

	assert_int_equal(fs_virtiofsd_parse(&parsed, stream, sizeof(stream) - 1), 0);
	assert_int_equal(parsed.inodes[parsed.order[0]].id, 1);
	assert_int_equal(parsed.inodes[parsed.order[1]].id, 3);
	assert_int_equal(parsed.inodes[parsed.order[2]].id, 2);
	fs_virtiofsd_clear(&parsed);
}

static void test_version_1(void **state)
{
	static const char stream[] = "\0\2\1\3\0\0\2\1\1\1\5hello\0\3\0\0\0\1\0\1";
	struct fs_virtiofsd parsed;

	assert_int_equal(fs_virtiofsd_parse(&parsed, stream, sizeof(stream) - 1), 0);
	assert_int_equal(parsed.version, 1);
	assert_int_equal(parsed.inode_count, 2);
	fs_virtiofsd_clear(&parsed);
}

/* Behind an inode table of the root and one more, nothing open. */
#define REST "\3\0\0\0\1\0\1\0"
static const struct refusal {
	const char *stream;
	size_t len;
	const char *sentence;
} refusals[] = {
#define REFUSED(stream_, sentence_)                       \
	{                                                 \
		stream_, sizeof(stream_) - 1, (sentence_) \
	}
	REFUSED("\2\0\2\0\0\0\0\0\0\0", "version is unknown"),
	REFUSED("\1\0\2\0\0\0\0\0\0\0\0", "goes on after its end"),
	REFUSED("\1\0\2\0\0\2\0\0\0\0", "neither on nor off"),
	REFUSED("\1\0\202\0\0\0\0\0\0\0\0", "next inode id is no number"),
	REFUSED("\1\177\1\3\0\0" REST, "more inodes than can be there"),
	REFUSED("\1\2\1\3\0\0\2\1\1\1\2..\0" REST, "no file name"),
	REFUSED("\1\2\1\3\0\0\2\1\1\1\1.\0" REST, "no file name"),
	REFUSED("\1\2\1\3\0\0\2\1\1\1\0\0" REST, "no file name"),
	REFUSED("\1\2\1\3\0\0\2\1\1\1\3a/b\0" REST, "no file name"),
	REFUSED("\1\2\1\3\0\0\2\1\1\1\3a\0b\0" REST, "no file name"),
	REFUSED("\1\2\1\3\0\0\2\1\1\1\1\377\0" REST, "no file name"),
	REFUSED("\1\2\1\3\0\0\2\1\1\1\2\300\200\0" REST, "no file name"),
	REFUSED("\1\2\1\3\0\0\2\1\1\1\3\355\240\200\0" REST, "no file name"),
	REFUSED("\1\2\1\3\0\0\2\1\1\1\1\303\0" REST, "no file name"),
	REFUSED("\1\2\1\3\0\0\2\1\5\0" REST, "kind is unknown"),
	REFUSED("\1\2\1\3\0\0\2\1\3\1a\0" REST, "whole path"),
	REFUSED("\1\2\1\3\0\0\2\1\1\1\1a\2" REST, "neither there nor absent"),
	REFUSED("\1\2\1\3\0\0\1\1\1\1\1a\0" REST, "two inodes 1"),
	REFUSED("\1\2\1\3\0\0\2\1\0\0" REST, "wrong with inode 2"),
	REFUSED("\1\1\2\1\1\2\1a\0" REST, "no parent of inode 2"),
	REFUSED("\1\2\1\3\0\0\2\1\1\2\1a\0" REST, "no parent of inode 2"),
	REFUSED("\1\2\1\3\0\0\2\1\1\7\1a\0" REST, "no parent of inode 2"),
	REFUSED("\1\3\1\3\0\0\2\1\1\3\1a\0\3\1\1\2\1b\0\4\0\0\0\1\0\1\0", "own ancestor"),
	REFUSED("\1\2\1\0\0\0\2\1\1\1\1a\0" REST, "more children than references"),
	REFUSED("\1\1\2\1\2\0" REST, "not the root"),
	REFUSED("\1\2\1\3\0\0\2\1\1\1\1a\0\2\0\0\0\1\0\1\0", "used from the next id on"),
	REFUSED("\1\2\1\3\0\0\2\1\4\33\2\1\11\0" REST, "no path is told"),
	REFUSED("\1\2\1\3\0\0\2\1\4\33\2\377\1\11\0" REST, "too long"),
	REFUSED("\1\1\1\3\0\0\2\1\0\5\0\0\1\0\1\0\1\0", "inode is not there"),
	REFUSED("\1\1\1\3\0\0\2\1\0\1\1\0\1\0\1\0\1\0", "kind is unknown"),
	REFUSED("\1\1\1\3\0\0\2\2\0\1\0\0\0\1\0\0\1\0\1\0\1\0", "two handles 0"),
	REFUSED("\1\1\1\3\0\0\2\1\4\1\0\0\4\0\1\0\1\0", "used from the next id on"),
	REFUSED("\1\0\2\0\0\0\0\0\0\1\33\2..", "stay below the share"),
	REFUSED("\1\0\2\0\0\0\0\0\0\1\33\4a/..", "stay below the share"),
	REFUSED("\1\0\2\0\0\0\0\0\0\1\33\2/a", "stay below the share"),
	REFUSED("\1\0\2\0\0\0\0\0\0\2\33\1a\33\1b", "a mount comes twice"),
};

static void test_refusals(void **state)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct fs_virtiofsd parsed;
		const struct refusal *at = &refusals[i];

		assert_int_equal(fs_virtiofsd_parse(&parsed, at->stream, at->len), -EBADMSG);
		if (!strstr(gw_last_error(), at->sentence))
			fail_msg("%zu: '%s', expected: %s", i, gw_last_error(), at->sentence);
	}
}

static void test_cut_anywhere(void **state)
{
	static const char *const names[] = {"fresh", "paths", "handles", "verify", "gone-handles"};
	struct fs_virtiofsd parsed;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = read_golden(names[i]);

		for (size_t cut = 0; cut < len; cut++) {
			/* In memory of its own, so that a sanitizer sees a byte too far. */
			uint8_t *part = malloc(cut + 1);

			memcpy(part, bytes, cut);
			assert_int_equal(fs_virtiofsd_parse(&parsed, part, cut), -EBADMSG);
			free(part);
		}
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fresh),	     cmocka_unit_test(test_paths),
		cmocka_unit_test(test_handles),	     cmocka_unit_test(test_negotiated),
		cmocka_unit_test(test_lost_inode),   cmocka_unit_test(test_order),
		cmocka_unit_test(test_version_1),    cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_cut_anywhere),
	};

	if (argc != 2)
		return 1;
	golden = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
