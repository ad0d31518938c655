/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-model-walk.c - random operations of a guest that moves again and again. */
/*
 * usage: fs-model-walk [SECONDS [SEED [iterative|precopied]]]. What the guest holds, that is nodes,
 * open files and half-read directories, is held against a model (common/model.h) all the while.
 * With SECONDS one walk follows another until they are over; every walk's seed is printed.
 * Iterative: the state is sent in rounds, and the guest goes on in between. Precopied: most of the
 * state goes ahead, beside the guest, and the guest goes on after that, too.
 */
#include "../common/fuse_client.h"
#include "../common/model.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <time.h>

#include "cli/qmp/ahead.h"

#define STEPS_A_WALK	 4000
#define STEPS_A_MOVE	 20 /* at most; on average half of it */
#define WALKS_BY_DEFAULT 1
#define LIST_ROOM	 512 /* a few names at a time */

struct guest {
	struct fuse_client client[2]; /* in turn; the other one is stopped */
	unsigned at, moves;
	bool copies; /* each destination has a copy of the tree, on another file system in turn */
};

static struct fuse_client *here(void *fs)
{
	struct guest *guest = fs;

	return &guest->client[guest->at];
}

static int result(int ret)
{
	return ret < 0 ? ret : 0;
}

/* A look-up more, which the guest gives back some time. */
static int arrived(struct model_node *node, const struct fuse_entry_out *entry)
{
	if (node->id && node->id != entry->nodeid)
		return -EXDEV; /* not the inode that it was */
	node->id = entry->nodeid;
	node->lookups++;
	return 0;
}

static int make_file(struct fuse_client *client, struct model_node *parent, const char *name,
		     struct model_node *node)
{
	struct fuse_created created;
	int ret = fuse_create(client, parent->id, name, O_RDWR | O_EXCL, node->mode, &created);

	if (ret < 0)
		return ret;
	ret = fuse_release(client, FUSE_RELEASE, created.open.fh);
	return ret < 0 ? ret : arrived(node, &created.entry);
}

static int fs_make(void *fs, struct model_node *parent, const char *name, struct model_node *node)
{
	struct fuse_client *client = here(fs);
	struct fuse_entry_out entry;
	int ret;

	if (node->type == MODEL_FILE)
		return make_file(client, parent, name, node);
	if (node->type == MODEL_DIR)
		ret = fuse_mkdir(client, parent->id, name, node->mode, &entry);
	else
		ret = fuse_call(client, &(struct fuse_call){.opcode = FUSE_SYMLINK,
							    .nodeid = parent->id,
							    .name = name,
							    .name2 = node->target,
							    .answer = &entry,
							    .room = sizeof(entry)});
	return ret < 0 ? ret : arrived(node, &entry);
}

static int fs_remove(void *fs, struct model_node *parent, const char *name, bool as_dir)
{
	return result(fuse_name(here(fs), as_dir ? FUSE_RMDIR : FUSE_UNLINK, parent->id, name));
}

static int fs_link(void *fs, struct model_node *node, struct model_node *parent, const char *name)
{
	const struct fuse_link_in in = {.oldnodeid = node->id};
	struct fuse_entry_out entry;
	int ret = fuse_call(here(fs), &(struct fuse_call){.opcode = FUSE_LINK,
							  .nodeid = parent->id,
							  .arg = &in,
							  .arg_len = sizeof(in),
							  .name = name,
							  .answer = &entry,
							  .room = sizeof(entry)});

	return ret < 0 ? ret : arrived(node, &entry);
}

static int fs_rename(void *fs, struct model_node *from, const char *name, struct model_node *to,
		     const char *name2, unsigned flags)
{
	return result(fuse_rename(here(fs), from->id, name, to->id, name2, flags));
}

static int fs_find(void *fs, struct model_node *parent, const char *name, struct model_node *node)
{
	struct fuse_entry_out entry;
	int ret = fuse_lookup(here(fs), parent->id, name, &entry);

	if (ret < 0 || !node)
		return result(ret);
	return arrived(node, &entry);
}

static int fs_open_handle(void *fs, struct model_handle *handle)
{
	struct fuse_client *client = here(fs);
	struct fuse_open_out out;
	int ret;

	handle->place = 0;
	if (handle->node->type == MODEL_DIR)
		return result(fuse_opendir(client, handle->node->id, &handle->id));
	ret = fuse_open(client, handle->node->id, handle->writable ? O_RDWR : O_RDONLY, &out);
	handle->id = out.fh;
	return result(ret);
}

