/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-backing.c - the name of what is shared, from what hosts know of it: of file systems
 * that this machine need not have. */
#include <string.h>

#include "cmocka-all.h"
#include "fs/backing.h"

/* As it is on one host; what another one may have otherwise is changed by each test. */
static struct fs_backing_facts facts_of(uint32_t magic)
{
	struct fs_backing_facts facts = {
		.magic = magic,
		.fsid = {1, 2, 3, 4, 5, 6, 7, 8},
		.uuid = "0f5e2a1c-77aa-4d0e-9b1c-2f6d3c4b5a69",
		.source = "filer.example:/export/vm1",
		.has_handle = true,
		.handle = {.type = 1, .len = 8, .bytes = {9, 8, 7, 6, 5, 4, 3, 2}},
		.boot = "b0a2\n",
		.dev = 0x801,
		.ino = 42,
	};

	return facts;
}

static const char *name_of(const struct fs_backing_facts *facts)
{
	static char names[2][FS_BACKING_MAX];
	static unsigned next;

	next = !next;
	fs_backing_spell(names[next], facts);
	return names[next];
}

static void expect_same(const struct fs_backing_facts *a, const struct fs_backing_facts *b)
{
	assert_string_equal(name_of(a), name_of(b));
}

static void expect_other(const struct fs_backing_facts *a, const struct fs_backing_facts *b)
{
	assert_string_not_equal(name_of(a), name_of(b));
}

static bool is_unknown(const struct fs_backing_facts *facts)
{
	static const char prefix[] = "shared-backing:unknown-";

	return !strncmp(name_of(facts), prefix, sizeof(prefix) - 1);
}

static const uint32_t of_fsid[] = {FS_MAGIC_EXT4, FS_MAGIC_BTRFS, FS_MAGIC_CEPH};
static const uint32_t of_uuid[] = {FS_MAGIC_XFS, FS_MAGIC_GFS2, FS_MAGIC_OCFS2};
static const uint32_t of_source[] = {FS_MAGIC_NFS, FS_MAGIC_LUSTRE};

/* On another host device numbers, boot, and what is not of that type's evidence are others. */
static void test_same_on_another_host(void **state)
{
	struct fs_backing_facts here, there;

	for (unsigned i = 0; i < 3; i++) {
		here = there = facts_of(of_fsid[i]);
		there.dev = 0x10302;
		strcpy(there.boot, "another");
		there.uuid[0] = there.source[0] = '\0';
		expect_same(&here, &there);
		assert_false(is_unknown(&here));
		there.fsid[7]++;
		expect_other(&here, &there);
	}
	for (unsigned i = 0; i < 3; i++) {
		here = there = facts_of(of_uuid[i]);
		there.dev = 0x10302;
		memset(there.fsid, 0x77, sizeof(there.fsid)); /* of XFS, the device's number */
		strcpy(there.source, "/dev/nvme0n1p2");
		expect_same(&here, &there);
		assert_false(is_unknown(&here));
		there.uuid[0] = '1';
		expect_other(&here, &there);
	}
	for (unsigned i = 0; i < 2; i++) {
		here = there = facts_of(of_source[i]);
		there.dev = 0x35;
		memset(there.fsid, 0x77, sizeof(there.fsid));
		there.uuid[0] = '\0';
		expect_same(&here, &there);
		assert_false(is_unknown(&here));
		strcpy(there.source, "filer.example:/export/vm2");
		expect_other(&here, &there);
	}
}

/* Two directories of one export; two file systems of different types with equal evidence. */
static void test_handle_and_type(void **state)
{
	struct fs_backing_facts here = facts_of(FS_MAGIC_NFS), there = here;

	there.handle.bytes[7]++;
	expect_other(&here, &there);
	there = here;
	there.handle.type++;
	expect_other(&here, &there);
	there = here;
	there.handle.len--;
	expect_other(&here, &there);
	there = here;
	there.magic = FS_MAGIC_LUSTRE;
	expect_other(&here, &there);
	there = facts_of(FS_MAGIC_GFS2);
	here = facts_of(FS_MAGIC_XFS);
	expect_other(&here, &there);
}

/* Where the evidence of its type is missing, and of types that promise nothing, only this host
 * until its next boot gives the name again. */
static void test_unknown(void **state)
{
	struct fs_backing_facts facts, again;
	static const uint32_t promise_nothing[] = {0x01021994 /* tmpfs */, 0xff534d42 /* smb */,
						   0x65735546 /* fuse */, 0x794c7630 /* overlay */};

	for (unsigned i = 0; i < 4; i++) {
		facts = facts_of(promise_nothing[i]);
		assert_true(is_unknown(&facts));
	}
	facts = facts_of(FS_MAGIC_EXT4);
	memset(facts.fsid, 0, sizeof(facts.fsid));
	assert_true(is_unknown(&facts));
	facts = facts_of(FS_MAGIC_XFS);
	facts.uuid[0] = '\0';
	assert_true(is_unknown(&facts));
	facts = facts_of(FS_MAGIC_NFS);
	facts.source[0] = '\0';
	assert_true(is_unknown(&facts));
	facts = facts_of(FS_MAGIC_NFS);
	facts.has_handle = false;
	assert_true(is_unknown(&facts));
	again = facts;
	expect_same(&facts, &again);
	again.ino++;
	expect_other(&facts, &again);
	again = facts;
	again.dev++;
	expect_other(&facts, &again);
	again = facts;
	strcpy(again.boot, "after\n");
	expect_other(&facts, &again);
}

