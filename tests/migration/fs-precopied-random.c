/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-precopied-random.c - random guests: a state is loaded as it would be if
 * nothing had come ahead of it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/dir.h"
#include "fs/handles.h"
#include "fs/locks.h"
#include "fs/precopied.h"
#include "fs/records.h"
#include "fs/table.h"
#include "precopy.h"
#include "state/stream.h"

/*
 * A guest does something, most of its state goes ahead, and it does something else. What follows is
 * loaded twice, without what came ahead and with it. Each device that loaded it says what it has,
 * by a state of its own, and what it makes of names and open files: that has to be the same.
 *
 * Without an argument for half a second; "seconds", or "seconds seed" for one guest alone.
 */
#define SECONDS	  0.5
#define NAMES	  24 /* in a directory */
#define KNOWN_MAX 4096

static struct share first, second, to; /* two guests of one share */
static struct share *from;
static bool another; /* what goes ahead is of another guest than the state */
static unsigned helpers;
static uint64_t seed, random_state;

static unsigned below(unsigned end)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (unsigned)((random_state * UINT64_C(2685821657736338717)) >> 33) % end;
}

/* -- whom the guest knows ------------------------------------------------------------------- */

/* A thread that collects beside it may look somebody up. */
static bool is_known(struct fs_inode *inode, unsigned type)
{
	bool known;

	if (!fs_slot_try_pin(&inode->slot))
		return false;
	known = (inode->slot.id == FS_ROOT_ID || fs_lookups_count(from->fs.inodes, inode)) &&
		(!type || inode->type == type);
	fs_inode_put(inode);
	return known;
}

/* Of a type, or of any (0); 0: there is none. */
static uint64_t any_known(unsigned type)
{
	static uint64_t known[KNOWN_MAX];
	struct fs_inode *inode;
	unsigned count = 0;
	uint32_t at = 0;

	while (count < KNOWN_MAX && (inode = fs_slots_next(&from->fs.inodes->slots, &at))) {
		if (is_known(inode, type))
			known[count++] = inode->slot.id;
	}
	return count ? known[below(count)] : 0;
}

static uint64_t any_handle(void)
{
	static uint64_t handles[KNOWN_MAX];
	struct fs_open *open;
	unsigned count = 0;
	uint32_t at = 0;

	while (count < KNOWN_MAX && (open = fs_slots_next(&from->fs.handles->slots, &at))) {
		if (open->slot.id && (uint32_t)atomic_load(&open->slot.life))
			handles[count++] = fs_slot_id(&open->slot);
	}
	return count ? handles[below(count)] : 0;
}

/* Where the host has it; false: nowhere. */
static bool path_of(uint64_t id, char path[PATH_MAX])
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(from->fs.inodes, id);
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	char link[64];
	ssize_t len;

	if (!inode || fs_inode_fd(inode, &fd))
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd.fd);
	len = readlink(link, path, PATH_MAX - 1);
	path[len < 0 ? 0 : len] = 0;
	return len > 0 && !access(path, F_OK);
}

/* A place that may have a name, or none, or lead nowhere. */
struct place {
	uint64_t dir;
	char name[16];
	char path[PATH_MAX];
};

static bool any_place(struct place *place)
{
	size_t len;

	place->dir = any_known(DT_DIR);
	if (!path_of(place->dir, place->path))
		return false;
	snprintf(place->name, sizeof(place->name), "n%u", below(NAMES));
	len = strlen(place->path);
	snprintf(place->path + len, sizeof(place->path) - len, "/%s", place->name);
	return true;
}

/* -- what the guest does --------------------------------------------------------------------- */

static void look_up(const struct place *place)
{
	FS_AUTO_INODE struct fs_inode *dir = fs_inode_get(from->fs.inodes, place->dir);
	struct statx stx;
	uint64_t id;

	fs_inode_lookup(from->fs.inodes, dir, place->name, &id, &stx);
}

static void make_file(void)
{
	struct place place;
	int fd;

	if (!any_place(&place))
		return;
	fd = open(place.path, O_CREAT | O_WRONLY | O_EXCL, 0644);
	if (fd >= 0)
		close(fd);
	look_up(&place);
}

static void make_dir(void)
{
	struct place place;

	if (!any_place(&place))
		return;
	mkdir(place.path, 0755);
	look_up(&place);
}

static void make_symlink(void)
{
	struct place place;

	if (!any_place(&place))
		return;
	if (symlink("target", place.path) < 0)
		return;
	look_up(&place);
}

static void look(void)
{
	struct place place;

	if (any_place(&place))
		look_up(&place);
}

static void forget(void)
{
	uint64_t id = any_known(0);

	if (id != FS_ROOT_ID)
		fs_inode_forget(from->fs.inodes, id, below(2) ? 1 : UINT64_MAX);
}

