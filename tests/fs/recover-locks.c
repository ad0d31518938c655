/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/recover-locks.c - locks that the guest has on the host outlive the process that took them: at
 * no moment can somebody else have them, and what it gave up is free. */
#include "../common/fuse_client.h"
#include "../common/killer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>

#define SECTORS	    16 /* of 10 bytes, each locked or not */
#define OWNERS	    3
#define INTERVAL_MS 60

static const char *program;
static unsigned rounds = 20, random_state;
static struct fuse_client guest, moved;
static struct fuse_client *at; /* where the guest is */
static struct killer killer;
static char share[40];
static struct {
	uint64_t node, fh, other_fh;
} file;

static unsigned any(unsigned below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

static int set_up(void **state)
{
	static char shared[64];
	const char *argv[] = {program,	 shared,	"--posix-lock",
			      "--flock", "--lock-wait", "--log-level=error",
			      NULL};
	struct fuse_open_out open;

	(void)state;
	strcpy(share, "/tmp/gw-lock-share.XXXXXX");
	assert_non_null(mkdtemp(share));
	snprintf(shared, sizeof(shared), "--shared-dir=%s", share);
	killer_start(&killer, argv);
	at = &guest;
	fuse_start(&guest, &(struct fuse_options){.share = share, .socket = killer.socket});
	share_file(&guest, "file", "content");
	file.node = fuse_node(&guest, 1, "file");
	assert_true(fuse_open(&guest, file.node, O_RDWR, &open) > 0);
	file.fh = open.fh;
	assert_true(fuse_open(&guest, file.node, O_RDWR, &open) > 0);
	file.other_fh = open.fh;
	return 0;
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	fuse_stop(&guest);
	killer_join(&killer);
	snprintf(command, sizeof(command), "rm -rf %s", share);
	return WEXITSTATUS(system(command));
}

/* -- the guest, and the host ---------------------------------------------------------------- */

static int ask(uint32_t opcode, uint64_t fh, uint64_t owner, uint32_t type, uint64_t start,
	       uint64_t end, uint32_t flags)
{
	const struct fuse_lk_in in = {.fh = fh,
				      .owner = owner,
				      .lk = {.start = start, .end = end, .type = type},
				      .lk_flags = flags};

	return fuse_call(at,
			 &(struct fuse_call){.opcode = opcode, .arg = &in, .arg_len = sizeof(in)});
}

static int set(uint64_t owner, uint32_t type, unsigned first, unsigned last)
{
	return ask(FUSE_SETLK, file.fh, owner, type, first * 10, last * 10 + 9, 0);
}

static int set_flock(uint64_t fh, uint32_t type)
{
	return ask(FUSE_SETLK, fh, 1, type, 0, INT64_MAX, FUSE_LK_FLOCK);
}

/* What somebody on the host could have of that sector: to write, to read, or not at all. */
static int free_for(unsigned sector)
{
	static const int types[] = {F_WRLCK, F_RDLCK};
	int fd = open(share_path(&guest, "file"), O_RDWR), found = F_UNLCK;

	for (unsigned i = 0; i < 2 && found == F_UNLCK; i++) {
		struct flock probe = {
			.l_type = (short)types[i], .l_start = sector * 10, .l_len = 10};

		assert_int_equal(fcntl(fd, F_OFD_GETLK, &probe), 0);
		if (probe.l_type == F_UNLCK)
			found = types[i];
	}
	close(fd);
	return found;
}

static bool flock_is_free(int operation)
{
	int fd = open(share_path(&guest, "file"), O_RDWR);
	bool is = flock(fd, operation | LOCK_NB) == 0;

	close(fd);
	return is;
}

/* -- one lock ------------------------------------------------------------------------------- */

/* Looks while nobody lives, too: the process is killed, and the next one may not be there yet. */
static void test_held_all_the_time(void **state)
{
	(void)state;
	assert_int_equal(set(1, F_WRLCK, 0, 0), 0);
	assert_int_equal(set(2, F_RDLCK, 1, 1), 0);
	assert_int_equal(set_flock(file.other_fh, F_RDLCK), 0);
	for (unsigned i = 0; i < 3; i++) {
		killer_kill(&killer);
		assert_int_equal(free_for(0), F_UNLCK);
		assert_int_equal(free_for(1), F_RDLCK);
		assert_int_equal(free_for(2), F_WRLCK);
		assert_false(flock_is_free(LOCK_EX));
		assert_true(flock_is_free(LOCK_SH));
		/* And it is the guest's: one owner's and not another's. */
		assert_int_equal(set(2, F_WRLCK, 0, 0), -EAGAIN);
		assert_int_equal(set(1, F_WRLCK, 0, 0), 0);
		assert_int_equal(set_flock(file.fh, F_WRLCK), -EAGAIN);
		assert_int_equal(free_for(0), F_UNLCK);
		assert_int_equal(free_for(1), F_RDLCK);
	}
	assert_int_equal(set(1, F_UNLCK, 0, 0), 0);
	assert_int_equal(free_for(0), F_WRLCK);
	killer_kill(&killer);
	assert_int_equal(free_for(0), F_WRLCK);
	assert_int_equal(set_flock(file.other_fh, F_UNLCK), 0);
	assert_true(flock_is_free(LOCK_EX));
	assert_int_equal(fuse_release(&guest, FUSE_RELEASE, file.other_fh), 0);
	/* Its last close takes an owner's locks along, whoever keeps a copy. */
	killer_kill(&killer);
	assert_int_equal(free_for(1), F_RDLCK);
	assert_int_equal(fuse_release(&guest, FUSE_RELEASE, file.fh), 0);
	assert_int_equal(free_for(1), F_WRLCK);
}

/* A file that has lost its name meanwhile, and a guest that ends with locks. */
static void test_to_the_end(void **state)
{
	int fd = open(share_path(&guest, "file"), O_RDWR);

	(void)state;
	assert_int_equal(set(1, F_WRLCK, 0, SECTORS), 0);
	assert_int_equal(set_flock(file.fh, F_WRLCK), 0);
	assert_int_equal(fuse_name(&guest, FUSE_UNLINK, 0, "file"), 0);
	killer_kill(&killer);
	assert_int_equal(set(2, F_RDLCK, 3, 3), -EAGAIN);
	assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), -1);
	/* DESTROY: the guest unmounts. */
	assert_int_equal(fuse_call(&guest, &(struct fuse_call){.opcode = FUSE_DESTROY}), 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK}), 0);
	close(fd);
}

