/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/foreign_virtiofsd.c - virtiofsd's device state, parsed (docs/virtiofsd-streams.md). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "fs/dispatch.h"
#include "fs/evidence.h"
#include "fs/foreign_virtiofsd.h"
#include "fs/slots.h"
#include "fs/table.h"
#include "godwit/error.h"
#include "state/codec.h"

/*
 * Postcard's wire format: numbers are varints, signed ones zigzag, what may be absent and booleans
 * have a byte 0 or 1, sequences, texts and maps their count in front. Nothing describes itself: a
 * byte read wrong makes nonsense of all that follows, and the bounds here are what notices.
 */

#define PATH_BYTES_MAX 4095 /* PATH_MAX less the NUL */
/* The least that one takes: an inode id, references, kind and no handle; a handle id, inode, kind
 * and flags; a mount id and an empty path. No count can promise more than there are bytes for. */
#define INODE_BYTES_MIN 4
#define OPEN_BYTES_MIN	4
#define MOUNT_BYTES_MIN 2

struct parser {
	struct gw_cursor in;
	const uint8_t *begin;
};

static int wrong(const struct parser *parser, const char *what)
{
	return gw_fail(EBADMSG, "virtiofsd's state: %s, before byte %zu", what,
		       (size_t)(parser->in.at - parser->begin));
}

static int get_u64(struct parser *parser, uint64_t max, const char *what, uint64_t *number)
{
	if (gw_get_varint(&parser->in, number) || *number > max)
		return wrong(parser, what);
	return 0;
}

static int get_i32(struct parser *parser, const char *what, int32_t *number)
{
	uint64_t zigzag;
	int err = get_u64(parser, UINT32_MAX, what, &zigzag);

	if (!err)
		*number = (int32_t)((uint32_t)(zigzag >> 1) ^ -(uint32_t)(zigzag & 1));
	return err;
}

static int get_bool(struct parser *parser, const char *what, bool *truth)
{
	uint64_t number;
	int err = get_u64(parser, 1, what, &number);

	if (!err)
		*truth = number;
	return err;
}

static int get_count(struct parser *parser, size_t each, uint64_t max, const char *what,
		     uint32_t *count)
{
	uint64_t number, room = (uint64_t)(parser->in.end - parser->in.at) / each;
	int err = get_u64(parser, GW_MIN(max, room), what, &number);

	if (!err)
		*count = (uint32_t)number;
	return err;
}

static int get_bytes(struct parser *parser, size_t max, const char *what, struct gw_bytes *bytes)
{
	const uint8_t *at;
	uint64_t len;
	int err = get_u64(parser, max, what, &len);

	if (err)
		return err;
	if (gw_get_bytes(&parser->in, (size_t)len, &at))
		return wrong(parser, what);
	*bytes = (struct gw_bytes){.data = at, .len = (size_t)len};
	return 0;
}

/* Bytes that follow a first one in UTF-8; -1 if none begins so. RFC 3629. */
static int utf8_tail(uint8_t first)
{
	if (first < 0x80)
		return 0;
	if (first < 0xc2 || first > 0xf4)
		return -1;
	return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

static bool utf8_second_fits(uint8_t first, uint8_t second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0; /* overlong */
	case 0xed:
		return second < 0xa0; /* surrogates */
	case 0xf0:
		return second >= 0x90;
	case 0xf4:
		return second < 0x90; /* above U+10FFFF */
	default:
		return true;
	}
}

/* A text of Rust's is always that. */
bool fs_virtiofsd_is_utf8(const struct gw_bytes *text)
{
	const uint8_t *at = text->data, *end = at + text->len;

	while (at < end) {
		int tail = utf8_tail(*at);

		if (tail < 0 || end - at <= tail || (tail && !utf8_second_fits(at[0], at[1])))
			return false;
		for (int i = 1; i <= tail; i++) {
			if ((at[i] & 0xc0) != 0x80)
				return false;
		}
		at += tail + 1;
	}
	return true;
}

static int get_name(struct parser *parser, struct gw_bytes *name)
{
	int err = get_bytes(parser, FS_NAME_MAX, "a name is too long", name);

	if (!err && (!fs_virtiofsd_is_utf8(name) || fs_name_check(name->data, name->len)))
		err = wrong(parser, "a name is no file name");
	return err;
}

