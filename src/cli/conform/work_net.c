/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/work_net.c - requests of a network card (VIRTIO 1.3, 5.1): frames to be sent. */
#include <string.h>

#include "cli/conform/conform.h"

#define TRANSMIT 1  /* queue 0 receives */
#define HEADER	 12 /* struct virtio_net_hdr_v1, all zero */

/* Who has 192.0.2.1 (RFC 5737: nobody)? Sixty bytes, as the shortest frame has without its sum. */
static const unsigned char arp[60] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0,    0x12, 0x34, 0x56, 0x08, 0x06,
	0,    1,    0x08, 0,	6,    4,    0,	  1,	0x52, 0x54, 0,	  0x12, 0x34, 0x56,
	192,  0,    2,	  2,	0,    0,    0,	  0,	0,    0,    192,  0,	2,    1,
};

static void request(struct cf_guest *guest, unsigned slot)
{
	struct iovec out[2] = {
		{.iov_base = guest->room[slot], .iov_len = HEADER},
		{.iov_base = guest->room[slot] + HEADER, .iov_len = sizeof(arp)},
	};

	memset(guest->room[slot], 0, HEADER);
	memcpy(guest->room[slot] + HEADER, arp, sizeof(arp));
	cf_guest_add(guest, guest->lane, slot, out, 2, NULL, 0);
}

static const char *judge(struct cf_guest *guest, unsigned slot, uint32_t len)
{
	(void)guest;
	(void)slot;
	return len ? "bytes were written to a frame that was to be sent" : NULL;
}

const struct cf_work cf_work_net = {
	.name = "net",
	.queues = 2,
	.queue = TRANSMIT,
	.drops = true,
	.request = request,
	.judge = judge,
};
