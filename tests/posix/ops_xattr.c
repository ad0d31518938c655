// SPDX-License-Identifier: BSD-3-Clause
/* posix/ops_xattr.c - extended attributes, ACLs among them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "posix.h"

#define VALUE_MAX 65536

/* The C library has no call below a directory: only paths and open files. */
static const char *path_of(const char *word, bool *is_fd)
{
	struct target t = target_of(word);

	*is_fd = t.is_fd;
	if (t.dir != AT_FDCWD && !t.is_fd)
		bad_case("extended attributes of '%s' cannot be asked for", word);
	return t.path;
}

static const struct flag set_flags[] = {
	{"CREATE", XATTR_CREATE}, {"REPLACE", XATTR_REPLACE}, {"none", 0}, {"bad", 8}, {0}};

static void set(char **arg, unsigned count, bool follow)
{
	int flags = count > 3 ? (int)flags_of(set_flags, arg[3]) : 0;
	bool is_fd;
	const char *path = path_of(arg[0], &is_fd);
	size_t len = strlen(arg[2]);

	if (is_fd)
		say_result(fsetxattr(fd_of(arg[0]), arg[1], arg[2], len, flags));
	else
		say_result((follow ? setxattr : lsetxattr)(path, arg[1], arg[2], len, flags));
}

/* setx PATH NAME VALUE [FLAGS] */
static void do_setx(char **arg, unsigned count)
{
	set(arg, count, true);
}

static void do_lsetx(char **arg, unsigned count)
{
	set(arg, count, false);
}

static void get(char **arg, unsigned count, bool follow)
{
	size_t len = count > 2 ? (size_t)number_of(arg[2]) : VALUE_MAX;
	static char value[VALUE_MAX];
	bool is_fd;
	const char *path = path_of(arg[0], &is_fd);
	ssize_t got;

	if (is_fd)
		got = fgetxattr(fd_of(arg[0]), arg[1], value, len);
	else
		got = (follow ? getxattr : lgetxattr)(path, arg[1], value, len);
	if (got < 0 || len == 0)
		say_result(got);
	else
		say_data(value, (size_t)got);
}

/* getx PATH NAME [ROOM] */
static void do_getx(char **arg, unsigned count)
{
	get(arg, count, true);
}

static void do_lgetx(char **arg, unsigned count)
{
	get(arg, count, false);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted. A label that the system itself gives is not the case's. */
static void say_list(const char *list, size_t len)
{
	const char *names[256];
	unsigned n = 0;

	for (const char *p = list; p < list + len && n < 256; p += strlen(p) + 1) {
		if (strcmp(p, "security.selinux") != 0)
			names[n++] = p;
	}
	qsort(names, n, sizeof(names[0]), by_text);
	say("%u", n);
	for (unsigned i = 0; i < n; i++)
		say("%s", names[i]);
}

/* listx PATH [ROOM] */
static void do_listx(char **arg, unsigned count)
{
	size_t room = count > 1 ? (size_t)number_of(arg[1]) : VALUE_MAX;
	static char list[VALUE_MAX];
	bool is_fd;
	const char *path = path_of(arg[0], &is_fd);
	ssize_t got = is_fd ? flistxattr(fd_of(arg[0]), list, room) : llistxattr(path, list, room);

	if (got < 0 || room == 0)
		say_result(got);
	else
		say_list(list, (size_t)got);
}

static void do_remx(char **arg, unsigned count)
{
	bool is_fd;
	const char *path = path_of(arg[0], &is_fd);

	say_result(is_fd ? fremovexattr(fd_of(arg[0]), arg[1]) : removexattr(path, arg[1]));
}

static void do_lremx(char **arg, unsigned count)
{
	bool is_fd;
	const char *path = path_of(arg[0], &is_fd);

	say_result(lremovexattr(path, arg[1]));
}

/* sizex PATH NAME LENGTH: a long value, set and read again. */
static void do_sizex(char **arg, unsigned count)
{
	size_t len = (size_t)number_of(arg[2]);
	uint8_t *value = calloc(2, len + 1);
	ssize_t got;

	if (!value)
		bad_case("no room for %zu bytes", len);
	pattern(value, len, 0, 1);
	if (setxattr(arg[0], arg[1], value, len, 0) < 0) {
		say_result(-1);
	} else {
		got = getxattr(arg[0], arg[1], value + len, len);
		say("%zd%s", got, memcmp(value, value + len, len) == 0 ? "" : " other");
	}
	free(value);
}

/*
 * An ACL as the kernel has it (linux/posix_acl_xattr.h): version 2, then tag, permissions and id of
 * each entry. Words such as u:7, u1000:5, g:5, g1001:6, m:7, o:0; in the order in which they have
 * to stand.
 */
static size_t acl_encode(char **word, unsigned count, uint8_t *out)
{
	static const struct {
		char kind;
		uint16_t own, named;
	} tags[] = {{'u', 1, 2}, {'g', 4, 8}, {'m', 16, 0}, {'o', 32, 0}};
	uint8_t *p = out;
	uint32_t version = 2;

	memcpy(p, &version, 4);
	p += 4;
	for (unsigned i = 0; i < count; i++) {
		char *end;
		uint32_t id = (uint32_t)strtoul(word[i] + 1, &end, 10);
		uint16_t tag = 0, perm = (uint16_t)strtoul(end + 1, NULL, 8);

		for (unsigned t = 0; t < 4; t++) {
			if (tags[t].kind == word[i][0])
				tag = end == word[i] + 1 ? tags[t].own : tags[t].named;
		}
		if (end == word[i] + 1)
			id = UINT32_MAX;
		memcpy(p, &tag, 2);
		memcpy(p + 2, &perm, 2);
		memcpy(p + 4, &id, 4);
		p += 8;
	}
	return (size_t)(p - out);
}

/* acl PATH access|default ENTRY... */
static void do_acl(char **arg, unsigned count)
{
	const char *name = strcmp(arg[1], "default") == 0 ? "system.posix_acl_default"
							  : "system.posix_acl_access";
	uint8_t value[4 + ARGS_MAX * 8];

	say_result(setxattr(arg[0], name, value, acl_encode(arg + 2, count - 2, value), 0));
}

static void do_getacl(char **arg, unsigned count)
{
	const char *name = strcmp(arg[1], "default") == 0 ? "system.posix_acl_default"
							  : "system.posix_acl_access";
	uint8_t value[VALUE_MAX / 8];
	ssize_t got = getxattr(arg[0], name, value, sizeof(value));

	if (got < 0)
		say_result(-1);
	for (ssize_t at = 4; at + 8 <= got; at += 8) {
		uint16_t tag, perm;
		uint32_t id;

		memcpy(&tag, value + at, 2);
		memcpy(&perm, value + at + 2, 2);
		memcpy(&id, value + at + 4, 4);
		say("%x:%d:%o", tag, (int)id, perm);
	}
}

const struct op xattr_ops[] = {
	{"setx", 3, 4, do_setx, false},
	{"lsetx", 3, 4, do_lsetx, false},
	{"getx", 2, 3, do_getx, false},
	{"lgetx", 2, 3, do_lgetx, false},
	{"listx", 1, 2, do_listx, false},
	{"remx", 2, 2, do_remx, false},
	{"lremx", 2, 2, do_lremx, false},
	{"sizex", 3, 3, do_sizex, false},
	{"acl", 3, 10, do_acl, false},
	{"getacl", 2, 2, do_getacl, false},
	{0},
};
