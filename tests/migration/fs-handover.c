/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-handover.c - what is open goes over as it is, or the normal way is gone. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/socket.h"
#include "base/thread.h"
#include "fs/handover.h"
#include "fs/locks.h"
#include "fs/records.h"
#include "fs/slots.h"
#include "move.h"
#include "state/stream.h"

#define FILES	  600 /* more than two batches */
#define TOO_LARGE (FS_ORPHAN_BYTES_MAX + (1 << 20))

static struct share from, to;
static struct gw_listener listener;
static char socket_path[80];

static int connected(void)
{
	int fd;

	assert_int_equal(gw_socket_connect(&fd, socket_path, 0), 0);
	return fd;
}

static void begin(void)
{
	share_open(&from, 0);
	snprintf(socket_path, sizeof(socket_path), "%s.handover", from.path);
	assert_int_equal(gw_listener_open(&listener, socket_path), 0);
	assert_int_equal(fs_handover_new(&from.fs.handover, &from.fs, listener.fd), 0);
	share_file(&from, "file", "content");
}

static void end(void)
{
	fs_handover_free(from.fs.handover);
	from.fs.handover = NULL;
	gw_listener_close(&listener);
	share_close(&from);
}

/* The old one has seen who connected when it offers something to him. */
static int connected_and_seen(void)
{
	int peer = connected();

	for (int i = 0; i < 1000; i++) {
		close(move_save(&from));
		if (fs_handover_is_offered(from.fs.handover))
			return peer;
		usleep(5000);
	}
	fail_msg("nobody is there");
	return -1;
}

static void fill(int fd)
{
	static char block[1 << 20] = {1};

	for (off_t at = 0; at < TOO_LARGE; at += sizeof(block))
		assert_int_equal(pwrite(fd, block, sizeof(block), at), sizeof(block));
}

static void twin(int peer)
{
	move_twin(&to, &from);
	to.fs.handover_peer = peer;
}

static bool is_same_description(int a, int b)
{
	int flags = fcntl(a, F_GETFL);
	bool same;

	fcntl(a, F_SETFL, flags ^ O_APPEND);
	same = (fcntl(b, F_GETFL) & O_APPEND) != (flags & O_APPEND);
	fcntl(a, F_SETFL, flags);
	return same;
}

static int lock(struct share *share, uint64_t node, uint64_t owner, short type)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, node);

	return fs_lock_set(&share->fs, inode, owner, 0, &(struct fs_range){0, 9, type});
}

static bool is_free(void)
{
	struct flock wanted = {.l_type = F_WRLCK, .l_len = 10};
	int fd = open(share_path(&from, "file"), O_RDWR | O_CLOEXEC);
	bool is = !fcntl(fd, F_OFD_SETLK, &wanted) && !flock(fd, LOCK_EX | LOCK_NB);

	close(fd);
	return is;
}

static int lock_whole(struct share *share, uint64_t handle)
{
	FS_AUTO_HANDLE struct fs_handle *found = fs_handle_get(share->fs.handles, handle);

	return fs_flock_set(found, F_WRLCK);
}

