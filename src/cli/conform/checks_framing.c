/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/checks_framing.c - messages: headers, replies, acknowledgements, pieces. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

/* Nothing was said for so long: then nothing will be. */
#define SILENCE_MS 200

static void reply_exact(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_connect(run, &backend);
	uint32_t request = 0, flags = 0;
	uint64_t value;
	int fd, got;

	cf_ok(run,
	      gw_frontend_send_raw(frontend, GW_VU_GET_FEATURES, GW_VU_VERSION, NULL, 0, NULL, 0),
	      "GET_FEATURES");
	got = cf_ok(run,
		    gw_frontend_recv_raw(frontend, &request, &flags, &value, sizeof(value), &fd),
		    "reply");
	CF_EXPECT(run, request == GW_VU_GET_FEATURES && flags == GW_VU_REPLY_FLAGS && got == 8,
		  "request %u, flags 0x%x, %d bytes; expected 1, 0x5, 8", request, flags, got);
	CF_EXPECT(run, fd < 0, "a descriptor came with it");
}

/* A request for which one may ask an acknowledgement. */
static void send_owner(struct cf_run *run, struct gw_frontend *frontend, uint32_t flags)
{
	cf_ok(run,
	      gw_frontend_send_raw(frontend, GW_VU_RESET_OWNER, GW_VU_VERSION | flags, NULL, 0,
				   NULL, 0),
	      "RESET_OWNER");
}

static void send_features(struct cf_run *run, struct gw_frontend *frontend, uint32_t flags)
{
	uint64_t value = gw_frontend_features(frontend);

	cf_ok(run,
	      gw_frontend_send_raw(frontend, GW_VU_SET_FEATURES, GW_VU_VERSION | flags, &value,
				   sizeof(value), NULL, 0),
	      "SET_FEATURES");
}

static void ack_given(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	uint64_t value;
	int got;

	send_features(run, frontend, GW_VU_NEED_REPLY);
	got = cf_listen(frontend, run->target->timeout_ms, &value);
	CF_EXPECT(run, got == GW_VU_SET_FEATURES && !value,
		  "the acknowledgement of SET_FEATURES: request %d, value %llu", got,
		  (unsigned long long)value);
}

static void ack_not_asked(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	uint64_t value;
	int got;

	send_features(run, frontend, 0);
	got = cf_listen(frontend, SILENCE_MS, &value);
	CF_EXPECT(run, !got, "SET_FEATURES without NEED_REPLY was answered");
	cf_answers(run, frontend);
}

static void ack_not_negotiated(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	uint64_t value;

	cf_backend_start(run, &backend);
	config = cf_config(run, &backend);
	config.refuse_protocol_features = GW_VU_PF(REPLY_ACK);
	cf_ok(run, gw_frontend_new(&frontend, &config), "negotiate");
	send_features(run, frontend, GW_VU_NEED_REPLY);
	CF_EXPECT(run, !cf_listen(frontend, SILENCE_MS, &value),
		  "NEED_REPLY was answered although REPLY_ACK was not negotiated");
}

static void barrier(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct cf_guest guest;

	cf_guest_start(run, &backend, &guest);
	for (unsigned i = 0; i < 16; i++) {
		cf_guest_post(&guest, 4);
		cf_answers(run, guest.frontend);
		cf_guest_collect(&guest);
	}
}

/* GET_FEATURES, byte by byte. */
static void split(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_connect(run, &backend);
	const struct gw_vu_header header = {.request = GW_VU_GET_FEATURES, .flags = GW_VU_VERSION};
	const char *bytes = (const char *)&header;
	uint64_t value;

	for (size_t i = 0; i < sizeof(header); i++) {
		CF_EXPECT(run, send(gw_frontend_socket(frontend), bytes + i, 1, MSG_NOSIGNAL) == 1,
			  "the connection was closed after %zu bytes of a header", i);
		cf_sleep_ms(1);
	}
	CF_EXPECT(run, cf_listen(frontend, run->target->timeout_ms, &value) == GW_VU_GET_FEATURES,
		  "no answer to GET_FEATURES that came byte by byte");
}

static void split_payload(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	const struct gw_vu_header header = {
		.request = GW_VU_SET_FEATURES, .flags = GW_VU_VERSION, .size = 8};
	uint64_t value = gw_frontend_features(frontend);
	int fd = gw_frontend_socket(frontend);

	CF_EXPECT(run, send(fd, &header, sizeof(header), MSG_NOSIGNAL) == sizeof(header), "send");
	cf_sleep_ms(20);
	CF_EXPECT(run, send(fd, &value, 3, MSG_NOSIGNAL) == 3, "send");
	cf_sleep_ms(20);
	CF_EXPECT(run, send(fd, (const char *)&value + 3, 5, MSG_NOSIGNAL) == 5,
		  "the connection was closed in the middle of a payload");
	cf_answers(run, frontend);
}

static void together(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_connect(run, &backend);
	const struct gw_vu_header headers[3] = {
		{.request = GW_VU_GET_FEATURES, .flags = GW_VU_VERSION},
		{.request = GW_VU_SET_OWNER, .flags = GW_VU_VERSION},
		{.request = GW_VU_GET_FEATURES, .flags = GW_VU_VERSION},
	};
	uint64_t first, second;

	CF_EXPECT(run,
		  send(gw_frontend_socket(frontend), headers, sizeof(headers), MSG_NOSIGNAL) ==
			  sizeof(headers),
		  "send");
	CF_EXPECT(run,
		  cf_listen(frontend, run->target->timeout_ms, &first) == GW_VU_GET_FEATURES &&
			  cf_listen(frontend, run->target->timeout_ms, &second) ==
				  GW_VU_GET_FEATURES &&
			  first == second,
		  "three messages in one piece did not get the two answers that they ask for");
}

static void owner_reset(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);

	send_owner(run, frontend, 0);
	cf_answers(run, frontend);
}

#define HEADER "Message Specification: Header"
#define ACKS   "VHOST_USER_PROTOCOL_F_REPLY_ACK"
const struct cf_check cf_checks_framing[] = {
	{"reply-exact", "a reply has the request's number, flags 0x5 and its own size", HEADER,
	 CF_MUST, .run = reply_exact},
	{"ack-given", "NEED_REPLY gets 0 for what was done", ACKS, CF_MUST,
	 .protocol = GW_VU_PF(REPLY_ACK), .run = ack_given},
	{"ack-not-asked", "without NEED_REPLY there is none", ACKS, CF_MUST, .run = ack_not_asked},
	{"ack-not-negotiated", "without REPLY_ACK there is none", ACKS, CF_MUST,
	 .run = ack_not_negotiated},
	{"barrier", "GET_FEATURES is answered at any time, also while rings run", "Communication",
	 CF_MUST, CF_NEEDS_WORK, .run = barrier},
	{"split-header", "a header may come in pieces", "Communication", CF_MUST, .run = split},
	{"split-payload", "a payload may come in pieces", "Communication", CF_MUST,
	 .run = split_payload},
	{"messages-together", "several messages may come in one piece", "Communication", CF_MUST,
	 .run = together},
	{"owner-reset", "the deprecated RESET_OWNER does no harm", "Front-end message types",
	 CF_MUST, .run = owner_reset},
	{NULL},
};