/* Components like those of names, or "." alone. */
static bool is_path_below(const struct gw_bytes *path)
{
	const char *at = path->data, *end = at + path->len;

	if (path->len == 1 && *at == '.')
		return true;
	for (;;) {
		const char *slash = at < end ? memchr(at, '/', (size_t)(end - at)) : NULL;

		if (fs_name_check(at, (size_t)((slash ? slash : end) - at)))
			return false;
		if (!slash)
			return true;
		at = slash + 1;
	}
}

/*
 * Inodes.
 */

static int get_fhandle(struct parser *parser, struct fs_virtiofsd_fhandle *fhandle)
{
	int err = get_u64(parser, UINT64_MAX, "a mount id is no number", &fhandle->mount);

	if (!err)
		err = get_i32(parser, "a handle's type is no number", &fhandle->type);
	if (!err)
		err = get_bytes(parser, FS_FHANDLE_MAX, "a file handle is too long",
				&fhandle->bytes);
	return err;
}

static int get_location(struct parser *parser, struct fs_virtiofsd_inode *inode)
{
	int err;

	switch (inode->kind) {
	case FS_VIRTIOFSD_ROOT:
	case FS_VIRTIOFSD_INVALID:
		return 0;
	case FS_VIRTIOFSD_PATH:
		err = get_u64(parser, UINT64_MAX, "a parent is no number", &inode->parent_id);
		return err ? err : get_name(parser, &inode->name);
	case FS_VIRTIOFSD_HANDLE:
		return get_fhandle(parser, &inode->fhandle);
	case FS_VIRTIOFSD_FULL_PATH:
		break;
	}
	return wrong(parser, "an inode with a whole path, which no known version writes");
}

static int get_inode(struct parser *parser, struct fs_virtiofsd_inode *inode)
{
	uint64_t kind;
	bool evidence = false;
	int err = get_u64(parser, UINT64_MAX, "an inode's id is no number", &inode->id);

	if (!err)
		err = get_u64(parser, FS_VIRTIOFSD_REFERENCES_MAX,
			      "an inode's references are no possible number", &inode->references);
	if (!err)
		err = get_u64(parser, FS_VIRTIOFSD_HANDLE, "an inode's kind is unknown", &kind);
	if (err)
		return err;
	inode->kind = (enum fs_virtiofsd_kind)kind;
	inode->parent = FS_VIRTIOFSD_NO_PARENT;
	err = get_location(parser, inode);
	if (!err)
		err = get_bool(parser, "an inode's handle is neither there nor absent", &evidence);
	if (err || !evidence) {
		inode->has_fhandle = inode->kind == FS_VIRTIOFSD_HANDLE;
		return err;
	}
	if (inode->kind == FS_VIRTIOFSD_HANDLE)
		return wrong(parser, "an inode has two handles");
	inode->has_fhandle = true;
	return get_fhandle(parser, &inode->fhandle);
}

static int by_inode_id(const void *a, const void *b)
{
	const struct fs_virtiofsd_inode *one = a, *two = b;

	return (one->id > two->id) - (one->id < two->id);
}

static int get_inodes(struct parser *parser, struct fs_virtiofsd *state)
{
	int err = get_count(parser, INODE_BYTES_MIN, FS_SLOTS_MAX, "more inodes than can be there",
			    &state->inode_count);

	if (err)
		return err;
	state->inodes = calloc((size_t)state->inode_count + 1, sizeof(*state->inodes));
	if (!state->inodes)
		return gw_fail(ENOMEM, "virtiofsd's state: no memory for inodes");
	for (uint32_t i = 0; i < state->inode_count && !err; i++)
		err = get_inode(parser, &state->inodes[i]);
	if (!err)
		err = get_u64(parser, UINT64_MAX, "the next inode id is no number",
			      &state->next_inode);
	if (!err)
		qsort(state->inodes, state->inode_count, sizeof(*state->inodes), by_inode_id);
	return err;
}

static struct fs_virtiofsd_inode *find_inode(const struct fs_virtiofsd *state, uint64_t id)
{
	const struct fs_virtiofsd_inode key = {.id = id};

	return bsearch(&key, state->inodes, state->inode_count, sizeof(key), by_inode_id);
}

/*
 * Open files.
 */

static int get_open(struct parser *parser, const struct fs_virtiofsd *state,
		    struct fs_virtiofsd_open *open)
{
	struct fs_virtiofsd_inode *inode;
	uint64_t id, kind;
	int err = get_u64(parser, UINT64_MAX, "a handle's id is no number", &open->id);

