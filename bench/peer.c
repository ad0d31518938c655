/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/peer.c - start a daemon, connect to it, mount. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/peer.h"
#include "godwit/error.h"

#define ARGS_MAX    64
#define CALL_SIZE   8192
#define REPLY_MS    10000
#define STOP_TRIES  100
#define MOUNT_MINOR 38 /* what both daemons speak */

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static pid_t spawn(const char *command, const char *socket, const char *dir)
{
	char *words = strdup(command);
	char *argv[ARGS_MAX];
	char *save = NULL;
	unsigned argc = 0;
	pid_t pid;

	for (char *word = strtok_r(words, " ", &save); word && argc < ARGS_MAX - 5;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc++] = "--socket-path";
	argv[argc++] = (char *)socket;
	argv[argc++] = "--shared-dir";
	argv[argc++] = (char *)dir;
	argv[argc] = NULL;
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);

		if (!getenv("BENCH_VERBOSE"))
			dup2(quiet, STDERR_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	free(words);
	return pid;
}

static void mount_it(struct peer *peer)
{
	struct fuse_init_in in = {
		.major = 7,
		.minor = MOUNT_MINOR,
		.max_readahead = 1 << 20,
		.flags = (uint32_t)(FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES |
				    FUSE_PARALLEL_DIROPS | FUSE_DO_READDIRPLUS),
	};
	struct fuse_init_out out = {0};

	peer_call(peer, FUSE_INIT, 0, &in, sizeof(in), &out, sizeof(out));
	if (out.major != 7 || out.max_write < (1 << 20))
		die("%s: INIT: version %u.%u, max_write %u", peer->name, out.major, out.minor,
		    out.max_write);
}

static const struct gw_frontend_config frontend_config = {
	.size = sizeof(frontend_config),
	.fd = -1,
	.queues = 2,
	.queue_size = PEER_QUEUE_SIZE,
	.memory_size = 128 << 20,
	.indirect = true,
	.experimental = GW_EXPERIMENTAL_ITERATIVE | GW_EXPERIMENTAL_SUSPEND,
};

void peer_prepare(struct peer *peer, const char *name, const char *command, const char *dir)
{
	static unsigned count;

	*peer = (struct peer){.name = name};
	snprintf(peer->socket, sizeof(peer->socket), "/tmp/godwit-bench-%d-%s-%u.sock", getpid(),
		 name, count++);
	peer->pid = spawn(command, peer->socket, dir);
}

void peer_connect(struct peer *peer, struct peer *from)
{
	struct gw_frontend_config config = frontend_config;

	config.socket_path = peer->socket;
	if (gw_frontend_migrate(&peer->frontend, from->frontend, &config))
		die("%s: %s", peer->name, gw_last_error());
}

void peer_await(struct peer *peer, struct peer *from)
{
	struct gw_frontend_config config = frontend_config;

	config.socket_path = peer->socket;
	if (gw_frontend_await(&peer->frontend, from->frontend, &config))
		die("%s: %s", peer->name, gw_last_error());
}

void peer_start(struct peer *peer, const char *name, const char *command, const char *dir)
{
	struct gw_frontend_config config = frontend_config;
	int err;

	peer_prepare(peer, name, command, dir);
	config.socket_path = peer->socket;
	err = gw_frontend_new(&peer->frontend, &config);
	if (!err)
		err = gw_frontend_start(peer->frontend);
	if (err)
		die("%s (%s): %s", name, command, gw_last_error());
	mount_it(peer);
}

void peer_stop(struct peer *peer)
{
	char extra[160];

	gw_frontend_free(peer->frontend);
	for (int i = 0; i < STOP_TRIES && waitpid(peer->pid, NULL, WNOHANG) == 0; i++) {
		if (i == STOP_TRIES / 2)
			kill(peer->pid, SIGTERM);
		usleep(20000);
	}
	kill(peer->pid, SIGKILL);
	waitpid(peer->pid, NULL, 0);
	unlink(peer->socket);
	snprintf(extra, sizeof(extra), "%s.pid", peer->socket);
	unlink(extra);
}

uint32_t peer_call(struct peer *peer, uint32_t opcode, uint64_t nodeid, const void *arg,
		   uint32_t arg_len, void *body, uint32_t body_size)
{
	static _Thread_local struct {
		struct peer *peer;
		char *in, *out;
	} buffers;
	struct fuse_in_header header = {
		.len = (uint32_t)sizeof(header) + arg_len,
		.opcode = opcode,
		.unique = 1,
		.nodeid = nodeid,
	};
	struct fuse_out_header *answer;
	struct iovec out, in;
	void *token;
	uint32_t len;

	if (buffers.peer != peer) {
		buffers.peer = peer;
		buffers.out = gw_frontend_alloc(peer->frontend, CALL_SIZE);
		buffers.in = gw_frontend_alloc(peer->frontend, CALL_SIZE);
	}
	if (sizeof(header) + arg_len > CALL_SIZE || sizeof(*answer) + body_size > CALL_SIZE)
		die("%s: operation %u: too big a call", peer->name, opcode);
	memcpy(buffers.out, &header, sizeof(header));
	memcpy(buffers.out + sizeof(header), arg, arg_len);
	out = (struct iovec){buffers.out, header.len};
	in = (struct iovec){buffers.in, sizeof(*answer) + body_size};
	if (gw_driver_add(peer->frontend, PEER_QUEUE, &out, 1, &in, 1, peer))
		die("%s: %s", peer->name, gw_last_error());
	gw_driver_kick(peer->frontend, PEER_QUEUE);
	while (!gw_driver_get(peer->frontend, PEER_QUEUE, &token, &len)) {
		if (gw_driver_wait(peer->frontend, PEER_QUEUE, REPLY_MS))
			die("%s: operation %u: no answer", peer->name, opcode);
	}
	answer = (void *)buffers.in;
	if (len < sizeof(*answer) || answer->error)
		die("%s: operation %u: error %d", peer->name, opcode, answer->error);
	len = len - (uint32_t)sizeof(*answer);
	memcpy(body, buffers.in + sizeof(*answer), len < body_size ? len : body_size);
	return len;
}

uint64_t peer_lookup(struct peer *peer, uint64_t parent, const char *name)
{
	struct fuse_entry_out entry = {0};

	peer_call(peer, FUSE_LOOKUP, parent, name, (uint32_t)strlen(name) + 1, &entry,
		  sizeof(entry));
	return entry.nodeid;
}

uint64_t peer_open(struct peer *peer, uint64_t nodeid, uint32_t flags)
{
	struct fuse_open_in in = {.flags = flags};
	struct fuse_open_out out = {0};

	peer_call(peer, FUSE_OPEN, nodeid, &in, sizeof(in), &out, sizeof(out));
	return out.fh;
}
