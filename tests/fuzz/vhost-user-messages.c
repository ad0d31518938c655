/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/vhost-user-messages.c - any messages, descriptors, guest memory and kicks to a
 * back-end: it answers or closes, never hangs, and lets go of everything. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "godwit/backend.h"
#include "godwit/error.h"
#include "harness.h"
#include "null/null.h"
#include "play.h"
#include "scripted.h"

/* The first byte. */
enum { NULL_DEVICE = 1, HOLD = 2, PARK = 4, OWN_CHANNEL = 8, REFUSE = 16, FAIL = 32 };

struct side {
	int socket;
	const uint8_t *data;
	size_t size;
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void *front_end(void *opaque)
{
	const struct side *side = opaque;

	play(side->socket, side->data, side->size);
	return NULL;
}

static void set_script(struct script *script, uint8_t options)
{
	atomic_store(&script->bulk_bytes, 100);
	atomic_store(&script->hold_ms, !!(options & HOLD));
	atomic_store(&script->park, options & PARK);
	atomic_store(&script->own_channel, options & OWN_CHANNEL);
	atomic_store(&script->no_negotiate, options & REFUSE);
	atomic_store(&script->fail, options & FAIL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = {0};
	struct gw_backend_config config = {.size = sizeof(config), .host = &script};
	struct gw_backend *backend;
	struct gw_loop *loop;
	struct side side;
	pthread_t thread;
	int ends[2];

	if (!size)
		return 0;
	gw_log_set_level(GW_LOG_OFF);
	config.ops = data[0] & NULL_DEVICE ? &gw_null_ops : &scripted_ops;
	set_script(&script, data[0]);
	must(!gw_loop_new(&loop));
	must(!gw_backend_new(&backend, loop, &config));
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	must(!gw_backend_adopt_fd(backend, ends[0]));
	side = (struct side){.socket = ends[1], .data = data + 1, .size = size - 1};
	must(!pthread_create(&thread, NULL, front_end, &side));
	/* Ends at the last disconnect. */
	must(!gw_loop_run(loop));
	pthread_join(thread, NULL);
	gw_backend_free(backend);
	gw_loop_free(loop);
	return 0;
}
