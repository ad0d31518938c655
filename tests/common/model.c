/* SPDX-License-Identifier: BSD-3-Clause */
/* common/model.c - random operations on a file system, each held against a model in memory. */
#include "model.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES	   12 /* different ones in a directory, so that they meet */
#define DEPTH_MAX  5
#define PIECE_MAX  6000
#define VERIFY_ONE 4 /* of so many operations one looks after something */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* xorshift64* */
static uint64_t number(struct model *m)
{
	m->state ^= m->state >> 12;
	m->state ^= m->state << 25;
	m->state ^= m->state >> 27;
	return m->state * UINT64_C(2685821657736338717);
}

static unsigned below(struct model *m, unsigned limit)
{
	return (unsigned)((number(m) >> 33) % limit);
}

__attribute__((format(printf, 2, 3))) static void note(struct model *m, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(m->history[m->step % MODEL_HISTORY], MODEL_LINE_MAX, format, args);
	va_end(args);
}

/* The first difference is the one to tell. */
__attribute__((format(printf, 2, 3))) static bool differs(struct model *m, const char *format, ...)
{
	va_list args;

	if (m->difference[0])
		return false;
	va_start(args, format);
	vsnprintf(m->difference, sizeof(m->difference), format, args);
	va_end(args);
	return false;
}

static bool as_expected(struct model *m, const char *what, int got, int expected)
{
	if (got == expected)
		return true;
	return differs(m, "%s: %d (%s), expected %d (%s)", what, got,
		       got < 0 ? strerror(-got) : "success", expected,
		       expected < 0 ? strerror(-expected) : "success");
}

static struct model_entry *entry_of(struct model *m, const struct model_node *parent,
				    const char *name)
{
	for (size_t i = 0; i < COUNT(m->entries); i++) {
		struct model_entry *e = &m->entries[i];

		if (e->used && e->parent == parent && strcmp(e->name, name) == 0)
			return e;
	}
	return NULL;
}

static struct model_entry *name_of(const struct model *m, const struct model_node *node)
{
	for (size_t i = 0; i < COUNT(m->entries); i++) {
		if (m->entries[i].used && m->entries[i].child == node)
			return (struct model_entry *)&m->entries[i];
	}
	return NULL;
}

bool model_path(const struct model *m, const struct model_node *node, char *path, size_t room)
{
	char below_it[DEPTH_MAX * MODEL_NAME_MAX * 2] = "";
	const struct model_node *at = node;

	while (at != &m->nodes[0]) {
		const struct model_entry *e = name_of(m, at);
		char longer[sizeof(below_it)];

		if (!e)
			return false;
		snprintf(longer, sizeof(longer), "/%.*s%.200s", MODEL_NAME_MAX, e->name, below_it);
		memcpy(below_it, longer, sizeof(longer));
		at = e->parent;
	}
	return snprintf(path, room, ".%s", below_it) < (int)room;
}

struct model_handle *model_open_handle(struct model *m, const struct model_node *node,
				       bool writable)
{
	for (size_t i = 0; i < COUNT(m->handles); i++) {
		struct model_handle *h = &m->handles[i];

		if (h->used && h->node == node && (h->writable || !writable))
			return h;
	}
	return NULL;
}

static unsigned depth_of(const struct model *m, const struct model_node *node)
{
	const struct model_entry *e = name_of(m, node);

	return e ? 1 + depth_of(m, e->parent) : 0;
}

static bool is_inside(const struct model *m, const struct model_node *node,
		      const struct model_node *above)
{
	const struct model_entry *e;

	if (node == above)
		return true;
	e = name_of(m, node);
	return e && is_inside(m, e->parent, above);
}

static unsigned children_of(const struct model *m, const struct model_node *dir)
{
	unsigned count = 0;

	for (size_t i = 0; i < COUNT(m->entries); i++)
		count += m->entries[i].used && m->entries[i].parent == dir;
	return count;
}

static struct model_node *free_node(struct model *m)
{
	for (size_t i = 1; i < COUNT(m->nodes); i++) {
		if (!m->nodes[i].used)
			return &m->nodes[i];
	}
	return NULL;
}

static struct model_entry *free_entry(struct model *m)
{
	for (size_t i = 0; i < COUNT(m->entries); i++) {
		if (!m->entries[i].used)
			return &m->entries[i];
	}
	return NULL;
}