/* A guest that comes from another process brings locks along: they are kept from then on. */
static void test_that_came(void **state)
{
	char shared[64];
	const char *argv[] = {program, shared, "--posix-lock", "--flock", "--log-level=error",
			      NULL};
	int stream = memfd_create("stream", MFD_CLOEXEC);
	struct killer other;

	(void)state;
	snprintf(shared, sizeof(shared), "--shared-dir=%s", share);
	assert_int_equal(set(1, F_WRLCK, 0, 0), 0);
	assert_int_equal(set_flock(file.fh, F_WRLCK), 0);
	killer_start(&other, argv);
	fuse_save(&guest, stream);
	assert_int_equal(fuse_load(&moved, &guest, other.socket, &guest.host, stream), 0);
	at = &moved;
	for (unsigned i = 0; i < 2; i++) {
		killer_kill(&other);
		assert_int_equal(free_for(0), F_UNLCK);
		assert_false(flock_is_free(LOCK_SH));
		assert_int_equal(set(2, F_RDLCK, 0, 1), -EAGAIN);
	}
	assert_int_equal(set(1, F_UNLCK, 0, 0), 0);
	assert_int_equal(set_flock(file.fh, F_UNLCK), 0);
	assert_int_equal(free_for(0), F_WRLCK);
	assert_true(flock_is_free(LOCK_EX));
	fuse_stop(&moved);
	killer_join(&other);
}

