/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/damaged.c - real states with a bit flipped, a piece cut off, or bytes too many:
 * refused, every one; the destination goes on living, and the source goes on serving. */
#include "../common/fuse_client.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

/*
 * damaged GODWIT-FS [TRIALS [SEED]]. One destination is asked again and again, over the protocol;
 * the source saves anew every ROUND trials, and half of the trials are signed. The seed is printed,
 * and makes the same damage again (to states that differ in their ids and times).
 */
#define ROUND  100u
#define FILES  40u
#define TRIALS 1000u
#define APPEND 64u

static const char *program;
static unsigned trials = TRIALS;
static uint64_t seed, dice;
static struct fuse_client from, to;
static uint64_t nodes[FILES], open_file, unnamed, directory;
static pid_t destination;
static char beside[128], socket_path[160], key_path[160];

static uint64_t next_random(void)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return dice;
}

static void make_key(void)
{
	int fd;

	snprintf(beside, sizeof(beside), "/tmp/gw-damaged.XXXXXX");
	assert_non_null(mkdtemp(beside));
	snprintf(socket_path, sizeof(socket_path), "%s/socket", beside);
	snprintf(key_path, sizeof(key_path), "%s/key", beside);
	fd = open(key_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "a key of exactly thirty-two byte", 32), 32);
	close(fd);
}

static void start_source(const char *key_option)
{
	char command[1024];

	snprintf(command, sizeof(command), "%s --sandbox=none %s", program, key_option);
	setenv(FUSE_PROGRAM, command, 1);
	fuse_start(&from, &(struct fuse_options){.policy.xattr = true});
}

/* It stays when a front-end leaves. */
static void start_destination(const char *key_option)
{
	destination = fork();
	assert_true(destination >= 0);
	if (!destination) {
		int quiet = open("/dev/null", O_WRONLY);

		dup2(quiet, STDERR_FILENO);
		execl(program, program, "--sandbox=none", "--reconnect", "--xattr", "--socket-path",
		      socket_path, "--shared-dir", from.share, *key_option ? key_option : NULL,
		      NULL);
		_exit(127);
	}
}

static void end_destination(void)
{
	int status;

	kill(destination, SIGTERM);
	assert_int_equal(waitpid(destination, &status, 0), destination);
	assert_true(WIFEXITED(status) || WTERMSIG(status) == SIGTERM);
}

/* Of each kind that a state tells of. */
static void cache_things(void)
{
	struct fuse_created created;
	struct fuse_entry_out entry;
	char name[64], list[512];
	struct fuse_read_in in = {.size = sizeof(list)};
	struct fuse_call call = {.opcode = FUSE_READDIR,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .answer = list,
				 .room = sizeof(list)};

	assert_true(fuse_mkdir(&from, 0, "dir", 0755, &entry) > 0);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "dir/\xff\xfe-%u", i);
		share_file(&from, name, name);
		nodes[i] = fuse_node(&from, entry.nodeid, name + strlen("dir/"));
	}
	assert_true(fuse_opendir(&from, entry.nodeid, &directory) >= 0);
	in.fh = directory;
	call.nodeid = entry.nodeid;
	assert_true(fuse_call(&from, &call) > 0);
	assert_true(fuse_create(&from, 0, "open", O_RDWR, 0644, &created) > 0);
	open_file = created.open.fh;
	assert_int_equal(fuse_write(&from, open_file, 0, "open", 4, 0), 4);
	assert_true(fuse_create(&from, 0, "gone", O_RDWR, 0644, &created) > 0);
	unnamed = created.open.fh;
	assert_int_equal(fuse_write(&from, unnamed, 0, "gone", 4, 0), 4);
	assert_int_equal(fuse_name(&from, FUSE_UNLINK, 0, "gone"), 0);
}

static void check_served(struct fuse_client *client)
{
	struct fuse_attr attr;
	char data[8];

	assert_int_equal(fuse_read(client, open_file, 0, data, sizeof(data)), 4);
	assert_memory_equal(data, "open", 4);
	assert_int_equal(fuse_read(client, unnamed, 0, data, sizeof(data)), 4);
	assert_memory_equal(data, "gone", 4);
	for (unsigned i = 0; i < FILES; i += 7)
		assert_true(fuse_getattr(client, nodes[i], &attr) > 0);
}