/* Any that fits, or NULL: from a random place on. */
typedef bool fits_fn(const struct model_node *node);

static struct model_node *any_node(struct model *m, fits_fn *fits, bool named)
{
	unsigned start = below(m, MODEL_NODES);

	for (unsigned i = 0; i < MODEL_NODES; i++) {
		struct model_node *node = &m->nodes[(start + i) % MODEL_NODES];

		if (node->used && fits(node) && (!named || node == m->nodes || name_of(m, node)))
			return node;
	}
	return NULL;
}

static bool is_dir(const struct model_node *node)
{
	return node->type == MODEL_DIR;
}

static bool is_file(const struct model_node *node)
{
	return node->type == MODEL_FILE;
}

static bool is_link(const struct model_node *node)
{
	return node->type == MODEL_LINK;
}

static bool is_any(const struct model_node *node)
{
	return true;
}

static bool is_no_link(const struct model_node *node)
{
	return !is_link(node);
}

static struct model_handle *any_handle(struct model *m, bool dir)
{
	unsigned start = below(m, MODEL_HANDLES);

	for (unsigned i = 0; i < MODEL_HANDLES; i++) {
		struct model_handle *h = &m->handles[(start + i) % MODEL_HANDLES];

		if (h->used && is_dir(h->node) == dir)
			return h;
	}
	return NULL;
}

static void any_name(struct model *m, char *name)
{
	snprintf(name, MODEL_NAME_MAX, "n%u", below(m, NAMES));
}

/* What nobody can reach any more. */
static void drop_if_gone(struct model *m, struct model_node *node)
{
	if (node->nlink || node->handles)
		return;
	if (m->ops->forget)
		m->ops->forget(m->fs, node);
	free(node->data);
	*node = (struct model_node){0};
}

static void add_entry(struct model *m, struct model_node *parent, const char *name,
		      struct model_node *child)
{
	struct model_entry *e = free_entry(m);

	*e = (struct model_entry){.used = true, .parent = parent, .child = child, .born = m->step};
	snprintf(e->name, sizeof(e->name), "%s", name);
	if (is_dir(child))
		parent->nlink++;
	else
		child->nlink++;
}

static void drop_entry(struct model *m, struct model_entry *e)
{
	struct model_node *child = e->child, *parent = e->parent;

	e->used = false;
	parent->lost_at = m->step;
	if (is_dir(child)) {
		parent->nlink--;
		child->nlink = 0;
	} else {
		child->nlink--;
	}
	drop_if_gone(m, child);
}

static bool do_make(struct model *m)
{
	struct model_node *parent = any_node(m, is_dir, true), *node = free_node(m);
	unsigned kind = below(m, 8);
	char name[MODEL_NAME_MAX];
	int expected, ret;

	if (!node || !free_entry(m) || depth_of(m, parent) >= DEPTH_MAX - 1)
		return true;
	any_name(m, name);
	*node = (struct model_node){.type = kind < 5   ? MODEL_FILE
					    : kind < 7 ? MODEL_DIR
						       : MODEL_LINK};
	node->mode = node->type == MODEL_LINK ? 0777 : 0600 | (mode_t)below(m, 0100);
	if (node->type == MODEL_DIR)
		node->mode |= 0100;
	if (node->type == MODEL_LINK)
		any_name(m, node->target);
	note(m, "make %d %d/%s", (int)node->type, (int)(parent - m->nodes), name);
	expected = entry_of(m, parent, name) ? -EEXIST : 0;
	ret = m->ops->make(m->fs, parent, name, node);
	if (ret == 0) {
		node->used = true;
		node->data = node->type == MODEL_FILE ? calloc(1, MODEL_FILE_MAX) : NULL;
		node->nlink = is_dir(node) ? 2 : 0;
		add_entry(m, parent, name, node);
	}
	return as_expected(m, "make", ret, expected);
}

static int removal_expected(struct model *m, const struct model_entry *e, bool as_dir)
{
	if (!e)
		return -ENOENT;
	if (as_dir != is_dir(e->child))
		return as_dir ? -ENOTDIR : -EISDIR;
	return as_dir && children_of(m, e->child) ? -ENOTEMPTY : 0;
}

