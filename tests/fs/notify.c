/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fs/notify.c - the notification queue: what others change the guest is told to forget. */
#include "../common/fuse_client.h"
#include "../common/watched.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fs/notify.h"
#include "fs/watch.h"

#define BUFFERS	  32
#define WAIT_MS	  20000
#define NEW_NAME  "new"
#define PRIMER	  "primer"
#define PRIMER_MS 100

static struct fuse_client client;
static char share[] = "/tmp/gw-notify.XXXXXX";
static char *buffers[BUFFERS];
static uint64_t dir, file;

/* What came, as the guest reads it. */
struct notice {
	int32_t code;
	uint64_t node; /* inode, or parent */
	char name[FS_NAME_MAX + 1];
};

static void offer(struct fuse_client *to, char *buffer, size_t len)
{
	struct iovec in = {buffer, len};

	assert_int_equal(gw_driver_add(to->frontend, FS_NOTIFY_QUEUE, NULL, 0, &in, 1, buffer), 0);
	assert_int_equal(gw_driver_kick(to->frontend, FS_NOTIFY_QUEUE), 0);
}

static struct notice parse(const char *buffer, uint32_t used)
{
	struct fuse_out_header header;
	struct fuse_notify_inval_entry_out entry;
	struct fuse_notify_inval_inode_out inode;
	struct notice notice = {0};

	assert_true(used >= sizeof(header));
	memcpy(&header, buffer, sizeof(header));
	assert_int_equal(header.len, used);
	assert_int_equal(header.unique, 0);
	notice.code = header.error;
	if (header.error == FUSE_NOTIFY_INVAL_ENTRY) {
		memcpy(&entry, buffer + sizeof(header), sizeof(entry));
		assert_int_equal(used, sizeof(header) + sizeof(entry) + entry.namelen + 1);
		notice.node = entry.parent;
		memcpy(notice.name, buffer + sizeof(header) + sizeof(entry), entry.namelen + 1);
		assert_int_equal(strlen(notice.name), entry.namelen);
		return notice;
	}
	assert_int_equal(header.error, FUSE_NOTIFY_INVAL_INODE);
	assert_int_equal(used, sizeof(header) + sizeof(inode));
	memcpy(&inode, buffer + sizeof(header), sizeof(inode));
	assert_int_equal(inode.off, 0);
	assert_int_equal(inode.len, 0);
	notice.node = inode.ino;
	return notice;
}

/* The next one; its buffer goes back. */
static struct notice take(struct fuse_client *from)
{
	struct notice notice;
	uint32_t used;
	void *token;

	while (!gw_driver_get(from->frontend, FS_NOTIFY_QUEUE, &token, &used))
		assert_int_equal(gw_driver_wait(from->frontend, FS_NOTIFY_QUEUE, WAIT_MS), 0);
	notice = parse(token, used);
	offer(from, token, FS_NOTIFY_BUF_SIZE);
	return notice;
}

/* Of those that come, the one that is waited for. */
static void await(struct fuse_client *from, int32_t code, uint64_t node, const char *name)
{
	struct notice notice;

	do
		notice = take(from);
	while (notice.code != code || notice.node != node || strcmp(notice.name, name) != 0);
}

static bool any_came(void)
{
	uint32_t used;
	void *token;

	return gw_driver_get(client.frontend, FS_NOTIFY_QUEUE, &token, &used);
}

static int set_up(void **state)
{
	(void)state;
	watched_others("mkdir $GW_SHARE/dir; echo >$GW_SHARE/dir/file");
	fuse_start(&client, &(struct fuse_options){
				    .policy = {.cache = FS_CACHE_ALWAYS, .notification = true},
				    .watch = true,
				    .share = share});
	dir = fuse_node(&client, 1, "dir");
	file = fuse_node(&client, dir, "file");
	for (unsigned i = 0; i < BUFFERS; i++) {
		buffers[i] = gw_frontend_alloc(client.frontend, FS_NOTIFY_BUF_SIZE);
		assert_non_null(buffers[i]);
	}
	return 0;
}

/*
 * The queue's thread takes the buffers when it comes round, and what there is to tell before that
 * is lost: something else comes and goes until a notice of it comes (what changes about a file
 * that the guest does not know it is not told), and all notices of that are taken.
 */
static void offer_all(void)
{
	unsigned tries = WAIT_MS / PRIMER_MS;

	for (unsigned i = 0; i < BUFFERS; i++)
		offer(&client, buffers[i], FS_NOTIFY_BUF_SIZE);
	do {
		assert_true(tries--);
		watched_others("cd $GW_SHARE/dir; echo >" PRIMER "; rm " PRIMER);
	} while (gw_driver_wait(client.frontend, FS_NOTIFY_QUEUE, PRIMER_MS) != 0);
	do {
		uint32_t used;
		void *token;

		while (gw_driver_get(client.frontend, FS_NOTIFY_QUEUE, &token, &used))
			offer(&client, token, FS_NOTIFY_BUF_SIZE);
	} while (!gw_driver_wait(client.frontend, FS_NOTIFY_QUEUE, PRIMER_MS));
}

static int tear_down(void **state)
{
	(void)state;
	fuse_stop(&client);
	watched_others("rm -rf $GW_SHARE/*");
	return 0;
}