	if (!err)
		err = get_u64(parser, UINT64_MAX, "a handle's inode is no number", &id);
	if (!err)
		err = get_u64(parser, 0, "a handle's kind is unknown", &kind);
	if (!err)
		err = get_i32(parser, "a handle's flags are no number", &open->flags);
	if (err)
		return err;
	inode = find_inode(state, id);
	if (!inode)
		return wrong(parser, "a handle's inode is not there");
	open->inode = (uint32_t)(inode - state->inodes);
	inode->directory |= open->flags & O_DIRECTORY;
	return 0;
}

static int by_open_id(const void *a, const void *b)
{
	const struct fs_virtiofsd_open *one = a, *two = b;

	return (one->id > two->id) - (one->id < two->id);
}

static int get_opens(struct parser *parser, struct fs_virtiofsd *state)
{
	int err = get_count(parser, OPEN_BYTES_MIN, FS_SLOTS_MAX, "more handles than can be there",
			    &state->open_count);

	if (err)
		return err;
	state->opens = calloc((size_t)state->open_count + 1, sizeof(*state->opens));
	if (!state->opens)
		return gw_fail(ENOMEM, "virtiofsd's state: no memory for handles");
	for (uint32_t i = 0; i < state->open_count && !err; i++)
		err = get_open(parser, state, &state->opens[i]);
	if (!err)
		err = get_u64(parser, UINT64_MAX, "the next handle id is no number",
			      &state->next_open);
	if (!err)
		qsort(state->opens, state->open_count, sizeof(*state->opens), by_open_id);
	return err;
}

/*
 * The rest.
 */

static int get_negotiated(struct parser *parser, struct fs_virtiofsd *state)
{
	bool *const options[] = {&state->writeback, &state->announce_submounts, &state->posix_acl,
				 &state->supp_groups};
	int err = 0;

	for (size_t i = 0; i < GW_ARRAY_LEN(options) && !err; i++)
		err = get_bool(parser, "a negotiated option is neither on nor off", options[i]);
	return err;
}

static int get_mount(struct parser *parser, struct fs_virtiofsd *state)
{
	struct fs_virtiofsd_mount mount;
	int err = get_u64(parser, UINT64_MAX, "a mount id is no number", &mount.id);

	if (!err)
		err = get_bytes(parser, PATH_BYTES_MAX, "a mount's path is too long", &mount.path);
	if (err)
		return err;
	if (!fs_virtiofsd_is_utf8(&mount.path) || !is_path_below(&mount.path))
		return wrong(parser, "a mount's path does not stay below the share");
	if (fs_virtiofsd_mount(state, mount.id))
		return wrong(parser, "a mount comes twice");
	state->mounts[state->mount_count++] = mount;
	return 0;
}

static int get_mounts(struct parser *parser, struct fs_virtiofsd *state)
{
	uint32_t count;
	int err = get_count(parser, MOUNT_BYTES_MIN, FS_MOUNTS_MAX, "more mounts than can be there",
			    &count);

	if (err)
		return err;
	state->mounts = calloc((size_t)count + 1, sizeof(*state->mounts));
	if (!state->mounts)
		return gw_fail(ENOMEM, "virtiofsd's state: no memory for mounts");
	while (!err && count--)
		err = get_mount(parser, state);
	return err;
}

const struct fs_virtiofsd_mount *fs_virtiofsd_mount(const struct fs_virtiofsd *state, uint64_t id)
{
	for (uint32_t i = 0; i < state->mount_count; i++) {
		if (state->mounts[i].id == id)
			return &state->mounts[i];
	}
	return NULL;
}

/*
 * Does it hang together?
 */

static int bad(const char *what, uint64_t id)
{
	return gw_fail(EBADMSG, "virtiofsd's state: %s %llu", what, (unsigned long long)id);
}

static int check_ids(const struct fs_virtiofsd *state)
{
	const struct fs_virtiofsd_inode *inode = state->inodes;
	const struct fs_virtiofsd_open *open = state->opens;

	for (uint32_t i = 1; i < state->inode_count; i++) {
		if (inode[i].id == inode[i - 1].id)
			return bad("there are two inodes", inode[i].id);
	}
	for (uint32_t i = 1; i < state->open_count; i++) {
		if (open[i].id == open[i - 1].id)
			return bad("there are two handles", open[i].id);
	}
	if (state->inode_count && inode[state->inode_count - 1].id >= state->next_inode)
		return bad("inodes are used from the next id on, which is", state->next_inode);
	if (state->open_count && open[state->open_count - 1].id >= state->next_open)
		return bad("handles are used from the next id on, which is", state->next_open);
	return 0;
}