/* An unnamed file beyond any limit, one that nobody may open any more, locks, a dead directory. */
static void test_all_of_it(void **state)
{
	uint64_t file, huge, huge_node, dir, handles[FILES];
	int peer, stream, fd;
	struct stat st;

	(void)state;
	begin();
	peer = connected_and_seen();
	file = share_lookup(&from, FS_ROOT_ID, "file");
	for (int i = 0; i < FILES; i++)
		handles[i] = guest_open(&from, file, i % 2 ? O_RDWR : O_RDONLY);
	huge = guest_tmpfile(&from, "huge", &huge_node);
	fd = guest_fd(&from, huge);
	assert_int_equal(fallocate(fd, 0, 0, TOO_LARGE), 0);
	share_mkdir(&from, "dir");
	dir = guest_opendir(&from, share_lookup(&from, FS_ROOT_ID, "dir"));
	guest_unlink(&from, FS_ROOT_ID, "dir", share_path(&from, "dir"));
	assert_int_equal(chmod(share_path(&from, "file"), 0), 0);
	assert_int_equal(lock(&from, file, 1, F_WRLCK), 0);
	assert_int_equal(lock_whole(&from, handles[1]), 0);
	stream = move_save(&from);
	assert_false(is_free());
	assert_true(lseek(stream, 0, SEEK_END) < 1 << 20);
	lseek(stream, 0, SEEK_SET);
	twin(peer);
	if (move_load(&to, stream))
		fail_msg("%s", gw_last_error());
	assert_false(is_free());
	for (int i = 0; i < FILES; i++)
		assert_true(is_same_description(guest_fd(&from, handles[i]),
						guest_fd(&to, handles[i])));
	assert_int_equal(fstat(guest_fd(&to, huge), &st), 0);
	assert_int_equal(st.st_size, TOO_LARGE);
	assert_string_equal(guest_read(&to, huge), "huge");
	assert_int_equal(share_ino(&to, huge_node), st.st_ino);
	assert_int_equal(fstat(guest_fd(&to, dir), &st), 0);
	assert_int_equal(st.st_nlink, 0);
	/* The old one's end changes nothing. */
	end();
	snprintf(from.path, sizeof(from.path), "%s", to.path);
	assert_int_equal(lock(&to, file, 2, F_WRLCK), -EAGAIN);
	move_twin_close(&to);
}

/* Nobody is there: as ever. */
static void test_nobody(void **state)
{
	uint64_t file, huge;
	int stream;

	(void)state;
	begin();
	file = share_lookup(&from, FS_ROOT_ID, "file");
	assert_int_equal(lock(&from, file, 1, F_WRLCK), 0);
	stream = move_save(&from);
	assert_false(fs_handover_is_offered(from.fs.handover));
	assert_true(is_free());
	twin(-1);
	assert_int_equal(move_load(&to, stream), 0);
	assert_false(is_free());
	move_twin_close(&to);
	fs_handover_withdraw(from.fs.handover);
	fs_locks_retake(&from.fs);
	assert_false(is_free());
	huge = guest_tmpfile(&from, "huge", &(uint64_t){0});
	fill(guest_fd(&from, huge));
	assert_true(move_save_result(&from, &stream) < 0);
	close(stream);
	end();
}

/* Somebody is there when the state is written, and then not any more, or never comes: @way. */
static int known_stream;

static void falls_back(void (*way)(int peer), bool connects)
{
	uint64_t file, handle, gone;
	int stream, peer;

	begin();
	peer = connected_and_seen();
	file = share_lookup(&from, FS_ROOT_ID, "file");
	handle = guest_open(&from, file, O_RDWR);
	gone = guest_tmpfile(&from, "small", &(uint64_t){0});
	assert_int_equal(lock(&from, file, 1, F_WRLCK), 0);
	assert_int_equal(lock_whole(&from, handle), 0);
	stream = move_save(&from);
	assert_false(is_free());
	known_stream = stream;
	way(peer);
	lseek(stream, 0, SEEK_SET);
	twin(connects ? peer : -1);
	to.fs.handover_peer = connects ? peer : -1;
	if (!connects)
		close(peer);
	for (int i = 0; i < 400 && !connects && !is_free(); i++)
		usleep(5000);
	if (move_load(&to, stream))
		fail_msg("%s", gw_last_error());
	assert_false(is_free());
	assert_string_equal(guest_read(&to, gone), "small");
	assert_false(is_same_description(guest_fd(&from, handle), guest_fd(&to, handle)));
	assert_int_equal(lock(&to, file, 2, F_WRLCK), -EAGAIN);
	move_twin_close(&to);
	assert_true(is_free());
	end();
}

static void says_nothing(int peer)
{
	(void)peer;
}

static void says_garbage(int peer)
{
	struct gw_handover_hello garbage;

	memset(&garbage, 0x5a, sizeof(garbage));
	assert_int_equal(send(peer, &garbage, sizeof(garbage), 0), sizeof(garbage));
}

static void has_wrong_ticket(int peer)
{
	const struct gw_handover_hello hello = {.magic = FS_HANDED_MAGIC, .ticket = {1, 2, 3}};

	assert_int_equal(send(peer, &hello, sizeof(hello), 0), sizeof(hello));
}