static bool do_remove(struct model *m)
{
	struct model_node *parent = any_node(m, is_dir, true);
	struct model_entry *e;
	char name[MODEL_NAME_MAX];
	int expected, ret;
	bool as_dir;

	any_name(m, name);
	e = entry_of(m, parent, name);
	as_dir = below(m, 8) == 0 ? below(m, 2) : e && is_dir(e->child);
	note(m, "%s %d/%s", as_dir ? "rmdir" : "unlink", (int)(parent - m->nodes), name);
	expected = removal_expected(m, e, as_dir);
	ret = m->ops->remove(m->fs, parent, name, as_dir);
	if (ret == 0 && e)
		drop_entry(m, e);
	return as_expected(m, "remove", ret, expected);
}

static bool do_link(struct model *m)
{
	struct model_node *node = any_node(m, is_file, true), *parent = any_node(m, is_dir, true);
	char name[MODEL_NAME_MAX];
	int expected, ret;

	if (!node || !free_entry(m))
		return true;
	any_name(m, name);
	note(m, "link %d %d/%s", (int)(node - m->nodes), (int)(parent - m->nodes), name);
	expected = entry_of(m, parent, name) ? -EEXIST : 0;
	ret = m->ops->link(m->fs, node, parent, name);
	if (ret == 0)
		add_entry(m, parent, name, node);
	return as_expected(m, "link", ret, expected);
}

/* In the order in which Linux looks. */
static int rename_expected(struct model *m, const struct model_entry *from,
			   const struct model_node *to, const struct model_entry *over)
{
	if (!from)
		return -ENOENT;
	if (is_inside(m, to, from->child))
		return -EINVAL;
	if (over && is_inside(m, from->parent, over->child))
		return -ENOTEMPTY;
	if (!over || over->child == from->child)
		return 0;
	if (is_dir(from->child) && !is_dir(over->child))
		return -ENOTDIR;
	if (!is_dir(from->child) && is_dir(over->child))
		return -EISDIR;
	return is_dir(over->child) && children_of(m, over->child) ? -ENOTEMPTY : 0;
}

static void renamed(struct model *m, struct model_entry *from, struct model_node *to,
		    struct model_entry *over, const char *name)
{
	struct model_node *child = from->child;

	if (over && over->child == child)
		return; /* two names of one file: nothing happens */
	if (over)
		drop_entry(m, over);
	from->used = false;
	from->parent->lost_at = m->step;
	if (is_dir(child))
		from->parent->nlink--;
	else
		child->nlink--;
	add_entry(m, to, name, child);
}

static bool do_rename(struct model *m)
{
	struct model_node *from = any_node(m, is_dir, true), *to = any_node(m, is_dir, true);
	char name[MODEL_NAME_MAX], name2[MODEL_NAME_MAX];
	struct model_entry *source, *over;
	int expected, ret;

	any_name(m, name);
	any_name(m, name2);
	source = entry_of(m, from, name);
	over = entry_of(m, to, name2);
	if (source && is_dir(source->child) && depth_of(m, to) >= 2)
		return true; /* paths stay short */
	note(m, "rename %d/%s %d/%s", (int)(from - m->nodes), name, (int)(to - m->nodes), name2);
	expected = rename_expected(m, source, to, over);
	ret = m->ops->rename(m->fs, from, name, to, name2, 0);
	if (ret == 0 && source)
		renamed(m, source, to, over, name2);
	return as_expected(m, "rename", ret, expected);
}

static bool do_lookup(struct model *m)
{
	struct model_node *parent = any_node(m, is_dir, true);
	const struct model_entry *e;
	char name[MODEL_NAME_MAX];
	int ret;

	any_name(m, name);
	e = entry_of(m, parent, name);
	note(m, "lookup %d/%s", (int)(parent - m->nodes), name);
	ret = m->ops->lookup(m->fs, parent, name, e ? e->child : NULL);
	return as_expected(m, "lookup", ret, e ? 0 : -ENOENT);
}

static bool do_open(struct model *m)
{
	struct model_node *node = any_node(m, is_no_link, true);
	struct model_handle *h = NULL;
	int ret;

	for (size_t i = 0; i < COUNT(m->handles) && !h; i++)
		h = m->handles[i].used ? NULL : &m->handles[i];
	if (!h)
		return true;
	*h = (struct model_handle){.node = node, .since = m->step};
	h->writable = is_file(node) && below(m, 4);
	h->append = h->writable && below(m, 4) == 0;
	note(m, "open %d as %d", (int)(node - m->nodes), (int)(h - m->handles));
	ret = m->ops->open(m->fs, h);
	h->used = ret == 0;
	node->handles += h->used;
	return as_expected(m, "open", ret, 0);
}

