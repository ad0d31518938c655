/* SPDX-License-Identifier: BSD-3-Clause */
/* interop/frontend-virtiofsd.c - the front-end drives virtiofsd (the Rust one) and migrates it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "godwit/error.h"
#include "godwit/frontend.h"
#include "vhost-user/wire.h"

#define REQUEST_QUEUE 1 /* 0 is hiprio */

static const char *program = "/usr/libexec/virtiofsd"; /* where Debian puts it */
static char dir[] = "/tmp/gw-virtiofsd.XXXXXX";

struct daemon {
	char socket[64];
	pid_t pid;
	struct gw_frontend *frontend;
};

static void ok(int result)
{
	if (result < 0)
		fail_msg("%d: %s", result, gw_last_error());
}

static void start_daemon(struct daemon *daemon, const char *name)
{
	char shared[64];

	snprintf(daemon->socket, sizeof(daemon->socket), "%s/%s.sock", dir, name);
	snprintf(shared, sizeof(shared), "--shared-dir=%s/share", dir);
	daemon->pid = fork();
	assert_true(daemon->pid >= 0);
	if (!daemon->pid) {
		execl(program, "virtiofsd", "--socket-path", daemon->socket, shared,
		      "--sandbox=none", "--seccomp=none", "--log-level=error", NULL);
		_exit(127);
	}
}

static void stop_daemon(struct daemon *daemon)
{
	gw_frontend_free(daemon->frontend);
	kill(daemon->pid, SIGTERM);
	waitpid(daemon->pid, NULL, 0);
}

/* One FUSE request; returns the error of the answer (0 or negative errno). */
static int fuse(struct gw_frontend *frontend, uint32_t opcode, uint64_t node, const void *arg,
		size_t arg_len, void *answer, size_t answer_len)
{
	static char *memory;
	static struct gw_frontend *memory_of;
	struct fuse_in_header *in;
	struct fuse_out_header *out;
	struct iovec request, reply;
	uint32_t len;
	void *token;

	if (memory_of != frontend)
		memory = gw_frontend_alloc(frontend, 8192);
	memory_of = frontend;
	in = (void *)memory;
	out = (void *)(memory + 4096);
	memset(memory, 0, 8192);
	*in = (struct fuse_in_header){.len = (uint32_t)(sizeof(*in) + arg_len),
				      .opcode = opcode,
				      .unique = 7,
				      .nodeid = node};
	memcpy(in + 1, arg, arg_len);
	request = (struct iovec){.iov_base = in, .iov_len = in->len};
	reply = (struct iovec){.iov_base = out, .iov_len = sizeof(*out) + answer_len};
	ok(gw_driver_add(frontend, REQUEST_QUEUE, &request, 1, &reply, 1, in));
	ok(gw_driver_kick(frontend, REQUEST_QUEUE));
	while (!gw_driver_get(frontend, REQUEST_QUEUE, &token, &len))
		ok(gw_driver_wait(frontend, REQUEST_QUEUE, 5000));
	assert_ptr_equal(token, in);
	assert_int_equal(out->unique, 7);
	memcpy(answer, out + 1, answer_len);
	return out->error;
}

static void init_session(struct gw_frontend *frontend)
{
	struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION, .minor = 36, .max_readahead = 65536};
	struct fuse_init_out out;

	assert_int_equal(fuse(frontend, FUSE_INIT, 0, &in, sizeof(in), &out, sizeof(out)), 0);
	assert_int_equal(out.major, FUSE_KERNEL_VERSION);
}

static uint64_t look_up(struct gw_frontend *frontend, const char *name)
{
	struct fuse_entry_out entry;

	assert_int_equal(fuse(frontend, FUSE_LOOKUP, FUSE_ROOT_ID, name, strlen(name) + 1, &entry,
			      sizeof(entry)),
			 0);
	return entry.nodeid;
}

static uint64_t size_of(struct gw_frontend *frontend, uint64_t node)
{
	struct fuse_getattr_in in = {0};
	struct fuse_attr_out attr;

	assert_int_equal(fuse(frontend, FUSE_GETATTR, node, &in, sizeof(in), &attr, sizeof(attr)),
			 0);
	return attr.attr.size;
}

static struct gw_frontend_config config_for(const struct daemon *daemon)
{
	return (struct gw_frontend_config){
		.size = sizeof(struct gw_frontend_config),
		.socket_path = daemon->socket,
		.queues = 2,
		.memory_regions = 3,
		.indirect = true,
	};
}

/* Negotiate, start, work, log, stop, save; load into another one, which goes on. */
static void virtiofsd_moves(void **state)
{
	struct daemon a = {0}, b = {0};
	struct gw_frontend_config config;
	int stream = memfd_create("stream", MFD_CLOEXEC);
	const uint8_t *log;
	uint64_t node;
	size_t bytes, marked = 0;

	start_daemon(&a, "a");
	start_daemon(&b, "b");
	config = config_for(&a);
	ok(gw_frontend_new(&a.frontend, &config));
	assert_true(gw_frontend_protocol_features(a.frontend) & GW_VU_PF(DEVICE_STATE));
	ok(gw_frontend_start(a.frontend));
	init_session(a.frontend);
	ok(gw_frontend_log(a.frontend, true));
	node = look_up(a.frontend, "file");
	log = gw_frontend_log_table(a.frontend, &bytes);
	for (size_t i = 0; i < bytes; i++)
		marked += !!log[i];
	assert_true(marked);
	ok(gw_frontend_stop(a.frontend));
	ok(gw_frontend_save(a.frontend, stream));
	assert_true(lseek(stream, 0, SEEK_CUR) > 0);

	lseek(stream, 0, SEEK_SET);
	config = config_for(&b);
	ok(gw_frontend_migrate(&b.frontend, a.frontend, &config));
	ok(gw_frontend_load(b.frontend, stream));
	ok(gw_frontend_start(b.frontend));
	assert_int_equal(size_of(b.frontend, node), 5);
	ok(gw_frontend_stop(b.frontend));

	/* The source was only read from, so it can go on; logging is over. */
	ok(gw_frontend_log(a.frontend, false));
	ok(gw_frontend_start(a.frontend));
	assert_int_equal(size_of(a.frontend, node), 5);
	ok(gw_frontend_stop(a.frontend));
	stop_daemon(&a);
	stop_daemon(&b);
	close(stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(virtiofsd_moves),
	};
	char path[128];
	int fd, failed;

	if (getenv("VIRTIOFSD"))
		program = getenv("VIRTIOFSD");
	if (access(program, X_OK)) {
		printf("skipped: there is no %s, nor does VIRTIOFSD name one\n", program);
		return 77;
	}
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/share", dir);
	if (mkdir(path, 0755))
		return 1;
	snprintf(path, sizeof(path), "%s/share/file", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	if (fd < 0 || write(fd, "12345", 5) != 5)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	return system(path) || failed;
}
