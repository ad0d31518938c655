/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/checks_rings.c - rings: start, enable, kick, call, layouts, and broken ones. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

#define SILENCE_MS 150
#define ROUNDS	   100

static void serves(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	cf_guest_start(run, &backend, &guest);
	for (unsigned i = 0; i < ROUNDS; i++) {
		cf_guest_post(&guest, 1 + i % CF_SLOTS);
		cf_guest_collect(&guest);
	}
}

static void all_queues(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct gw_frontend *frontend;
	struct gw_frontend_config config;
	unsigned queues;

	frontend = cf_negotiate(run, &backend);
	queues = gw_frontend_max_queues(frontend);
	if (queues <= run->target->work->queues || run->target->socket)
		cf_skip(run, "it has %u queues", queues);
	gw_frontend_free(frontend);
	backend = (struct cf_backend){0};
	cf_backend_start(run, &backend);
	config = cf_config(run, &backend);
	config.queues = queues = queues > 8 ? 8 : queues;
	config.memory_size = 16u << 20;
	cf_ok(run, gw_frontend_new(&frontend, &config), "negotiate");
	cf_guest_on(run, frontend, &guest);
	cf_guest_begin(&guest);
	for (guest.lane = run->target->work->queue; guest.lane < queues; guest.lane++)
		cf_guest_works(&guest);
}

static void with_features(struct cf_run *run, uint64_t want, bool packed, bool indirect)
{
	struct cf_backend backend = {0};
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct cf_guest guest;

	cf_backend_start(run, &backend);
	config = cf_config(run, &backend);
	config.want_features = want;
	config.packed = packed;
	config.indirect = indirect;
	cf_ok(run, gw_frontend_new(&frontend, &config), "negotiate");
	cf_guest_on(run, frontend, &guest);
	cf_guest_begin(&guest);
	for (unsigned i = 0; i < ROUNDS; i++) {
		cf_guest_post(&guest, 1 + i % 7);
		cf_guest_collect(&guest);
	}
}

static void plain(struct cf_run *run)
{
	with_features(run, GW_VIRTIO_F_VERSION_1, false, false);
}

static void event_idx(struct cf_run *run)
{
	with_features(run, GW_VIRTIO_F_EVENT_IDX, false, false);
}

static void indirect(struct cf_run *run)
{
	with_features(run, GW_VIRTIO_F_INDIRECT_DESC, false, true);
}

static void packed(struct cf_run *run)
{
	with_features(run, GW_VIRTIO_F_RING_PACKED, true, false);
}

/* What is available before the ring starts is served although nobody kicks after that. The
 * library's own start kicks, so the guest is stopped, given work, and its ring started by hand. */
static void start_unkicked(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	unsigned lane;

	cf_guest_start(run, &backend, &guest);
	lane = guest.lane;
	cf_ok(run, gw_frontend_stop(guest.frontend), "stop");
	guest.work->request(&guest, 0);
	cf_ring_state(run, guest.frontend, GW_VU_SET_VRING_NUM, lane, CF_QUEUE_SIZE);
	cf_ring_state(run, guest.frontend, GW_VU_SET_VRING_BASE, lane,
		      gw_frontend_base(guest.frontend, lane));
	cf_ok(run, gw_frontend_send_ring_addr(guest.frontend, lane), "SET_VRING_ADDR");
	cf_ok(run,
	      gw_frontend_send_ring_fd(guest.frontend, GW_VU_SET_VRING_CALL, lane,
				       guest.frontend->queues[lane].call),
	      "SET_VRING_CALL");
	cf_ok(run,
	      gw_frontend_send_ring_fd(guest.frontend, GW_VU_SET_VRING_KICK, lane, cf_eventfd(run)),
	      "SET_VRING_KICK");
	cf_ring_state(run, guest.frontend, GW_VU_SET_VRING_ENABLE, lane, 1);
	cf_guest_collect(&guest);
}

static void disabled(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	unsigned done, due = run->target->work->drops ? 4 : 0;

	cf_guest_start(run, &backend, &guest);
	cf_ok(run, gw_frontend_enable(guest.frontend, guest.lane, false), "disable");
	cf_guest_post(&guest, 4);
	done = cf_guest_gather(&guest, SILENCE_MS);
	cf_ok(run, gw_frontend_enable(guest.frontend, guest.lane, true), "enable");
	CF_EXPECT(run, done == due,
		  "%u requests were answered while the ring was disabled; expected: %u", done, due);
}