static bool close_one(struct model *m, struct model_handle *h)
{
	struct model_node *node = h->node;
	int ret = m->ops->close(m->fs, h);

	h->used = false;
	node->handles--;
	drop_if_gone(m, node);
	return as_expected(m, "close", ret, 0);
}

static bool do_close(struct model *m)
{
	struct model_handle *h = any_handle(m, below(m, 3) == 0);

	if (!h)
		return true;
	note(m, "close %d", (int)(h - m->handles));
	return close_one(m, h);
}

static bool do_write(struct model *m)
{
	struct model_handle *h = any_handle(m, false);
	uint8_t data[PIECE_MAX];
	size_t len = 1 + below(m, PIECE_MAX), at;
	int ret;

	if (!h || !h->writable)
		return true;
	at = h->append ? h->node->size : below(m, MODEL_FILE_MAX - PIECE_MAX);
	if (at + len > MODEL_FILE_MAX)
		return true;
	for (size_t i = 0; i < len; i += 8) {
		uint64_t random = number(m);

		memcpy(data + i, &random, len - i < 8 ? len - i : 8);
	}
	note(m, "write %d (file %d) %zu at %zu%s", (int)(h - m->handles), (int)(h->node - m->nodes),
	     len, at, h->append ? ", append" : "");
	ret = m->ops->write(m->fs, h, at, data, len);
	if (ret > 0) {
		memcpy(h->node->data + at, data, (size_t)ret);
		if (at + (size_t)ret > h->node->size)
			h->node->size = at + (size_t)ret;
	}
	return as_expected(m, "write", ret, (int)len);
}

static bool read_and_compare(struct model *m, struct model_handle *h, size_t at, size_t len)
{
	static uint8_t data[MODEL_FILE_MAX];
	const struct model_node *node = h->node;
	size_t left = at < node->size ? node->size - at : 0, want = len < left ? len : left;
	int ret = m->ops->read(m->fs, h, at, data, len);

	if (!as_expected(m, "read", ret, (int)want))
		return false;
	for (size_t i = 0; i < want; i++) {
		if (data[i] != node->data[at + i])
			return differs(m, "file %d: byte %zu is %02x, expected %02x",
				       (int)(node - m->nodes), at + i, data[i], node->data[at + i]);
	}
	return true;
}

static bool do_read(struct model *m)
{
	struct model_handle *h = any_handle(m, false);
	size_t at = below(m, MODEL_FILE_MAX), len = 1 + below(m, PIECE_MAX);

	if (!h || h->append)
		return true;
	note(m, "read %d (file %d) %zu at %zu", (int)(h - m->handles), (int)(h->node - m->nodes),
	     len, at);
	return read_and_compare(m, h, at, len);
}

static bool do_truncate(struct model *m)
{
	struct model_node *node = any_node(m, is_file, false);
	struct model_handle *h = node ? model_open_handle(m, node, true) : NULL;
	size_t size = below(m, MODEL_FILE_MAX);
	int ret;

	if (!node || (!h && !name_of(m, node)))
		return true;
	if (h && name_of(m, node) && below(m, 2))
		h = NULL;
	note(m, "truncate %d to %zu%s", (int)(node - m->nodes), size, h ? " by handle" : "");
	ret = m->ops->truncate(m->fs, node, h, size);
	if (ret == 0) {
		if (size < node->size)
			memset(node->data + size, 0, node->size - size);
		node->size = size;
	}
	return as_expected(m, "truncate", ret, 0);
}

static bool do_chmod(struct model *m)
{
	struct model_node *node = any_node(m, is_no_link, false);
	mode_t mode = 0600 | (mode_t)below(m, 0100);
	int ret;

	if (is_dir(node))
		mode |= 0100;
	note(m, "chmod %d %o", (int)(node - m->nodes), mode);
	ret = m->ops->chmod(m->fs, node, model_open_handle(m, node, false), mode);
	if (ret == 0)
		node->mode = mode;
	return as_expected(m, "chmod", ret, 0);
}