static void remove_name(void)
{
	struct place place;
	struct fs_victim victim;

	if (!any_place(&place))
		return;
	FS_AUTO_INODE struct fs_inode *dir = fs_inode_get(from->fs.inodes, place.dir);

	fs_name_removing(from->fs.inodes, dir, place.name, &victim);
	fs_name_removed(&victim, !remove(place.path));
}

static void rename_to(unsigned flags)
{
	struct place old, new;
	struct fs_victim victim = {.fd.fd = -1};
	bool moved;

	if (!any_place(&old) || !any_place(&new))
		return;
	FS_AUTO_INODE struct fs_inode *a = fs_inode_get(from->fs.inodes, old.dir);
	FS_AUTO_INODE struct fs_inode *b = fs_inode_get(from->fs.inodes, new.dir);

	fs_name_moving(from->fs.inodes, a, old.name, b, new.name);
	if (!flags)
		fs_name_removing(from->fs.inodes, b, new.name, &victim);
	moved = strcmp(old.path, new.path) != 0 &&
		!renameat2(AT_FDCWD, old.path, AT_FDCWD, new.path, flags);
	if (!flags)
		fs_name_removed(&victim, moved);
	if (moved)
		fs_name_moved(from->fs.inodes, a, old.name, b, new.name, flags);
	fs_name_move_ended(from->fs.inodes);
}

static void move_name(void)
{
	rename_to(0);
}

static void exchange(void)
{
	rename_to(RENAME_EXCHANGE);
}

static void make_link(void)
{
	uint64_t id = any_known(DT_REG);
	struct place place;
	char path[PATH_MAX];

	if (!id || !path_of(id, path) || !any_place(&place) || link(path, place.path) < 0)
		return;
	look_up(&place);
}

static void open_file(void)
{
	static const int flags[] = {O_RDONLY, O_RDWR, O_WRONLY | O_APPEND};
	uint64_t id = any_known(DT_REG), handle;
	FS_AUTO_INODE struct fs_inode *inode = id ? fs_inode_get(from->fs.inodes, id) : NULL;
	int how = flags[below(3)];
	GW_AUTO_FD int fd = inode ? fs_inode_open(inode, how) : -1;

	if (fd >= 0)
		assert_int_equal(fs_handle_add(from->fs.handles, inode, gw_take_fd(&fd),
					       (uint32_t)how, NULL, &handle),
				 0);
}

static void open_dir(void)
{
	uint64_t id = any_known(DT_DIR), handle;
	char path[PATH_MAX];

	if (!path_of(id, path))
		return;
	handle = guest_opendir(from, id);
	FS_AUTO_HANDLE struct fs_handle *found = fs_handle_get(from->fs.handles, handle);

	for (unsigned i = 0; i < 3; i++)
		fs_dir_serve(found->dir, i + 1, "nabc" + i, 1);
}

static void make_unnamed(void)
{
	char text[16];
	uint64_t id;

	snprintf(text, sizeof(text), "%u", below(1000));
	if (fs_inodes_full(from->fs.inodes))
		return;
	guest_tmpfile(from, text, &id);
}

static void close_file(void)
{
	uint64_t id = any_handle();

	if (id)
		fs_handle_release(from->fs.handles, id);
}

static void write_file(void)
{
	uint64_t id = any_handle();
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(from->fs.handles, id);
	char text[16];

	if (!handle || handle->dir || handle->flags == O_RDONLY)
		return;
	snprintf(text, sizeof(text), "%u ", below(1000));
	guest_append(from, id, text);
}

static void lock_file(void)
{
	uint64_t id = any_handle();
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(from->fs.handles, id);
	const struct fs_range range = {below(10), 10 + below(10), below(2) ? F_RDLCK : F_UNLCK};

	if (!handle || handle->dir || handle->flags != O_RDWR)
		return;
	if (below(2))
		fs_lock_set(&from->fs, handle->inode, below(3) + 1, id, &range);
	else
		fs_flock_set(handle, range.type);
}

/* Behind the guest's back. */
static void host_moves(void)
{
	struct place old, new;

	if (!below(4) && any_place(&old) && any_place(&new) && access(new.path, F_OK))
		rename(old.path, new.path);
}

static void host_removes(void)
{
	struct place place;

	if (!below(4) && any_place(&place))
		remove(place.path);
}

/* What is common stands several times. */
static void (*const does[])(void) = {
	make_file,  make_file,	make_file,  make_dir,  make_symlink, look,	   look,
	look,	    forget,	forget,	    forget,    remove_name,  move_name,	   move_name,
	exchange,   make_link,	open_file,  open_file, open_dir,     make_unnamed, close_file,
	close_file, write_file, write_file, lock_file, host_moves,   host_removes,
};

static void go_on(unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		does[below(sizeof(does) / sizeof(does[0]))]();
}

