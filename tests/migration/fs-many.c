/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-many.c - what many hands stage is what one hand stages, object by object. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/index.h"
#include "fs/records.h"
#include "fs/table.h"
#include "move.h"

/*
 * States of inodes that nobody looks for, in records of a few objects each. Those that come in the
 * order of their slots are staged by many; an inode that is taken back first of all makes one hand
 * do it, one object after the other.
 */
#define INODES	4000u
#define OBJECTS 16u /* a record */
#define FIRST	2u  /* the slot of the first; the root's is before it */
#define DIRS	8u  /* the first of them are directories in the root */
#define ROUNDS	20

static struct share share;
static struct gw_state_writer *out;
static struct gw_state_batch *batch;

struct object {
	union {
		struct gw_fs_inode_v1 inode;
		struct gw_fs_name_v1 name;
	};
};

static struct object inodes[INODES], names[INODES];
static char texts[INODES][16];
static size_t name_count;

static uint32_t slot_of(unsigned i)
{
	return FIRST + i;
}

/* A tree of which nothing is there: @INODES files in directories, some with two names. */
static void make_objects(void)
{
	for (unsigned i = 0; i < INODES; i++) {
		snprintf(texts[i], sizeof(texts[i]), "n%u", i);
		inodes[i].inode = (struct gw_fs_inode_v1){.id = slot_of(i),
							  .type = i < DIRS ? DT_DIR : DT_REG,
							  .ino = 1000000 + i,
							  .btime = 7 + i,
							  .links = i % 100 == 50,
							  .lookups = 1 + i % 3};
		names[i].name =
			(struct gw_fs_name_v1){.parent = i < DIRS ? FS_ROOT_ID : slot_of(i % DIRS),
					       .name = {.data = texts[i], .len = strlen(texts[i])},
					       .inode = slot_of(i)};
	}
	name_count = INODES;
}

static void put_all(const struct gw_layout *layout, const struct object *objects, size_t count)
{
	struct gw_bytes record;

	for (size_t i = 0; i < count; i += OBJECTS) {
		assert_int_equal(gw_state_batch_begin(batch, layout), 0);
		for (size_t j = i; j < i + OBJECTS && j < count; j++)
			assert_int_equal(gw_state_batch_put(batch, &objects[j]), 0);
		record = gw_state_batch_end(batch);
		assert_int_equal(gw_state_put_records(out, layout, &record, 1), 0);
	}
}

static bool one_by_one;

static void put_state(struct gw_state_writer *writer)
{
	const struct gw_fs_session_v1 session = {.initialised = false};
	const struct gw_fs_inode_v1 root = {.id = FS_ROOT_ID, .type = DT_DIR};
	struct gw_fs_inode_v1 last = inodes[INODES - 1].inode;
	struct gw_fs_name_v1 last_name = names[name_count - 1].name;

	out = writer;
	assert_int_equal(gw_state_batch_new(&batch), 0);
	assert_int_equal(gw_state_put(out, &gw_fs_session_v1, &session), 0);
	assert_int_equal(gw_state_put(out, &gw_fs_inode_v1, &root), 0);
	/* What comes again later, with the same slot, is behind all others. */
	if (one_by_one)
		assert_int_equal(gw_state_put(out, &gw_fs_inode_v1, &last), 0);
	put_all(&gw_fs_inode_v1, inodes, INODES);
	if (one_by_one)
		assert_int_equal(gw_state_put(out, &gw_fs_name_v1, &last_name), 0);
	if (one_by_one)
		assert_int_equal(gw_state_delete(out, &gw_fs_name_v1, &last_name), 0);
	put_all(&gw_fs_name_v1, names, name_count);
	gw_state_batch_free(batch);
}

