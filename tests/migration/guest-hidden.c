/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/guest-hidden.c - what a guest removes and has open is hidden, moves, and goes. */
#include "../common/fuse_client.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PREFIX ".godwit-hidden-"
/* More than a state holds of unnamed files. */
#define BIG_BYTES   (6u << 20)
#define PIECE_BYTES (512u << 10)

static struct fuse_client from, to, third;

static const struct fuse_options hide = {.orphans = FS_ORPHANS_HIDE};

/* In all attics of the share: hidden files; *@attics of them. */
static unsigned count_hidden(const struct fuse_client *client, unsigned *attics)
{
	DIR *share = opendir(client->share);
	const struct dirent *d, *hidden;
	unsigned count = 0, found = 0;

	assert_non_null(share);
	while ((d = readdir(share))) {
		DIR *attic;

		if (strncmp(d->d_name, PREFIX, sizeof(PREFIX) - 1))
			continue;
		found++;
		attic = opendir(share_path(client, d->d_name));
		while (attic && (hidden = readdir(attic)))
			count += hidden->d_name[0] != '.' && strcmp(hidden->d_name, "lock") &&
				 strcmp(hidden->d_name, "saved");
		if (attic)
			closedir(attic);
	}
	closedir(share);
	if (attics)
		*attics = found;
	return count;
}

static void assert_hidden(const struct fuse_client *client, unsigned expected)
{
	assert_int_equal(count_hidden(client, NULL), expected);
}

static void assert_no_attics(const struct fuse_client *client)
{
	unsigned attics;

	count_hidden(client, &attics);
	assert_int_equal(attics, 0);
}

static const char *attic_name(const struct fuse_client *client)
{
	static char name[256];
	DIR *share = opendir(client->share);
	const struct dirent *d;

	assert_non_null(share);
	name[0] = 0;
	while ((d = readdir(share))) {
		if (!strncmp(d->d_name, PREFIX, sizeof(PREFIX) - 1))
			snprintf(name, sizeof(name), "%s", d->d_name);
	}
	closedir(share);
	assert_true(name[0]);
	return name;
}

static uint32_t nlink_of(struct fuse_client *client, uint64_t nodeid)
{
	struct fuse_attr attr;

	assert_true(fuse_getattr(client, nodeid, &attr) >= 0);
	return attr.nlink;
}

static struct fuse_created make(struct fuse_client *client, uint64_t dir, const char *name,
				const char *text)
{
	struct fuse_created made;

	assert_true(fuse_create(client, dir, name, O_RDWR, 0600, &made) >= 0);
	assert_true(fuse_write(client, made.open.fh, 0, text, (uint32_t)strlen(text), 0) > 0);
	return made;
}

static void assert_reads(struct fuse_client *client, uint64_t fh, const char *expected)
{
	char text[64] = {0};

	assert_true(fuse_read(client, fh, 0, text, sizeof(text) - 1) >= 0);
	assert_string_equal(text, expected);
}

static void release(struct fuse_client *client, const struct fuse_created *file)
{
	assert_true(fuse_release(client, FUSE_RELEASE, file->open.fh) >= 0);
}

static void remove_file(struct fuse_client *client, uint64_t dir, const char *name)
{
	assert_int_equal(fuse_name(client, FUSE_UNLINK, dir, name), 0);
}

static uint32_t statx_nlink(struct fuse_client *client, uint64_t nodeid)
{
	const struct fuse_statx_in in = {.sx_mask = STATX_BASIC_STATS};
	struct fuse_statx_out out;

	assert_int_equal(fuse_call(client, &(struct fuse_call){.opcode = FUSE_STATX,
							       .nodeid = nodeid,
							       .arg = &in,
							       .arg_len = sizeof(in),
							       .answer = &out,
							       .room = sizeof(out)}),
			 sizeof(out));
	return out.stat.nlink;
}

