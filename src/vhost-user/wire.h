/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/wire.h - what goes over the vhost-user socket: numbers and layouts, nothing else. */
#ifndef GW_VHOST_USER_WIRE_H
#define GW_VHOST_USER_WIRE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Host byte order: both ends are on one machine. Sizes are those that QEMU and rust-vmm send, also
 * where the specification's text counts otherwise (struct gw_vu_inflight has its tail padding).
 */

/* Front-end to back-end. */
enum gw_vu_request {
	GW_VU_GET_FEATURES = 1,
	GW_VU_SET_FEATURES = 2,
	GW_VU_SET_OWNER = 3,
	GW_VU_RESET_OWNER = 4,
	GW_VU_SET_MEM_TABLE = 5,
	GW_VU_SET_LOG_BASE = 6,
	GW_VU_SET_LOG_FD = 7,
	GW_VU_SET_VRING_NUM = 8,
	GW_VU_SET_VRING_ADDR = 9,
	GW_VU_SET_VRING_BASE = 10,
	GW_VU_GET_VRING_BASE = 11,
	GW_VU_SET_VRING_KICK = 12,
	GW_VU_SET_VRING_CALL = 13,
	GW_VU_SET_VRING_ERR = 14,
	GW_VU_GET_PROTOCOL_FEATURES = 15,
	GW_VU_SET_PROTOCOL_FEATURES = 16,
	GW_VU_GET_QUEUE_NUM = 17,
	GW_VU_SET_VRING_ENABLE = 18,
	GW_VU_SEND_RARP = 19,
	GW_VU_NET_SET_MTU = 20,
	GW_VU_SET_BACKEND_REQ_FD = 21,
	GW_VU_IOTLB_MSG = 22,
	GW_VU_SET_VRING_ENDIAN = 23,
	GW_VU_GET_CONFIG = 24,
	GW_VU_SET_CONFIG = 25,
	GW_VU_CREATE_CRYPTO_SESSION = 26,
	GW_VU_CLOSE_CRYPTO_SESSION = 27,
	GW_VU_POSTCOPY_ADVISE = 28,
	GW_VU_POSTCOPY_LISTEN = 29,
	GW_VU_POSTCOPY_END = 30,
	GW_VU_GET_INFLIGHT_FD = 31,
	GW_VU_SET_INFLIGHT_FD = 32,
	GW_VU_GPU_SET_SOCKET = 33,
	GW_VU_RESET_DEVICE = 34,
	GW_VU_VRING_KICK = 35,
	GW_VU_GET_MAX_MEM_SLOTS = 36,
	GW_VU_ADD_MEM_REG = 37,
	GW_VU_REM_MEM_REG = 38,
	GW_VU_SET_STATUS = 39,
	GW_VU_GET_STATUS = 40,
	GW_VU_GET_SHARED_OBJECT = 41,
	GW_VU_SET_DEVICE_STATE_FD = 42,
	GW_VU_CHECK_DEVICE_STATE = 43,
	GW_VU_GET_SHMEM_CONFIG = 44,
	GW_VU_GET_VRING_BASE_SKIP_DRAIN = 45,
	GW_VU_REQUESTS, /* one above the last */
};

/* Of our own (docs/protocol.md), far from what the specification will ever reach: "GW" and a
 * number. Who did not agree on their feature does not know them. */
#define GW_VU_EXPERIMENTAL UINT32_C(0x47570000)
enum gw_vu_experimental_request {
	GW_VU_SUSPEND = 0x47570001,
	GW_VU_RESUME = 0x47570002,
	GW_VU_GET_DEVICE_STATE_PENDING = 0x47570003,
	GW_VU_CANCEL_DEVICE_STATE = 0x47570004,
	GW_VU_EXPERIMENTAL_END, /* one above the last */
};

/* Back-end to front-end, on the socket of SET_BACKEND_REQ_FD. */
enum gw_vu_backend_request {
	GW_VU_BACKEND_IOTLB_MSG = 1,
	GW_VU_BACKEND_CONFIG_CHANGE_MSG = 2,
	GW_VU_BACKEND_VRING_HOST_NOTIFIER_MSG = 3,
	GW_VU_BACKEND_VRING_CALL = 4,
	GW_VU_BACKEND_VRING_ERR = 5,
	GW_VU_BACKEND_SHARED_OBJECT_ADD = 6,
	GW_VU_BACKEND_SHARED_OBJECT_REMOVE = 7,
	GW_VU_BACKEND_SHARED_OBJECT_LOOKUP = 8,
	GW_VU_BACKEND_SHMEM_MAP = 9,
	GW_VU_BACKEND_SHMEM_UNMAP = 10,
	GW_VU_BACKEND_REQUESTS,
};