static void is_cut(int peer)
{
	assert_int_equal(send(peer, "gw", 2, 0), 2);
	shutdown(peer, SHUT_WR);
}

static struct gw_handover_hello known_hello;

static int note(void *opaque, const void *object)
{
	(void)object;
	(void)opaque;
	return 0;
}

static int note_ticket(void *opaque, const void *object)
{
	const struct gw_fs_handover_v1 *record = object;

	(void)opaque;
	known_hello = (struct gw_handover_hello){.magic = FS_HANDED_MAGIC};
	memcpy(known_hello.ticket, record->ticket, sizeof(known_hello.ticket));
	return 0;
}

/* With the right ticket, which is in the state; gone with half of what it asked for. */
static void takes_half(int peer)
{
	const struct gw_state_channel channel = {.fd = known_stream, .cancel = -1};
	struct gw_state_handler handlers[64] = {{0}};
	static struct gw_handed_batch batch;
	struct gw_state_reader *reader;
	unsigned count = GW_HANDED_BATCH;
	int fds[GW_HANDED_BATCH];

	for (unsigned i = 0; fs_layouts[i]; i++)
		handlers[i] = (struct gw_state_handler){
			fs_layouts[i], fs_layouts[i] == &gw_fs_handover_v1 ? note_ticket : note,
			NULL};
	assert_int_equal(gw_state_reader_new(&reader, &channel), 0);
	assert_int_equal(gw_state_read(reader, handlers, NULL), 0);
	gw_state_reader_free(reader);
	assert_int_equal(send(peer, &known_hello, sizeof(known_hello), 0), sizeof(known_hello));
	assert_int_equal(gw_handover_recv(peer, &batch, sizeof(batch), fds, &count), 0);
	assert_int_equal(count, 4); /* the unnamed file, two open ones, an owner's */
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
	shutdown(peer, SHUT_RDWR);
}

static void test_falls_back(void **unused)
{
	(void)unused;
	falls_back(takes_half, false);
	falls_back(says_nothing, false);
	falls_back(says_garbage, false);
	falls_back(says_garbage, true);
	falls_back(has_wrong_ticket, false);
	falls_back(has_wrong_ticket, true);
	falls_back(is_cut, false);
	falls_back(is_cut, true);
}

/* The new one meets somebody strange, who answers its greeting like this. */
static int strange[2];
static int (*answer)(int socket);

static void *be_strange(void *opaque)
{
	struct gw_handover_hello hello;

	(void)opaque;
	if (recv(strange[1], &hello, sizeof(hello), MSG_WAITALL) == sizeof(hello))
		answer(strange[1]);
	close(strange[1]);
	return NULL;
}

static int answers_nothing(int socket)
{
	(void)socket;
	return 0;
}

static int answers_short(int socket)
{
	return (int)send(socket, "x", 1, MSG_NOSIGNAL);
}

static int send_items(int socket, uint64_t count, uint64_t kind, unsigned fds)
{
	static struct gw_handed_batch batch;
	int some[GW_HANDED_BATCH];

	batch.count = count;
	for (unsigned i = 0; i < GW_HANDED_BATCH; i++) {
		batch.items[i] = (struct gw_handed_item){.kind = kind, .id = 3};
		some[i] = STDERR_FILENO;
	}
	return gw_handover_send(socket, &batch, sizeof(batch), some, fds);
}

static int answers_more_than_it_gives(int socket)
{
	return send_items(socket, 2, FS_HANDED_HANDLE, 1);
}

static int answers_less_than_it_gives(int socket)
{
	return send_items(socket, 1, FS_HANDED_HANDLE, 200);
}

static int answers_too_many(int socket)
{
	return send_items(socket, UINT64_MAX, FS_HANDED_HANDLE, 1);
}

static int answers_strange_things(int socket)
{
	return send_items(socket, 1, 77, 1);
}

/* Other files than those that the state speaks of. */
static int answers_others(int socket)
{
	uint8_t ack;
	int err = send_items(socket, 200, FS_HANDED_HANDLE, 200);

	if (!err)
		err = gw_handover_recv(socket, &ack, 1, NULL, NULL);
	if (!err)
		err = send_items(socket, 0, 0, 0);
	return err ? err : gw_handover_recv(socket, &ack, 1, NULL, NULL);
}

