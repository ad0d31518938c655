/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/messages.h - the one table of what a front-end can ask. */
#ifndef GW_VHOST_USER_MESSAGES_H
#define GW_VHOST_USER_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "vhost-user/wire.h"

/* No request is longer; a longer one is not read, and ends the connection. */
#define GW_VU_PAYLOAD_MAX 4096

/* One message, its payload as every request may see it. */
union gw_vu_payload {
	uint64_t u64;
	struct gw_vu_vring_state state;
	struct gw_vu_vring_addr addr;
	struct gw_vu_mem_table table;
	struct gw_vu_mem_reg mem_reg;
	struct gw_vu_log log;
	struct gw_vu_config config;
	struct gw_vu_inflight inflight;
	struct gw_vu_device_state transfer;
	struct gw_vu_shmem_config shmem;
	struct gw_vu_pending pending;
	uint8_t bytes[GW_VU_PAYLOAD_MAX];
};

/* How a payload must fit itself, beyond its bounds. */
enum gw_vu_shape {
	GW_VU_SHAPE_ANY,
	GW_VU_SHAPE_RING_STATE, /* the index is a ring's */
	GW_VU_SHAPE_RING_ADDR,	/* the same */
	GW_VU_SHAPE_RING_FD,	/* the same; a descriptor, or the flag that there is none */
	GW_VU_SHAPE_TABLE,	/* as long as its count says, a descriptor a region */
	GW_VU_SHAPE_CONFIG,	/* as long as its size says */
	GW_VU_SHAPES,
};

/* In which states of the rings it is served. */
enum gw_vu_when {
	GW_VU_WHEN_ANY,
	GW_VU_WHEN_RING_STOPPED, /* the ring that the payload names */
	GW_VU_WHEN_ALL_STOPPED,
	GW_VU_WHEN_PHASE, /* stopped: all are, or are held by SUSPEND; running: any */
};

/* What is answered, and how an error looks in it. */
enum gw_vu_reply {
	GW_VU_REPLY_ACK,      /* u64, 0 or 1, if NEED_REPLY is set and REPLY_ACK negotiated */
	GW_VU_REPLY_ACK_LOG,  /* the same, but always once LOG_SHMFD is negotiated */
	GW_VU_REPLY_VERDICT,  /* u64, 0 or 1, always */
	GW_VU_REPLY_TRANSFER, /* u64 always; refused: GW_VU_STATE_REFUSED */
	GW_VU_REPLY_VALUE,    /* u64 always; no error form */
	GW_VU_REPLY_STATE,    /* ring state always; no error form */
	GW_VU_REPLY_CONFIG,   /* config always; error: empty */
	GW_VU_REPLY_INFLIGHT, /* inflight and descriptor always; error: all zero, none */
	GW_VU_REPLY_FD,	      /* empty, with a descriptor; error: without */
	GW_VU_REPLY_SHMEM,    /* shmem config always; error: no regions */
	GW_VU_REPLY_SESSION,  /* what we cannot make; no error form */
	GW_VU_REPLY_PENDING,  /* pending always; error: empty */
	GW_VU_REPLIES,
};

struct gw_dialog;
struct gw_call;

/* 0, a negative errno with a sentence, or -EINPROGRESS: gw_call_finish() will be called. */
typedef int gw_vu_handler(struct gw_dialog *dialog, struct gw_call *call);

struct gw_vu_row {
	const char *name;
	gw_vu_handler *handle; /* NULL: not implemented, refused */
	uint16_t min, max;     /* bytes of payload */
	enum gw_vu_shape shape;
	uint8_t fds_min, fds_max; /* more are closed */
	uint64_t protocol;	  /* protocol features that must be negotiated */
	uint64_t virtio;	  /* virtio features that must be */
	enum gw_vu_when when;
	enum gw_vu_reply reply;
};

/* NULL for a number that neither the protocol nor its experimental part knows. */
const struct gw_vu_row *gw_vu_row(uint32_t request);
/* May descriptors come with such a message? */
bool gw_vu_brings_fds(const struct gw_vu_header *header, const union gw_vu_payload *payload);
/* "SET_FEATURES"; "request 99" is up to the caller: NULL. */
const char *gw_vu_protocol_feature_name(unsigned bit);

#endif
