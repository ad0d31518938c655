/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/session-matrix.c - the whole session moves: what the destination was told and
 * differs is refused by its name, what it was not told it takes over, and behaves so. */
/*
 * usage: session-matrix GODWIT-FS. A row for each parameter of the model; one that has none fails
 * the test. Source and destination are programs, told by options as an operator does.
 */
#include "../common/fuse_client.h"
#include "../common/operator.h"
#include "../common/said.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/xattr.h>

#include "base/checked.h"
#include "fs/notify.h"
#include "fs/records.h"
#include "state/stream.h"

#define OK(call)                                                                   \
	({                                                                         \
		int ok_ = (call);                                                  \
		if (ok_ < 0)                                                       \
			fail_msg("%s: %s: %s", row->param, #call, strerror(-ok_)); \
		ok_;                                                               \
	})

#define A_DAY 86400

struct row {
	const char *param;
	const char *given;   /* the source's options */
	const char *differs; /* the destination's, which do not go with them */
	const char *value;   /* of the parameter, as JSON; what is off is not told */
	/* At the source, before; at the destination, after. */
	void (*before)(const struct row *row);
	void (*after)(const struct row *row);
	uint64_t flag;	   /* of INIT: agreed on */
	uint64_t flag_not; /* not agreed on */
	const char *host;  /* options that are a matter of each host, or NULL */
	/* The destination has to be told it, too: it is a digest, or of what is agreed on before
	 * a state is loaded; in that case it is refused before. */
	bool always_told, virtio;
};

static struct fuse_client from, to;
static const char *program;
static uint64_t fh, node; /* of before() */

/*
 * What the rows do.
 */

static int set_xattr(struct fuse_client *client, const char *file, const char *name, size_t header)
{
	const struct fuse_setxattr_in in = {.size = 5};
	uint64_t id = fuse_node(client, 0, file);

	return fuse_call(client, &(struct fuse_call){.opcode = FUSE_SETXATTR,
						     .nodeid = id,
						     .arg = &in,
						     .arg_len = header,
						     .name = name,
						     .data = "value",
						     .data_len = 5});
}

static bool host_has(const char *file, const char *name)
{
	char value[8];

	return lgetxattr(share_path(&to, file), name, value, sizeof(value)) == 5 &&
	       !memcmp(value, "value", 5);
}

static int set_lock(struct fuse_client *client, uint32_t opcode, uint32_t flags)
{
	const struct fuse_lk_in in = {
		.fh = fh, .owner = 1, .lk = {.end = INT64_MAX, .type = F_WRLCK}, .lk_flags = flags};

	return fuse_call(client, &(struct fuse_call){.opcode = opcode,
						     .nodeid = node,
						     .arg = &in,
						     .arg_len = sizeof(in)});
}

static bool host_may_lock(void)
{
	struct flock probe = {.l_type = F_WRLCK};
	int fd = open(share_path(&to, "file"), O_RDWR | O_CLOEXEC);
	bool may = !fcntl(fd, F_OFD_GETLK, &probe) && probe.l_type == F_UNLCK;

	may = may && !flock(fd, LOCK_EX | LOCK_NB);
	close(fd);
	return may;
}

static void open_file(const struct row *row)
{
	struct fuse_open_out out;

	node = fuse_node(&from, 0, "file");
	OK(fuse_open(&from, node, O_RDWR, &out));
	fh = out.fh;
}

static void open_to_write(const struct row *row)
{
	struct fuse_open_out out;

	node = fuse_node(&from, 0, "file");
	OK(fuse_open(&from, node, O_WRONLY, &out));
	fh = out.fh;
}

/* Of what the back-end has open under this name, all flags in one; *@count: how many. */
static unsigned host_flags(const struct fuse_client *client, const char *name, unsigned *count)
{
	char dir[64], path[PATH_MAX], link[PATH_MAX];
	const struct dirent *entry;
	unsigned all = 0;
	DIR *fds;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", client->program);
	fds = opendir(dir);
	assert_non_null(fds);
	*count = 0;
	while ((entry = readdir(fds))) {
		unsigned flags = 0;
		ssize_t len;
		FILE *info;

		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		len = readlink(path, link, sizeof(link) - 1);
		link[len > 0 ? len : 0] = 0;
		if (strcmp(link, share_path(client, name)))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", client->program, entry->d_name);
		info = fopen(path, "r");
		assert_non_null(info);
		assert_int_equal(fscanf(info, "pos: %*u flags: %o", &flags), 1);
		fclose(info);
		if (flags & O_PATH)
			continue;
		all |= flags;
		++*count;
	}
	closedir(fds);
	return all;
}

/* State 1 has no words for locks, so that nobody who holds one can go on from here. */
static void after_state(const struct row *row)
{
	int stream = memfd_create("state", MFD_CLOEXEC);

	OK(set_lock(&to, FUSE_SETLK, 0));
	OK(gw_frontend_stop(to.frontend));
	assert_true(gw_frontend_save(to.frontend, stream) < 0);
	close(stream);
	fuse_resume(&to);
}

static void after_queues(const struct row *row)
{
	struct fuse_getattr_in in = {0};
	struct fuse_attr_out out;

	OK(fuse_call_on(&to, 2,
			&(struct fuse_call){.opcode = FUSE_GETATTR,
					    .arg = &in,
					    .arg_len = sizeof(in),
					    .answer = &out,
					    .room = sizeof(out)}));
}

static void after_cache(const struct row *row)
{
	struct fuse_entry_out entry;
	struct fuse_open_out out;

	OK(fuse_lookup(&to, 0, "file", &entry));
	assert_int_equal(entry.entry_valid, A_DAY);
	OK(fuse_open(&to, entry.nodeid, O_RDONLY, &out));
	assert_true(out.open_flags & FOPEN_KEEP_CACHE);
}

static void after_xattr(const struct row *row)
{
	OK(set_xattr(&to, "file", "user.gw", FUSE_COMPAT_SETXATTR_IN_SIZE));
	assert_true(host_has("file", "user.gw"));
}

/* With it the header of SETXATTR is longer (FUSE_SETXATTR_EXT). */
static void after_acl(const struct row *row)
{
	OK(set_xattr(&to, "file", "user.gw", sizeof(struct fuse_setxattr_in)));
	assert_true(host_has("file", "user.gw"));
}

/* What is made comes with its label, and has it. */
static void after_label(const struct row *row)
{
	static const struct {
		uint32_t total, count, size, padding;
		char text[32];
	} context = {.total = 40, .count = 1, .size = 5, .text = "security.gw\0value"};
	static const struct fuse_mkdir_in in = {.mode = 0700};
	struct fuse_entry_out entry;

	OK(fuse_call(&to, &(struct fuse_call){.opcode = FUSE_MKDIR,
					      .arg = &in,
					      .arg_len = sizeof(in),
					      .name = "labelled",
					      .data = &context,
					      .data_len = context.total,
					      .ext_units = (uint16_t)(context.total / 8),
					      .answer = &entry,
					      .room = sizeof(entry)}));
	assert_true(host_has("labelled", "security.gw"));
}

/* What is opened to be written is read as well, by the guest's cache. */
static void after_writeback(const struct row *row)
{
	struct fuse_open_out out;
	char text[8];

	assert_int_equal(OK(fuse_read(&to, fh, 0, text, sizeof(text))), 7);
	OK(fuse_open(&to, node, O_WRONLY, &out));
	assert_int_equal(OK(fuse_read(&to, out.fh, 0, text, sizeof(text))), 7);
}

static void before_direct(const struct row *row)
{
	struct fuse_open_out out;

	node = fuse_node(&from, 0, "file");
	OK(fuse_open(&from, node, O_RDWR | O_DIRECT, &out));
	fh = out.fh;
}

static void after_direct(const struct row *row)
{
	struct fuse_open_out out;
	unsigned count;

	(void)row;
	assert_true(host_flags(&to, "file", &count) & O_DIRECT);
	assert_int_equal(count, 1);
	OK(fuse_release(&to, FUSE_RELEASE, fh));
	OK(fuse_open(&to, node, O_RDWR | O_DIRECT, &out));
	assert_true(host_flags(&to, "file", &count) & O_DIRECT);
}

static void after_killpriv(const struct row *row)
{
	struct stat st;

	assert_int_equal(chmod(share_path(&to, "file"), 06777), 0);
	assert_int_equal(OK(fuse_write(&to, fh, 0, "x", 1, 0)), 1);
	assert_int_equal(stat(share_path(&to, "file"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 06777); /* the guest did not ask for it */
	{
		struct fuse_write_in in = {
			.fh = fh, .size = 1, .write_flags = FUSE_WRITE_KILL_SUIDGID};
		struct fuse_write_out out;

		OK(fuse_call(&to, &(struct fuse_call){.opcode = FUSE_WRITE,
						      .nodeid = node,
						      .arg = &in,
						      .arg_len = sizeof(in),
						      .data = "x",
						      .data_len = 1,
						      .answer = &out,
						      .room = sizeof(out)}));
	}
	assert_int_equal(stat(share_path(&to, "file"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0777);
}

static void after_posix_lock(const struct row *row)
{
	assert_true(host_may_lock());
	OK(set_lock(&to, FUSE_SETLK, 0));
	assert_false(host_may_lock());
}

static void after_flock(const struct row *row)
{
	assert_true(host_may_lock());
	OK(set_lock(&to, FUSE_SETLK, FUSE_LK_FLOCK));
	assert_false(host_may_lock());
}

/* Somebody on the host has it for a while. */
static void after_lock_wait(const struct row *row)
{
	const struct fuse_lk_in in = {
		.fh = fh, .owner = 1, .lk = {.end = INT64_MAX, .type = F_WRLCK}};
	struct fuse_call wish = {
		.opcode = FUSE_SETLKW, .nodeid = node, .arg = &in, .arg_len = sizeof(in)};
	struct flock lock = {.l_type = F_WRLCK};
	int fd = open(share_path(&to, "file"), O_RDWR | O_CLOEXEC);

	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	fuse_begin(&to, 1, &wish);
	/* Another request is answered meanwhile. */
	after_queues(row);
	assert_false(wish.done);
	close(fd);
	fuse_wait(&to, 1, &wish);
	OK(wish.result);
}

static void after_notification(const struct row *row)
{
	(void)row;
	assert_true(gw_frontend_features(to.frontend) & FS_F_NOTIFICATION);
	fuse_node(&to, 0, "file"); /* on the queue after it */
}

/* INIT is asked once more at the destination, and answered likewise, for each row. */
static void before_minor(const struct row *row)
{
	(void)row;
	assert_int_equal(from.init.minor, 38);
}

static void before_max_write(const struct row *row)
{
	(void)row;
	assert_int_equal(from.init.max_write, 128 << 10);
	assert_int_equal(from.init.max_pages, 32);
}

static void after_xattrmap(const struct row *row)
{
	OK(set_xattr(&to, "file", "trusted.gw", FUSE_COMPAT_SETXATTR_IN_SIZE));
	assert_true(host_has("file", "user.virtiofs.trusted.gw"));
}

static void after_idmap(const struct row *row)
{
	struct fuse_attr attr;

	assert_int_equal(chown(share_path(&to, "file"), 100007, 0), 0);
	OK(fuse_getattr(&to, node, &attr));
	assert_int_equal(attr.uid, 7);
}

#define XATTRMAP "--xattrmap=:map::user.virtiofs.:"

static const struct row rows[] = {
	{"state", "--m-state=1 --posix-lock", "--m-state=2", NULL, open_file, after_state},
	{"num-request-queues", "--num-request-queues=2", "--num-request-queues=3", "2", NULL,
	 after_queues},
	{"cache", "--cache=always", "--cache=never", "\"always\"", NULL, after_cache},
	{"xattr", "--xattr", "--m-xattr=off", "true", NULL, after_xattr},
	{"posix-acl", "--xattr --posix-acl=auto", "--posix-acl=never", "\"auto\"", NULL, after_acl,
	 FUSE_POSIX_ACL | FUSE_SETXATTR_EXT},
	{"security-label", "--security-label=auto", "--security-label=never", "\"auto\"", NULL,
	 after_label, FUSE_SECURITY_CTX, .host = "--modcaps=+sys_admin"},
	{"writeback", "--writeback", "--m-writeback=off", "true", open_to_write, after_writeback,
	 FUSE_WRITEBACK_CACHE},
	{"direct-io", "--allow-direct-io", "--m-direct-io=off", "true", before_direct,
	 after_direct},
	{"direct-mmap", "--allow-mmap", "--m-direct-mmap=off", "true", NULL, NULL,
	 FUSE_DIRECT_IO_ALLOW_MMAP},
	{"killpriv-v2", "--killpriv-v2", "--m-killpriv-v2=off", "true", open_file, after_killpriv,
	 FUSE_HANDLE_KILLPRIV_V2},
	{"posix-lock", "--posix-lock", "--m-posix-lock=off", "true", open_file, after_posix_lock,
	 FUSE_POSIX_LOCKS},
	{"flock", "--flock", "--m-flock=off", "true", open_file, after_flock, FUSE_FLOCK_LOCKS},
	{"lock-wait", "--posix-lock --lock-wait", "--m-lock-wait=off", "true", open_file,
	 after_lock_wait},
	{"notification-queue", "--notification-queue", "--m-notification-queue=off", "true", NULL,
	 after_notification, .host = "--watch", .always_told = true, .virtio = true},
	/* Unlike the profile that would be taken otherwise. */
	{"submounts", "--no-announce-submounts", "--announce-submounts", NULL, NULL, NULL,
	 .flag_not = FUSE_SUBMOUNTS},
	{"fuse-minor", "--m-fuse-minor=38", "--m-fuse-minor=40", "38", before_minor, NULL,
	 .flag = FUSE_CREATE_SUPP_GROUP, .flag_not = FUSE_DIRECT_IO_ALLOW_MMAP},
	{"max-write", "--m-max-write=131072", "--m-max-write=262144", "131072", before_max_write},
	{"xattr-map", XATTRMAP, "--xattrmap=:map::user.other.:", NULL, NULL, after_xattrmap,
	 .always_told = true},
	{"id-map", "--translate-uid=host:100000:0:10", "--translate-uid=host:200000:0:10", NULL,
	 open_file, after_idmap, .always_told = true},
};

/*
 * Both sides.
 */

static void told(const struct row *row, const char *options)
{
	char words[1024];

	snprintf(words, sizeof(words), "%s --sandbox=none %s %s", program,
		 row->host ? row->host : "", options);
	setenv(FUSE_PROGRAM, words, 1);
}

/* Nothing is told but by the row. */
static struct fs_host nothing(const struct row *row)
{
	return (struct fs_host){
		.tag = "test",
		.policy = {.cache = FS_UNSET,
			   .posix_acl = FS_UNSET,
			   .security_label = FS_UNSET,
			   .submounts = FS_UNSET,
			   .notification = !strcmp(row->param, "notification-queue")}};
}

static void start(const struct row *row)
{
	struct fuse_options options = {.queues = 2, .untold = true, .control = true};

	options.policy = nothing(row).policy;
	told(row, row->given);
	fuse_start(&from, &options);
	share_file(&from, "file", "content");
	if (row->before)
		row->before(row);
}

static int save(void)
{
	int stream = memfd_create("state", MFD_CLOEXEC);

	assert_true(stream >= 0);
	fuse_save(&from, stream);
	return stream;
}

static int load_and_listen(const struct row *row, int stream)
{
	const struct fs_host host = nothing(row);
	int err;

	listen_to_it();
	lseek(stream, 0, SEEK_SET);
	err = fuse_load(&to, &from, NULL, &host, stream);
	listen_no_more();
	return err;
}

static void expect_refusal(const struct row *row, int stream)
{
	char sentence[96];

	told(row, row->differs);
	if (load_and_listen(row, stream) >= 0)
		fail_msg("%s: %s took over %s", row->param, row->differs, row->given);
	if (row->virtio) {
		assert_non_null(strstr(gw_last_error(), "does not offer virtio features"));
		return;
	}
	snprintf(sentence, sizeof(sentence), "parameter %s: the source has", row->param);
	if (!strstr(said, sentence))
		fail_msg("%s: refused, but not by its name:\n%s", row->param, said);
}

/* query-migration-info: the value, and that nothing is open any more. */
static void expect_param(const struct row *row)
{
	struct operator operator;
	const json_t *instance, *value;
	json_t *info;
	char *text;

	operator_open(&operator, to.control);
	info = operator_ask(&operator, "query-migration-info");
	instance = json_array_get(operator_at(info, "instances"), 0);
	value = json_object_get(operator_at(instance, "params"), row->param);
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	if (row->value ? !text || strcmp(text, row->value) : value && !row->always_told)
		fail_msg("%s: %s, expected is %s", row->param, text ? text : "off",
			 row->value ? row->value : "off");
	assert_false(row->always_told && !value);
	assert_int_equal(json_array_size(operator_at(instance, "unset")), 0);
	free(text);
	json_decref(info);
	operator_close(&operator);
}

/* Another INIT is agreed on in the same way; it ends all that was open. */
static void expect_same_offer(const struct row *row)
{
	const struct fuse_init_out before = from.init;

	assert_true((from.init.flags | (uint64_t)from.init.flags2 << 32) & FUSE_INIT_EXT);
	OK(fuse_init(&to, 7, FUSE_KERNEL_MINOR_VERSION, UINT64_MAX >> 1));
	assert_memory_equal(&to.init, &before, sizeof(before));
	{
		uint64_t flags = to.init.flags | (uint64_t)to.init.flags2 << 32;

		assert_int_equal(flags & row->flag, row->flag);
		assert_int_equal(flags & row->flag_not, 0);
	}
}

static void try_row(const struct row *row)
{
	int stream;

	start(row);
	stream = save();
	expect_refusal(row, stream);
	told(row, row->always_told ? row->given : "");
	if (load_and_listen(row, stream) < 0)
		fail_msg("%s: %s", row->param, said);
	close(stream);
	expect_param(row);
	if (row->after)
		row->after(row);
	expect_same_offer(row);
	fuse_stop(&to);
	fuse_stop(&from);
}

static const struct row *row_of(const char *param)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(rows); i++) {
		if (!strcmp(rows[i].param, param))
			return &rows[i];
	}
	return NULL;
}

static void test_each_parameter(void **state)
{
	(void)state;
	for (const struct gw_param *param = fs_model.params; param->name; param++) {
		const struct row *row = row_of(param->name);

		if (!row)
			fail_msg("parameter %s has no row here: what of it moves?", param->name);
		try_row(row);
	}
}

/*
 * What INIT agreed on beside the parameters, as the states say: of the source, and of the
 * destination when the guest goes on from there.
 */

static void session_of(int stream, char line[512])
{
	char *text = NULL, *found, *end;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	lseek(stream, 0, SEEK_SET);
	assert_int_equal(gw_state_dump(stream, fs_layouts, out), 0);
	fclose(out);
	found = strstr(text, "\ngw_fs_session_v1 ");
	assert_non_null(found);
	end = strstr(found, " inode_generation"); /* from here on it is counters */
	assert_non_null(end);
	snprintf(line, 512, "%.*s", (int)(end - found), found);
	free(text);
	close(stream);
}

/* As somebody who may only by one of his other groups. */
static int make_by_group(struct fuse_client *client, const char *name)
{
	static const struct {
		struct fuse_ext_header header;
		uint32_t count, group;
	} ext = {.header = {.size = sizeof(ext), .type = FUSE_EXT_GROUPS},
		 .count = 1,
		 .group = 4242};
	static const struct fuse_mkdir_in in = {.mode = 0700};
	struct fuse_entry_out entry;

	return fuse_call(client, &(struct fuse_call){.opcode = FUSE_MKDIR,
						     .nodeid = node,
						     .uid = 4241,
						     .gid = 4241,
						     .arg = &in,
						     .arg_len = sizeof(in),
						     .name = name,
						     .data = &ext,
						     .data_len = sizeof(ext),
						     .ext_units = sizeof(ext) / 8,
						     .answer = &entry,
						     .room = sizeof(entry)});
}

static void make_groups_dir(const struct row *row)
{
	assert_int_equal(mkdir(share_path(&from, "group"), 0700), 0);
	assert_int_equal(chmod(share_path(&from, "group"), 0770), 0);
	assert_int_equal(chown(share_path(&from, "group"), 0, 4242), 0);
	node = fuse_node(&from, 0, "group");
	OK(make_by_group(&from, "before"));
}

static void test_the_rest_of_the_session(void **state)
{
	static const struct row old = {.param = "(session)", .given = "--writeback"};
	const struct row *row = &old;
	char before[512], after[512];
	int stream, again;

	(void)state;
	/* An older guest that knows not everything, and says so in both words. */
	start(row);
	OK(fuse_init(&from, 7, 38,
		     FUSE_INIT_EXT | FUSE_ASYNC_READ | FUSE_WRITEBACK_CACHE | FUSE_BIG_WRITES |
			     FUSE_CREATE_SUPP_GROUP));
	make_groups_dir(row);
	stream = save();
	told(row, "");
	if (load_and_listen(row, stream) < 0)
		fail_msg("%s", said);
	OK(make_by_group(&to, "after"));
	again = memfd_create("state", MFD_CLOEXEC);
	OK(gw_frontend_stop(to.frontend));
	OK(gw_frontend_save(to.frontend, again));
	session_of(stream, before);
	session_of(again, after);
	assert_string_equal(before, after);
	assert_non_null(strstr(before, " minor=38 "));
	fuse_resume(&to);
	fuse_stop(&to);
	fuse_stop(&from);
}

/* An instance that nobody told anything offers what the profile has: who was told less does not
 * take it over, be the guest's own session as old as it may. */
static void test_less_than_was_offered(void **state)
{
	static const struct row rows_of_it[] = {
		{.param = "fuse-minor", .given = "", .differs = "--m-fuse-minor=44"},
		{.param = "max-write", .given = "", .differs = "--m-max-write=524288"},
		{.param = "fuse-minor", .given = "", .differs = "--m-fuse-minor=38"},
	};

	(void)state;
	for (size_t i = 0; i < GW_ARRAY_LEN(rows_of_it); i++) {
		const struct row *row = &rows_of_it[i];
		int stream;

		start(row);
		OK(fuse_init(&from, 7, 31, FUSE_ASYNC_READ));
		assert_int_equal(from.init.minor, FUSE_KERNEL_MINOR_VERSION);
		stream = save();
		expect_refusal(row, stream);
		close(stream);
		fuse_stop(&from);
	}
}

/* What the daemon really used of the flags of an open: O_APPEND is the guest's with a cache that is
 * written back, O_DIRECT is not allowed, O_WRONLY was made O_RDWR. */
static void test_effective_open_flags(void **state)
{
	static const struct row flags = {.param = "(open flags)", .given = "--writeback"};
	const struct row *row = &flags;
	struct fuse_open_out out;
	unsigned count;
	int stream;

	(void)state;
	start(row);
	OK(fuse_open(&from, fuse_node(&from, 0, "file"), O_WRONLY | O_APPEND | O_DIRECT, &out));
	stream = save();
	told(row, "");
	if (load_and_listen(row, stream) < 0)
		fail_msg("%s", said);
	assert_int_equal(host_flags(&to, "file", &count) & (O_ACCMODE | O_APPEND | O_DIRECT),
			 O_RDWR);
	assert_int_equal(count, 1);
	assert_int_equal(OK(fuse_write(&to, out.fh, 1, "X", 1, 0)), 1);
	assert_string_equal(share_content(&to, "file"), "cXntent");
	close(stream);
	fuse_stop(&to);
	fuse_stop(&from);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_each_parameter, said_tear_down),
		cmocka_unit_test_teardown(test_the_rest_of_the_session, said_tear_down),
		cmocka_unit_test_teardown(test_less_than_was_offered, said_tear_down),
		cmocka_unit_test_teardown(test_effective_open_flags, said_tear_down),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: session-matrix GODWIT-FS\n");
		return 1;
	}
	if (geteuid()) {
		printf("needs root, to give files to somebody else: run it as root\n");
		return 77;
	}
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