/* Another file than the guest has open, under the right handle. */
static uint64_t asked_for;

static int answers_another_file(int socket)
{
	static struct gw_handed_batch batch;
	int fd = open(share_path(&from, "other"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	uint8_t ack;
	int err;

	assert_true(fd >= 0 && write(fd, "EVIL", 5) == 5);
	batch.count = 1;
	batch.items[0] = (struct gw_handed_item){.kind = FS_HANDED_HANDLE, .id = asked_for};
	err = gw_handover_send(socket, &batch, sizeof(batch), &fd, 1);
	close(fd);
	if (!err)
		err = gw_handover_recv(socket, &ack, 1, NULL, NULL);
	if (!err)
		err = send_items(socket, 0, 0, 0);
	return err ? err : gw_handover_recv(socket, &ack, 1, NULL, NULL);
}

static unsigned open_files(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_strangers(void **state)
{
	static int (*const answers[])(int) = {
		answers_nothing,
		answers_short,
		answers_more_than_it_gives,
		answers_less_than_it_gives,
		answers_too_many,
		answers_strange_things,
		answers_others,
		answers_another_file,
	};
	uint64_t handle;
	int peer, stream;

	(void)state;
	begin();
	peer = connected_and_seen();
	handle = guest_open(&from, share_lookup(&from, FS_ROOT_ID, "file"), O_RDWR);
	asked_for = handle;
	stream = move_save(&from);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		unsigned before = open_files();
		pthread_t thread;

		answer = answers[i];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, strange), 0);
		assert_int_equal(pthread_create(&thread, NULL, be_strange, NULL), 0);
		twin(strange[0]);
		lseek(stream, 0, SEEK_SET);
		if (move_load(&to, dup(stream)))
			fail_msg("number %zu: %s", i, gw_last_error());
		pthread_join(thread, NULL);
		assert_string_equal(guest_read(&to, handle), "content");
		move_twin_close(&to);
		assert_int_equal(open_files(), before);
	}
	close(stream);
	close(peer);
	end();
}

/* Content that is in no state cannot come another way. */
static void test_unsent(void **state)
{
	uint64_t huge;
	int peer, stream;

	(void)state;
	begin();
	peer = connected_and_seen();
	huge = guest_tmpfile(&from, "huge", &(uint64_t){0});
	fill(guest_fd(&from, huge));
	stream = move_save(&from);
	twin(-1);
	assert_int_equal(move_load(&to, stream), -ENODATA);
	move_twin_close(&to);
	close(peer);
	end();
}

/* Of another user: not even with the ticket. */
static void test_wrong_user(void **state)
{
	int status;
	pid_t child;

	(void)state;
	if (geteuid() != 0)
		skip();
	begin();
	assert_int_equal(chmod(socket_path, 0777), 0);
	child = fork();
	if (!child) {
		const struct timeval patience = {.tv_sec = 20};
		char byte;
		int fd;

		if (setuid(65534) || gw_socket_connect(&fd, socket_path, 0))
			_exit(1);
		/* Closed at once. */
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		_exit(read(fd, &byte, 1) == 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(move_save(&from));
	assert_false(fs_handover_is_offered(from.fs.handover));
	end();
}

/* The source goes on: what was offered is not any more. */
static void test_withdrawn(void **state)
{
	uint64_t file;
	int peer, stream;

	(void)state;
	begin();
	peer = connected_and_seen();
	file = share_lookup(&from, FS_ROOT_ID, "file");
	assert_int_equal(lock(&from, file, 1, F_WRLCK), 0);
	stream = move_save(&from);
	fs_handover_withdraw(from.fs.handover);
	twin(peer);
	assert_int_equal(move_load(&to, stream), -EAGAIN);
	assert_false(is_free());
	move_twin_close(&to);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_it),  cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_falls_back), cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_unsent),	   cmocka_unit_test(test_wrong_user),
		cmocka_unit_test(test_withdrawn),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
