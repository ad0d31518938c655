/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/work_fs.c - requests of virtio-fs (VIRTIO 1.3, 5.11): FUSE. */
#include <string.h>

#include "cli/conform/conform.h"
#include "fs/fuse_wire.h"

#define REQUESTS 1 /* queue 0 is the high-priority one */
#define MINOR	 38

static void add(struct cf_guest *guest, unsigned slot, size_t out_len, size_t in_len)
{
	struct iovec out = {.iov_base = guest->room[slot], .iov_len = out_len};
	struct iovec in[2] = {
		{.iov_base = guest->room[slot] + CF_ANSWER_AT,
		 .iov_len = sizeof(struct fuse_out_header)},
		{.iov_base = guest->room[slot] + CF_ANSWER_AT + sizeof(struct fuse_out_header),
		 .iov_len = in_len},
	};

	memset(guest->room[slot] + CF_ANSWER_AT, 0, CF_SLOT_ROOM - CF_ANSWER_AT);
	cf_guest_add(guest, guest->lane, slot, &out, 1, in, in_len ? 2 : 1);
}

/* A request with its argument behind the header. */
static void put(struct cf_guest *guest, unsigned slot, uint32_t opcode, uint64_t node,
		const void *arg, size_t arg_len, size_t in_len)
{
	struct fuse_in_header header = {
		.len = (uint32_t)(sizeof(header) + arg_len),
		.opcode = opcode,
		.unique = slot + 2,
		.nodeid = node,
	};

	memcpy(guest->room[slot], &header, sizeof(header));
	if (arg_len)
		memcpy(guest->room[slot] + sizeof(header), arg, arg_len);
	add(guest, slot, sizeof(header) + arg_len, in_len);
}

static const void *body(const struct cf_guest *guest, unsigned slot)
{
	return guest->room[slot] + CF_ANSWER_AT + sizeof(struct fuse_out_header);
}

static int error_of(const struct cf_guest *guest, unsigned slot)
{
	struct fuse_out_header header;

	memcpy(&header, guest->room[slot] + CF_ANSWER_AT, sizeof(header));
	return -header.error;
}

static void call(struct cf_guest *guest)
{
	gw_driver_kick(guest->frontend, guest->lane);
	cf_guest_collect(guest);
}

static void begin(struct cf_guest *guest)
{
	struct fuse_init_in in = {.major = 7, .minor = MINOR, .max_readahead = 65536};

	put(guest, 0, FUSE_INIT, 0, &in, sizeof(in), sizeof(struct fuse_init_out));
	call(guest);
	CF_EXPECT(guest->run, !error_of(guest, 0), "FUSE INIT: error %d", error_of(guest, 0));
}

/* Attributes of the root: there with any share. */
static void request(struct cf_guest *guest, unsigned slot)
{
	struct fuse_getattr_in in = {0};

	put(guest, slot, FUSE_GETATTR, 1, &in, sizeof(in), sizeof(struct fuse_attr_out));
}

static const char *judge(struct cf_guest *guest, unsigned slot, uint32_t len)
{
	struct fuse_out_header header;
	struct fuse_in_header asked;

	memcpy(&header, guest->room[slot] + CF_ANSWER_AT, sizeof(header));
	if (header.unique != slot + 2)
		return "the answer is to another request";
	if (header.len != len)
		return "its length is not the one in its header";
	if (header.error > 0 || header.error < -4095)
		return "its error is none";
	memcpy(&asked, guest->room[slot], sizeof(asked));
	return header.error && asked.opcode == FUSE_GETATTR ? "GETATTR of the root fails" : NULL;
}

/* The root opened as a directory: a handle that only the device knows. */
static void memo(struct cf_guest *guest)
{
	struct fuse_open_in in = {0};
	struct fuse_open_out opened;

	put(guest, 0, FUSE_OPENDIR, 1, &in, sizeof(in), sizeof(opened));
	call(guest);
	CF_EXPECT(guest->run, !error_of(guest, 0), "OPENDIR of the root: error %d",
		  error_of(guest, 0));
	memcpy(&opened, body(guest, 0), sizeof(opened));
	guest->memo[0] = opened.fh;
}

static const char *recall(struct cf_guest *guest)
{
	struct fuse_read_in in = {.fh = guest->memo[0], .size = 2048};

	put(guest, 0, FUSE_READDIR, 1, &in, sizeof(in), in.size);
	call(guest);
	if (error_of(guest, 0))
		return "READDIR of a directory that was opened before fails";
	return guest->len[0] > sizeof(struct fuse_out_header) ? NULL : "the root has no entries";
}

const struct cf_work cf_work_fs = {
	.name = "fs",
	.queues = 2,
	.queue = REQUESTS,
	.begin = begin,
	.request = request,
	.judge = judge,
	.memo = memo,
	.recall = recall,
};
