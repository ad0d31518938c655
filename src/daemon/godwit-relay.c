/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/godwit-relay.c - a port of the host, held for a guest, as a program. */
#include <assert.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "daemon/daemon.h"
#include "daemon/seccomp.h"
#include "relay/relay.h"

struct relay_daemon {
	struct relay_host host;
	const char *listen;
	const char *handover; /* path */
	int seccomp;	      /* enum gw_seccomp_mode */
};
static_assert(offsetof(struct relay_daemon, host) == 0, "the device is given the host");

/* In the order of enum relay_on_unsavable. */
static const char *const on_unsavable_words[] = {"fail", "drop", NULL};

#define AT(member) offsetof(struct relay_daemon, member)
static const struct gw_option options[] = {
	{"listen", "PORT", "or ADDRESS:PORT, for the guest [127.0.0.1]", AT(listen),
	 GW_OPTION_STRING, .required = true},
	{"handover-socket", "PATH", "give, take what is open to, from who is there", AT(handover),
	 GW_OPTION_STRING},
	{"on-unsavable", "WHAT", "fail, drop: connections that must stay [fail]",
	 AT(host.on_unsavable), GW_OPTION_WORD, .words = on_unsavable_words},
	{"seccomp", "ACTION", "kill, trap, log, none: for strange calls [kill]", AT(seccomp),
	 GW_OPTION_WORD, .rare = true, .words = gw_seccomp_words},
	{NULL},
};

static int check(void *opaque)
{
	struct relay_daemon *relay = opaque;

	return relay_host_listen(&relay->host, relay->listen);
}

static int open_handover(struct relay_daemon *relay, struct gw_sockets *sockets)
{
	static int peer = -1;
	int err = gw_sockets_open_handover(sockets, relay->handover, &peer);

	if (err)
		return err;
	relay->host.handover_fd = sockets->handover.fd;
	relay->host.handover_peer_fd = &peer;
	return 0;
}

static int open_sockets(void *opaque, struct gw_sockets *sockets)
{
	struct relay_daemon *relay = opaque;

	return relay->handover ? open_handover(relay, sockets) : 0;
}

int main(int argc, char **argv)
{
	static struct relay_daemon relay;
	static const struct gw_daemon daemon = {
		.program = "godwit-relay",
		.summary = "Hold a TCP port and its connections for a guest, over vhost-user.",
		.type = "relay",
		.ops = &relay_device_ops,
		.options = options,
		.host = &relay,
		.check = check,
		.open = open_sockets,
		.port_seccomp = &relay.seccomp,
	};

	return gw_daemon_main(&daemon, argc, argv);
}
