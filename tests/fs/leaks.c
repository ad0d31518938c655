/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/leaks.c - ten thousand operations, failing ones among them, leave nothing behind. */
#include "../common/fuse_client.h"

#include <dirent.h>
#include <stdio.h>

#define ROUNDS 10000
#define NAMES  24
#define STALE  UINT64_C(0x500000003)

static struct fuse_client client;
static uint64_t dir, fifo; /* nodes that are there all the time */
static uint64_t dice = 88172645463325252u;

static uint64_t roll(uint64_t sides)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return dice % sides;
}

/* Every inode of the table that is known has one, too, as long as there are enough of them. */
static unsigned open_descriptors(void)
{
	DIR *fds = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(fds))
		n++;
	closedir(fds);
	return n;
}

static const char *some_name(void)
{
	static char names[4][8];
	static unsigned turn;
	char *name = names[turn++ % 4];

	snprintf(name, sizeof(names[0]), "n%u", (unsigned)roll(NAMES));
	return name;
}

/* What a guest got by an answer it gives back at once. */
static void give_back(int result, const struct fuse_entry_out *entry)
{
	if (result > 0)
		fuse_forget(&client, entry->nodeid, 1);
}

static void do_lookup(void)
{
	struct fuse_entry_out entry;

	give_back(fuse_lookup(&client, dir, some_name(), &entry), &entry);
}

static void do_create(void)
{
	static const uint32_t flags[] = {O_RDWR, O_RDWR | O_TRUNC, O_RDWR | O_EXCL,
					 O_RDONLY | O_EXCL, O_WRONLY | O_SYNC};
	struct fuse_created created;
	int ret = fuse_create(&client, roll(8) ? dir : fifo, some_name(), flags[roll(5)], 0600,
			      &created);

	give_back(ret, &created.entry);
	if (ret > 0)
		fuse_release(&client, FUSE_RELEASE, created.open.fh);
}

/* A good request, whose answer there is no room for. */
static void do_create_without_room(void)
{
	struct fuse_create_in in = {.flags = O_RDWR, .mode = 0600};
	char answer[64];

	fuse_call(&client, &(struct fuse_call){.opcode = FUSE_CREATE,
					       .nodeid = dir,
					       .arg = &in,
					       .arg_len = sizeof(in),
					       .name = some_name(),
					       .answer = answer,
					       .room = sizeof(answer)});
}

static void do_tmpfile(void)
{
	struct fuse_create_in in = {.flags = roll(4) ? O_RDWR : O_RDONLY, .mode = 0600};
	struct fuse_created created;
	int ret = fuse_call(&client, &(struct fuse_call){.opcode = FUSE_TMPFILE,
							 .nodeid = dir,
							 .arg = &in,
							 .arg_len = sizeof(in),
							 .name = "",
							 .answer = &created,
							 .room = sizeof(created)});

	give_back(ret, &created.entry);
	if (ret > 0)
		fuse_release(&client, FUSE_RELEASE, created.open.fh);
}

static void do_mkdir(void)
{
	struct fuse_entry_out entry;

	give_back(fuse_mkdir(&client, roll(8) ? dir : STALE, some_name(), 0700, &entry), &entry);
}

static void do_mknod(void)
{
	struct fuse_mknod_in in = {.mode = S_IFIFO | 0600};
	struct fuse_entry_out entry;

	give_back(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_MKNOD,
							 .nodeid = dir,
							 .arg = &in,
							 .arg_len = sizeof(in),
							 .name = some_name(),
							 .answer = &entry,
							 .room = sizeof(entry)}),
		  &entry);
}

static void do_symlink(void)
{
	struct fuse_entry_out entry;

	give_back(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_SYMLINK,
							 .nodeid = dir,
							 .name = some_name(),
							 .name2 = "/etc/passwd",
							 .answer = &entry,
							 .room = sizeof(entry)}),
		  &entry);
}

static void do_link(void)
{
	struct fuse_entry_out old = {.nodeid = STALE}, entry;
	int known = fuse_lookup(&client, dir, some_name(), &old);
	struct fuse_link_in in = {.oldnodeid = old.nodeid};

	give_back(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_LINK,
							 .nodeid = dir,
							 .arg = &in,
							 .arg_len = sizeof(in),
							 .name = some_name(),
							 .answer = &entry,
							 .room = sizeof(entry)}),
		  &entry);
	give_back(known, &old);
}