static int load(const uint8_t *bytes, size_t len)
{
	struct gw_frontend_config config = {
		.size = sizeof(config), .socket_path = socket_path, .fd = -1, .queues = 2};
	struct gw_frontend *frontend;
	int err, fd = memfd_create("damaged", MFD_CLOEXEC);

	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	if (gw_frontend_new(&frontend, &config))
		fail_msg("seed %" PRIu64 ": the destination is gone: %s", seed, gw_last_error());
	err = gw_frontend_load(frontend, fd);
	gw_frontend_free(frontend);
	close(fd);
	return err;
}

struct damage {
	const char *how;
	size_t where;
	uint8_t bit, appended[APPEND];
};

/* @bytes has room for what is appended. Returns the length that it has then. */
static size_t do_damage(uint8_t *bytes, size_t len, struct damage *damage)
{
	switch (next_random() % 4) {
	default:
		*damage = (struct damage){
			"flipped", next_random() % len, (uint8_t)(1 << next_random() % 8), {0}};
		bytes[damage->where] ^= damage->bit;
		return len;
	case 1:
		*damage = (struct damage){.how = "cut", .where = next_random() % len};
		return damage->where;
	case 2:
		*damage = (struct damage){.how = "appended", .where = 1 + next_random() % APPEND};
		for (size_t i = 0; i < damage->where; i++)
			bytes[len + i] = (uint8_t)(next_random() >> 32);
		return len + damage->where;
	}
}

static uint8_t *read_all(int fd, size_t *len)
{
	uint8_t *bytes;

	*len = (size_t)lseek(fd, 0, SEEK_END);
	bytes = malloc(*len + APPEND);
	assert_non_null(bytes);
	assert_int_equal(pread(fd, bytes, *len, 0), (ssize_t)*len);
	return bytes;
}

static void try_round(unsigned count)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	size_t len;
	uint8_t *bytes, *damaged;

	fuse_save(&from, fd);
	bytes = read_all(fd, &len);
	damaged = malloc(len + APPEND);
	for (unsigned i = 0; i < count; i++) {
		struct damage damage;
		size_t left;

		memcpy(damaged, bytes, len);
		left = do_damage(damaged, len, &damage);
		if (!load(damaged, left))
			fail_msg("seed %" PRIu64 ": loaded with %s at %zu of %zu (bit %u)", seed,
				 damage.how, damage.where, len, damage.bit);
	}
	fuse_resume(&from);
	check_served(&from);
	free(damaged);
	free(bytes);
	close(fd);
}

/* After all that, the state as it was is loaded by the same process, and the guest goes on. */
static void move_at_last(void)
{
	struct fs_host host = from.host;
	int fd = memfd_create("state", MFD_CLOEXEC);

	fuse_save(&from, fd);
	assert_int_equal(fuse_load(&to, &from, socket_path, &host, fd), 0);
	check_served(&to);
	close(fd);
	gw_frontend_free(to.frontend);
}

static void try_all(bool is_signed)
{
	char key_option[sizeof(key_path) + 16] = "";

	gw_log_set_level(GW_LOG_ERROR);
	dice = seed;
	make_key();
	if (is_signed)
		snprintf(key_option, sizeof(key_option), "--state-key=%s", key_path);
	start_source(key_option);
	cache_things();
	start_destination(key_option);
	for (unsigned done = 0; done < trials / 2; done += ROUND)
		try_round(trials / 2 - done < ROUND ? trials / 2 - done : ROUND);
	move_at_last();
	end_destination();
	fuse_stop(&from);
	unlink(key_path);
	unlink(socket_path);
	rmdir(beside);
}

static void test_unsigned(void **state)
{
	(void)state;
	try_all(false);
}

static void test_signed(void **state)
{
	(void)state;
	try_all(true);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unsigned),
		cmocka_unit_test(test_signed),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	if (argc > 2)
		trials = (unsigned)atoi(argv[2]);
	seed = argc > 3 ? strtoull(argv[3], NULL, 10)
			: (uint64_t)time(NULL) << 20 | (uint64_t)getpid();
	print_message("%u trials, seed %" PRIu64 "\n", trials, seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
