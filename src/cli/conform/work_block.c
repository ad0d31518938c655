/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/work_block.c - requests of a disk (VIRTIO 1.3, 5.2): its first sector is read. */
#include <string.h>

#include <linux/virtio_blk.h>

#include "cli/conform/conform.h"

#define SECTOR 512

static void request(struct cf_guest *guest, unsigned slot)
{
	struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN};
	char *answer = guest->room[slot] + CF_ANSWER_AT;
	struct iovec out = {.iov_base = guest->room[slot], .iov_len = sizeof(header)};
	struct iovec in[2] = {
		{.iov_base = answer, .iov_len = SECTOR},
		{.iov_base = answer + SECTOR, .iov_len = 1},
	};

	memcpy(guest->room[slot], &header, sizeof(header));
	memset(answer, 0xff, SECTOR + 1);
	cf_guest_add(guest, guest->lane, slot, &out, 1, in, 2);
}

static const char *judge(struct cf_guest *guest, unsigned slot, uint32_t len)
{
	const char *status = guest->room[slot] + CF_ANSWER_AT + SECTOR;

	if (*status != VIRTIO_BLK_S_OK)
		return "reading the first sector failed";
	return len == SECTOR + 1 ? NULL : "not the sector and its status were written";
}

const struct cf_work cf_work_block = {
	.name = "block",
	.queues = 1,
	.request = request,
	.judge = judge,
};