static void do_remove(void)
{
	fuse_name(&client, roll(2) ? FUSE_UNLINK : FUSE_RMDIR, dir, some_name());
}

static void do_rename(void)
{
	fuse_rename(&client, dir, some_name(), roll(8) ? dir : fifo, some_name(),
		    (uint32_t)roll(5));
}

/* The name goes while the file is open. */
static void do_open_and_unlink(void)
{
	const char *name = some_name();
	struct fuse_entry_out entry;
	struct fuse_open_out open;
	int known = fuse_lookup(&client, dir, name, &entry);

	if (known <= 0)
		return;
	known = fuse_open(&client, entry.nodeid, O_RDONLY, &open);
	fuse_name(&client, FUSE_UNLINK, dir, name);
	if (known > 0)
		fuse_release(&client, FUSE_RELEASE, open.fh);
	fuse_forget(&client, entry.nodeid, 1);
}

static void do_setattr(void)
{
	struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = roll(10000)};
	struct fuse_entry_out entry;
	int known = fuse_lookup(&client, dir, some_name(), &entry);

	if (known <= 0)
		return;
	if (!roll(4))
		in = (struct fuse_setattr_in){.valid = FATTR_FH | FATTR_SIZE, .fh = STALE};
	fuse_setattr(&client, entry.nodeid, &in, NULL);
	give_back(known, &entry);
}

static void do_list(void)
{
	static const uint32_t sizes[] = {0, 100, 200, 500, 4000};
	struct fuse_read_in in = {.size = sizes[roll(5)]};
	char data[4000];
	int len;

	if (fuse_opendir(&client, roll(8) ? dir : fifo, &in.fh) <= 0)
		return;
	len = fuse_call(&client, &(struct fuse_call){.opcode = FUSE_READDIRPLUS,
						     .arg = &in,
						     .arg_len = sizeof(in),
						     .answer = data,
						     .room = in.size});
	for (int i = 0; i < len;) {
		const struct fuse_direntplus *plus = (void *)(data + i);

		if (plus->entry_out.nodeid)
			fuse_forget(&client, plus->entry_out.nodeid, 1);
		i += (int)FUSE_REC_ALIGN(plus->dirent.namelen + FUSE_NAME_OFFSET_DIRENTPLUS);
	}
	assert_int_equal(fuse_release(&client, FUSE_RELEASEDIR, in.fh), 0);
	assert_int_equal(fuse_release(&client, FUSE_RELEASEDIR, in.fh), -EBADF);
}

static void do_attributes(void)
{
	struct fuse_getxattr_in in = {.size = 100};
	char value[100];

	fuse_call(&client, &(struct fuse_call){.opcode = FUSE_GETXATTR,
					       .nodeid = roll(2) ? dir : STALE,
					       .arg = &in,
					       .arg_len = sizeof(in),
					       .name = "user.none",
					       .answer = value,
					       .room = sizeof(value)});
}

static void (*const operations[])(void) = {
	do_lookup,
	do_create,
	do_create_without_room,
	do_tmpfile,
	do_mkdir,
	do_mknod,
	do_link,
	do_symlink,
	do_remove,
	do_rename,
	do_remove,
	do_list,
	do_open_and_unlink,
	do_attributes,
	do_setattr,
};

static void play(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++)
		operations[roll(sizeof(operations) / sizeof(operations[0]))]();
}

static void test_nothing_is_left(void **state)
{
	unsigned before;

	(void)state;
	gw_log_set_level(GW_LOG_ERROR);
	fuse_start(&client, &(struct fuse_options){.policy.xattr = true});
	assert_int_equal(mkdir(share_path(&client, "dir"), 0755), 0);
	assert_int_equal(mkfifo(share_path(&client, "fifo"), 0600), 0);
	dir = fuse_node(&client, 1, "dir");
	fifo = fuse_node(&client, 1, "fifo");
	play(100);
	before = open_descriptors();
	play(ROUNDS);
	assert_int_equal(open_descriptors(), before);
	/* What was created is still there, and was only not remembered. */
	fuse_stop(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
