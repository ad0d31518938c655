/* SPDX-License-Identifier: BSD-3-Clause */
/* interop/virtiofsd.c - virtiofsd (the Rust one) over a tree of files, and a guest that uses it. */
#include "virtiofsd.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

const char *virtiofsd_program(void)
{
	const char *named = getenv("VIRTIOFSD");
	const char *program = named ? named : "/usr/libexec/virtiofsd";

	if (!access(program, X_OK))
		return program;
	printf("skipped: there is no %s, nor does VIRTIOFSD name one\n", program);
	return NULL;
}

void virtiofsd_start(struct virtiofsd *daemon, const char *dir, const char *name,
		     const char *const options[3])
{
	char shared[64];

	snprintf(daemon->socket, sizeof(daemon->socket), "%s/%s.sock", dir, name);
	snprintf(shared, sizeof(shared), "--shared-dir=%s/share", dir);
	daemon->pid = fork();
	assert_true(daemon->pid >= 0);
	if (!daemon->pid) {
		execl(virtiofsd_program(), "virtiofsd", "--socket-path", daemon->socket, shared,
		      "--sandbox=none", "--seccomp=none", "--log-level=error", options[0],
		      options[1], options[2], NULL);
		_exit(127);
	}
}

void virtiofsd_wait(struct virtiofsd *daemon)
{
	int status;

	assert_int_equal(waitpid(daemon->pid, &status, 0), daemon->pid);
	assert_int_equal(status, 0);
}

/*
 * The tree.
 */

static const char *below(const char *dir, const char *name)
{
	static char path[2][128];
	static unsigned next;
	char *mine = path[next++ % 2];

	snprintf(mine, sizeof(path[0]), "%s/share%s", dir, name);
	return mine;
}

static void make_file(const char *path, const char *content)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(content, f);
	fclose(f);
}

void tree_make(const char *dir)
{
	assert_int_equal(mkdir(below(dir, ""), 0755), 0);
	assert_int_equal(mkdir(below(dir, "/dir"), 0755), 0);
	assert_int_equal(mkdir(below(dir, "/dir/inner"), 0755), 0);
	assert_int_equal(mkdir(below(dir, "/many"), 0755), 0);
	make_file(below(dir, "/hello"), "hello, guest");
	make_file(below(dir, "/dir/inner/deep"), "deep down");
	make_file(below(dir, "/gone"), "soon gone");
	assert_int_equal(link(below(dir, "/hello"), below(dir, "/dir/other")), 0);
	assert_int_equal(symlink("hello", below(dir, "/link")), 0);
	for (unsigned i = 0; i < TREE_MANY; i++) {
		char name[32];

		snprintf(name, sizeof(name), "/many/entry-%03u", i);
		make_file(below(dir, name), "");
	}
}

void tree_remove(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

/*
 * The guest.
 */

static uint64_t open_file(struct fuse_client *client, uint64_t nodeid, uint32_t flags)
{
	struct fuse_open_out open;

	assert_true(fuse_open(client, nodeid, flags, &open) >= 0);
	return open.fh;
}

static void saw(struct tree_guest *guest, const struct fuse_dirent *entry)
{
	unsigned number;
	char name[16] = "";

	if (entry->namelen >= sizeof(name) || entry->namelen < 3)
		return;
	memcpy(name, entry->name, entry->namelen);
	assert_int_equal(sscanf(name, "entry-%u", &number), 1);
	assert_true(number < TREE_MANY);
	if (guest->seen[number])
		fail_msg("%s came twice", name);
	guest->seen[number] = true;
	guest->entries_seen++;
}

bool tree_read_many(struct fuse_client *client, struct tree_guest *guest, uint32_t bytes)
{
	static _Alignas(8) char buf[32 * 1024];
	struct fuse_read_in in = {.fh = guest->many_fh, .offset = guest->cookie, .size = bytes};
	struct fuse_call call = {.opcode = FUSE_READDIR,
				 .nodeid = guest->many,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .answer = buf,
				 .room = bytes};
	int len = fuse_call(client, &call);

	assert_true(len >= 0);
	for (size_t at = 0; at < (size_t)len;) {
		const struct fuse_dirent *entry = (const void *)(buf + at);

		saw(guest, entry);
		guest->cookie = entry->off;
		at += (sizeof(*entry) + entry->namelen + 7) & ~(size_t)7;
	}
	return len > 0;
}

void tree_use(struct fuse_client *client, struct tree_guest *guest)
{
	*guest = (struct tree_guest){.hello = fuse_node(client, FUSE_ROOT_ID, "hello")};
	assert_int_equal(fuse_node(client, FUSE_ROOT_ID, "hello"), guest->hello);
	guest->dir = fuse_node(client, FUSE_ROOT_ID, "dir");
	assert_int_equal(fuse_node(client, guest->dir, "other"), guest->hello);
	guest->inner = fuse_node(client, guest->dir, "inner");
	guest->deep = fuse_node(client, guest->inner, "deep");
	guest->many = fuse_node(client, FUSE_ROOT_ID, "many");
	fuse_node(client, FUSE_ROOT_ID, "link");
	guest->hello_fh = open_file(client, guest->hello, O_RDONLY);
	guest->deep_fh = open_file(client, guest->deep, O_RDWR | O_APPEND);
	assert_true(fuse_opendir(client, guest->many, &guest->many_fh) >= 0);
	assert_true(tree_read_many(client, guest, 2048));
	assert_true(guest->entries_seen > 10 && guest->entries_seen < TREE_MANY);
}

/* virtiofsd wants to be told the inode, too, with every handle. */
static void check_content(struct fuse_client *client, uint64_t nodeid, uint64_t fh,
			  const char *expected)
{
	char text[64] = "";
	struct fuse_read_in in = {.fh = fh, .size = sizeof(text) - 1};
	struct fuse_call call = {.opcode = FUSE_READ,
				 .nodeid = nodeid,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .answer = text,
				 .room = in.size};

	assert_int_equal(fuse_call(client, &call), strlen(expected));
	assert_string_equal(text, expected);
}

static void write_at(struct fuse_client *client, uint64_t nodeid, uint64_t fh, uint64_t offset,
		     const char *text)
{
	struct fuse_write_out out;
	struct fuse_write_in in = {.fh = fh, .offset = offset, .size = (uint32_t)strlen(text)};
	struct fuse_call call = {.opcode = FUSE_WRITE,
				 .nodeid = nodeid,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .data = text,
				 .data_len = in.size,
				 .answer = &out,
				 .room = sizeof(out)};

	assert_int_equal(fuse_call(client, &call), sizeof(out));
	assert_int_equal(out.size, in.size);
}

void tree_check(struct fuse_client *client, struct tree_guest *guest)
{
	assert_int_equal(fuse_node(client, FUSE_ROOT_ID, "hello"), guest->hello);
	assert_int_equal(fuse_node(client, guest->dir, "other"), guest->hello);
	assert_int_equal(fuse_node(client, guest->dir, "inner"), guest->inner);
	assert_int_equal(fuse_node(client, guest->inner, "deep"), guest->deep);
	check_content(client, guest->hello, guest->hello_fh, "hello, guest");
	write_at(client, guest->deep, guest->deep_fh, 9, "!");
	check_content(client, guest->deep, guest->deep_fh, "deep down!");
	while (tree_read_many(client, guest, 4096))
		;
	assert_int_equal(guest->entries_seen, TREE_MANY);
}