/* Who waits for a lock when the process dies waits on, and gets it. */
static void *ask_and_wait(void *opaque)
{
	_Atomic int *said = opaque;
	const struct fuse_lk_in in = {
		.fh = file.fh, .owner = 2, .lk = {.start = 0, .end = 9, .type = F_WRLCK}};

	*said = fuse_call_on(
		&guest, 1,
		&(struct fuse_call){.opcode = FUSE_SETLKW, .arg = &in, .arg_len = sizeof(in)});
	return NULL;
}

static void test_waited_for(void **state)
{
	int fd = open(share_path(&guest, "file"), O_RDWR);
	struct flock mine = {.l_type = F_WRLCK, .l_len = 10};
	_Atomic int said = 1;
	pthread_t thread;

	(void)state;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &mine), 0);
	assert_int_equal(pthread_create(&thread, NULL, ask_and_wait, &said), 0);
	for (unsigned i = 0; i < 3; i++) {
		usleep(20000);
		killer_kill(&killer);
	}
	assert_int_equal(said, 1);
	close(fd);
	pthread_join(thread, NULL);
	assert_int_equal(said, 0);
	assert_int_equal(free_for(0), F_UNLCK);
	killer_kill(&killer);
	assert_int_equal(free_for(0), F_UNLCK);
}

/* -- many, by a model ----------------------------------------------------------------------- */

static int model[OWNERS][SECTORS];

static bool may(unsigned owner, int type, unsigned first, unsigned last)
{
	for (unsigned other = 0; other < OWNERS; other++)
		for (unsigned i = first; other != owner && i <= last; i++)
			if (model[other][i] == F_WRLCK ||
			    (model[other][i] == F_RDLCK && type == F_WRLCK))
				return false;
	return true;
}

static void step(void)
{
	static const int types[] = {F_RDLCK, F_WRLCK, F_UNLCK, F_UNLCK};
	unsigned owner = any(OWNERS), first = any(SECTORS), last = first + any(SECTORS - first);
	int type = types[any(4)];
	int expected = type == F_UNLCK || may(owner, type, first, last) ? 0 : -EAGAIN;
	int said = set(owner + 1, (uint32_t)type, first, last);

	if (said != expected)
		fail_msg("%u kills: owner %u, type %d, %u to %u: %d, expected %d", killer.done,
			 owner, type, first, last, said, expected);
	for (unsigned i = first; !said && i <= last; i++)
		model[owner][i] = type;
}

static void check(void)
{
	for (unsigned i = 0; i < SECTORS; i++) {
		int expected = F_WRLCK;

		for (unsigned owner = 0; owner < OWNERS; owner++) {
			if (model[owner][i] == F_WRLCK)
				expected = F_UNLCK;
			else if (model[owner][i] == F_RDLCK && expected == F_WRLCK)
				expected = F_RDLCK;
		}
		assert_int_equal(free_for(i), expected);
	}
}

static void test_by_the_model(void **state)
{
	unsigned steps = 0;

	(void)state;
	for (unsigned owner = 0; owner < OWNERS; owner++)
		for (unsigned i = 0; i < SECTORS; i++)
			model[owner][i] = F_UNLCK;
	killer_begin(&killer, rounds, INTERVAL_MS);
	for (; killer.done < rounds; steps++) {
		step();
		if (steps % 16 == 0)
			check();
	}
	killer_end(&killer);
	check();
	print_message("%u kills, %u steps\n", killer.done, steps);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(held_all_the_time), TEST(to_the_end),   TEST(that_came),
		TEST(waited_for),	 TEST(by_the_model),
	};

	if (argc < 2)
		return 1;
	program = argv[1];
	if (argc > 2)
		rounds = (unsigned)atoi(argv[2]);
	random_state = argc > 3 ? (unsigned)atoi(argv[3]) : (unsigned)time(NULL);
	print_message("seed %u\n", random_state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