/* -- what a destination has ------------------------------------------------------------------ */

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_no_name(char *const *lines, size_t count, const char *inode)
{
	char orphan[64];

	snprintf(orphan, sizeof(orphan), "gw_fs_orphan_v1 inode=%llu ", strtoull(inode, NULL, 10));
	for (size_t i = 0; i < count; i++) {
		if (!strncmp(lines[i], orphan, strlen(orphan)))
			return true;
	}
	return false;
}

/* What was made anew is a file of its own at each destination. */
static void show_line(FILE *out, char *const *lines, size_t count, char *line)
{
	char *id = strstr(line, "inode_v1 id="), *ino = strstr(line, " ino="),
	     *rest = strstr(line, " lookups="), *handle = strstr(line, " handle_type=");

	if (id && ino && rest && handle && has_no_name(lines, count, id + 12))
		fprintf(out, "%.*s%.*s\n", (int)(ino - line), line, (int)(handle - rest), rest);
	else if (another && !strncmp(line, "gw_fs_session_v1 ", 17)) /* ids of its go on there */
		fprintf(out, "%.*s\n", (int)(strstr(line, " inode_generation=") - line), line);
	else if (!strncmp(line, "gw_fs_orphan_v1 ", 16)) /* read meanwhile: its times are now's */
		fprintf(out, "%.*s\n", (int)(strstr(line, " atime=") - line), line);
	else if (strncmp(line, "transfer:", 9) != 0 && strncmp(line, "end,", 4) != 0)
		fprintf(out, "%s\n", line);
}

/* Its own state, line by line in their order: that of names and locks is nobody's business. */
static void show_state(FILE *out, struct share *share)
{
	static char *lines[65536];
	char *text = NULL, *rest;
	size_t size = 0, count = 0;
	FILE *dump;
	int fd, err = move_save_result(share, &fd);

	if (err) {
		fprintf(out, "no state: %d: %s\n", err, gw_last_error());
		close(fd);
		return;
	}
	dump = open_memstream(&text, &size);
	assert_int_equal(gw_state_dump(fd, fs_layouts, dump), 0);
	fclose(dump);
	close(fd);
	rest = text;
	while (count < 65536 && (lines[count] = strsep(&rest, "\n")))
		count++;
	qsort(lines, count, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < count; i++)
		show_line(out, lines, count, lines[i]);
	free(text);
}

static void show_handles(FILE *out, struct share *share)
{
	struct fs_open *open;
	uint32_t at = 0;

	while ((open = fs_slots_next(&share->fs.handles->slots, &at))) {
		const struct fs_handle *handle = &open->handle;
		struct stat st = {0};
		char text[64] = "";

		if (!open->slot.id || !(uint32_t)atomic_load(&open->slot.life))
			continue;
		if (handle->fd >= 0)
			fstat(handle->fd, &st);
		if (handle->fd >= 0 && !handle->dir && pread(handle->fd, text, 63, 0) < 0)
			strcpy(text, "(unreadable)");
		fprintf(out,
			"handle %llx of %llx: %s %x lost %d, %s, %llu links, number %llu, \"%s\"\n",
			(unsigned long long)fs_slot_id(&open->slot),
			(unsigned long long)fs_inode_id(handle->inode),
			handle->fd < 0 ? "none" : "open", handle->flags, handle->lost,
			handle->dir ? "directory" : "file", (unsigned long long)st.st_nlink,
			st.st_nlink ? (unsigned long long)st.st_ino : 0ull, text);
		if (handle->fd >= 0)
			fprintf(out, "  %x\n", fcntl(handle->fd, F_GETFL));
	}
}

static int show_name(void *opaque, const struct fs_name *name)
{
	struct place *places = opaque;
	struct place *place = &places[places->dir++ + 1];

	if (places->dir == 64)
		return 1;
	place->dir = fs_slot_id(fs_slot_at(&to.fs.inodes->slots, name->parent));
	snprintf(place->name, sizeof(place->name), "%.*s", name->len, name->bytes);
	return 0;
}

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : x->dir < y->dir ? -1 : x->dir > y->dir;
}

/* What the guest is told when it looks it up again, and when it asks for it by its id. */
static void show_inode(FILE *out, struct share *share, uint64_t node)
{
	static struct place places[65];
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, node);
	struct statx stx = {0};
	int err = fs_inode_statx(inode, &stx);
	bool unnamed = !err && !stx.stx_nlink;

	fprintf(out, "inode %llx: %d %o %llu %llu\n", (unsigned long long)node, err, stx.stx_mode,
		unnamed ? 0ull : (unsigned long long)stx.stx_ino, (unsigned long long)stx.stx_size);
	places[0].dir = 0;
	fs_names_walk(share->fs.inodes, inode, show_name, places);
	qsort(places + 1, places[0].dir, sizeof(*places), compare_places);
	for (size_t i = 1; i <= places[0].dir; i++) {
		FS_AUTO_INODE struct fs_inode *dir = fs_inode_get(share->fs.inodes, places[i].dir);
		uint64_t found = 0;

		err = dir ? fs_inode_lookup(share->fs.inodes, dir, places[i].name, &found, &stx)
			  : 1;
		fprintf(out, "  %s in %llx: %d %llx\n", places[i].name,
			(unsigned long long)places[i].dir, err, (unsigned long long)found);
		if (!err)
			fs_inode_forget(share->fs.inodes, found, 1);
	}
}