/* How many entries the guest is told of, "." and ".." among them. */
static unsigned count_entries(struct fuse_client *client, uint32_t opcode)
{
	char answer[4096];
	struct fuse_read_in in = {.size = sizeof(answer)};
	size_t skip = opcode == FUSE_READDIRPLUS ? sizeof(struct fuse_entry_out) : 0;
	unsigned count = 0;
	int len;

	assert_true(fuse_opendir(client, 1, &in.fh) >= 0);
	len = fuse_call(client, &(struct fuse_call){.opcode = opcode,
						    .arg = &in,
						    .arg_len = sizeof(in),
						    .answer = answer,
						    .room = sizeof(answer)});
	for (size_t at = 0; (int)at < len; count++) {
		struct fuse_dirent d;

		memcpy(&d, answer + at + skip, sizeof(d));
		assert_int_not_equal(
			strncmp(answer + at + skip + FUSE_NAME_OFFSET, PREFIX, sizeof(PREFIX) - 1),
			0);
		at += FUSE_REC_ALIGN(skip + FUSE_NAME_OFFSET + d.namelen);
	}
	assert_true(fuse_release(client, FUSE_RELEASEDIR, in.fh) >= 0);
	return count;
}

static void test_unlinked(void **state)
{
	struct fuse_created file, again;
	struct fuse_entry_out entry;

	(void)state;
	fuse_start(&from, &hide);
	file = make(&from, 0, "f", "content");
	remove_file(&from, 0, "f");
	assert_int_equal(fuse_lookup(&from, 1, "f", &entry), -ENOENT);
	assert_int_equal(nlink_of(&from, file.entry.nodeid), 0);
	assert_int_equal(statx_nlink(&from, file.entry.nodeid), 0);
	assert_hidden(&from, 1);
	again = make(&from, 0, "f", "another");
	assert_int_not_equal(again.entry.nodeid, file.entry.nodeid);
	assert_reads(&from, file.open.fh, "content");
	remove_file(&from, 0, "f");
	assert_hidden(&from, 2);
	release(&from, &file);
	assert_hidden(&from, 1);
	release(&from, &again);
	assert_hidden(&from, 0);
	/* The guest has not forgotten it. */
	assert_int_equal(nlink_of(&from, file.entry.nodeid), 0);
	fuse_stop(&from);
}

/* Not the directory, nor what is in it, whatever the guest tries. */
static void test_nobody_sees_it(void **state)
{
	struct fuse_created file;
	struct fuse_entry_out entry;
	char attic[256];

	(void)state;
	fuse_start(&from, &hide);
	file = make(&from, 0, "f", "content");
	remove_file(&from, 0, "f");
	snprintf(attic, sizeof(attic), "%s", attic_name(&from));
	assert_int_equal(count_entries(&from, FUSE_READDIR), 2);
	assert_int_equal(count_entries(&from, FUSE_READDIRPLUS), 2);
	assert_int_equal(fuse_lookup(&from, 1, attic, &entry), -ENOENT);
	assert_int_equal(fuse_name(&from, FUSE_RMDIR, 0, attic), -EPERM);
	assert_int_equal(fuse_mkdir(&from, 0, PREFIX "0123456789abcdef", 0755, &entry), -EPERM);
	assert_true(fuse_mkdir(&from, 0, PREFIX "0123456789abcde", 0755, &entry) >= 0);
	assert_int_equal(
		fuse_rename(&from, 0, PREFIX "0123456789abcde", 1, PREFIX "0123456789abcdef", 0),
		-EPERM);
	assert_int_equal(fuse_rename(&from, 1, attic, 1, "mine", 0), -EPERM);
	release(&from, &file);
	fuse_stop(&from);
}