static bool do_value(struct model *m)
{
	struct model_node *node = any_node(m, is_no_link, false);
	char value[MODEL_VALUE_MAX];
	int ret;

	if (node == m->nodes)
		return true;
	snprintf(value, sizeof(value), "value-%u", below(m, 1000000));
	note(m, "setxattr %d %s", (int)(node - m->nodes), value);
	ret = m->ops->set_value(m->fs, node, model_open_handle(m, node, false), value);
	if (ret == 0)
		memcpy(node->value, value, sizeof(value));
	return as_expected(m, "setxattr", ret, 0);
}

static bool is_listed(const struct model_handle *h, const char *name)
{
	for (unsigned i = 0; i < h->listed; i++) {
		if (strcmp(h->names[i], name) == 0)
			return true;
	}
	return false;
}

/* At its end a listing has every name that was there all the while. */
static bool listing_complete(struct model *m, const struct model_handle *h)
{
	for (size_t i = 0; i < COUNT(m->entries); i++) {
		const struct model_entry *e = &m->entries[i];

		if (e->used && e->parent == h->node && e->born < h->since && !is_listed(h, e->name))
			return differs(m, "directory %d, open since %llu: %s is not listed",
				       (int)(h->node - m->nodes), (unsigned long long)h->since,
				       e->name);
	}
	return true;
}

static bool may_repeat(const struct model *m, const struct model_handle *h)
{
	return m->renames_repeat && h->node->lost_at >= h->since;
}

/* A name that is there once is listed once, and what is listed is there, or was. */
static bool listed(struct model *m, struct model_handle *h, const char *name)
{
	const struct model_entry *e = entry_of(m, h->node, name);

	if (!e && h->node->lost_at < h->since)
		return differs(m, "directory %d: %s is listed and not there",
			       (int)(h->node - m->nodes), name);
	if (e && e->born < h->since && is_listed(h, name) && !may_repeat(m, h))
		return differs(m, "directory %d: %s is listed twice", (int)(h->node - m->nodes),
			       name);
	if (h->listed < MODEL_LISTED_MAX && !is_listed(h, name))
		snprintf(h->names[h->listed++], MODEL_NAME_MAX, "%.*s", MODEL_NAME_MAX - 1, name);
	return true;
}

/* Up to @limit more names. Sets *@end. */
static bool list_some(struct model *m, struct model_handle *h, unsigned limit, bool *end)
{
	char name[256];

	*end = false;
	for (unsigned i = 0; i < limit; i++) {
		int ret = m->ops->list(m->fs, h, name);

		/* Linux says of a removed directory that it is not there, or that it is empty. */
		if (ret == 0 || (ret == -ENOENT && !h->node->nlink)) {
			*end = true;
			return !h->node->nlink || listing_complete(m, h);
		}
		if (!as_expected(m, "readdir", ret, 1))
			return false;
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !listed(m, h, name))
			return false;
	}
	return true;
}

static bool do_list(struct model *m)
{
	struct model_handle *h = any_handle(m, true);
	bool end;

	if (!h)
		return true;
	note(m, "readdir %d (directory %d)", (int)(h - m->handles), (int)(h->node - m->nodes));
	if (!list_some(m, h, 1 + below(m, 4), &end))
		return false;
	return end ? close_one(m, h) : true;
}

static bool verify_content(struct model *m, struct model_node *node)
{
	struct model_handle own = {.node = node}, *h = model_open_handle(m, node, false);
	bool same, end;
	int ret;

	if (is_link(node)) {
		char target[256] = "";

		ret = m->ops->readlink(m->fs, node, target, sizeof(target));
		return as_expected(m, "readlink", ret, (int)strlen(node->target)) &&
		       (strcmp(target, node->target) == 0 ||
			differs(m, "link %d leads to %s", (int)(node - m->nodes), target));
	}
	if (is_dir(node) ? !node->nlink : !node->nlink && (!h || h->append))
		return true;
	if (is_file(node) && h && !h->append)
		return read_and_compare(m, h, 0, MODEL_FILE_MAX);
	own.since = m->step + 1;
	ret = m->ops->open(m->fs, &own);
	if (!as_expected(m, "open", ret, 0))
		return false;
	same = is_dir(node) ? list_some(m, &own, MODEL_ENTRIES, &end)
			    : read_and_compare(m, &own, 0, MODEL_FILE_MAX);
	return as_expected(m, "close", m->ops->close(m->fs, &own), 0) && same;
}

