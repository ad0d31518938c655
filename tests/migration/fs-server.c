/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-server.c - a share on a server: what was written is there before the guest
 * moves.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fs/collector.h"
#include "fs/fuse_wire.h"
#include "fs/records.h"
#include "fs/report.h"
#include "migration/report.h"
#include "precopy.h"

/* A FUSE server with one file. It has no caches to differ from another host's, but to the device it
 * is as a server somewhere else, and it counts what it is asked. */
#define FILE_NODE  2
#define CONTENT	   (1 << 16)
#define FOR_EVER   100000
#define STATFS_LEN 80 /* struct fuse_statfs_out */

static struct {
	int fd;
	pthread_t thread;
	_Atomic unsigned fsyncs, writes, getattrs;
	_Atomic int sync_error;
	_Atomic bool no_statfs;
	_Atomic uint64_t size;
	char content[CONTENT];
} server;
static struct share from, to;

static void fill_attr(struct fuse_attr *attr, uint64_t node)
{
	*attr = (struct fuse_attr){.ino = node, .nlink = 1, .mode = S_IFREG | 0644};
	if (node == FUSE_ROOT_ID)
		attr->mode = S_IFDIR | 0755;
	else
		attr->size = server.size;
}

static size_t answer_lookup(const char *name, struct fuse_entry_out *out)
{
	if (strcmp(name, "f"))
		return 0;
	*out = (struct fuse_entry_out){
		.nodeid = FILE_NODE, .entry_valid = FOR_EVER, .attr_valid = FOR_EVER};
	fill_attr(&out->attr, FILE_NODE);
	return sizeof(*out);
}

static size_t answer_write(const struct fuse_write_in *in, struct fuse_write_out *out)
{
	server.writes++;
	memcpy(server.content + in->offset, in + 1, in->size);
	if (in->offset + in->size > server.size)
		server.size = in->offset + in->size;
	*out = (struct fuse_write_out){.size = in->size};
	return sizeof(*out);
}

/* The bytes of the answer; *@error is sent if there are none. */
static size_t answer(const struct fuse_in_header *in, const void *arg, void *out, int *error)
{
	*error = 0;
	switch (in->opcode) {
	case FUSE_INIT:
		*(struct fuse_init_out *)out =
			(struct fuse_init_out){.major = 7,
					       .minor = 31,
					       .flags = FUSE_WRITEBACK_CACHE | FUSE_BIG_WRITES,
					       .max_write = CONTENT};
		return sizeof(struct fuse_init_out);
	case FUSE_LOOKUP:
		*error = -ENOENT;
		return answer_lookup(arg, out);
	case FUSE_GETATTR:
		server.getattrs += in->nodeid == FILE_NODE;
		*(struct fuse_attr_out *)out = (struct fuse_attr_out){.attr_valid = FOR_EVER};
		fill_attr(&((struct fuse_attr_out *)out)->attr, in->nodeid);
		return sizeof(struct fuse_attr_out);
	case FUSE_SETATTR:
		*(struct fuse_attr_out *)out = (struct fuse_attr_out){.attr_valid = FOR_EVER};
		fill_attr(&((struct fuse_attr_out *)out)->attr, in->nodeid);
		return sizeof(struct fuse_attr_out);
	case FUSE_OPEN:
		*(struct fuse_open_out *)out = (struct fuse_open_out){.fh = 1};
		return sizeof(struct fuse_open_out);
	case FUSE_WRITE:
		return answer_write(arg, out);
	case FUSE_READ: /* one page, of which something is written */
		memcpy(out, server.content, server.size);
		return server.size;
	case FUSE_FSYNC:
		server.fsyncs++;
		*error = -server.sync_error;
		return 0;
	case FUSE_STATFS:
		if (server.no_statfs) {
			*error = -ENOSYS;
			return 0;
		}
		memset(out, 0, STATFS_LEN);
		return STATFS_LEN;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		return 0;
	default:
		*error = -ENOSYS;
		return 0;
	}
}

static void *serve(void *opaque)
{
	static _Alignas(8) char request[CONTENT + 8192];
	_Alignas(8) char reply[1024];
	ssize_t len;

	(void)opaque;
	while ((len = read(server.fd, request, sizeof(request))) > 0 || errno == EINTR) {
		const struct fuse_in_header *in = (const void *)request;
		struct fuse_out_header *out = (void *)reply;
		int error = 0;

		if (len < 0 || in->opcode == FUSE_FORGET || in->opcode == FUSE_BATCH_FORGET)
			continue;
		*out = (struct fuse_out_header){.unique = in->unique};
		out->len = (uint32_t)(sizeof(*out) + answer(in, in + 1, out + 1, &error));
		if (out->len == sizeof(*out))
			out->error = error;
		if (write(server.fd, reply, out->len) < 0 && errno != ENOENT)
			break;
	}
	return NULL;
}