static void test_offered(void **state)
{
	uint32_t size;

	(void)state;
	assert_true(gw_frontend_features(client.frontend) & FS_F_NOTIFICATION);
	assert_int_equal(gw_frontend_max_queues(client.frontend), 1 + 1 + 1);
	assert_int_equal(gw_frontend_get_config(client.frontend, 40, &size, sizeof(size)), 0);
	assert_int_equal(size, FS_NOTIFY_BUF_SIZE);
}

static void test_names(void **state)
{
	(void)state;
	offer_all();
	watched_others("echo >$GW_SHARE/dir/" NEW_NAME);
	await(&client, FUSE_NOTIFY_INVAL_ENTRY, dir, NEW_NAME);
	await(&client, FUSE_NOTIFY_INVAL_INODE, dir, "");
	watched_others("mv $GW_SHARE/dir/" NEW_NAME " $GW_SHARE/dir/other");
	await(&client, FUSE_NOTIFY_INVAL_ENTRY, dir, NEW_NAME);
	watched_others("rm $GW_SHARE/dir/other");
	await(&client, FUSE_NOTIFY_INVAL_ENTRY, dir, "other");
	/* In the root, too. */
	watched_others("mkdir $GW_SHARE/sub");
	await(&client, FUSE_NOTIFY_INVAL_ENTRY, 1, "sub");
}

static void test_content(void **state)
{
	(void)state;
	offer_all();
	watched_others("echo more >>$GW_SHARE/dir/file");
	await(&client, FUSE_NOTIFY_INVAL_INODE, file, "");
	watched_others("chmod 700 $GW_SHARE/dir");
	await(&client, FUSE_NOTIFY_INVAL_INODE, dir, "");
}

/* Nobody is told of what it did itself, or of what it does not know. */
static void test_not_told(void **state)
{
	(void)state;
	watched_others("mkdir $GW_SHARE/dir/unknown");
	offer_all();
	poll(NULL, 0, 200);
	while (any_came())
		;
	assert_true(fuse_mkdir(&client, dir, "own", 0755, NULL) > 0);
	watched_others("echo >$GW_SHARE/dir/unknown/file");
	poll(NULL, 0, 500);
	assert_false(any_came());
}

/* Without buffers notices are lost and nothing else; with one that is too small it comes back
 * empty. */
static void test_no_room(void **state)
{
	unsigned tries = WAIT_MS / PRIMER_MS;
	uint32_t used;
	void *token;

	(void)state;
	watched_others("echo >$GW_SHARE/dir/lost");
	poll(NULL, 0, 300);
	offer(&client, buffers[0], sizeof(struct fuse_out_header));
	/* What there is to tell before the queue's thread has it is lost, too. */
	do {
		assert_true(tries--);
		watched_others("echo >$GW_SHARE/dir/small; rm $GW_SHARE/dir/small");
	} while (gw_driver_wait(client.frontend, FS_NOTIFY_QUEUE, PRIMER_MS) != 0);
	assert_true(gw_driver_get(client.frontend, FS_NOTIFY_QUEUE, &token, &used));
	assert_int_equal(used, 0);
	assert_ptr_equal(token, buffers[0]);
	poll(NULL, 0, 300);
	offer_all();
	watched_others("echo >$GW_SHARE/dir/" NEW_NAME);
	await(&client, FUSE_NOTIFY_INVAL_ENTRY, dir, NEW_NAME);
}

/* The buffers that wait keep no queue from stopping, and move with the guest. */
static void test_moves(void **state)
{
	struct fs_host host = client.host;
	struct fuse_client to;
	int fd = memfd_create("state", MFD_CLOEXEC);

	(void)state;
	/* Each watches for itself. */
	host.watch_fd = fs_watch_open(share, true);
	assert_true(host.watch_fd >= 0);
	offer_all();
	fuse_save(&client, fd);
	assert_int_equal(fuse_load(&to, &client, NULL, &host, fd), 0);
	close(fd);
	assert_int_equal(fuse_node(&to, 1, "dir"), dir);
	watched_others("echo >$GW_SHARE/dir/" NEW_NAME);
	await(&to, FUSE_NOTIFY_INVAL_ENTRY, dir, NEW_NAME);
	fuse_stop(&to);
	close(host.watch_fd);
}

static void test_resumed(void **state)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	(void)state;
	offer_all();
	fuse_save(&client, fd);
	close(fd);
	fuse_resume(&client);
	watched_others("echo >$GW_SHARE/dir/" NEW_NAME);
	await(&client, FUSE_NOTIFY_INVAL_ENTRY, dir, NEW_NAME);
}

/* A guest that does not want it has its requests on queue 1, as ever. */
static void test_not_wanted(void **state)
{
	(void)state;
	fuse_stop(&client);
	fuse_start(&client, &(struct fuse_options){.watch = true, .share = share});
	assert_false(gw_frontend_features(client.frontend) & FS_F_NOTIFICATION);
	assert_true(fuse_node(&client, 1, "dir"));
	watched_others("echo >$GW_SHARE/dir/" NEW_NAME);
	poll(NULL, 0, 100);
	assert_true(fuse_node(&client, 1, "dir"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_offered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_content, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_resumed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_wanted, set_up, tear_down),
	};
	int failed = watched_make(share, true);

	if (failed)
		return failed;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	watched_remove(share);
	return failed;
}
