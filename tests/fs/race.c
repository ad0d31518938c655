/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/race.c - four queues at the same names: looked up, forgotten, opened, removed, all at once. */
#include "../common/fuse_client.h"

#include <stdio.h>

#define QUEUES 4
#define ROUNDS 400
#define NAMES  3

static struct fuse_client client;

struct player {
	pthread_t thread;
	unsigned queue;
	unsigned errors;
};

static int call_name(unsigned queue, uint32_t opcode, const char *name, void *answer, size_t room,
		     const void *arg, size_t arg_len)
{
	return fuse_call_on(&client, queue,
			    &(struct fuse_call){.opcode = opcode,
						.name = name,
						.arg = arg,
						.arg_len = arg_len,
						.answer = answer,
						.room = room});
}

static void forget(unsigned queue, uint64_t nodeid)
{
	struct fuse_forget_in in = {.nlookup = 1};

	/* On the request queue: number 0 belongs to one thread here. */
	fuse_call_on(&client, queue,
		     &(struct fuse_call){.opcode = FUSE_FORGET,
					 .nodeid = nodeid,
					 .arg = &in,
					 .arg_len = sizeof(in)});
}

/* A node that this player holds a reference to must answer. */
static void use(struct player *player, uint64_t nodeid)
{
	struct fuse_getattr_in in = {0};
	struct fuse_attr_out out;
	int ret = fuse_call_on(&client, player->queue,
			       &(struct fuse_call){.opcode = FUSE_GETATTR,
						   .nodeid = nodeid,
						   .arg = &in,
						   .arg_len = sizeof(in),
						   .answer = &out,
						   .room = sizeof(out)});

	if (ret != sizeof(out))
		player->errors++;
}

static void make_and_write(struct player *player, const char *name)
{
	struct fuse_create_in in = {.flags = O_RDWR, .mode = S_IFREG | 0600};
	struct fuse_created created;

	if (call_name(player->queue, FUSE_CREATE, name, &created, sizeof(created), &in,
		      sizeof(in)) < 0)
		return;
	fuse_call_on(&client, player->queue,
		     &(struct fuse_call){.opcode = FUSE_RELEASE,
					 .arg = &(struct fuse_release_in){.fh = created.open.fh},
					 .arg_len = sizeof(struct fuse_release_in)});
	forget(player->queue, created.entry.nodeid);
}

static void *play(void *opaque)
{
	struct player *player = opaque;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct fuse_entry_out entry;
		char name[16];

		snprintf(name, sizeof(name), "n%u", (i + player->queue) % NAMES);
		switch ((i * 7 + player->queue) % 8) {
		case 0:
			call_name(player->queue, FUSE_UNLINK, name, NULL, 0, NULL, 0);
			break;
		case 1:
			make_and_write(player, name);
			break;
		default:
			if (call_name(player->queue, FUSE_LOOKUP, name, &entry, sizeof(entry), NULL,
				      0) < 0)
				break;
			use(player, entry.nodeid);
			forget(player->queue, entry.nodeid);
		}
	}
	return NULL;
}

static void test_all_at_once(void **state)
{
	struct player players[QUEUES];
	struct fuse_attr attr;

	(void)state;
	gw_log_set_level(GW_LOG_ERROR);
	fuse_start(&client, &(struct fuse_options){.queues = QUEUES});
	for (unsigned i = 0; i < QUEUES; i++) {
		players[i] = (struct player){.queue = i + 1};
		assert_int_equal(pthread_create(&players[i].thread, NULL, play, &players[i]), 0);
	}
	for (unsigned i = 0; i < QUEUES; i++) {
		pthread_join(players[i].thread, NULL);
		assert_int_equal(players[i].errors, 0);
	}
	assert_true(fuse_getattr(&client, 1, &attr) > 0);
	fuse_stop(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