/* What is in the table, in words: inodes by slot, their names as they stand, counts. */
static char *tell(const struct share *to, size_t *len)
{
	struct fs_inodes *table = to->fs.inodes;
	struct fs_inode *inode;
	char *text = NULL;
	FILE *f = open_memstream(&text, len);
	uint32_t at = 1;

	while ((inode = fs_slots_next(&table->slots, &at))) {
		if (!(uint32_t)atomic_load(&inode->slot.life))
			continue;
		fprintf(f, "%llx %llx %llu %llu %u %x %llu:", (unsigned long long)inode->slot.id,
			(unsigned long long)atomic_load(&inode->slot.life),
			(unsigned long long)inode->ino, (unsigned long long)inode->btime,
			inode->type, atomic_load(&inode->flags),
			(unsigned long long)inode->lookups);
		for (const struct fs_name *name = fs_name_at(table, atomic_load(&inode->names));
		     name; name = fs_name_at(table, name->next))
			fprintf(f, " %u/%.*s", name->parent, name->len, name->bytes);
		fputc('\n', f);
	}
	fprintf(f, "unresolved %llu\n", (unsigned long long)atomic_load(&table->lazy.unresolved));
	fclose(f);
	return text;
}

/* Each name leads to whom its inode says, and each inode is found by what it is. */
static void check_indexes(const struct share *to)
{
	struct fs_inodes *table = to->fs.inodes;
	size_t in_hash = 0, in_lists = 0;

	for (size_t i = 0; i < FS_SHARDS; i++)
		in_hash += table->names[i].count;
	for (unsigned i = 0; i < INODES; i++) {
		struct fs_inode *inode = fs_slot_at(&table->slots, slot_of(i));
		uint32_t ref = inode ? atomic_load(&inode->names) : 0;

		for (; ref; ref = fs_name_at(table, ref)->next) {
			const struct fs_name *name = fs_name_at(table, ref);
			char text[FS_NAME_MAX + 1] = "";
			FS_AUTO_INODE struct fs_inode *found = NULL;

			memcpy(text, name->bytes, name->len);
			found = fs_name_pin(table, fs_slot_at(&table->slots, name->parent), text);
			assert_ptr_equal(found, inode);
			in_lists++;
		}
	}
	assert_int_equal(in_hash, in_lists);
}

static char *load(unsigned threads, bool by_one)
{
	struct share to;
	size_t len;
	char *told;

	one_by_one = by_one;
	move_twin(&to, &share);
	to.host.verify = FS_VERIFY_NONE;
	if (threads)
		move_helpers(&to, threads);
	if (move_load(&to, move_stream(put_state))) {
		/* Where it is in the stream differs. */
		const char *sentence = strstr(gw_last_error(), "load:");

		told = strdup(sentence ? sentence : gw_last_error());
	} else {
		fs_index_settle(to.fs.inodes);
		told = tell(&to, &len);
		check_indexes(&to);
	}
	if (threads)
		move_helpers_end(&to);
	move_twin_close(&to);
	return told;
}

/* By one, by many, and by many without help it comes to the same. */
static void assert_same(const char *contains)
{
	char *one = load(0, true);

	if (contains && !strstr(one, contains))
		fail_msg("\"%s\" is not in: %.300s", contains, one);
	for (int i = 0; i < ROUNDS; i++) {
		char *many = load(i ? 4 : 0, false);

		if (strcmp(one, many) != 0)
			fail_msg("one: %.400s\nmany: %.400s", one, many);
		free(many);
	}
	free(one);
}

static int open_share(void **state)
{
	(void)state;
	share_open(&share, 0);
	make_objects();
	return 0;
}

static int close_share(void **state)
{
	(void)state;
	share_close(&share);
	return 0;
}

static void test_plain(void **state)
{
	(void)state;
	assert_same("n3999");
}

