/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/xattrmap.c - rules by which names of extended attributes differ between guest and host. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/xattrmap.h"
#include "godwit/error.h"

#define CAPABILITY "security.capability"

enum action { PREFIX, PASS, BAD, UNSUPPORTED };
enum scope { CLIENT = 1 << 0, SERVER = 1 << 1, ALL = CLIENT | SERVER };

/* A part of the map's own copy of the text. */
struct text {
	const char *at;
	size_t len;
};

struct rule {
	enum action action;
	unsigned scope;
	struct text key, prepend;
};

struct fs_xattrmap {
	unsigned count;
	struct rule rules[FS_XATTRMAP_RULES_MAX];
	char capability[FS_XATTR_NAME_MAX + 1]; /* empty: as fs_xattrmap_capability() says */
	char text[FS_XATTRMAP_TEXT_MAX + 1];
};

static const struct {
	const char *name;
	enum action action;
} actions[] = {{"prefix", PREFIX}, {"ok", PASS}, {"bad", BAD}, {"unsupported", UNSUPPORTED}};

static const struct {
	const char *name;
	unsigned scope;
} scopes[] = {{"client", CLIENT}, {"server", SERVER}, {"all", ALL}};

static bool is_word(const struct text *text, const char *word)
{
	return strlen(word) == text->len && !memcmp(text->at, word, text->len);
}

static const char *skip_blanks(const char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return at;
}

static int take_field(struct fs_xattrmap *map, const char **at, char separator, struct text *field)
{
	const char *end = strchr(*at, separator);

	if (!end)
		return gw_fail(EINVAL, "xattrmap: rule %u: it ends before all of its fields",
			       map->count + 1);
	*field = (struct text){*at, (size_t)(end - *at)};
	*at = end + 1;
	if (field->len > FS_XATTR_NAME_MAX)
		return gw_fail(EINVAL, "xattrmap: rule %u: '%.32s...' is longer than a name can be",
			       map->count + 1, field->at);
	return 0;
}

static int add(struct fs_xattrmap *map, struct rule rule)
{
	if (map->count == FS_XATTRMAP_RULES_MAX)
		return gw_fail(EINVAL, "xattrmap: more than %d rules", FS_XATTRMAP_RULES_MAX);
	map->rules[map->count++] = rule;
	return 0;
}

/*
 * What begins with the key is kept with a prefix; the rest goes through as it is. Then neither may
 * the guest see the host's own names that it would take for its own, nor reach those kept for it by
 * their prefix.
 */
static int add_map(struct fs_xattrmap *map, struct text key, struct text prepend)
{
	const struct text any = {"", 0};
	const struct rule rules[] = {
		{PREFIX, ALL, key, prepend},
		{BAD, SERVER, any, key},
		{BAD, CLIENT, prepend, any},
		{PASS, ALL, any, any},
	};
	int err = 0;

	if (!key.len)
		return add(map, rules[0]) || add(map, (struct rule){BAD, ALL, any, any}) ? -EINVAL
											 : 0;
	for (size_t i = 0; i < GW_ARRAY_LEN(rules) && !err; i++)
		err = add(map, rules[i]);
	return err;
}

static int parse_map(struct fs_xattrmap *map, const char **at, char separator)
{
	struct text key, prepend;
	int err = take_field(map, at, separator, &key);

	if (!err)
		err = take_field(map, at, separator, &prepend);
	if (err)
		return err;
	if (*skip_blanks(*at))
		return gw_fail(EINVAL, "xattrmap: rule %u: nothing may follow a map rule",
			       map->count + 1);
	return add_map(map, key, prepend);
}

static int find_action(const struct fs_xattrmap *map, const struct text *word, enum action *action)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(actions); i++) {
		if (is_word(word, actions[i].name)) {
			*action = actions[i].action;
			return 0;
		}
	}
	return gw_fail(
		EINVAL,
		"xattrmap: rule %u: type '%.*s' is none of prefix, ok, bad, unsupported, map",
		map->count + 1, (int)GW_MIN(word->len, (size_t)32), word->at);
}

static int find_scope(const struct fs_xattrmap *map, const struct text *word, unsigned *scope)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(scopes); i++) {
		if (is_word(word, scopes[i].name)) {
			*scope = scopes[i].scope;
			return 0;
		}
	}
	return gw_fail(EINVAL, "xattrmap: rule %u: scope '%.*s' is none of client, server, all",
		       map->count + 1, (int)GW_MIN(word->len, (size_t)32), word->at);
}

static int parse_rule(struct fs_xattrmap *map, const char **at)
{
	char separator = *(*at)++;
	struct text type, scope;
	struct rule rule;
	int err = take_field(map, at, separator, &type);

	if (!err && is_word(&type, "map"))
		return parse_map(map, at, separator);
	if (!err)
		err = find_action(map, &type, &rule.action);
	if (!err)
		err = take_field(map, at, separator, &scope);
	if (!err)
		err = find_scope(map, &scope, &rule.scope);
	if (!err)
		err = take_field(map, at, separator, &rule.key);
	if (!err)
		err = take_field(map, at, separator, &rule.prepend);
	return err ? err : add(map, rule);
}