/* Other links are what counts; and what the guest links again stays. */
static void test_links(void **state)
{
	struct fuse_link_in in;
	struct fuse_created file;
	struct fuse_entry_out entry;

	(void)state;
	fuse_start(&from, &hide);
	file = make(&from, 0, "one", "content");
	in.oldnodeid = file.entry.nodeid;
	assert_true(fuse_call(&from, &(struct fuse_call){.opcode = FUSE_LINK,
							 .arg = &in,
							 .arg_len = sizeof(in),
							 .name = "two",
							 .answer = &entry,
							 .room = sizeof(entry)}) > 0);
	assert_int_equal(entry.attr.nlink, 2);
	remove_file(&from, 0, "one");
	assert_hidden(&from, 0);
	assert_int_equal(nlink_of(&from, file.entry.nodeid), 1);
	remove_file(&from, 0, "two");
	assert_hidden(&from, 1);
	assert_int_equal(nlink_of(&from, file.entry.nodeid), 0);
	assert_true(fuse_call(&from, &(struct fuse_call){.opcode = FUSE_LINK,
							 .arg = &in,
							 .arg_len = sizeof(in),
							 .name = "three",
							 .answer = &entry,
							 .room = sizeof(entry)}) > 0);
	assert_int_equal(entry.attr.nlink, 1);
	assert_int_equal(entry.nodeid, file.entry.nodeid);
	assert_true(fuse_lookup(&from, 1, "three", &entry) > 0);
	assert_int_equal(entry.attr.nlink, 1);
	release(&from, &file);
	assert_hidden(&from, 0);
	assert_int_equal(nlink_of(&from, file.entry.nodeid), 1);
	assert_string_equal(share_content(&from, "three"), "content");
	fuse_stop(&from);
}

static void test_renamed_over(void **state)
{
	struct fuse_created old, new;

	(void)state;
	fuse_start(&from, &hide);
	old = make(&from, 0, "f", "old");
	new = make(&from, 0, "g", "new");
	/* What fails changes nothing. */
	assert_int_equal(fuse_rename(&from, 1, "g", 1, "f", RENAME_NOREPLACE), -EEXIST);
	assert_hidden(&from, 0);
	assert_int_equal(nlink_of(&from, old.entry.nodeid), 1);
	assert_int_equal(fuse_rename(&from, 1, "g", 1, "f", 0), 0);
	assert_hidden(&from, 1);
	assert_int_equal(nlink_of(&from, old.entry.nodeid), 0);
	assert_int_equal(nlink_of(&from, new.entry.nodeid), 1);
	assert_reads(&from, old.open.fh, "old");
	assert_string_equal(share_content(&from, "f"), "new");
	release(&from, &old);
	assert_hidden(&from, 0);
	release(&from, &new);
	remove_file(&from, 0, "f"); /* nobody has it open */
	assert_hidden(&from, 0);
	fuse_stop(&from);
}

static void test_directory_is_empty(void **state)
{
	struct fuse_entry_out dir;
	struct fuse_created file;

	(void)state;
	fuse_start(&from, &hide);
	assert_true(fuse_mkdir(&from, 0, "d", 0755, &dir) >= 0);
	file = make(&from, dir.nodeid, "f", "content");
	remove_file(&from, dir.nodeid, "f");
	assert_hidden(&from, 1);
	assert_int_equal(fuse_name(&from, FUSE_RMDIR, 0, "d"), 0);
	assert_reads(&from, file.open.fh, "content");
	release(&from, &file);
	assert_hidden(&from, 0);
	fuse_stop(&from);
}

/* Whatever keeps an attic from being made: the guest's removal is done all the same. */
static void test_cannot_be_hidden(void **state)
{
	struct fuse_created file;

	(void)state;
	fuse_start(&from, &(struct fuse_options){.orphans = FS_ORPHANS_HIDE, .inode_limit = 1});
	file = make(&from, 0, "f", "content"); /* the table is full with it */
	remove_file(&from, 0, "f");
	assert_no_attics(&from);
	assert_int_equal(nlink_of(&from, file.entry.nodeid), 0);
	fuse_stop(&from);
}

/* -- moves --------------------------------------------------------------------------------- */

static struct fuse_created make_big(struct fuse_client *client)
{
	struct fuse_created big;
	char *piece = malloc(PIECE_BYTES);