static int set_up(void **state)
{
	char options[128];

	(void)state;
	share_open(&from, 0);
	share_close_tables(&from);
	server.sync_error = 0;
	server.no_statfs = false;
	server.size = 0;
	server.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", server.fd);
	if (server.fd < 0 ||
	    mount("server", from.path, "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
		printf("SKIP: FUSE file systems cannot be mounted here: %s\n", strerror(errno));
		rmdir(from.path);
		exit(77);
	}
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
	share_reopen(&from);
	from.fs.session = (struct fs_session){.initialised = true, .minor = 39};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	share_close_tables(&from);
	umount2(from.path, MNT_FORCE); /* whatever a test that failed still holds */
	umount2(from.path, MNT_DETACH);
	pthread_cancel(server.thread);
	pthread_join(server.thread, NULL);
	close(server.fd);
	rmdir(from.path);
	return 0;
}

static uint64_t write_something(void)
{
	uint64_t id = share_lookup(&from, FS_ROOT_ID, "f");
	uint64_t handle = guest_open(&from, id, O_RDWR);
	FS_AUTO_HANDLE struct fs_handle *open = fs_handle_get(from.fs.handles, handle);

	assert_int_equal(pwrite(open->fd, "written", 7, 0), 7);
	open->dirty = true; /* as WRITE does */
	return id;
}

static void test_synced_before_the_save_is_good(void **state)
{
	unsigned before = server.fsyncs;

	(void)state;
	guest_open(&from, share_lookup(&from, FS_ROOT_ID, "f"), O_RDONLY);
	write_something();
	close(move_save(&from));
	assert_int_equal(server.fsyncs, before + 1);
	assert_memory_equal(server.content, "written", 7);
	/* A server that does not say what it is gets no less. */
	server.no_statfs = true;
	write_something();
	close(move_save(&from));
	server.no_statfs = false;
	assert_int_equal(server.fsyncs, ++before + 1);
	/* Nothing more was written. */
	close(move_save(&from));
	assert_int_equal(server.fsyncs, before + 1);
}

static json_int_t unsynced(void)
{
	struct gw_report *report = gw_report_new();
	json_t *json;
	json_int_t count;

	assert_int_equal(fs_report(&from.fs, GW_REPORT_PREFLIGHT, report), 0);
	json = gw_report_json(report);
	count = json_integer_value(json_object_get(json, "unsynced_files"));
	json_decref(json);
	gw_report_free(report);
	return count;
}

/* Before a migration the operator can ask for it. */
static void test_preflight_tells(void **state)
{
	(void)state;
	assert_int_equal(unsynced(), 0);
	write_something();
	assert_int_equal(unsynced(), 1);
	close(move_save(&from));
	assert_int_equal(unsynced(), 0);
}

static void test_an_error_fails_the_save(void **state)
{
	int stream;

	(void)state;
	write_something();
	server.sync_error = EIO;
	assert_int_equal(move_save_result(&from, &stream), -EIO);
	assert_non_null(strstr(gw_last_error(), "/f: what was written cannot be synced"));
	close(stream);
	/* It is not forgotten. */
	assert_int_equal(move_save_result(&from, &stream), -EIO);
	close(stream);
	server.sync_error = 0;
	close(move_save(&from));
}

static void test_writing_starts_beside_the_guest(void **state)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	unsigned before, fsyncs = server.fsyncs;

	(void)state;
	write_something();
	before = server.writes;
	assert_int_equal(fs_prepare(&from.fs, true), 0);
	for (unsigned ms = 0; ms < 5000 && server.writes == before; ms++)
		nanosleep(&pause, NULL);
	assert_true(server.writes > before);
	assert_int_equal(server.fsyncs, fsyncs);
}

/* The destination's host has looked at the file before, and believes what it knows for ever. */
static void test_the_first_look_is_at_the_server(void **state)
{
	unsigned before;
	struct stat st;

	(void)state;
	share_lookup(&from, FS_ROOT_ID, "f");
	guest_open(&from, share_lookup(&from, FS_ROOT_ID, "f"), O_RDONLY);
	assert_int_equal(stat(share_path(&from, "f"), &st), 0);
	before = server.getattrs;
	assert_int_equal(stat(share_path(&from, "f"), &st), 0);
	assert_int_equal(server.getattrs, before);
	move_over(&to, &from);
	assert_true(server.getattrs > before);
	move_twin_close(&to);
}

/* Also where most of the state came before the source synced: what is seen until then is old. */
static void test_nobody_looks_before_the_end(void **state)
{
	unsigned before;

	(void)state;
	guest_open(&from, share_lookup(&from, FS_ROOT_ID, "f"), O_RDONLY);
	precopy_begin(&from);
	precopy_end(&from);
	move_twin(&to, &from);
	before = server.getattrs;
	assert_int_equal(precopy_load(&to), 0);
	assert_int_equal(server.getattrs, before);
	assert_int_equal(move_load(&to, move_save(&from)), 0);
	assert_true(to.fs.loaded.same > 0);
	assert_true(server.getattrs > before);
	move_twin_close(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_synced_before_the_save_is_good, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_preflight_tells, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_error_fails_the_save, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_writing_starts_beside_the_guest, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_the_first_look_is_at_the_server, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_looks_before_the_end, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
