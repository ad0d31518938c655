/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/recover.c - the daemon is killed again and again under a guest that goes by a model: nothing
 * is lost, and nothing happens twice. */
#include "../common/fuse_client.h"
#include "../common/killer.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

#define NAMES	    24
#define CONTENT_MAX 8192
#define INTERVAL_MS 60

enum kind { NOTHING, A_FILE, A_DIR, A_LINK };
struct thing {
	enum kind kind;
	uint64_t nodeid, lookups;
	unsigned len;
	char content[CONTENT_MAX];
};

static const char *program;
static unsigned rounds = 25, cached, lookups;
static struct fuse_client guest;
static struct killer killer;
static char share[] = "/tmp/gw-recover-share.XXXXXX";
static struct thing things[NAMES];
static unsigned random_state, steps;
/* One file that has lost its name, and is open. */
static struct {
	bool open;
	uint64_t fh, nodeid;
	unsigned len;
	char content[CONTENT_MAX];
} unnamed;

static unsigned any(unsigned below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

static const char *name_of(const struct thing *thing)
{
	static char names[4][16];
	static unsigned next;
	char *name = names[next++ % 4];

	snprintf(name, 16, "name-%u", (unsigned)(thing - things));
	return name;
}

/* What an operation says. */
#define SAYS(expected, call_)                                                                  \
	do {                                                                                   \
		int said_ = (call_);                                                           \
		if ((expected) < 0 ? said_ != (expected) : said_ < 0)                          \
			fail_msg("step %u, %u kills: %s: %d (%s)", steps, killer.done, #call_, \
				 said_, strerror(said_ < 0 ? -said_ : 0));                     \
	} while (0)

static void seen(struct thing *thing, const struct fuse_entry_out *entry)
{
	if (thing->lookups)
		assert_int_equal(entry->nodeid, thing->nodeid);
	thing->nodeid = entry->nodeid;
	thing->lookups++;
}

static void forget(struct thing *thing)
{
	if (thing->lookups)
		fuse_forget(&guest, thing->nodeid, thing->lookups);
	thing->lookups = 0;
}

static void know(struct thing *thing)
{
	struct fuse_entry_out entry;

	if (thing->lookups)
		return;
	SAYS(0, fuse_lookup(&guest, 0, name_of(thing), &entry));
	seen(thing, &entry);
}

static void op_create(struct thing *thing)
{
	struct fuse_created created;

	if (thing->kind)
		return;
	SAYS(0, fuse_create(&guest, 0, name_of(thing), O_RDWR | O_EXCL, 0644, &created));
	*thing = (struct thing){.kind = A_FILE};
	seen(thing, &created.entry);
	SAYS(0, fuse_release(&guest, FUSE_RELEASE, created.open.fh));
}

static void op_create_again(struct thing *thing)
{
	struct fuse_created created;

	if (thing->kind == A_FILE)
		SAYS(-EEXIST,
		     fuse_create(&guest, 0, name_of(thing), O_RDWR | O_EXCL, 0644, &created));
}

static void op_append(struct thing *thing)
{
	struct fuse_open_out open;
	unsigned len = 1 + any(300), at = thing->len;
	char data[301];

	if (thing->kind != A_FILE || thing->len + len > CONTENT_MAX)
		return;
	for (unsigned i = 0; i < len; i++)
		data[i] = (char)('a' + (steps + i) % 26);
	know(thing);
	SAYS(0, fuse_open(&guest, thing->nodeid, O_WRONLY | O_APPEND, &open));
	assert_int_equal(fuse_write(&guest, open.fh, at, data, len, O_WRONLY | O_APPEND), len);
	memcpy(thing->content + at, data, len);
	thing->len += len;
	SAYS(0, fuse_release(&guest, FUSE_RELEASE, open.fh));
}

static void op_read(struct thing *thing)
{
	struct fuse_open_out open;
	char data[CONTENT_MAX];

	if (thing->kind != A_FILE)
		return;
	know(thing);
	SAYS(0, fuse_open(&guest, thing->nodeid, O_RDONLY, &open));
	assert_int_equal(fuse_read(&guest, open.fh, 0, data, sizeof(data)), thing->len);
	assert_memory_equal(data, thing->content, thing->len);
	SAYS(0, fuse_release(&guest, FUSE_RELEASE, open.fh));
}

static void op_lookup(struct thing *thing)
{
	struct fuse_entry_out entry;

	if (thing->kind) {
		SAYS(0, fuse_lookup(&guest, 0, name_of(thing), &entry));
		seen(thing, &entry);
	} else {
		SAYS(-ENOENT, fuse_lookup(&guest, 0, name_of(thing), &entry));
	}
}

static void op_getattr(struct thing *thing)
{
	struct fuse_attr attr;

	if (!thing->kind)
		return;
	know(thing);
	SAYS(0, fuse_getattr(&guest, thing->nodeid, &attr));
	if (thing->kind == A_FILE)
		assert_int_equal(attr.size, thing->len);
}

static void op_forget(struct thing *thing)
{
	forget(thing);
}

static void op_mkdir(struct thing *thing)
{
	struct fuse_entry_out entry;

	if (thing->kind)
		return;
	SAYS(0, fuse_mkdir(&guest, 0, name_of(thing), 0755, &entry));
	*thing = (struct thing){.kind = A_DIR};
	seen(thing, &entry);
}

static void op_symlink(struct thing *thing)
{
	struct fuse_entry_out entry;
	struct fuse_call call = {.opcode = FUSE_SYMLINK,
				 .name = name_of(thing),
				 .name2 = "target",
				 .answer = &entry,
				 .room = sizeof(entry)};

	if (thing->kind)
		return;
	SAYS(0, fuse_call(&guest, &call));
	*thing = (struct thing){.kind = A_LINK};
	seen(thing, &entry);
}

static void op_remove(struct thing *thing)
{
	if (!thing->kind)
		return;
	know(thing);
	SAYS(0,
	     fuse_name(&guest, thing->kind == A_DIR ? FUSE_RMDIR : FUSE_UNLINK, 0, name_of(thing)));
	forget(thing);
	*thing = (struct thing){.kind = NOTHING};
}

static void op_rename(struct thing *thing)
{
	struct thing *to = &things[any(NAMES)];

	if (!thing->kind || to == thing ||
	    (to->kind && (to->kind == A_DIR || thing->kind == A_DIR)))
		return;
	know(thing);
	if (to->kind)
		know(to);
	SAYS(0, fuse_rename(&guest, 0, name_of(thing), FUSE_ROOT_ID, name_of(to), 0));
	forget(to);
	*to = *thing;
	*thing = (struct thing){.kind = NOTHING};
}

static void op_link(struct thing *thing)
{
	struct thing *to = &things[any(NAMES)];
	struct fuse_entry_out entry;
	struct fuse_link_in in = {.oldnodeid = 0};
	struct fuse_call call = {.opcode = FUSE_LINK,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .name = name_of(to),
				 .answer = &entry,
				 .room = sizeof(entry)};

	if (thing->kind != A_FILE || to->kind)
		return;
	know(thing);
	in.oldnodeid = thing->nodeid;
	SAYS(0, fuse_call(&guest, &call));
	assert_int_equal(entry.nodeid, thing->nodeid);
	assert_int_equal(entry.attr.nlink, 2);
	thing->lookups++;
	/* And away with it: what has two names here is not told apart. */
	SAYS(0, fuse_name(&guest, FUSE_UNLINK, 0, name_of(to)));
}

static void op_unnamed(struct thing *thing)
{
	struct fuse_open_out open;
	char data[CONTENT_MAX];
	unsigned len = 1 + any(100);

	if (!unnamed.open) {
		if (thing->kind != A_FILE)
			return;
		know(thing);
		SAYS(0, fuse_open(&guest, thing->nodeid, O_RDWR, &open));
		SAYS(0, fuse_name(&guest, FUSE_UNLINK, 0, name_of(thing)));
		unnamed.open = true;
		unnamed.fh = open.fh;
		unnamed.len = thing->len;
		memcpy(unnamed.content, thing->content, thing->len);
		forget(thing);
		*thing = (struct thing){.kind = NOTHING};
		return;
	}
	assert_int_equal(fuse_read(&guest, unnamed.fh, 0, data, sizeof(data)), unnamed.len);
	assert_memory_equal(data, unnamed.content, unnamed.len);
	if (unnamed.len + len > CONTENT_MAX || !any(20)) {
		SAYS(0, fuse_release(&guest, FUSE_RELEASE, unnamed.fh));
		unnamed.open = false;
		return;
	}
	memset(data, 'u', len);
	assert_int_equal(fuse_write(&guest, unnamed.fh, unnamed.len, data, len, O_RDWR), len);
	memset(unnamed.content + unnamed.len, 'u', len);
	unnamed.len += len;
}

static void (*const ops[])(struct thing *) = {
	op_create, op_create, op_create_again, op_append,  op_append,  op_append,  op_read,
	op_lookup, op_lookup, op_getattr,      op_forget,  op_mkdir,   op_symlink, op_remove,
	op_rename, op_rename, op_link,	       op_unnamed, op_unnamed,
};

/* As the host has it. */
static void check_host(void)
{
	DIR *dir = opendir(share);
	unsigned expected = 0, found = 0;

	for (unsigned i = 0; i < NAMES; i++) {
		const struct thing *thing = &things[i];
		struct stat st;
		int there = lstat(share_path(&guest, name_of(thing)), &st);

		assert_int_equal(there, thing->kind ? 0 : -1);
		expected += thing->kind != NOTHING;
		if (thing->kind != A_FILE)
			continue;
		assert_int_equal(st.st_size, thing->len);
		assert_memory_equal(share_content(&guest, name_of(thing)), thing->content,
				    thing->len);
	}
	for (struct dirent *entry; (entry = readdir(dir));)
		found += !strncmp(entry->d_name, "name-", 5);
	closedir(dir);
	assert_int_equal(found, expected);
}

/* What is only known takes part in every restart. */
static void fill_cache(void)
{
	for (unsigned i = 0; i < cached; i++) {
		char name[32];

		snprintf(name, sizeof(name), "cached-%u", i);
		share_file(&guest, name, "");
		fuse_node(&guest, 0, name);
	}
}

static void empty_share(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", share);
	assert_int_equal(system(command), 0);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* A journal that is full is gone through by each next process. */
static void fill_journal(void)
{
	struct fuse_entry_out entry;

	for (unsigned i = 0; i < lookups; i++)
		SAYS(0, fuse_lookup(&guest, 0, "cached-0", &entry));
}

/* Killed, asked, answered: how long that takes, from the kill on. */
static void measure_pauses(void)
{
	static uint64_t pauses[1000];
	unsigned count = rounds < 1000 ? rounds : 1000;
	struct fuse_attr attr;

	for (unsigned i = 0; i < count; i++) {
		uint64_t begin = gw_clock_ns();

		killer_kill(&killer);
		SAYS(0, fuse_getattr(&guest, FUSE_ROOT_ID, &attr));
		pauses[i] = gw_clock_ns() - begin;
		for (unsigned j = 0; j < 20; j++)
			ops[any(sizeof(ops) / sizeof(ops[0]))](&things[any(NAMES)]);
	}
	qsort(pauses, count, sizeof(pauses[0]), by_size);
	print_message("%u pauses with %u inodes cached: median %u us, longest %u us\n", count,
		      cached, (unsigned)(pauses[count / 2] / GW_NS_PER_US),
		      (unsigned)(pauses[count - 1] / GW_NS_PER_US));
}

static void test_by_the_model(void **state)
{
	char shared[64];
	const char *argv[] = {program, shared, "--log-level=warn", NULL};
	uint64_t longest_ns = 0;

	(void)state;
	assert_non_null(mkdtemp(share));
	snprintf(shared, sizeof(shared), "--shared-dir=%s", share);
	killer_start(&killer, argv);
	fuse_start(&guest, &(struct fuse_options){.share = share, .socket = killer.socket});
	fill_cache();
	killer_begin(&killer, rounds, INTERVAL_MS);
	for (; killer.done < rounds; steps++) {
		uint64_t begin = gw_clock_ns(), took;

		ops[any(sizeof(ops) / sizeof(ops[0]))](&things[any(NAMES)]);
		took = gw_clock_ns() - begin;
		longest_ns = took > longest_ns ? took : longest_ns;
	}
	killer_end(&killer);
	fill_journal();
	measure_pauses();
	check_host();
	for (unsigned i = 0; i < NAMES; i++)
		op_read(&things[i]);
	print_message("%u kills, %u steps, the longest %u us\n", killer.done, steps,
		      (unsigned)(longest_ns / GW_NS_PER_US));
	fuse_stop(&guest);
	killer_join(&killer);
	empty_share();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_the_model),
	};

	if (argc < 2)
		return 1;
	program = argv[1];
	if (argc > 2)
		rounds = (unsigned)atoi(argv[2]);
	if (argc > 3)
		cached = (unsigned)atoi(argv[3]);
	if (argc > 5)
		lookups = (unsigned)atoi(argv[5]);
	random_state = argc > 4 ? (unsigned)atoi(argv[4]) : (unsigned)time(NULL);
	print_message("seed %u\n", random_state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