static int fs_close_handle(void *fs, struct model_handle *handle)
{
	bool dir = handle->node->type == MODEL_DIR;

	return result(fuse_release(here(fs), dir ? FUSE_RELEASEDIR : FUSE_RELEASE, handle->id));
}

static int fs_read_at(void *fs, struct model_handle *handle, size_t at, void *data, size_t len)
{
	return fuse_read(here(fs), handle->id, at, data, (uint32_t)len);
}

static int fs_write_at(void *fs, struct model_handle *handle, size_t at, const void *data,
		       size_t len)
{
	/* A guest that appends says where it believes that to be: another place must do no harm. */
	uint64_t offset = handle->append ? 0 : at;

	return fuse_write(here(fs), handle->id, offset, data, (uint32_t)len,
			  handle->append ? O_APPEND : 0);
}

static int fs_truncate(void *fs, struct model_node *node, struct model_handle *handle, size_t size)
{
	const struct fuse_setattr_in in = {.valid = FATTR_SIZE | (handle ? FATTR_FH : 0),
					   .fh = handle ? handle->id : 0,
					   .size = size};

	return result(fuse_setattr(here(fs), node->id, &in, NULL));
}

static int fs_chmod(void *fs, struct model_node *node, struct model_handle *handle, mode_t mode)
{
	const struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = mode};

	return result(fuse_setattr(here(fs), node->id, &in, NULL));
}

static int fs_stat(void *fs, struct model_node *node, struct model_handle *handle,
		   struct model_stat *st)
{
	struct fuse_attr attr;
	int ret = fuse_getattr(here(fs), node->id, &attr);

	if (ret < 0)
		return ret;
	*st = (struct model_stat){.type = S_ISDIR(attr.mode)   ? MODEL_DIR
					  : S_ISLNK(attr.mode) ? MODEL_LINK
							       : MODEL_FILE,
				  .ino = attr.ino,
				  .mode = attr.mode & 07777,
				  .nlink = attr.nlink,
				  .size = attr.size};
	return 0;
}

static int fs_readlink(void *fs, struct model_node *node, char *target, size_t room)
{
	return fuse_call(here(fs), &(struct fuse_call){.opcode = FUSE_READLINK,
						       .nodeid = node->id,
						       .answer = target,
						       .room = room - 1});
}

static int fs_set_value(void *fs, struct model_node *node, struct model_handle *handle,
			const char *value)
{
	struct fuse_setxattr_in in = {.size = (uint32_t)strlen(value)};

	return result(
		fuse_call(here(fs), &(struct fuse_call){.opcode = FUSE_SETXATTR,
							.nodeid = node->id,
							.arg = &in,
							.arg_len = FUSE_COMPAT_SETXATTR_IN_SIZE,
							.name = "user.model",
							.data = value,
							.data_len = strlen(value)}));
}

static int fs_get_value(void *fs, struct model_node *node, struct model_handle *handle, char *value,
			size_t room)
{
	const struct fuse_getxattr_in in = {.size = (uint32_t)room};

	return fuse_call(here(fs), &(struct fuse_call){.opcode = FUSE_GETXATTR,
						       .nodeid = node->id,
						       .arg = &in,
						       .arg_len = sizeof(in),
						       .name = "user.model",
						       .answer = value,
						       .room = room});
}

/* One name a request: what comes with it beyond is asked for again, from its place. */
static int fs_list(void *fs, struct model_handle *handle, char *name)
{
	const struct fuse_read_in in = {
		.fh = handle->id, .offset = handle->place, .size = LIST_ROOM};
	union {
		struct fuse_dirent entry;
		char room[LIST_ROOM];
	} answer;
	int ret = fuse_call(here(fs), &(struct fuse_call){.opcode = FUSE_READDIR,
							  .nodeid = handle->node->id,
							  .arg = &in,
							  .arg_len = sizeof(in),
							  .answer = &answer,
							  .room = LIST_ROOM});

	if (ret <= 0)
		return ret;
	if (answer.entry.namelen > NAME_MAX)
		return -EPROTO;
	memcpy(name, answer.entry.name, answer.entry.namelen);
	name[answer.entry.namelen] = '\0';
	handle->place = answer.entry.off;
	return 1;
}

static void fs_forget(void *fs, struct model_node *node)
{
	fuse_forget(here(fs), node->id, node->lookups);
}

static const struct model_ops ops = {
	.make = fs_make,
	.remove = fs_remove,
	.link = fs_link,
	.rename = fs_rename,
	.lookup = fs_find,
	.open = fs_open_handle,
	.close = fs_close_handle,
	.read = fs_read_at,
	.write = fs_write_at,
	.truncate = fs_truncate,
	.chmod = fs_chmod,
	.stat = fs_stat,
	.readlink = fs_readlink,
	.set_value = fs_set_value,
	.get_value = fs_get_value,
	.list = fs_list,
	.forget = fs_forget,
};

