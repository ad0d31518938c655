/* SPDX-License-Identifier: BSD-3-Clause */
/* common/fuse_client.c - a guest that speaks FUSE: the back-end beside it, requests, answers. */
#include <ftw.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "fs/model.h"
#include "fs/notify.h"
#include "fs/watch.h"
#include "fuse_client.h"

#define TIMEOUT_MS 20000

#define OK(call_)                                                             \
	({                                                                    \
		int ok_ = (call_);                                            \
		if (ok_ < 0)                                                  \
			fail_msg("%s: %d: %s", #call_, ok_, gw_last_error()); \
		ok_;                                                          \
	})

static void *run_loop(void *opaque)
{
	gw_loop_run(opaque);
	return NULL;
}

/* The host's options as the program has them; pointers into @text and to constants. */
static unsigned add_options(const struct fuse_client *client, char **argv, char *text, size_t size)
{
	static const char *const cache[] = {"auto", "always", "never", "metadata"};
	static const char *const negotiation[] = {"never", "auto", "always"};
	const struct fs_host *host = &client->host;
	size_t len = 0;
	unsigned n = 0;

#define ADD(...)                                                                  \
	do {                                                                      \
		argv[n++] = text + len;                                           \
		len += (size_t)snprintf(text + len, size - len, __VA_ARGS__) + 1; \
		assert_true(len <= size);                                         \
	} while (0)
	ADD("--shared-dir=%s", host->shared_dir);
	ADD("--tag=%s", host->tag);
	if (host->num_request_queues)
		ADD("--num-request-queues=%u", host->num_request_queues);
	ADD("--thread-pool-size=%u", host->thread_pool_size);
	ADD("--migration-on-error=%s",
	    host->on_error == FS_ON_ERROR_GUEST ? "guest-error" : "abort");
	ADD("--log-level=warn");
	if (host->orphans == FS_ORPHANS_HIDE)
		ADD("--orphans=hide");
	if (host->orphan_limit)
		ADD("--migration-orphan-limit=%llu", (unsigned long long)host->orphan_limit);
	if (host->dir_limit)
		ADD("--dir-limit=%u", host->dir_limit);
	if (host->policy.cache != FS_UNSET)
		ADD("--cache=%s", cache[host->policy.cache]);
	if (host->policy.posix_acl != FS_UNSET)
		ADD("--posix-acl=%s", negotiation[host->policy.posix_acl]);
	if (host->policy.security_label != FS_UNSET)
		ADD("--security-label=%s", negotiation[host->policy.security_label]);
	if (host->policy.submounts != FS_UNSET)
		ADD("--%sannounce-submounts", host->policy.submounts ? "" : "no-");
	if (host->policy.fuse_minor)
		ADD("--m-fuse-minor=%u", host->policy.fuse_minor);
	if (host->policy.max_write)
		ADD("--m-max-write=%u", host->policy.max_write);
	if (host->policy.writeback)
		ADD("--writeback");
	if (host->policy.direct_io)
		ADD("--allow-direct-io");
	if (host->policy.mmap)
		ADD("--allow-mmap");
	if (host->policy.killpriv)
		ADD("--killpriv-v2");
	if (host->policy.posix_lock)
		ADD("--posix-lock");
	if (host->policy.flock)
		ADD("--flock");
	if (host->policy.lock_wait)
		ADD("--lock-wait");
	if (host->preserve_noatime)
		ADD("--preserve-noatime");
	if (host->inode_limit)
		ADD("--inode-limit=%u", host->inode_limit);
	if (host->inode_memory)
		ADD("--inode-memory=%u", host->inode_memory);
	if (host->no_readdirplus)
		ADD("--no-readdirplus");
	if (client->watch)
		ADD("--watch");
	if (client->watch && host->policy.notification)
		ADD("--notification-queue");
	if (host->policy.xattr)
		ADD("--xattr");
	if (host->xattrmap)
		ADD("--xattrmap=%s", host->xattrmap);
	for (unsigned i = 0; i < host->translate_uid.count; i++)
		ADD("--translate-uid=%s", host->translate_uid.text[i]);
	for (unsigned i = 0; i < host->translate_gid.count; i++)
		ADD("--translate-gid=%s", host->translate_gid.text[i]);
	if (host->readonly)
		ADD("--readonly");
#undef ADD
	return n;
}

static void run_program(const struct fuse_client *client, const char *program, int fd)
	__attribute__((noreturn));
static void run_program(const struct fuse_client *client, const char *program, int fd)
{
	char words[1024], text[4096], inherited[32], control[128];
	char *argv[64], *word;
	unsigned n = 0;

	snprintf(words, sizeof(words), "%s", program);
	for (word = strtok(words, " "); word && n < 40; word = strtok(NULL, " "))
		argv[n++] = word;
	n += add_options(client, argv + n, text, sizeof(text));
	snprintf(control, sizeof(control), "--control-socket=%s", client->control);
	if (client->control[0])
		argv[n++] = control;
	snprintf(inherited, sizeof(inherited), "--fd=%d", dup(fd)); /* without close-on-exec */
	argv[n++] = inherited;
	argv[n] = NULL;
	execv(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

static void start_backend(struct fuse_client *client, int fd)
{
	struct gw_params *params;
	struct gw_backend_config config = {
		.size = sizeof(config),
		.ops = &fs_device_ops,
		.host = &client->host,
		.program = "fuse-test",
		.version = "0",
		.experimental = GW_EXPERIMENTAL_ITERATIVE,
		.control_path = client->control[0] ? client->control : NULL,
	};
	const char *program = getenv(FUSE_PROGRAM);

	if (program) {
		client->program = fork();
		assert_true(client->program >= 0);
		if (!client->program)
			run_program(client, program, fd);
		close(fd);
		return;
	}
	OK(gw_params_new(&params, &fs_model));
	OK(fs_host_params(&client->host, params));
	config.params = params;
	OK(gw_loop_new(&client->loop));
	OK(gw_backend_new(&client->backend, client->loop, &config));
	gw_params_free(params);
	OK(gw_backend_adopt_fd(client->backend, fd));
	assert_int_equal(pthread_create(&client->thread, NULL, run_loop, client->loop), 0);
}

static void make_slots(struct fuse_client *client)
{
	for (unsigned q = 0; q < client->queues; q++) {
		for (unsigned i = 0; i < FUSE_SLOTS; i++) {
			struct fuse_slot *slot = &client->slots[q][i];

			slot->room = i == 0 ? FUSE_BIG_ROOM : FUSE_ROOM;
			slot->out = gw_frontend_alloc(client->frontend, slot->room);
			slot->in = gw_frontend_alloc(client->frontend, slot->room);
			assert_non_null(slot->out);
			assert_non_null(slot->in);
		}
	}
}

/* The back-end in this process, unless there is one at @socket. Returns the front-end's end. */
static int find_backend(struct fuse_client *client, const char *socket)
{
	int fds[2];

	if (socket)
		return -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	start_backend(client, fds[0]);
	return fds[1];
}

/* A guest that knows the notification queue, or the front-end's default. */
static uint64_t wanted(const struct fuse_client *client)
{
	return client->host.policy.notification
		       ? FS_F_NOTIFICATION | 1ull << VIRTIO_RING_F_EVENT_IDX |
				 1ull << VIRTIO_RING_F_INDIRECT_DESC
		       : 0;
}

static void start_frontend(struct fuse_client *client, const char *socket)
{
	struct gw_frontend_config config = {
		.size = sizeof(config),
		.socket_path = socket,
		.fd = find_backend(client, socket),
		.timeout_ms = TIMEOUT_MS,
		.queues = client->queues,
		.want_features = wanted(client),
		.experimental = GW_EXPERIMENTAL_ITERATIVE,
		.queue_size = client->ring,
		.memory_size =
			(size_t)client->queues * (2 * FUSE_BIG_ROOM + 2 * FUSE_SLOTS * FUSE_ROOM) +
			(4u << 20),
	};

	OK(gw_frontend_new(&client->frontend, &config));
	OK(gw_frontend_start(client->frontend));
	make_slots(client);
}

/* A program makes its own. */
static void start_watch(struct fuse_client *client)
{
	if (!client->watch || getenv(FUSE_PROGRAM))
		return;
	client->host.watch_fd = fs_watch_open(client->share, client->host.policy.notification);
	if (client->host.watch_fd < 0)
		fail_msg("%s", gw_last_error());
}

void fuse_start(struct fuse_client *client, const struct fuse_options *options)
{
	unsigned queues = options->queues ? options->queues : 1;

	memset(client, 0, sizeof(*client));
	client->queues = queues + 1 + options->policy.notification;
	client->ring = options->ring ? options->ring : 128;
	if (options->share) {
		snprintf(client->share, sizeof(client->share), "%s", options->share);
	} else {
		strcpy(client->share, "/tmp/gw-fuse.XXXXXX");
		assert_non_null(mkdtemp(client->share));
		assert_int_equal(chmod(client->share, 0755), 0);
		client->own_share = true;
	}
	client->host = (struct fs_host){
		.shared_dir = client->share,
		.tag = "test",
		.num_request_queues = options->untold ? 0 : queues,
		.thread_pool_size = options->threads,
		.inode_limit = options->inode_limit,
		.inode_memory = options->inode_memory,
		.policy = options->policy,
		.xattrmap = options->xattrmap,
		.translate_uid = options->uids,
		.translate_gid = options->gids,
		.readonly = options->readonly,
		.no_readdirplus = options->no_readdirplus,
		.preserve_noatime = options->noatime,
		.on_error = options->on_error,
		.orphans = options->orphans,
		.orphan_limit = options->orphan_limit,
		.dir_limit = options->dir_limit,
	};
	if (options->control)
		snprintf(client->control, sizeof(client->control), "%s.control", client->share);
	client->watch = options->watch;
	start_watch(client);
	start_frontend(client, options->socket);
	if (!options->no_init)
		OK(fuse_init(client, 7, FUSE_KERNEL_MINOR_VERSION,
			     options->init_flags ? options->init_flags : UINT64_MAX >> 1));
}

static void take_slots(struct fuse_client *to, const struct fuse_client *from)
{
	const char *there = gw_frontend_memory(from->frontend, NULL);
	char *here = gw_frontend_memory(to->frontend, NULL);

	for (unsigned q = 0; q < to->queues; q++) {
		for (unsigned i = 0; i < FUSE_SLOTS; i++) {
			const struct fuse_slot *slot = &from->slots[q][i];

			to->slots[q][i] = (struct fuse_slot){
				.out = here + (slot->out - there),
				.in = here + (slot->in - there),
				.room = slot->room,
				/* An answer that is still to come goes to the one it was asked
				 * with, and uses its memory. */
				.call = slot->call,
			};
		}
	}
}

static int try_save(struct fuse_client *from, int stream)
{
	int err;

	OK(gw_frontend_stop(from->frontend));
	err = gw_frontend_save(from->frontend, stream);
	assert_int_equal(lseek(stream, 0, SEEK_SET), 0);
	return err;
}

void fuse_save(struct fuse_client *from, int stream)
{
	OK(try_save(from, stream));
}

/* Beside the one that it comes from, and back. */
static void name_control(struct fuse_client *to, const struct fuse_client *from)
{
	static const char suffix[] = ".to";
	size_t len = strlen(from->control), cut = len > 3 ? len - 3 : 0;

	if (!len)
		return;
	snprintf(to->control, sizeof(to->control), "%.70s%s", from->control, suffix);
	if (!strcmp(from->control + cut, suffix))
		to->control[cut] = 0;
}

static void start_to_wait(struct fuse_client *to, const struct fuse_client *from,
			  const char *socket, const struct fs_host *host)
{
	memset(to, 0, sizeof(*to));
	snprintf(to->share, sizeof(to->share), "%s",
		 host->shared_dir ? host->shared_dir : from->share);
	to->queues = from->queues;
	to->host = *host;
	to->host.shared_dir = to->share;
	name_control(to, from);
	to->waiting_fd = find_backend(to, socket);
}

void fuse_await(struct fuse_client *to, const struct fuse_client *from)
{
	struct fs_host host = from->host;

	host.on_error = FS_ON_ERROR_ABORT;
	start_to_wait(to, from, NULL, &host);
}

static int take_over(struct fuse_client *to, struct fuse_client *from, const char *socket,
		     int stream)
{
	const struct gw_frontend_config config = {.size = sizeof(config),
						  .socket_path = socket,
						  .fd = to->waiting_fd,
						  .timeout_ms = TIMEOUT_MS,
						  .experimental = GW_EXPERIMENTAL_ITERATIVE,
						  .queues = from->queues,
						  .want_features = wanted(to)};
	int err = gw_frontend_migrate(&to->frontend, from->frontend, &config);

	to->unique = from->unique;
	if (!err) {
		take_slots(to, from);
		err = gw_frontend_load(to->frontend, stream);
	}
	if (err) {
		fuse_stop(to);
		return err;
	}
	OK(gw_frontend_start(to->frontend));
	return 0;
}

int fuse_take(struct fuse_client *to, struct fuse_client *from, int stream)
{
	return take_over(to, from, NULL, stream);
}

int fuse_load(struct fuse_client *to, struct fuse_client *from, const char *socket,
	      const struct fs_host *host, int stream)
{
	start_to_wait(to, from, socket, host);
	return take_over(to, from, socket, stream);
}

/* Whoever runs the test may want the host to have forgotten all names meanwhile. */
static void let_caches_go(void)
{
	const char *text = getenv(FUSE_COLD);
	int fd = text ? atoi(text) : -1;
	char byte = 0;

	if (fd >= 0)
		assert_true(write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1);
}

int fuse_move(struct fuse_client *to, struct fuse_client *from, enum fs_on_error on_error)
{
	struct fs_host host = from->host;
	int fd = memfd_create("state", MFD_CLOEXEC);
	int err;

	assert_true(fd >= 0);
	host.on_error = on_error;
	err = try_save(from, fd);
	let_caches_go();
	if (!err)
		err = fuse_load(to, from, NULL, &host, fd);
	close(fd);
	return err;
}

int fuse_move_iterative(struct fuse_client *to, struct fuse_client *from,
			const struct gw_iterate_config *config)
{
	struct fs_host host = from->host;
	int fd = memfd_create("state", MFD_CLOEXEC);
	int err;

	assert_true(fd >= 0);
	host.on_error = FS_ON_ERROR_ABORT;
	err = gw_frontend_iterate(from->frontend, fd, config, NULL);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	if (!err)
		err = fuse_load(to, from, NULL, &host, fd);
	close(fd);
	return err;
}

void fuse_resume(struct fuse_client *client)
{
	OK(gw_frontend_start(client->frontend));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* By default a back-end ends when its front-end has gone. */
static void end_backend(struct fuse_client *client)
{
	int status;

	if (client->program) {
		assert_int_equal(waitpid(client->program, &status, 0), client->program);
		if (status)
			fail_msg("the back-end ended with status %x", (unsigned)status);
		return;
	}
	pthread_join(client->thread, NULL);
	gw_backend_free(client->backend);
	gw_loop_free(client->loop);
}

void fuse_stop(struct fuse_client *client)
{
	gw_frontend_free(client->frontend);
	if (client->loop || client->program)
		end_backend(client);
	if (client->watch && client->host.watch_fd)
		close(client->host.watch_fd);
	if (client->own_share)
		nftw(client->share, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/*
 * Requests.
 */

static char *append(char *at, const char *end, const void *data, size_t len)
{
	assert_true(len <= (size_t)(end - at));
	if (len)
		memcpy(at, data, len);
	return at + len;
}

/* Header and body behind each other; returns the length. */
static size_t compose(struct fuse_client *client, struct fuse_slot *slot,
		      const struct fuse_call *call)
{
	struct fuse_in_header header = {
		.opcode = call->opcode,
		.unique = slot->unique = atomic_fetch_add(&client->unique, 2) + 2,
		.nodeid = call->nodeid ? call->nodeid : FUSE_ROOT_ID,
		.uid = call->uid,
		.gid = call->gid,
		.total_extlen = call->ext_units,
	};
	const char *end = slot->out + slot->room;
	char *at = slot->out + sizeof(header);
	size_t len;

	at = append(at, end, call->arg, call->arg_len);
	if (call->name)
		at = append(at, end, call->name, strlen(call->name) + 1);
	if (call->name2)
		at = append(at, end, call->name2, strlen(call->name2) + 1);
	at = append(at, end, call->data, call->data_len);
	len = (size_t)(at - slot->out);
	header.len = call->len ? call->len : (uint32_t)len;
	memcpy(slot->out, &header, sizeof(header));
	return call->cut ? call->cut : len;
}

/* As Linux does: the header, then the rest. */
static unsigned cut_out(struct fuse_slot *slot, size_t len, struct iovec *out)
{
	size_t header = sizeof(struct fuse_in_header);

	out[0] = (struct iovec){slot->out, len < header ? len : header};
	if (len <= header)
		return 1;
	out[1] = (struct iovec){slot->out + header, len - header};
	return 2;
}

static unsigned cut_in(struct fuse_slot *slot, const struct fuse_call *call, struct iovec *in)
{
	size_t header = sizeof(struct fuse_out_header);
	size_t len = call->in_room ? call->in_room : header + call->room;
	unsigned segments = call->segments ? call->segments : 1;
	size_t each, offset = header;
	unsigned count = 0;

	assert_true(len <= slot->room);
	if (call->opcode == FUSE_FORGET || call->opcode == FUSE_BATCH_FORGET)
		return 0;
	memset(slot->in, 0xa5, len);
	in[count++] = (struct iovec){slot->in, len < header ? len : header};
	each = len > header ? (len - header + segments - 1) / segments : 0;
	while (offset < len) {
		size_t part = len - offset < each ? len - offset : each;

		in[count++] = (struct iovec){slot->in + offset, part};
		offset += part;
	}
	return count;
}

static struct fuse_slot *free_slot(struct fuse_client *client, unsigned queue,
				   const struct fuse_call *call)
{
	bool big = call->room + call->data_len + 4096 > FUSE_ROOM;

	for (unsigned i = big ? 0 : 1; i < (big ? 1 : FUSE_SLOTS); i++) {
		if (!client->slots[queue][i].call)
			return &client->slots[queue][i];
	}
	fail_msg("too many requests at once");
	return NULL;
}

void fuse_begin(struct fuse_client *client, unsigned queue, struct fuse_call *call)
{
	struct fuse_slot *slot = free_slot(client, queue, call);
	struct iovec out[2], in[66];
	unsigned in_count, out_count;

	call->done = false;
	slot->call = call;
	out_count = cut_out(slot, compose(client, slot, call), out);
	in_count = cut_in(slot, call, in);
	OK(gw_driver_add(client->frontend, queue, out, out_count, in, in_count, slot));
	OK(gw_driver_kick(client->frontend, queue));
}

/* The answer is taken for nothing that it does not prove to be. */
static void finish(struct fuse_slot *slot, uint32_t used)
{
	struct fuse_call *call = slot->call;
	struct fuse_out_header header;
	size_t body;

	slot->call = NULL;
	call->done = true;
	call->result = FUSE_NO_ANSWER;
	if (!used)
		return;
	assert_true(used >= sizeof(header));
	memcpy(&header, slot->in, sizeof(header));
	assert_int_equal(header.len, used);
	assert_int_equal(header.unique, slot->unique);
	assert_true(header.error <= 0 && header.error > -4096);
	body = used - sizeof(header);
	if (header.error) {
		assert_int_equal(body, 0);
		call->result = header.error;
		return;
	}
	assert_true(body <= call->room);
	if (call->answer)
		memcpy(call->answer, slot->in + sizeof(header), body);
	call->result = (int)body;
}

void fuse_wait(struct fuse_client *client, unsigned queue, struct fuse_call *call)
{
	bool any = false;

	while (call ? !call->done : !any) {
		struct fuse_slot *slot;
		uint32_t used;
		void *token;

		if (!gw_driver_get(client->frontend, queue, &token, &used)) {
			OK(gw_driver_wait(client->frontend, queue, TIMEOUT_MS));
			continue;
		}
		slot = token;
		finish(slot, used);
		any = true;
	}
}

int fuse_call_on(struct fuse_client *client, unsigned queue, struct fuse_call *call)
{
	fuse_begin(client, queue, call);
	fuse_wait(client, queue, call);
	return call->result;
}

int fuse_call(struct fuse_client *client, struct fuse_call *call)
{
	return fuse_call_on(client, 1 + client->host.policy.notification, call);
}

/*
 * The share.
 */

const char *share_path(const struct fuse_client *client, const char *name)
{
	static _Thread_local char path[4][512];
	static _Thread_local unsigned next;
	char *mine = path[next++ % 4];

	snprintf(mine, sizeof(path[0]), "%s/%s", client->share, name);
	return mine;
}

void share_file(const struct fuse_client *client, const char *name, const char *content)
{
	FILE *f = fopen(share_path(client, name), "w");

	assert_non_null(f);
	fputs(content, f);
	fclose(f);
}

const char *share_content(const struct fuse_client *client, const char *name)
{
	static _Thread_local char content[64 * 1024];
	int fd = open(share_path(client, name), O_RDONLY);
	ssize_t len;

	assert_true(fd >= 0);
	len = read(fd, content, sizeof(content) - 1);
	assert_true(len >= 0);
	content[len] = 0;
	close(fd);
	return content;
}