/* Files with two names: the later one is the first in the list. */
static void test_links(void **state)
{
	(void)state;
	for (unsigned i = 50; i < INODES; i += 100) {
		names[i + 1].name = names[i].name;
		names[i + 1].name.parent = slot_of(i / 100 % DIRS);
		names[i + 1].name.name =
			(struct gw_bytes){.data = texts[i + 1], .len = strlen(texts[i + 1])};
	}
	assert_same("n50");
}

/* Somebody has the name of somebody before: the last one counts, the other has none. */
static void test_names_twice(void **state)
{
	(void)state;
	for (unsigned i = 1000; i < 1100; i++) {
		names[i + 2000].name.name = names[i].name.name;
		names[i + 2000].name.parent = names[i].name.parent;
	}
	assert_same(NULL);
}

static void test_names_thrice(void **state)
{
	(void)state;
	names[500].name.name = names[501].name.name = names[3000].name.name;
	names[500].name.parent = names[501].name.parent = names[3000].name.parent;
	assert_same(NULL);
}

/* One inode says the same twice. */
static void test_name_again(void **state)
{
	(void)state;
	names[701].name = names[700].name;
	assert_same(NULL);
}

/* A name is given back to who had one before. */
static void test_names_out_of_order(void **state)
{
	struct object moved = names[3900];

	(void)state;
	names[3900] = names[100];
	names[100] = moved;
	names[3900].name.name = (struct gw_bytes){.data = "late", .len = 4};
	assert_same("late");
}

/* It comes again, with other counts, after many others. */
static void test_inode_again(void **state)
{
	(void)state;
	inodes[3000] = inodes[1500];
	inodes[3000].inode.lookups = 77;
	names[3000] = names[1500];
	assert_same(" 77:");
}

/* Two that are wrong, by different hands perhaps: the first is told. */
static void test_first_wrong_inode(void **state)
{
	(void)state;
	inodes[2222].inode.type = 3;
	inodes[3333].inode.type = 5;
	assert_same("load: inode 2224 has type 3");
}

static void test_first_wrong_name(void **state)
{
	(void)state;
	names[1234].name.name = (struct gw_bytes){.data = "a/b", .len = 3};
	names[1235].name.parent = 777777;
	assert_same("a name of inode 1236 is no file name");
}

static void test_slot_taken(void **state)
{
	(void)state;
	inodes[2001].inode.id = inodes[2000].inode.id + (UINT64_C(1) << 32);
	assert_same("its slot is taken by another one");
}

static void test_twins(void **state)
{
	(void)state;
	inodes[3100].inode.ino = inodes[100].inode.ino;
	inodes[3100].inode.btime = inodes[100].inode.btime;
	inodes[3200].inode.ino = inodes[200].inode.ino;
	inodes[3200].inode.btime = inodes[200].inode.btime;
	assert_same("two inodes, one of them 3102, are the same file");
}

/* A directory that gets a second name moves there. */
static void test_directory_moves(void **state)
{
	(void)state;
	names[DIRS].name = names[DIRS - 1].name;
	names[DIRS].name.name = (struct gw_bytes){.data = "moved", .len = 5};
	assert_same("moved");
}

/* Nobody looks for it again: it goes, unless it is a parent. */
static void test_nobody_wants_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < INODES; i += 7)
		inodes[i].inode.lookups = 0;
	assert_same(NULL);
}

static void test_lookups_without_end(void **state)
{
	(void)state;
	inodes[1].inode.lookups = UINT64_MAX;
	assert_same("was looked up 18446744073709551615 times");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_share, close_share)
	const struct CMUnitTest tests[] = {
		TEST(test_plain),
		TEST(test_links),
		TEST(test_names_twice),
		TEST(test_names_thrice),
		TEST(test_name_again),
		TEST(test_names_out_of_order),
		TEST(test_inode_again),
		TEST(test_first_wrong_inode),
		TEST(test_first_wrong_name),
		TEST(test_slot_taken),
		TEST(test_twins),
		TEST(test_directory_moves),
		TEST(test_nobody_wants_it),
		TEST(test_lookups_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