static void show(const struct model *model, const struct guest *guest)
{
	const char *line;

	for (unsigned n = 0; (line = model_report(model, n)); n++)
		printf("%s\n", line);
	fail_msg("a difference after %u moves", guest->moves);
}

/* On another file system than /tmp's, if there is one with extended attributes. */
static const char *elsewhere(void)
{
	struct stat tmp, other;

	if (stat("/tmp", &tmp) || stat("/dev/shm", &other) || tmp.st_dev == other.st_dev)
		return "/tmp";
	return setxattr("/dev/shm", "user.gw-test", "", 0, 0) < 0 ||
			       removexattr("/dev/shm", "user.gw-test") < 0
		       ? "/tmp"
		       : "/dev/shm";
}

/* What the destination has instead of the source's share is a copy, made while the guest stands
 * still; the source's is removed with it. */
static int move_to_copy(struct guest *guest, struct fuse_client *to, struct fuse_client *from)
{
	struct fs_host host = from->host;
	int fd = memfd_create("state", MFD_CLOEXEC), ret;
	char copy[64], command[256];

	fuse_save(from, fd);
	snprintf(copy, sizeof(copy), "%s/gw-fuse.XXXXXX", guest->moves % 2 ? "/tmp" : elsewhere());
	assert_non_null(mkdtemp(copy));
	snprintf(command, sizeof(command), "cp -a %s/. %s/", from->share, copy);
	assert_int_equal(system(command), 0);
	host.shared_dir = copy;
	host.same = FS_SAME_TREE;
	ret = fuse_load(to, from, NULL, &host, fd);
	close(fd);
	to->own_share = true;
	return ret;
}

#define ROUNDS_MAX	 4
#define STEPS_A_LOOK_MAX 12

static bool iterative, precopied;
/* Steps that may still be made while it moves; a walk has so many in all. */
static unsigned steps_left;

struct moving {
	struct guest *guest;
	struct model *model;
	unsigned calls;
};

/* Some operations at every look, so that rounds are cut anywhere. */
static void go_on_a_little(struct moving *moving)
{
	unsigned steps = (unsigned)(moving->model->state >> 24) % STEPS_A_LOOK_MAX;

	for (; steps && steps_left; steps--, steps_left--) {
		if (!model_step(moving->model))
			show(moving->model, moving->guest);
	}
}

static int go_on(void *opaque, const struct gw_iterate_progress *progress)
{
	(void)progress;
	go_on_a_little(opaque);
	return 0;
}

/* As an operator does it: over both control sockets. */
static void bring_ahead(struct moving *moving, const struct fuse_client *to,
			const struct fuse_client *from)
{
	struct gw_qmp_group group = {.signals = -1, .patience = 20};
	struct gw_qmp_ahead ahead = {.from_session = -1, .to_session = -1};
	int err = gw_qmp_open(&ahead.from, &group, from->control);

	if (!err)
		err = gw_qmp_open(&ahead.to, &group, to->control);
	if (!err)
		err = gw_qmp_ahead_begin(&ahead);
	while (!err && (err = gw_qmp_ahead_go_on(&ahead)) == -EAGAIN) {
		go_on_a_little(moving);
		gw_qmp_group_listen(&group, 20000);
		err = 0;
	}
	if (err)
		fail_msg("what goes ahead: %s", gw_last_error());
	gw_qmp_ahead_end(&ahead);
	gw_qmp_close(ahead.from);
	gw_qmp_close(ahead.to);
}

static int move_precopied(struct moving *moving, struct fuse_client *to, struct fuse_client *from)
{
	int fd = memfd_create("state", MFD_CLOEXEC), err;

	assert_true(fd >= 0);
	fuse_await(to, from);
	bring_ahead(moving, to, from);
	go_on_a_little(moving);
	fuse_save(from, fd);
	err = fuse_take(to, from, fd);
	close(fd);
	return err;
}

static int move_somehow(struct guest *guest, struct model *model, struct fuse_client *to,
			struct fuse_client *from)
{
	struct moving moving = {.guest = guest, .model = model};
	const struct gw_iterate_config config = {
		.size = sizeof(config),
		.blackout_ms = 1,
		.bandwidth = 1, /* it never seems little, until there is nothing */
		.rounds = 1 + (unsigned)(model->state >> 28) % ROUNDS_MAX,
		.progress = go_on,
		.opaque = &moving,
	};