/* Protocol features: bit numbers. */
enum gw_vu_protocol_feature {
	GW_VU_PF_MQ = 0,
	GW_VU_PF_LOG_SHMFD = 1,
	GW_VU_PF_RARP = 2,
	GW_VU_PF_REPLY_ACK = 3,
	GW_VU_PF_NET_MTU = 4,
	GW_VU_PF_BACKEND_REQ = 5,
	GW_VU_PF_CROSS_ENDIAN = 6,
	GW_VU_PF_CRYPTO_SESSION = 7,
	GW_VU_PF_PAGEFAULT = 8,
	GW_VU_PF_CONFIG = 9,
	GW_VU_PF_BACKEND_SEND_FD = 10,
	GW_VU_PF_HOST_NOTIFIER = 11,
	GW_VU_PF_INFLIGHT_SHMFD = 12,
	GW_VU_PF_RESET_DEVICE = 13,
	GW_VU_PF_INBAND_NOTIFICATIONS = 14,
	GW_VU_PF_CONFIGURE_MEM_SLOTS = 15,
	GW_VU_PF_STATUS = 16,
	GW_VU_PF_XEN_MMAP = 17,
	GW_VU_PF_SHARED_OBJECT = 18,
	GW_VU_PF_DEVICE_STATE = 19,
	GW_VU_PF_GET_VRING_BASE_INFLIGHT = 20,
	GW_VU_PF_GPA_ADDRESSES = 21,
	GW_VU_PF_SHMEM = 22,
	GW_VU_PF_GET_VRING_BASE_SKIP_DRAIN = 23,
	GW_VU_PROTOCOL_FEATURES,
	/* Of our own, from the other end. */
	GW_VU_PF_SUSPEND = 61,
	GW_VU_PF_ITERATIVE = 62,
	GW_VU_PF_END = 64,
};
#define GW_VU_PF(name) (UINT64_C(1) << GW_VU_PF_##name)

/* Virtio feature bits that the protocol speaks of; 26 and 30 are its own. */
#define GW_VIRTIO_F_LOG_ALL	      (UINT64_C(1) << 26)
#define GW_VIRTIO_F_INDIRECT_DESC     (UINT64_C(1) << 28)
#define GW_VIRTIO_F_EVENT_IDX	      (UINT64_C(1) << 29)
#define GW_VIRTIO_F_PROTOCOL_FEATURES (UINT64_C(1) << 30)
#define GW_VIRTIO_F_VERSION_1	      (UINT64_C(1) << 32)
#define GW_VIRTIO_F_ACCESS_PLATFORM   (UINT64_C(1) << 33)
#define GW_VIRTIO_F_RING_PACKED	      (UINT64_C(1) << 34)

/* Header. */
struct gw_vu_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload */
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_header) == 12, "vhost-user header");
static_assert(offsetof(struct gw_vu_header, size) == 8, "vhost-user header");

#define GW_VU_VERSION_MASK UINT32_C(0x3)
#define GW_VU_VERSION	   UINT32_C(0x1)
#define GW_VU_REPLY	   UINT32_C(0x4)
#define GW_VU_NEED_REPLY   UINT32_C(0x8)
/* QEMU takes a reply only with exactly these flags. */
#define GW_VU_REPLY_FLAGS (GW_VU_VERSION | GW_VU_REPLY)

/* Descriptors that one message can carry. */
#define GW_VU_FDS_MAX 8

/* Payloads. */
struct gw_vu_vring_state {
	uint32_t index;
	uint32_t num;
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_vring_state) == 8, "vring state");

struct gw_vu_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_vring_addr) == 40, "vring address");
static_assert(offsetof(struct gw_vu_vring_addr, used) == 16, "used comes before avail");

/* Bits of gw_vu_vring_addr.flags. */
#define GW_VU_VRING_F_LOG UINT32_C(0x1)