	assert_true(fuse_create(client, 0, "big", O_RDWR, 0600, &big) >= 0);
	memset(piece, 'x', PIECE_BYTES);
	for (uint64_t at = 0; at < BIG_BYTES; at += PIECE_BYTES)
		assert_true(fuse_write(client, big.open.fh, at, piece, PIECE_BYTES, 0) > 0);
	free(piece);
	remove_file(client, 0, "big");
	return big;
}

static void assert_big(struct fuse_client *client, const struct fuse_created *big)
{
	char text[4] = {0};

	assert_int_equal(fuse_read(client, big->open.fh, BIG_BYTES - 4, text, 4), 4);
	assert_memory_equal(text, "xxxx", 4);
	assert_int_equal(nlink_of(client, big->entry.nodeid), 0);
}

/* Any size; and who went away removes nothing, in whatever order they end. */
static void test_moves(void **state)
{
	struct fuse_created big, small;
	struct fuse_entry_out entry;

	(void)state;
	fuse_start(&from, &hide);
	big = make_big(&from);
	small = make(&from, 0, "s", "small");
	remove_file(&from, 0, "s");
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	from.own_share = false;
	fuse_stop(&from);
	assert_hidden(&to, 2);
	assert_big(&to, &big);
	assert_int_equal(fuse_lookup(&to, 1, "s", &entry), -ENOENT);
	release(&to, &small);
	assert_hidden(&to, 1);
	fuse_stop(&to);
}

/* Where it is hidden now the destination hears when it has long taken the file for settled. Until
 * then something has to change, so that there is another round. */
struct removing {
	unsigned made;
	bool removed;
};

static int remove_late(void *opaque, const struct gw_iterate_progress *progress)
{
	struct removing *removing = opaque;
	struct fuse_created made;
	char name[16];

	if (progress->stopped || removing->removed)
		return 0;
	removing->removed = progress->round > 1;
	if (removing->removed) {
		remove_file(&from, 0, "s");
		return 0;
	}
	snprintf(name, sizeof(name), "made-%u", removing->made++);
	made = make(&from, 0, name, "made");
	release(&from, &made);
	return 0;
}

static void test_hidden_between_rounds(void **state)
{
	struct removing removing = {0};
	const struct gw_iterate_config config = {.size = sizeof(config),
						 .blackout_ms = 1,
						 .bandwidth = 1,
						 .rounds = 4,
						 .progress = remove_late,
						 .opaque = &removing};
	struct fuse_created small, other;

	(void)state;
	fuse_start(&from, &hide);
	small = make(&from, 0, "s", "small");
	other = make(&from, 0, "t", "other");
	assert_int_equal(fuse_move_iterative(&to, &from, &config), 0);
	assert_true(removing.removed);
	from.own_share = false;
	fuse_stop(&from);
	assert_hidden(&to, 1);
	assert_int_equal(nlink_of(&to, small.entry.nodeid), 0);
	assert_reads(&to, small.open.fh, "small");
	release(&to, &small);
	assert_hidden(&to, 0);
	remove_file(&to, 0, "t");
	assert_hidden(&to, 1);
	release(&to, &other);
	fuse_stop(&to);
}

static void test_moves_on(void **state)
{
	struct fuse_created big, small;

	(void)state;
	fuse_start(&from, &hide);
	big = make_big(&from);
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	small = make(&to, 0, "s", "hidden here");
	remove_file(&to, 0, "s");
	assert_hidden(&from, 2);
	assert_int_equal(fuse_move(&third, &to, FS_ON_ERROR_ABORT), 0);
	fuse_stop(&to);
	assert_hidden(&from, 2);
	assert_big(&third, &big);
	assert_reads(&third, small.open.fh, "hidden here");
	release(&third, &small);
	assert_hidden(&from, 1);
	release(&third, &big);
	assert_hidden(&from, 0);
	fuse_stop(&third);
	from.own_share = false;
	fuse_stop(&from);
	assert_no_attics(&from);
	assert_int_equal(rmdir(from.share), 0);
}