static int check_inode(struct fs_virtiofsd *state, struct fs_virtiofsd_inode *inode)
{
	struct fs_virtiofsd_inode *parent;

	if ((inode->id == FS_ROOT_ID) != (inode->kind == FS_VIRTIOFSD_ROOT))
		return bad("what is the root and what is not is wrong with inode", inode->id);
	if (inode->kind == FS_VIRTIOFSD_HANDLE && !fs_virtiofsd_mount(state, inode->fhandle.mount))
		return bad("a handle is on a mount of which no path is told, of inode", inode->id);
	if (inode->kind != FS_VIRTIOFSD_PATH)
		return 0;
	parent = find_inode(state, inode->parent_id);
	if (!parent || parent == inode)
		return bad("there is no parent of inode", inode->id);
	parent->children++;
	parent->directory = true;
	inode->parent = (uint32_t)(parent - state->inodes);
	return 0;
}

static int check_references(const struct fs_virtiofsd *state)
{
	for (uint32_t i = 0; i < state->inode_count; i++) {
		if (state->inodes[i].references < state->inodes[i].children)
			return bad("more children than references has inode", state->inodes[i].id);
	}
	return 0;
}

/* Upwards from inode @i to one that has its place; the way back down is appended to the order.
 * @placed: 0 unseen, 1 on this way, 2 has its place. */
static int place(struct fs_virtiofsd *state, uint8_t *placed, uint32_t i, uint32_t *count)
{
	uint32_t begin = *count, end = begin;

	for (; i != FS_VIRTIOFSD_NO_PARENT && placed[i] != 2; i = state->inodes[i].parent) {
		if (placed[i])
			return bad("it is its own ancestor: inode", state->inodes[i].id);
		placed[i] = 1;
		state->order[end++] = i;
	}
	*count = end;
	for (uint32_t at = begin; at < end; at++)
		placed[state->order[at]] = 2;
	while (begin + 1 < end) {
		uint32_t other = state->order[--end];

		state->order[end] = state->order[begin];
		state->order[begin++] = other;
	}
	return 0;
}

static int put_in_order(struct fs_virtiofsd *state)
{
	uint8_t *placed = calloc((size_t)state->inode_count + 1, 1);
	uint32_t count = 0;
	int err = 0;

	state->order = calloc((size_t)state->inode_count + 1, sizeof(*state->order));
	if (!placed || !state->order)
		err = gw_fail(ENOMEM, "virtiofsd's state: no memory");
	for (uint32_t i = 0; i < state->inode_count && !err; i++)
		err = place(state, placed, i, &count);
	free(placed);
	return err;
}

static int check_all(struct fs_virtiofsd *state)
{
	int err = check_ids(state);

	for (uint32_t i = 0; i < state->inode_count && !err; i++)
		err = check_inode(state, &state->inodes[i]);
	if (!err && state->inode_count && state->inodes[0].id != FS_ROOT_ID)
		err = bad("the first inode is not the root, but", state->inodes[0].id);
	if (!err)
		err = check_references(state);
	return err ? err : put_in_order(state);
}

static int parse(struct parser *parser, struct fs_virtiofsd *state)
{
	uint64_t variant;
	int err = get_u64(parser, 1, "its version is unknown", &variant);

	if (err)
		return err;
	state->version = (unsigned)variant + 1;
	err = get_inodes(parser, state);
	if (!err)
		err = get_opens(parser, state);
	if (!err)
		err = get_negotiated(parser, state);
	if (!err && state->version >= 2)
		err = get_mounts(parser, state);
	if (!err && parser->in.at != parser->in.end)
		err = wrong(parser, "it goes on after its end");
	return err ? err : check_all(state);
}

int fs_virtiofsd_parse(struct fs_virtiofsd *state, const void *bytes, size_t len)
{
	struct parser parser = {.in = {bytes, (const uint8_t *)bytes + len}, .begin = bytes};
	int err;

	*state = (struct fs_virtiofsd){0};
	err = parse(&parser, state);
	if (err)
		fs_virtiofsd_clear(state);
	return err;
}

void fs_virtiofsd_clear(struct fs_virtiofsd *state)
{
	free(state->inodes);
	free(state->order);
	free(state->opens);
	free(state->mounts);
	*state = (struct fs_virtiofsd){0};
}