static void enable_goes_on(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	cf_guest_start(run, &backend, &guest);
	cf_ok(run, gw_frontend_enable(guest.frontend, guest.lane, false), "disable");
	cf_guest_post(&guest, 4);
	cf_guest_gather(&guest, SILENCE_MS);
	cf_ok(run, gw_frontend_enable(guest.frontend, guest.lane, true), "enable");
	cf_guest_collect(&guest);
	cf_guest_works(&guest);
}

static void enable_race(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	cf_guest_start(run, &backend, &guest);
	for (unsigned i = 0; i < ROUNDS; i++) {
		cf_guest_post(&guest, CF_SLOTS / 2);
		cf_ok(run, gw_frontend_enable(guest.frontend, guest.lane, false), "disable");
		cf_ok(run, gw_frontend_enable(guest.frontend, guest.lane, true), "enable");
		cf_guest_collect(&guest);
	}
}

/* The driver changes an eventfd of a ring that runs: a VMM does when it masks an interrupt. */
static void replaced(struct cf_run *run, uint32_t request, const char *what)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct gw_frontend_queue *queue;
	int fd;

	cf_guest_start(run, &backend, &guest);
	cf_guest_works(&guest);
	queue = &guest.frontend->queues[guest.lane];
	fd = cf_eventfd(run);
	*(request == GW_VU_SET_VRING_CALL ? &queue->call : &queue->kick) = fd;
	cf_ok(run, gw_frontend_send_ring_fd(guest.frontend, request, guest.lane, fd), what);
	cf_guest_works(&guest);
}

static void call_replaced(struct cf_run *run)
{
	replaced(run, GW_VU_SET_VRING_CALL, "SET_VRING_CALL");
}

static void kick_replaced(struct cf_run *run)
{
	replaced(run, GW_VU_SET_VRING_KICK, "SET_VRING_KICK of a running ring");
}

static void call_none(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	cf_guest_start(run, &backend, &guest);
	cf_ok(run, gw_frontend_send_ring_fd(guest.frontend, GW_VU_SET_VRING_CALL, guest.lane, -1),
	      "SET_VRING_CALL without a descriptor");
	cf_guest_post(&guest, 4);
	for (unsigned i = 0; i < run->target->timeout_ms / 10 && guest.outstanding; i++) {
		cf_sleep_ms(10);
		cf_guest_gather(&guest, 0);
	}
	CF_EXPECT(run, !guest.outstanding, "%u requests of a guest that polls were not answered",
		  guest.outstanding);
}

static void storm(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	uint64_t one = 1;

	cf_guest_start(run, &backend, &guest);
	for (unsigned i = 0; i < 10000; i++)
		CF_EXPECT(run,
			  write(guest.frontend->queues[guest.lane].kick, &one, sizeof(one)) ==
				  sizeof(one),
			  "kick: %s", strerror(errno));
	cf_guest_works(&guest);
}

static void index_refused(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	uint64_t value = cf_ring_state(run, frontend, GW_VU_SET_VRING_NUM, 0xffff, 64);

	cf_not_crashed(run, &backend);
	CF_EXPECT(run, value, "SET_VRING_NUM of ring 65535 was acknowledged");
	cf_answers(run, frontend);
}

static void num_refused(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	uint64_t value = cf_ring_state(run, frontend, GW_VU_SET_VRING_NUM, 0, 0x80000000);

	cf_not_crashed(run, &backend);
	CF_EXPECT(run, value, "a ring of 2147483648 entries was acknowledged");
	cf_answers(run, frontend);
}