/* A destination with another policy of its own takes them over as well. */
static void test_moves_to_who_hides_nothing(void **state)
{
	int stream = memfd_create("state", MFD_CLOEXEC);
	struct fuse_created big;
	struct fs_host host;

	(void)state;
	fuse_start(&from, &hide);
	big = make_big(&from);
	fuse_save(&from, stream);
	host = from.host;
	host.orphans = FS_ORPHANS_CONTENT;
	assert_int_equal(fuse_load(&to, &from, NULL, &host, stream), 0);
	close(stream);
	assert_big(&to, &big);
	assert_int_equal(count_entries(&to, FUSE_READDIRPLUS), 2);
	release(&to, &big);
	assert_hidden(&from, 0);
	fuse_stop(&to);
	fuse_stop(&from);
}

/* What nobody releases goes with the guest. */
static void test_guest_is_gone(void **state)
{
	(void)state;
	fuse_start(&from, &hide);
	make_big(&from);
	assert_hidden(&from, 1);
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	from.own_share = false;
	fuse_stop(&from);
	assert_hidden(&to, 1);
	fuse_stop(&to);
	assert_no_attics(&from);
	assert_int_equal(rmdir(from.share), 0);
}

/* The destination refuses: it removes nothing, and the source goes on and removes as ever. */
static void test_migration_fails(void **state)
{
	int stream = memfd_create("state", MFD_CLOEXEC);
	struct fuse_created file, missing;

	(void)state;
	fuse_start(&from, &hide);
	file = make(&from, 0, "f", "content");
	missing = make(&from, 0, "open", "content");
	remove_file(&from, 0, "f");
	fuse_save(&from, stream);
	assert_int_equal(unlink(share_path(&from, "open")), 0);
	assert_true(fuse_load(&to, &from, NULL, &from.host, stream) < 0);
	close(stream);
	assert_hidden(&from, 1);
	fuse_resume(&from);
	assert_reads(&from, file.open.fh, "content");
	release(&from, &file);
	assert_hidden(&from, 0);
	release(&from, &missing);
	from.own_share = false;
	fuse_stop(&from);
	assert_no_attics(&from);
	assert_int_equal(rmdir(from.share), 0);
}

/* The state is good, and the source goes on all the same: it was a snapshot, say. */
static void test_source_goes_on(void **state)
{
	struct fuse_created file;
	int stream = memfd_create("state", MFD_CLOEXEC);

	(void)state;
	fuse_start(&from, &hide);
	file = make(&from, 0, "f", "content");
	remove_file(&from, 0, "f");
	fuse_save(&from, stream);
	assert_int_equal(access(share_path(&from, attic_name(&from)), F_OK), 0);
	fuse_resume(&from);
	release(&from, &file);
	assert_hidden(&from, 0);
	close(stream);
	from.own_share = false;
	fuse_stop(&from);
	assert_no_attics(&from);
	assert_int_equal(rmdir(from.share), 0);
}

/* Saved, ended, and much later somebody loads the state; in between others use the share. */
static void test_saved_and_ended(void **state)
{
	int stream = memfd_create("state", MFD_CLOEXEC), other = memfd_create("other", MFD_CLOEXEC);
	struct fuse_options stranger = hide;
	struct fuse_created big;

	(void)state;
	fuse_start(&from, &hide);
	big = make_big(&from);
	fuse_save(&from, stream);
	from.own_share = false;
	fuse_stop(&from);
	assert_hidden(&from, 1);

	/* Who is started finds what nobody has; its guest's memory is where ours goes on. */
	stranger.share = from.share;
	fuse_start(&to, &stranger);
	assert_hidden(&from, 1);
	fuse_save(&to, other);
	assert_int_equal(fuse_load(&third, &to, NULL, &to.host, stream), 0);
	fuse_stop(&to);
	assert_hidden(&from, 1);
	assert_big(&third, &big);
	release(&third, &big);
	assert_hidden(&from, 0);
	fuse_stop(&third);
	close(stream);
	close(other);
	assert_no_attics(&from);
	assert_int_equal(rmdir(from.share), 0);
}

/* What somebody left who died is away when the next one has been started; what a living one has is
 * there. */