static bool verify_attributes(struct model *m, struct model_node *node)
{
	struct model_stat st = {0};
	int ret = m->ops->stat(m->fs, node, model_open_handle(m, node, false), &st);
	int who = (int)(node - m->nodes);

	if (!as_expected(m, "stat", ret, 0))
		return false;
	if (!node->ino)
		node->ino = st.ino;
	if (st.type != node->type || st.ino != node->ino)
		return differs(m, "%d is type %d, inode %llu; expected %d, %llu", who, (int)st.type,
			       (unsigned long long)st.ino, (int)node->type,
			       (unsigned long long)node->ino);
	if (node != m->nodes && (st.mode != node->mode || st.nlink != node->nlink))
		return differs(m, "%d has mode %o, %u links; expected %o, %u", who, st.mode,
			       st.nlink, node->mode, node->nlink);
	if (is_file(node) && st.size != node->size)
		return differs(m, "%d has %zu bytes, expected %zu", who, st.size, node->size);
	return true;
}

static bool verify_value(struct model *m, struct model_node *node)
{
	char value[MODEL_VALUE_MAX] = "";
	int ret, expected = node->value[0] ? (int)strlen(node->value) : -ENODATA;

	if (is_link(node) || node == m->nodes)
		return true;
	ret = m->ops->get_value(m->fs, node, model_open_handle(m, node, false), value,
				sizeof(value) - 1);
	return as_expected(m, "getxattr", ret, expected) &&
	       (strcmp(value, node->value) == 0 ||
		differs(m, "%d: the value is %s", (int)(node - m->nodes), value));
}

static bool verify_node(struct model *m, struct model_node *node)
{
	return verify_attributes(m, node) && verify_content(m, node) && verify_value(m, node);
}

static bool do_verify(struct model *m)
{
	struct model_node *node = any_node(m, is_any, false);

	note(m, "verify %d", (int)(node - m->nodes));
	return verify_node(m, node);
}

static const struct {
	bool (*run)(struct model *model);
	unsigned weight;
} operations[] = {
	{do_make, 14}, {do_remove, 10}, {do_link, 4},	{do_rename, 8}, {do_lookup, 5},
	{do_open, 10}, {do_close, 7},	{do_write, 14}, {do_read, 8},	{do_truncate, 4},
	{do_chmod, 3}, {do_value, 3},	{do_list, 6},	{do_verify, 8},
};

void model_start(struct model *m, const struct model_ops *ops, void *fs, uint64_t seed,
		 uint64_t root_id)
{
	memset(m, 0, sizeof(*m));
	m->ops = ops;
	m->fs = fs;
	m->seed = seed;
	/* Neighbouring seeds make different walks. */
	m->state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	m->nodes[0] = (struct model_node){
		.used = true, .type = MODEL_DIR, .id = root_id, .nlink = 2, .handles = 1};
}

bool model_step(struct model *m)
{
	unsigned all = 0, chosen;

	for (size_t i = 0; i < COUNT(operations); i++)
		all += operations[i].weight;
	chosen = below(m, all);
	m->step++;
	for (size_t i = 0; i < COUNT(operations); i++) {
		if (chosen < operations[i].weight)
			return operations[i].run(m);
		chosen -= operations[i].weight;
	}
	return true;
}

bool model_verify(struct model *m)
{
	m->step++;
	note(m, "verify all");
	for (size_t i = 0; i < COUNT(m->nodes); i++) {
		if (m->nodes[i].used && !verify_node(m, &m->nodes[i]))
			return false;
	}
	return true;
}

void model_end(struct model *m)
{
	for (size_t i = 0; i < COUNT(m->handles); i++) {
		if (m->handles[i].used)
			m->ops->close(m->fs, &m->handles[i]);
	}
	for (size_t i = 0; i < COUNT(m->nodes); i++)
		free(m->nodes[i].data);
}

const char *model_report(const struct model *m, unsigned n)
{
	static char line[512];

	if (n == 0) {
		snprintf(line, sizeof(line), "seed %llu, step %llu: %s",
			 (unsigned long long)m->seed, (unsigned long long)m->step, m->difference);
		return line;
	}
	if (n > MODEL_HISTORY || n > m->step)
		return NULL;
	snprintf(line, sizeof(line), "  -%u: %s", n - 1,
		 m->history[(m->step + 1 - n) % MODEL_HISTORY]);
	return line;
}