static void addr_refused(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	const struct gw_vu_vring_addr addr = {.desc = 0x1000, .used = 0x2000, .avail = 0x3000};
	uint64_t value;

	cf_ok(run, gw_frontend_tell_memory(frontend), "SET_MEM_TABLE");
	cf_ring_state(run, frontend, GW_VU_SET_VRING_NUM, 0, 64);
	value = cf_tell(run, frontend, GW_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
	cf_not_crashed(run, &backend);
	CF_EXPECT(run, value, "a ring outside of guest memory was acknowledged");
	cf_answers(run, frontend);
}

/* A guest that writes nonsense where the available ring is. */
static void corrupt(struct cf_run *run, struct cf_guest *guest, struct cf_backend *backend)
{
	uint64_t desc, avail, used;
	uint16_t *ring;

	cf_guest_start(run, backend, guest);
	cf_guest_works(guest);
	gw_driver_areas(guest->frontend->guest->drivers[guest->lane], &desc, &avail, &used);
	ring = (uint16_t *)((char *)guest->frontend->guest->rings[guest->lane] + avail);
	for (unsigned i = 0; i < CF_QUEUE_SIZE; i++)
		ring[2 + i] = 0x7fff;
	__atomic_fetch_add(&ring[1], 4, __ATOMIC_RELEASE);
	CF_EXPECT(run, eventfd_write(guest->frontend->queues[guest->lane].kick, 1) == 0, "kick");
	cf_sleep_ms(SILENCE_MS);
}

static void corrupt_survives(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	corrupt(run, &guest, &backend);
	cf_not_crashed(run, &backend);
	cf_answers(run, guest.frontend);
}

static void corrupt_told(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;
	struct pollfd poller = {.events = POLLIN};

	corrupt(run, &guest, &backend);
	poller.fd = guest.frontend->queues[guest.lane].err;
	CF_EXPECT(run, poll(&poller, 1, 1000) == 1,
		  "nothing came on the err descriptor of a ring with impossible heads");
}

#define STATES "Ring states"
#define WORK   CF_NEEDS_WORK
const struct cf_check cf_checks_rings[] = {
	{"ring-serves", "requests are answered, one by one and many together", "VIRTIO, 2.7",
	 CF_MUST, WORK, .run = serves},
	{"ring-all-queues", "on every queue that there is", "Multiple queue support", CF_MUST,
	 WORK | CF_NEEDS_EXEC, .protocol = GW_VU_PF(MQ), .run = all_queues},
	{"ring-plain", "split rings without any feature", "VIRTIO, 2.7", CF_MUST, WORK,
	 .run = plain},
	{"ring-event-idx", "rings with EVENT_IDX", "VIRTIO, 2.7.10", CF_MUST, WORK,
	 .virtio = GW_VIRTIO_F_EVENT_IDX, .run = event_idx},
	{"ring-indirect", "indirect descriptors", "VIRTIO, 2.7.5.3", CF_MUST, WORK,
	 .virtio = GW_VIRTIO_F_INDIRECT_DESC, .run = indirect},
	{"ring-packed", "packed rings", "VIRTIO, 2.8", CF_MUST, WORK,
	 .virtio = GW_VIRTIO_F_RING_PACKED, .run = packed},
	{"ring-start-unkicked",
	 "what is in a ring when it starts is served without a kick after that", STATES, CF_SHOULD,
	 WORK, .run = start_unkicked},
	{"ring-disabled", "a disabled ring answers nothing, or drops what it sends", STATES,
	 CF_SHOULD, WORK, .run = disabled},
	{"ring-enable", "what came while it was disabled is answered once it is enabled", STATES,
	 CF_SHOULD, WORK, .run = enable_goes_on},
	{"ring-enable-race", "nothing is lost between enable, disable and kicks", STATES, CF_SHOULD,
	 WORK, .run = enable_race},
	{"ring-call-replaced", "an acknowledged SET_VRING_CALL is in force",
	 "Front-end message types: VHOST_USER_SET_VRING_CALL", CF_MUST, WORK, .run = call_replaced},
	{"ring-call-none", "a guest may poll and have no call descriptor",
	 "Front-end message types: VHOST_USER_SET_VRING_CALL", CF_MUST, WORK, .run = call_none},
	{"ring-kick-replaced", "SET_VRING_KICK of a running ring is in force", STATES, CF_SHOULD,
	 WORK, .run = kick_replaced},
	{"ring-kick-storm", "ten thousand kicks for nothing do no harm", STATES, CF_MUST, WORK,
	 .run = storm},
	{"ring-index", "a ring that there is not is refused", "Front-end message types", CF_SHOULD,
	 .protocol = GW_VU_PF(REPLY_ACK), .run = index_refused},
	{"ring-num", "so is an impossible size", "VIRTIO, 2.7", CF_SHOULD,
	 .protocol = GW_VU_PF(REPLY_ACK), .run = num_refused},
	{"ring-addr", "so is a ring outside of guest memory",
	 "Front-end message types: VHOST_USER_SET_VRING_ADDR", CF_SHOULD,
	 .protocol = GW_VU_PF(REPLY_ACK), .run = addr_refused},
	{"ring-corrupt", "a corrupt ring ends that ring and not the back-end", "VIRTIO, 2.7.5.1",
	 CF_SHOULD, WORK, .run = corrupt_survives},
	{"ring-corrupt-told", "and is told on its err descriptor",
	 "Front-end message types: VHOST_USER_SET_VRING_ERR", CF_SHOULD, WORK, .run = corrupt_told},
	{NULL},
};