/* Names stand in documents and in the headers of states: they stay what they are. */
static void test_names_stay(void **state)
{
	static const struct {
		uint32_t magic;
		const char *name;
	} names[] = {
		{FS_MAGIC_EXT4, "shared-backing:3ed260d148ff72b592612d572457d738"},
		{FS_MAGIC_XFS, "shared-backing:e0b97261f302878cda5f25e35f6d469e"},
		{FS_MAGIC_NFS, "shared-backing:de36fac94a62b1837251027e972aeced"},
	};
	char word[FS_BACKING_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct fs_backing_facts facts = facts_of(names[i].magic);

		assert_string_equal(name_of(&facts), names[i].name);
	}
	assert_int_equal(fs_backing_name(word, "/nonexistent", "vm1"), 0);
	assert_string_equal(word, "shared-backing:5ede502fd306f7b92624bdf7ea7e4e8e");
}

/* A kernel that tells the UUID, and an older one where udev does, are told the same. */
static void test_uuid(void **state)
{
	static const uint8_t uuid[16] = {0x0f, 0x5e, 0x2a, 0x1c, 0x77, 0xaa, 0x4d, 0x0e,
					 0x9b, 0x1c, 0x2f, 0x6d, 0x3c, 0x4b, 0x5a, 0x69};
	char text[FS_UUID_MAX];

	fs_backing_spell_uuid(text, uuid);
	assert_string_equal(text, "0f5e2a1c-77aa-4d0e-9b1c-2f6d3c4b5a69");
}

/* -- /proc/self/mountinfo ------------------------------------------------------------------ */

static const char mountinfo[] =
	"22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n"
	"no line of a mount at all\n"
	"90 22 0:52 / /srv/a rw,relatime shared:50 - nfs4 filer.example:/export/vm1 rw,vers=4.2\n"
	"91 22 0:53 / /srv/b rw shared:51 master:7 propagate_from:2 - nfs4 filer:/export/vm\\0402 "
	"rw\n"
	"92 22 0:54 /in /srv/-\\040c rw - lustre 10.0.0.1@tcp:/scratch rw\n"
	"93 22 0:52 /sub /srv/d rw - nfs4 other.example:/same/device rw\n"
	"94 22 0:55 / /srv/e rw - nfs4\n"
	"95 22 0:56 / /srv/f rw - nfs4 ";

static const char *source_of(const char *text, const struct statx *stx)
{
	static char source[FS_SOURCE_MAX];
	FILE *file = fmemopen((char *)text, strlen(text), "r");

	strcpy(source, "what was there before");
	fs_backing_find_source(source, file, stx);
	fclose(file);
	return source;
}

static void test_source_by_mount(void **state)
{
	static const struct {
		uint64_t id;
		const char *source;
	} mounts[] = {
		{90, "filer.example:/export/vm1"},
		{91, "filer:/export/vm\\0402"},
		{92, "10.0.0.1@tcp:/scratch"},
		{93, "other.example:/same/device"},
		{22, "/dev/nvme0n1p2"},
		{94, ""},
		{95, ""},
		{9, ""},
		{900, ""},
	};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		struct statx stx = {.stx_mask = STATX_MNT_ID, .stx_mnt_id = mounts[i].id};

		assert_string_equal(source_of(mountinfo, &stx), mounts[i].source);
	}
}

/* A kernel before 5.8 does not tell the mount's id: the first one of that device it is. */
static void test_source_by_device(void **state)
{
	struct statx stx = {.stx_dev_major = 0, .stx_dev_minor = 52};

	assert_string_equal(source_of(mountinfo, &stx), "filer.example:/export/vm1");
	stx.stx_dev_minor = 54;
	assert_string_equal(source_of(mountinfo, &stx), "10.0.0.1@tcp:/scratch");
	stx.stx_dev_minor = 99;
	assert_string_equal(source_of(mountinfo, &stx), "");
}

/* What is longer than there is room for would be equal to another that begins like it. */
static void test_source_too_long(void **state)
{
	struct statx stx = {.stx_mask = STATX_MNT_ID, .stx_mnt_id = 7};
	char text[FS_SOURCE_MAX + 64], export[FS_SOURCE_MAX + 1];

	for (size_t len = FS_SOURCE_MAX - 2; len <= FS_SOURCE_MAX; len++) {
		memset(export, 'x', len);
		export[len] = '\0';
		snprintf(text, sizeof(text), "7 1 0:1 / / rw - nfs %s rw\n", export);
		assert_string_equal(source_of(text, &stx), len < FS_SOURCE_MAX ? export : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_on_another_host),
		cmocka_unit_test(test_handle_and_type),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_names_stay),
		cmocka_unit_test(test_uuid),
		cmocka_unit_test(test_source_by_mount),
		cmocka_unit_test(test_source_by_device),
		cmocka_unit_test(test_source_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
