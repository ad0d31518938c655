/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/chaos.c - four queues send anything about anything, INIT and DESTROY included: all is
 * answered. */
#include "../common/fuse_client.h"

#define QUEUES 4
#define ROUNDS 1500
#define IDS    64

static struct fuse_client client;

/* Ids that anybody was ever told; everybody uses them, also when they are long forgotten. */
static atomic_uint_fast64_t nodes[IDS], handles[IDS];

struct player {
	pthread_t thread;
	unsigned queue;
	uint64_t random;
};

static uint64_t roll(struct player *player, uint64_t sides)
{
	player->random ^= player->random << 13;
	player->random ^= player->random >> 7;
	player->random ^= player->random << 17;
	return player->random % sides;
}

static uint64_t some_node(struct player *player)
{
	uint64_t id = roll(player, 4) ? nodes[roll(player, IDS)] : FUSE_ROOT_ID;

	return id ? id : FUSE_ROOT_ID;
}

static const uint32_t opcodes[] = {
	FUSE_LOOKUP,  FUSE_LOOKUP,	FUSE_LOOKUP,	 FUSE_GETATTR, FUSE_SETATTR,   FUSE_MKDIR,
	FUSE_UNLINK,  FUSE_RMDIR,	FUSE_RENAME2,	 FUSE_LINK,    FUSE_OPEN,      FUSE_CREATE,
	FUSE_CREATE,  FUSE_READ,	FUSE_WRITE,	 FUSE_FLUSH,   FUSE_RELEASE,   FUSE_OPENDIR,
	FUSE_READDIR, FUSE_READDIRPLUS, FUSE_RELEASEDIR, FUSE_FORGET,  FUSE_STATFS,    FUSE_SYMLINK,
	FUSE_TMPFILE, FUSE_STATX,	FUSE_READLINK,	 FUSE_LSEEK,   FUSE_FALLOCATE,
};

/* The argument of nearly all operations fits into this; most of it is small numbers or an id. */
union argument {
	uint64_t words[11];
	struct fuse_create_in create;
	struct fuse_rename2_in rename;
	struct fuse_link_in link;
	struct fuse_open_in open;
	struct fuse_read_in read;
	struct fuse_setattr_in setattr;
	struct fuse_init_in init;
};

static void fill(struct player *player, uint32_t opcode, union argument *arg)
{
	memset(arg, 0, sizeof(*arg));
	arg->words[0] = handles[roll(player, IDS)];
	switch (opcode) {
	case FUSE_CREATE:
	case FUSE_TMPFILE:
	case FUSE_MKDIR:
		arg->create = (struct fuse_create_in){.flags = O_RDWR, .mode = 0700};
		break;
	case FUSE_RENAME2:
	case FUSE_LINK:
		arg->rename = (struct fuse_rename2_in){.newdir = some_node(player),
						       .flags = (uint32_t)roll(player, 3)};
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		arg->open.flags = (uint32_t)roll(player, 3);
		break;
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		arg->read.size = 1024;
		break;
	case FUSE_SETATTR:
		arg->setattr = (struct fuse_setattr_in){
			.valid = (uint32_t)roll(player, 2) ? FATTR_SIZE : FATTR_MTIME_NOW,
			.size = roll(player, 10000)};
		break;
	case FUSE_FORGET:
		arg->words[0] = roll(player, 3);
		break;
	case FUSE_FALLOCATE:
		arg->words[2] = 4096;
		break;
	case FUSE_INIT:
		arg->init = (struct fuse_init_in){.major = 7, .minor = 45, .flags = UINT32_MAX};
		break;
	}
}

static void note(struct player *player, uint32_t opcode, const void *answer, int len)
{
	const struct fuse_created *created = answer;
	bool entry = opcode == FUSE_LOOKUP || opcode == FUSE_MKDIR || opcode == FUSE_CREATE ||
		     opcode == FUSE_TMPFILE;

	if (entry && len >= (int)sizeof(created->entry))
		nodes[roll(player, IDS)] = created->entry.nodeid;
	if ((opcode == FUSE_CREATE || opcode == FUSE_TMPFILE) && len == (int)sizeof(*created))
		handles[roll(player, IDS)] = created->open.fh;
	if ((opcode == FUSE_OPEN || opcode == FUSE_OPENDIR) && len > 0)
		handles[roll(player, IDS)] = ((const struct fuse_open_out *)answer)->fh;
}

static size_t argument_size(uint32_t opcode)
{
	static const struct {
		uint32_t opcode;
		size_t size;
	} sizes[] = {
		{FUSE_LOOKUP, 0}, {FUSE_UNLINK, 0},   {FUSE_RMDIR, 0},	 {FUSE_SYMLINK, 0},
		{FUSE_STATFS, 0}, {FUSE_READLINK, 0}, {FUSE_DESTROY, 0}, {FUSE_MKDIR, 8},
		{FUSE_LINK, 8},	  {FUSE_RENAME2, 16}, {FUSE_CREATE, 16}, {FUSE_TMPFILE, 16},
		{FUSE_FORGET, 8},
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (sizes[i].opcode == opcode)
			return sizes[i].size;
	}
	return sizeof(union argument);
}

static void send(struct player *player, uint32_t opcode)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	union argument arg;
	char answer[2048];
	struct fuse_call call = {.opcode = opcode,
				 .nodeid = some_node(player),
				 .arg = &arg,
				 .arg_len = argument_size(opcode),
				 .name = names[roll(player, 4)],
				 .name2 = names[roll(player, 4)],
				 .answer = answer,
				 .room = sizeof(answer)};

	fill(player, opcode, &arg);
	fuse_call_on(&client, player->queue, &call);
	note(player, opcode, answer, call.result);
}

static void *play(void *opaque)
{
	struct player *player = opaque;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t opcode = opcodes[roll(player, sizeof(opcodes) / sizeof(opcodes[0]))];

		if (player->queue == 1 && i % 200 == 199)
			opcode = i % 400 == 399 ? FUSE_DESTROY : FUSE_INIT;
		send(player, opcode);
		if (opcode == FUSE_DESTROY)
			send(player, FUSE_INIT);
	}
	return NULL;
}

static void test_chaos(void **state)
{
	struct player players[QUEUES];
	struct fuse_attr attr;

	(void)state;
	gw_log_set_level(GW_LOG_ERROR);
	fuse_start(&client, &(struct fuse_options){.queues = QUEUES});
	for (unsigned i = 0; i < QUEUES; i++) {
		players[i] = (struct player){.queue = i + 1, .random = 88172645463325252u + i};
		assert_int_equal(pthread_create(&players[i].thread, NULL, play, &players[i]), 0);
	}
	for (unsigned i = 0; i < QUEUES; i++)
		pthread_join(players[i].thread, NULL);
	assert_true(fuse_init(&client, 7, 45, UINT32_MAX) > 0);
	assert_true(fuse_getattr(&client, 1, &attr) > 0);
	fuse_stop(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chaos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