/* SET_VRING_KICK, CALL and ERR: a u64 of ring index and one flag. */
#define GW_VU_VRING_INDEX_MASK UINT64_C(0xff)
#define GW_VU_VRING_NO_FD      UINT64_C(0x100)

struct gw_vu_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t uaddr;
	uint64_t offset; /* into the descriptor */
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_region) == 32, "memory region");

#define GW_VU_REGIONS_MAX 8 /* in SET_MEM_TABLE: one descriptor each */
struct gw_vu_mem_table {
	uint32_t count;
	uint32_t padding;
	struct gw_vu_region regions[GW_VU_REGIONS_MAX]; /* only `count` of them are sent */
} __attribute__((packed));
static_assert(offsetof(struct gw_vu_mem_table, regions) == 8, "memory table");
static_assert(sizeof(struct gw_vu_mem_table) == 8 + 32 * 8, "memory table");

struct gw_vu_mem_reg {
	uint64_t padding;
	struct gw_vu_region region;
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_mem_reg) == 40, "single memory region");

struct gw_vu_log {
	uint64_t size;
	uint64_t offset;
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_log) == 16, "log");

struct gw_vu_iotlb {
	uint64_t iova;
	uint64_t size;
	uint64_t uaddr;
	uint8_t perm;
	uint8_t type;
	uint8_t padding[6];
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_iotlb) == 32, "iotlb");

#define GW_VU_CONFIG_MAX 256
struct gw_vu_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t data[GW_VU_CONFIG_MAX]; /* only `size` bytes are sent */
} __attribute__((packed));
static_assert(offsetof(struct gw_vu_config, data) == 12, "config");
#define GW_VU_CONFIG_WRITABLE  UINT32_C(0) /* the driver wrote */
#define GW_VU_CONFIG_MIGRATION UINT32_C(1)

struct gw_vu_vring_area {
	uint64_t index;
	uint64_t size;
	uint64_t offset;
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_vring_area) == 24, "vring area");

struct gw_vu_inflight {
	uint64_t size;
	uint64_t offset;
	uint16_t queues;
	uint16_t queue_size;
	uint32_t padding;
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_inflight) == 24, "inflight");
/* The specification's text counts no padding. */
#define GW_VU_INFLIGHT_MIN 20

struct gw_vu_shared_object {
	uint8_t uuid[16];
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_shared_object) == 16, "shared object");

struct gw_vu_device_state {
	uint32_t direction;
	uint32_t phase;
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_device_state) == 8, "device state transfer");

#define GW_VU_STATE_SAVE    UINT32_C(0) /* the back-end writes */
#define GW_VU_STATE_LOAD    UINT32_C(1) /* the back-end reads */
#define GW_VU_STATE_STOPPED UINT32_C(0) /* the one phase that the specification has */
#define GW_VU_STATE_RUNNING UINT32_C(1) /* of ITERATIVE */

/* Reply of SET_DEVICE_STATE_FD. */
#define GW_VU_STATE_ERROR_MASK UINT64_C(0xff)
#define GW_VU_STATE_NO_FD      UINT64_C(0x100)
#define GW_VU_STATE_ACCEPTED   GW_VU_STATE_NO_FD
#define GW_VU_STATE_OWN_FD     UINT64_C(0)
#define GW_VU_STATE_REFUSED    (GW_VU_STATE_NO_FD | 1)

/* Reply of GET_DEVICE_STATE_PENDING. */
struct gw_vu_pending {
	uint64_t initial; /* bytes not sent once */
	uint64_t dirty;	  /* bytes sent, and changed since */
	uint64_t sent;	  /* bytes that the stream has so far */
	uint64_t flags;
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_pending) == 32, "pending device state");
#define GW_VU_PENDING_IDLE UINT64_C(1) /* all there was is sent: it waits to be told to go on */

struct gw_vu_mmap {
	uint8_t shmid;
	uint8_t padding[7];
	uint64_t fd_offset;
	uint64_t shm_offset;
	uint64_t len;
	uint64_t flags; /* bit 0: read and write */
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_mmap) == 40, "mmap request");

struct gw_vu_shmem_config {
	uint32_t count;
	uint32_t padding;
	uint64_t sizes[256];
} __attribute__((packed));
static_assert(sizeof(struct gw_vu_shmem_config) == 2056, "shmem config");

#endif