static void show_inodes(FILE *out, struct share *share)
{
	static uint64_t ids[KNOWN_MAX];
	struct fs_inode *inode;
	unsigned count = 0;
	uint32_t at = 0;

	while (count < KNOWN_MAX && (inode = fs_slots_next(&share->fs.inodes->slots, &at))) {
		if (inode->slot.id && (uint32_t)atomic_load(&inode->slot.life))
			ids[count++] = inode->slot.id;
	}
	for (unsigned i = 0; i < count; i++)
		show_inode(out, share, ids[i]);
}

static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* To be freed. @ahead: what came ahead is there. */
static char *load(int state, bool ahead)
{
	unsigned before = count_descriptors();
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int err;

	move_twin(&to, from);
	if (helpers)
		move_helpers(&to, helpers);
	if (ahead && precopy_load(&to))
		fail_msg("seed %llu: precopy: %s", (unsigned long long)seed, gw_last_error());
	err = move_load(&to, fcntl(state, F_DUPFD_CLOEXEC, 0));
	fprintf(out, "loaded: %d\n", err);
	if (!err) {
		show_state(out, &to);
		show_handles(out, &to);
		show_inodes(out, &to);
	}
	assert_null(atomic_load(&to.fs.precopied));
	if (helpers)
		move_helpers_end(&to);
	move_twin_close(&to);
	fclose(out);
	/* The precopy's stream is gone besides. */
	assert_int_equal(count_descriptors(), before - ahead);
	lseek(state, 0, SEEK_SET);
	return text;
}

static void assert_same(const char *without, const char *with)
{
	size_t line = 0;

	if (!strcmp(without, with))
		return;
	for (size_t i = 0; without[i] == with[i]; i++) {
		if (without[i] == '\n')
			line = i + 1;
	}
	fail_msg("seed %llu: without a precopy\n%.*s\nand with it\n%.*s", (unsigned long long)seed,
		 (int)strcspn(without + line, "\n"), without + line,
		 (int)strcspn(with + line, "\n"), with + line);
}

/* -- guests ---------------------------------------------------------------------------------- */

static void begin(void)
{
	static const enum fs_migration_mode modes[] = {FS_MIGRATION_AUTO, FS_MIGRATION_AUTO,
						       FS_MIGRATION_HANDLES};

	from = &first;
	move_source(from);
	from->host.verify = (enum fs_verify)below(3);
	from->host.migration_mode = modes[below(3)];
	from->host.on_error = below(2) ? FS_ON_ERROR_GUEST : FS_ON_ERROR_ABORT;
	from->host.inode_limit = below(8) ? 0 : 60 + below(60);
	helpers = below(2) * 3;
	go_on(below(4) ? below(400) : below(40));
	if (below(2))
		fs_prepare(&from->fs, true);
}

/* Some of it while the precopy is made. */
static void precopy(void)
{
	precopy_begin(from);
	for (unsigned i = below(3); i; i--) {
		precopy_step(from);
		go_on(below(20));
	}
	precopy_end(from);
}

static void try_guest(void)
{
	int state;

	random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	begin();
	precopy();
	another = !below(4);
	if (another) { /* what follows is of another guest of the same share */
		move_twin(&second, &first);
		second.fs.session = first.fs.session;
		from = &second;
		go_on(below(200));
	}
	go_on(below(3) ? below(30) : below(300));
	if (move_save_result(from, &state)) {
		close(precopy_stream);
	} else {
		char *without = load(state, false), *with = load(state, true);

		assert_same(without, with);
		free(without);
		free(with);
	}
	close(state);
	if (another)
		move_twin_close(&second);
	share_close(&first);
}

static double seconds = SECONDS;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void every_guest(void **state)
{
	double end = now() + seconds;
	unsigned count = 0;

	(void)state;
	if (seed) {
		try_guest();
		return;
	}
	seed = (uint64_t)time(NULL) * 1000000;
	print_message("from seed %llu on\n", (unsigned long long)seed);
	for (; now() < end; seed++, count++)
		try_guest();
	print_message("%u guests\n", count);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_guest)};

	if (argc > 1)
		seconds = strtod(argv[1], NULL);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