static void test_left_behind(void **state)
{
	static const char dead[] = PREFIX "00000000000000aa";
	struct fuse_options other = hide;
	struct fuse_created file;
	char path[128];

	(void)state;
	fuse_start(&from, &hide);
	file = make(&from, 0, "f", "content");
	remove_file(&from, 0, "f");
	assert_int_equal(mkdir(share_path(&from, dead), 0700), 0);
	snprintf(path, sizeof(path), "%s/lock", dead);
	share_file(&from, path, "");
	snprintf(path, sizeof(path), "%s/17", dead);
	share_file(&from, path, "nobody's");
	assert_hidden(&from, 2);
	other.share = from.share;
	fuse_start(&to, &other);
	assert_int_equal(access(share_path(&from, dead), F_OK), -1);
	assert_hidden(&from, 1);
	fuse_stop(&to);
	assert_hidden(&from, 1);
	assert_reads(&from, file.open.fh, "content");
	fuse_stop(&from);
}

/* Who may not change the share sweeps nothing. */
static void test_read_only(void **state)
{
	static const char dead[] = PREFIX "00000000000000aa";
	struct fuse_options stranger = {.orphans = FS_ORPHANS_HIDE, .readonly = true};
	char path[128];

	(void)state;
	fuse_start(&from, &hide);
	assert_int_equal(mkdir(share_path(&from, dead), 0700), 0);
	snprintf(path, sizeof(path), "%s/lock", dead);
	share_file(&from, path, "");
	stranger.share = from.share;
	fuse_start(&to, &stranger);
	fuse_stop(&to);
	assert_int_equal(access(share_path(&from, dead), F_OK), 0);
	fuse_stop(&from);
}

/* -- races --------------------------------------------------------------------------------- */

#define ROUNDS 300

static _Atomic uint64_t racing_fh;
static _Atomic bool racing_end;

static void *release_main(void *opaque)
{
	(void)opaque;
	while (!racing_end) {
		uint64_t fh = atomic_exchange(&racing_fh, 0);
		struct fuse_release_in in = {.fh = fh};

		if (fh)
			assert_int_equal(fuse_call_on(&from, 2,
						      &(struct fuse_call){.opcode = FUSE_RELEASE,
									  .arg = &in,
									  .arg_len = sizeof(in)}),
					 0);
	}
	return NULL;
}

/* The last release comes while the name is being hidden: one of both removes the file. */
static void test_release_races_unlink(void **state)
{
	pthread_t thread;

	(void)state;
	fuse_start(&from, &(struct fuse_options){.orphans = FS_ORPHANS_HIDE, .queues = 2});
	racing_end = false;
	assert_int_equal(pthread_create(&thread, NULL, release_main, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		struct fuse_created file = make(&from, 0, "f", "content");

		atomic_store(&racing_fh, file.open.fh);
		remove_file(&from, 0, "f");
		while (atomic_load(&racing_fh))
			sched_yield();
		fuse_forget(&from, file.entry.nodeid, 1);
	}
	racing_end = true;
	pthread_join(thread, NULL);
	assert_hidden(&from, 0);
	fuse_stop(&from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unlinked),
		cmocka_unit_test(test_nobody_sees_it),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_renamed_over),
		cmocka_unit_test(test_directory_is_empty),
		cmocka_unit_test(test_cannot_be_hidden),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_hidden_between_rounds),
		cmocka_unit_test(test_moves_on),
		cmocka_unit_test(test_moves_to_who_hides_nothing),
		cmocka_unit_test(test_guest_is_gone),
		cmocka_unit_test(test_migration_fails),
		cmocka_unit_test(test_source_goes_on),
		cmocka_unit_test(test_saved_and_ended),
		cmocka_unit_test(test_left_behind),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_release_races_unlink),
	};
	const char *program = getenv(FUSE_PROGRAM);
	char words[1024];

	/* A back-end in this process offers it anyway. */
	if (program) {
		snprintf(words, sizeof(words), "%s --experimental=iterative", program);
		setenv(FUSE_PROGRAM, words, 1);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