static int parse(struct fs_xattrmap *map)
{
	const char *at = skip_blanks(map->text);
	int err = 0;

	if (!*at)
		return gw_fail(EINVAL, "xattrmap: there are no rules");
	while (*at && !err) {
		err = parse_rule(map, &at);
		at = skip_blanks(at);
	}
	return err;
}

int fs_xattrmap_new(struct fs_xattrmap **out, const char *text)
{
	GW_AUTO_FREE struct fs_xattrmap *map = calloc(1, sizeof(*map));
	char host[FS_XATTR_NAME_MAX + 1];
	size_t len = strlen(text);
	int err;

	if (!map)
		return gw_fail(ENOMEM, "xattrmap: no memory");
	if (len > FS_XATTRMAP_TEXT_MAX)
		return gw_fail(EINVAL, "xattrmap: %zu bytes of rules, at most %d", len,
			       FS_XATTRMAP_TEXT_MAX);
	memcpy(map->text, text, len + 1);
	err = parse(map);
	if (err)
		return err;
	if (!fs_xattrmap_to_host(map, CAPABILITY, host) && strcmp(host, CAPABILITY) != 0)
		memcpy(map->capability, host, sizeof(host));
	*out = gw_take_ptr(map);
	return 0;
}

void fs_xattrmap_free(struct fs_xattrmap *map)
{
	free(map);
}

static const struct rule *find(const struct fs_xattrmap *map, enum scope scope, const char *name)
{
	for (unsigned i = 0; i < map->count; i++) {
		const struct rule *rule = &map->rules[i];
		const struct text *start = scope == CLIENT ? &rule->key : &rule->prepend;

		if (rule->scope & scope && !strncmp(name, start->at, start->len))
			return rule;
	}
	return NULL;
}

int fs_xattrmap_to_host(const struct fs_xattrmap *map, const char *name,
			char host[FS_XATTR_NAME_MAX + 1])
{
	const struct rule *rule = map ? find(map, CLIENT, name) : NULL;
	size_t prefix = rule && rule->action == PREFIX ? rule->prepend.len : 0;
	size_t len = strlen(name);

	if (map && (!rule || rule->action == BAD))
		return -EPERM;
	if (rule && rule->action == UNSUPPORTED)
		return -EOPNOTSUPP;
	if (prefix + len > FS_XATTR_NAME_MAX)
		return -ERANGE; /* as setxattr(2) says of a name that is too long */
	if (prefix)
		memcpy(host, rule->prepend.at, prefix);
	memcpy(host + prefix, name, len + 1);
	return 0;
}

const char *fs_xattrmap_to_guest(const struct fs_xattrmap *map, const char *name)
{
	const struct rule *rule = map ? find(map, SERVER, name) : NULL;

	if (!map || (rule && rule->action == PASS))
		return name;
	if (!rule || rule->action != PREFIX)
		return NULL;
	name += rule->prepend.len;
	return *name ? name : NULL;
}

size_t fs_xattrmap_list(const struct fs_xattrmap *map, char *names, size_t len)
{
	size_t from = 0, to = 0;

	if (!map)
		return len;
	while (from < len) {
		size_t one = strnlen(names + from, len - from);
		const char *guest;

		if (one == len - from)
			break; /* without its NUL it is no name */
		guest = fs_xattrmap_to_guest(map, names + from);
		from += one + 1;
		if (!guest)
			continue;
		one = strlen(guest) + 1;
		memmove(names + to, guest, one);
		to += one;
	}
	return to;
}

const char *fs_xattrmap_capability(const struct fs_xattrmap *map)
{
	return map && map->capability[0] ? map->capability : NULL;
}

static void digest_text(XXH3_state_t *state, const struct text *text)
{
	const uint32_t len = (uint32_t)text->len;

	XXH3_64bits_update(state, &len, sizeof(len));
	XXH3_64bits_update(state, text->at, text->len);
}

uint32_t fs_xattrmap_id(const struct fs_xattrmap *map)
{
	XXH3_state_t *state = map ? XXH3_createState() : NULL;
	uint32_t id;

	if (!state)
		return 0;
	XXH3_64bits_reset(state);
	for (unsigned i = 0; i < map->count; i++) {
		const struct rule *rule = &map->rules[i];
		const uint8_t kind[] = {(uint8_t)rule->action, (uint8_t)rule->scope};

		XXH3_64bits_update(state, kind, sizeof(kind));
		digest_text(state, &rule->key);
		digest_text(state, &rule->prepend);
	}
	id = (uint32_t)XXH3_64bits_digest(state);
	XXH3_freeState(state);
	return id ? id : 1;
}
