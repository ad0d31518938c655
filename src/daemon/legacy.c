/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/legacy.c - command lines as they were written for older daemons. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "daemon/legacy.h"
#include "godwit/error.h"

/* What a key means: @option, with the key's value after it if that ends in '='. NULL: what it asks
 * for is so anyway. */
static const struct key {
	const char *name;
	bool valued;
	const char *option;
} keys[] = {
	{"source", true, "--shared-dir="},
	{"vhost_user_socket", true, "--socket-path="},
	{"cache", true, "--cache="},
	{"xattrmap", true, "--xattrmap="},
	{"sandbox", true, "--sandbox="},
	{"modcaps", true, "--modcaps="},
	{"log_level", true, "--log-level="},
	{"loglevel", true, "--log-level="},
	{"debug", false, "--log-level=debug"},
	{"xattr", false, "--xattr"},
	{"no_xattr", false, NULL},
	{"writeback", false, "--writeback"},
	{"no_writeback", false, NULL},
	{"allow_direct_io", false, "--allow-direct-io"},
	{"no_allow_direct_io", false, NULL},
	{"announce_submounts", false, "--announce-submounts"},
	{"killpriv_v2", false, "--killpriv-v2"},
	{"no_killpriv_v2", false, "--no-killpriv-v2"},
	{"posix_acl", false, "--posix-acl"},
	{"no_posix_acl", false, "--posix-acl=never"},
	{"security_label", false, "--security-label"},
	{"no_security_label", false, "--security-label=never"},
	{"readdirplus", false, NULL},
	{"no_readdirplus", false, "--no-readdirplus"},
	/* virtiofsd takes them, too, and does nothing. */
	{"posix_lock", false, NULL},
	{"no_posix_lock", false, NULL},
	{"flock", false, NULL},
	{"no_flock", false, NULL},
};

/* Values that have another name by now. */
static const struct {
	const char *old, *now;
} values[] = {
	{"--cache=none", "--cache=never"},
	{"--log-level=err", "--log-level=error"},
};

/* Of each text: its NUL, and by how much a new name may be longer than the old one. */
#define SPARE 4

struct expansion {
	char **argv; /* points into itself: first the array, then text */
	int count, room;
	char *text, *end;
	bool used; /* there was such a list */
};

/* @value with each pair of commas as one; how long that is. */
static size_t copy_value(char *to, const char *value, size_t len)
{
	char *at = to;

	for (size_t i = 0; i < len; i++) {
		*at++ = value[i];
		i += value[i] == ',' && i + 1 < len && value[i + 1] == ',';
	}
	return (size_t)(at - to);
}

static int put(struct expansion *out, const char *option, const char *value, size_t len)
{
	size_t start = strlen(option);

	if (out->count == out->room || (size_t)(out->end - out->text) < start + len + SPARE)
		return gw_fail(EINVAL, "the command line is too long");
	out->argv[out->count++] = out->text;
	memcpy(out->text, option, start);
	len = copy_value(out->text + start, value, len);
	out->text[start + len] = 0;
	for (size_t i = 0; i < GW_ARRAY_LEN(values); i++) {
		if (!strcmp(out->text, values[i].old))
			strcpy(out->text, values[i].now);
	}
	out->text += start + len + SPARE;
	return 0;
}

static int expand_key(struct expansion *out, const char *at, size_t len)
{
	const char *equals = memchr(at, '=', len);
	size_t name = equals ? (size_t)(equals - at) : len;

	for (size_t i = 0; i < GW_ARRAY_LEN(keys); i++) {
		const struct key *key = &keys[i];

		if (strlen(key->name) != name || memcmp(key->name, at, name) != 0)
			continue;
		if (key->valued != !!equals)
			return gw_fail(EINVAL, "option -o %s %s a value", key->name,
				       key->valued ? "needs" : "takes no");
		if (!key->option)
			return 0;
		return equals ? put(out, key->option, equals + 1, len - name - 1)
			      : put(out, key->option, "", 0);
	}
	return gw_fail(EINVAL, "unknown option -o %.*s (see --help)", (int)GW_MIN(len, (size_t)64),
		       at);
}

/* How much of @list is its first key; a comma in a value is written twice, as libvirt does. */
static size_t key_length(const char *list)
{
	size_t len = strcspn(list, ",");

	while (list[len] == ',' && list[len + 1] == ',')
		len += 2 + strcspn(list + len + 2, ",");
	return len;
}

static int expand_list(struct expansion *out, const char *list)
{
	int err = 0;

	out->used = true;
	while (*list && !err) {
		size_t len = key_length(list);

		err = expand_key(out, list, len);
		list += len + (list[len] == ',');
	}
	return err;
}

static bool is_list(const char *argument)
{
	return argument[0] == '-' && argument[1] == 'o';
}

/* "-o LIST" and "-oLIST"; *@at is the argument looked at. */
static int expand_argument(struct expansion *out, int argc, char **argv, int *at)
{
	const char *argument = argv[*at];

	if (!*at || !is_list(argument))
		return put(out, argument, "", 0);
	if (argument[2])
		return expand_list(out, argument + 2);
	if (*at + 1 == argc)
		return gw_fail(EINVAL, "option -o needs a value");
	(*at)++;
	return expand_list(out, argv[*at]);
}

/* As many bytes of text, and as many arguments, as there can be at most: a key of one byte becomes
 * an option with the longest name. */
static int make_room(struct expansion *out, int argc, char **argv)
{
	size_t text = 0, count = 0;

	for (int i = 0; i < argc; i++) {
		text += strlen(argv[i]) + 1;
		count++;
		for (const char *p = argv[i]; (p = strchr(p, ',')); p++)
			count++;
	}
	text += count * 64;
	out->argv = malloc((count + 1) * sizeof(char *) + text);
	if (!out->argv)
		return gw_fail(ENOMEM, "no memory for the command line");
	out->room = (int)count;
	out->text = (char *)(out->argv + count + 1);
	out->end = out->text + text;
	return 0;
}

int gw_legacy_expand(int argc, char **argv, char ***expanded, int *count)
{
	struct expansion out = {0};
	int err = make_room(&out, argc, argv);

	for (int i = 0; i < argc && !err; i++)
		err = expand_argument(&out, argc, argv, &i);
	if (err) {
		free(out.argv);
		return err;
	}
	if (out.used)
		gw_warn("option -o is deprecated: use the long options");
	out.argv[out.count] = NULL;
	*expanded = out.argv;
	*count = out.count;
	return 0;
}