	if (guest->copies)
		return move_to_copy(guest, to, from);
	if (precopied)
		return move_precopied(&moving, to, from);
	return iterative ? fuse_move_iterative(to, from, &config)
			 : fuse_move(to, from, FS_ON_ERROR_ABORT);
}

/* To the other client; the share outlives the one that made it. */
static void move(struct guest *guest, struct model *model)
{
	struct fuse_client *from = &guest->client[guest->at], *to = &guest->client[!guest->at];
	int ret = move_somehow(guest, model, to, from);

	if (ret < 0)
		fail_msg("move %u: %s", guest->moves, gw_last_error());
	if (!guest->copies) {
		to->own_share = from->own_share;
		from->own_share = false;
	}
	fuse_stop(from);
	guest->at = !guest->at;
	guest->moves++;
}

static void walk(uint64_t seed, bool copies)
{
	static struct guest guest;
	static struct model model;
	unsigned until_move = 1;

	memset(&guest, 0, sizeof(guest));
	guest.copies = copies;
	fuse_start(&guest.client[0], &(struct fuse_options){.queues = 1,
							    .policy.xattr = true,
							    .control = precopied && !copies});
	model_start(&model, &ops, &guest, seed, FUSE_ROOT_ID);
	model.renames_repeat = copies; /* half of them are on tmpfs */
	for (unsigned step = 1; step <= STEPS_A_WALK; step++) {
		if (!model_step(&model))
			show(&model, &guest);
		if (--until_move)
			continue;
		steps_left = STEPS_A_WALK;
		move(&guest, &model);
		until_move = 1 + (unsigned)(model.state >> 20) % STEPS_A_MOVE;
		if (guest.moves % 8 == 0 && !model_verify(&model))
			show(&model, &guest);
	}
	if (!model_verify(&model))
		show(&model, &guest);
	model_end(&model);
	fuse_stop(here(&guest));
	printf("seed %llu: %u operations, %u moves, nothing lost\n", (unsigned long long)seed,
	       STEPS_A_WALK, guest.moves);
	fflush(stdout);
}

static unsigned seconds;
static uint64_t first_seed = 1;

static void test_walks(void **state)
{
	time_t end = time(NULL) + seconds;
	uint64_t seed = first_seed;

	(void)state;
	gw_log_set_level(GW_LOG_WARN);
	do
		walk(seed++, false);
	while (seconds ? time(NULL) < end : seed < first_seed + WALKS_BY_DEFAULT);
}

/* Each destination has a copy of the source's tree. */
static void test_walk_from_copy_to_copy(void **state)
{
	(void)state;
	walk(first_seed, true);
}

/* Behind the guest's back: one byte in one file. */
static bool damage(const struct model *model, const struct guest *guest)
{
	for (size_t i = 0; i < MODEL_NODES; i++) {
		const struct model_node *node = &model->nodes[i];
		char path[PATH_MAX];
		uint8_t byte;
		int fd;

		if (!node->used || node->type != MODEL_FILE || !node->size ||
		    !model_path(model, node, path, sizeof(path)))
			continue;
		byte = node->data[0] ^ 1;
		fd = open(share_path(&guest->client[guest->at], path), O_WRONLY | O_CLOEXEC);
		assert_int_equal(pwrite(fd, &byte, 1, 0), 1);
		close(fd);
		return true;
	}
	return false;
}

/* A walk that finds nothing has to be one that can. */
static void test_damage_is_found(void **state)
{
	static struct guest guest;
	static struct model model;

	(void)state;
	memset(&guest, 0, sizeof(guest));
	fuse_start(&guest.client[0], &(struct fuse_options){.queues = 1, .policy.xattr = true});
	model_start(&model, &ops, &guest, 1, FUSE_ROOT_ID);
	for (unsigned step = 0; step < 200; step++)
		assert_true(model_step(&model));
	assert_true(model_verify(&model));
	assert_true(damage(&model, &guest));
	assert_false(model_verify(&model));
	assert_non_null(strstr(model_report(&model, 0), "byte 0 is"));
	model_end(&model);
	fuse_stop(here(&guest));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damage_is_found),
		cmocka_unit_test(test_walk_from_copy_to_copy),
		cmocka_unit_test(test_walks),
	};

	if (argc > 1)
		seconds = (unsigned)atoi(argv[1]);
	if (argc > 2)
		first_seed = strtoull(argv[2], NULL, 0);
	iterative = argc > 3 && !strcmp(argv[3], "iterative");
	precopied = argc > 3 && !strcmp(argv[3], "precopied");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
