/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/godwit-fs.c - virtio-fs as a program: its options, and what must be right on this host. */
#include <assert.h>
#include <errno.h>
#include <linux/capability.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "daemon/daemon.h"
#include "daemon/seccomp.h"
#include "fs/attic.h"
#include "fs/backing.h"
#include "fs/evidence.h"
#include "fs/model.h"
#include "fs/watch.h"
#include "godwit/error.h"

#ifndef GODWIT_FS_OPS /* a test makes an older build of it: tests/compat/older.c */
#define GODWIT_FS_OPS fs_device_ops
#endif

#define POOL_SIZE_MAX	  256
#define VERIFY_BUDGET_MAX (24 * 60 * 60 * 1000) /* a day: nobody waits for longer */
#define NOFILE_UNSET	  UINT_MAX
#define NOFILE_WANTED	  1000000   /* more does not help anybody */
#define NOFILE_MAX	  (1 << 30) /* what the kernel's nr_open may be at most */

struct fs_daemon {
	struct fs_host host;
	struct gw_sandbox sandbox;
	unsigned nofile; /* NOFILE_UNSET: not given */
	bool verify, confirm;
	bool watch;
	const char *handover; /* path */
	const char *share_id;
	char backing[FS_BACKING_MAX];
	char users[GW_USERS_MAX];
	bool no_killpriv, announce_submounts, no_announce_submounts;
};
static_assert(offsetof(struct fs_daemon, host) == 0, "the device is given the host");

/* In the order of the enums in fs/fs.h. */
static const char *const cache_words[] = {"auto", "always", "never", "metadata", NULL};
/* The last is what prefer was once called. */
static const char *const handles_words[] = {"prefer", "never", "mandatory", "fallback", NULL};
static const char *const negotiation_words[] = {"never", "auto", "always", NULL};
static const char *const migration_mode_words[] = {"auto", "find-paths", "file-handles", NULL};
static const char *const same_words[] = {"same-fs", "same-tree", NULL};
static const char *const state_format_words[] = {"godwit", "virtiofsd-v2", NULL};
static const char *const orphans_words[] = {"content", "hide", NULL};
static const char *const on_error_words[] = {"abort", "guest-error", NULL};
static const char *const verify_words[] = {"open", "all", "none", NULL};

#define AT(member) offsetof(struct fs_daemon, member)
static const struct gw_option options[] = {
	{"shared-dir", "DIR", "directory to share", AT(host.shared_dir), GW_OPTION_STRING,
	 .required = true},
	{"tag", "TAG", "what the guest mounts, unless the VMM says", AT(host.tag), GW_OPTION_STRING,
	 .max = FS_TAG_MAX},
	{"xattr", NULL, "extended attributes", AT(host.policy.xattr), GW_OPTION_FLAG},
	{"xattrmap", "RULES", "names of extended attributes on the host", AT(host.xattrmap),
	 GW_OPTION_STRING, .rare = true},
	{"translate-uid", "RANGE", "users whose numbers differ on the host", AT(host.translate_uid),
	 GW_OPTION_LIST, .rare = true},
	{"translate-gid", "RANGE", "groups whose numbers differ on the host",
	 AT(host.translate_gid), GW_OPTION_LIST, .rare = true},
	{"cache", "POLICY", "auto, always, never, metadata [auto]", AT(host.policy.cache),
	 GW_OPTION_WORD, .words = cache_words},
	{"posix-acl", "WHEN", "ACLs: never, auto, always [never]", AT(host.policy.posix_acl),
	 GW_OPTION_WORD, .words = negotiation_words, .implied = "always", .rare = true},
	{"security-label", "WHEN", "labels with what is made, likewise [never]",
	 AT(host.policy.security_label), GW_OPTION_WORD, .words = negotiation_words,
	 .implied = "always", .rare = true},
	{"writeback", NULL, "the guest keeps written data for a while", AT(host.policy.writeback),
	 GW_OPTION_FLAG, .rare = true},
	{"allow-direct-io", NULL, "O_DIRECT of the guest is one here", AT(host.policy.direct_io),
	 GW_OPTION_FLAG, .rare = true},
	{"allow-mmap", NULL, "shared mappings also without a cache", AT(host.policy.mmap),
	 GW_OPTION_FLAG, .rare = true},
	{"killpriv-v2", NULL, "set-id bits are taken away here", AT(host.policy.killpriv),
	 GW_OPTION_FLAG, .rare = true},
	{"no-killpriv-v2", NULL, "they are not [this]", AT(no_killpriv), GW_OPTION_FLAG,
	 .rare = true},
	{"posix-lock", NULL, "POSIX locks of the guest are locks here", AT(host.policy.posix_lock),
	 GW_OPTION_FLAG, .rare = true},
	{"flock", NULL, "flock() of the guest is one here", AT(host.policy.flock), GW_OPTION_FLAG,
	 .rare = true},
	{"lock-wait", NULL, "and who wants to wait for one waits", AT(host.policy.lock_wait),
	 GW_OPTION_FLAG, .rare = true},
	{"preserve-noatime", NULL, "O_NOATIME of the guest is one here", AT(host.preserve_noatime),
	 GW_OPTION_FLAG, .rare = true},
	{"no-readdirplus", NULL, "list directories without attributes", AT(host.no_readdirplus),
	 GW_OPTION_FLAG, .rare = true},
	{"announce-submounts", NULL, "mounts in the share are mounts there [this]",
	 AT(announce_submounts), GW_OPTION_FLAG, .rare = true},
	{"no-announce-submounts", NULL, "they are plain directories", AT(no_announce_submounts),
	 GW_OPTION_FLAG, .rare = true},
	{"watch", NULL, "notice what others change in the directory", AT(watch), GW_OPTION_FLAG,
	 .rare = true},
	{"notification-queue", NULL, "experimental: and tell the guest",
	 AT(host.policy.notification), GW_OPTION_FLAG, .rare = true},
	{"readonly", NULL, "the guest may not change anything", AT(host.readonly), GW_OPTION_FLAG},
	{"sandbox", "MODE", "namespace, chroot, none [namespace]", AT(sandbox.mode), GW_OPTION_WORD,
	 .words = gw_sandbox_words},
	{"seccomp", "ACTION", "kill, trap, log, none: for strange calls [kill]",
	 AT(sandbox.seccomp), GW_OPTION_WORD, .rare = true, .words = gw_seccomp_words},
	{"modcaps", "LIST", "capabilities that are kept: +name:-name...", AT(sandbox.modcaps),
	 GW_OPTION_STRING, .rare = true},
	{"uid-map", "MAP", ":INSIDE:OUTSIDE:COUNT: user ids in the sandbox", AT(sandbox.uid_map),
	 GW_OPTION_STRING, .rare = true},
	{"gid-map", "MAP", ":INSIDE:OUTSIDE:COUNT: group ids in the sandbox", AT(sandbox.gid_map),
	 GW_OPTION_STRING, .rare = true},
	{"thread-pool-size", "N", "threads for what blocks [0: chosen]", AT(host.thread_pool_size),
	 GW_OPTION_NUMBER, .max = POOL_SIZE_MAX},
	{"num-request-queues", "N", "request queues at most [4]", AT(host.num_request_queues),
	 GW_OPTION_NUMBER, .min = 1, .max = FS_REQUEST_QUEUES_MAX},
	{"migration-mode", "MODE", "auto, find-paths, file-handles [auto]", AT(host.migration_mode),
	 GW_OPTION_WORD, .words = migration_mode_words, .rare = true},
	{"migration-identity", "WHAT", "same-fs, same-tree: a copy [same-fs]", AT(host.same),
	 GW_OPTION_WORD, .words = same_words, .rare = true},
	{"share-id", "ID", "tells this share from others, on all its hosts", AT(share_id),
	 GW_OPTION_STRING, .rare = true},
	{"state-format", "FORMAT", "godwit, virtiofsd-v2: saved for whom [godwit]",
	 AT(host.state_format), GW_OPTION_WORD, .words = state_format_words, .rare = true},
	{"migration-on-error", "WHAT", "abort, guest-error: what is not found [abort]",
	 AT(host.on_error), GW_OPTION_WORD, .words = on_error_words},
	{"migration-verify", "WHAT", "open, all, none: what a load proves [open]", AT(host.verify),
	 GW_OPTION_WORD, .words = verify_words, .rare = true},
	{"migration-verify-budget", "MS", "time for proving every inode [1000]",
	 AT(host.verify_budget), GW_OPTION_NUMBER, .min = 1, .max = VERIFY_BUDGET_MAX,
	 .rare = true},
	{"orphans", "HOW", "content, hide: files removed, yet open [content]", AT(host.orphans),
	 GW_OPTION_WORD, .words = orphans_words, .rare = true},
	{"migration-orphan-limit", "SIZE", "content of files without a name [4M]",
	 AT(host.orphan_limit), GW_OPTION_SIZE, .rare = true},
	{"dir-limit", "N", "directory entries read that move [1048576]", AT(host.dir_limit),
	 GW_OPTION_NUMBER, .min = 1, .max = FS_DIR_LIMIT_MAX, .rare = true},
	{"migration-verify-handles", NULL, "always done", AT(verify), GW_OPTION_FLAG, .rare = true},
	{"migration-confirm-paths", NULL, "always done", AT(confirm), GW_OPTION_FLAG, .rare = true},
	{"inode-file-handles", "WHEN", "never, prefer, mandatory [prefer]", AT(host.handles),
	 GW_OPTION_WORD, .words = handles_words, .rare = true},
	{"handover-socket", "PATH", "give, take what is open to, from who is there", AT(handover),
	 GW_OPTION_STRING, .rare = true},
	{"rlimit-nofile", "N", "open files, 0: as it is [a million, or allowed]", AT(nofile),
	 GW_OPTION_NUMBER, .max = NOFILE_MAX},
	{"inode-limit", "N", "inodes that the guest may have cached [any]", AT(host.inode_limit),
	 GW_OPTION_NUMBER, .max = FS_INODE_LIMIT_MAX, .rare = true},
	{"inode-memory", "MIB", "memory that they may take [any]", AT(host.inode_memory),
	 GW_OPTION_NUMBER, .max = FS_INODE_MEMORY_MAX, .rare = true},
	{NULL},
};

static int check_share(const char *path)
{
	GW_AUTO_FD int fd = -1;
	struct stat st;

	if (stat(path, &st) < 0)
		return gw_fail(errno, "shared directory %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return gw_fail(ENOTDIR, "shared directory %s: not a directory", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? gw_fail(errno, "shared directory %s cannot be read: %s", path,
				strerror(errno))
		      : 0;
}

static int check(void *opaque)
{
	struct fs_daemon *fs = opaque;
	int err;

	if (fs->announce_submounts && fs->no_announce_submounts)
		return gw_fail(EINVAL, "options --announce-submounts and --no-announce-submounts "
				       "exclude each other");
	if (fs->host.policy.killpriv && fs->no_killpriv)
		return gw_fail(EINVAL,
			       "options --killpriv-v2 and --no-killpriv-v2 exclude each other");
	if (fs->host.migration_mode == FS_MIGRATION_HANDLES && fs->host.handles == FS_HANDLES_NEVER)
		return gw_fail(EINVAL, "options --migration-mode=file-handles and "
				       "--inode-file-handles=never exclude each other");
	if (fs->host.policy.notification && !fs->watch)
		return gw_fail(EINVAL, "option --notification-queue goes with --watch");
	if (fs->announce_submounts || fs->no_announce_submounts)
		fs->host.policy.submounts = fs->announce_submounts;
	err = fs_host_check(&fs->host);
	return err ? err : gw_sandbox_check(&fs->sandbox);
}

static void confined(void *opaque, const struct gw_inside *inside)
{
	struct fs_daemon *fs = opaque;

	fs->host.root_fd = inside->root_fd;
	fs->host.proc_fd = inside->proc_fd;
}

static int open_sockets(void *opaque, struct gw_sockets *sockets)
{
	struct fs_daemon *fs = opaque;
	static int peer = -1;
	int err;

	if (!fs->handover)
		return 0;
	err = gw_sockets_open_handover(sockets, fs->handover, &peer);
	if (err)
		return err;
	fs->host.handover_fd = sockets->handover.fd;
	fs->host.handover_peer_fd = &peer;
	return 0;
}

static rlim_t nr_open(void)
{
	unsigned long long most = NOFILE_WANTED;
	FILE *file = fopen("/proc/sys/fs/nr_open", "re");

	if (file && fscanf(file, "%llu", &most) != 1)
		most = NOFILE_WANTED;
	if (file)
		fclose(file);
	return (rlim_t)most;
}

static bool set_limit(struct rlimit limit, rlim_t wanted)
{
	limit.rlim_cur = wanted;
	limit.rlim_max = GW_MAX(limit.rlim_max, wanted);
	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* Each cached inode may hold a descriptor: the soft limit is no use to anybody. Nobody has asked
 * for a number, so less will do. */
static void raise_nofile(struct rlimit limit)
{
	rlim_t wanted = GW_MIN((rlim_t)NOFILE_WANTED, nr_open());

	if (limit.rlim_cur < wanted && !set_limit(limit, wanted))
		set_limit(limit, limit.rlim_max);
}

static int set_nofile(unsigned wanted)
{
	struct rlimit limit;

	if (!wanted)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return gw_fail(errno, "open files: %s", strerror(errno));
	if (wanted == NOFILE_UNSET)
		raise_nofile(limit);
	else if (!set_limit(limit, wanted))
		return gw_fail(errno, "open files cannot be limited to %u: %s", wanted,
			       strerror(errno));
	return 0;
}

static int open_watch(struct fs_daemon *fs)
{
	int fd = fs_watch_open(fs->host.shared_dir, fs->host.policy.notification);

	fs->host.watch_fd = fd;
	return fd < 0 ? fd : 0;
}

static void look_at_locks(struct fs_host *host)
{
	host->locks_are_local =
		host->orphans == FS_ORPHANS_HIDE && fs_attic_locks_are_local(host->shared_dir);
	if (host->locks_are_local)
		gw_warn("--orphans=hide: other hosts do not see locks on files in %s (nolock, "
			"local_lock, nobrl): directories of hidden files that a dead process left "
			"are not removed",
			host->shared_dir);
}

static int look_at_users(struct fs_daemon *fs)
{
	int err = gw_sandbox_users(&fs->sandbox, fs->users);

	fs->host.users = err ? NULL : fs->users;
	return err;
}

static int look_at_share(struct fs_daemon *fs)
{
	int err = fs_backing_name(fs->backing, fs->host.shared_dir, fs->share_id);
	struct statvfs st;

	fs->host.backing = err ? NULL : fs->backing;
	fs->host.unwritable =
		!statvfs(fs->host.shared_dir, &st) && st.f_flag & (unsigned long)ST_RDONLY;
	return err;
}

/* Will files of the share be opened by handle? Asked by doing it once, with what is kept inside. */
static bool can_open_handles(const struct fs_daemon *fs)
{
	GW_AUTO_FD int dir = open(fs->host.shared_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fs_fhandle handle;
	GW_AUTO_FD int probe = -1;

	if (dir < 0 || fs->host.handles == FS_HANDLES_NEVER ||
	    !gw_sandbox_keeps(&fs->sandbox, CAP_DAC_READ_SEARCH) || fs_fhandle_of(dir, &handle))
		return false;
	probe = fs_fhandle_open(dir, &handle);
	return probe >= 0;
}

/* As far as it can be told without being started. */
static void environment(void *opaque, struct gw_environment *environment)
{
	struct fs_daemon *fs = opaque;

	if (fs->host.shared_dir)
		look_at_share(fs);
	look_at_users(fs);
	fs_host_environment(&fs->host, fs->host.shared_dir && can_open_handles(fs), environment);
}

static int prepare(void *opaque)
{
	struct fs_daemon *fs = opaque;
	static bool taken;
	int err = check_share(fs->host.shared_dir);

	fs->host.descriptors_taken = &taken;
	fs->sandbox.share = fs->host.shared_dir;
	fs->sandbox.readonly = fs->host.readonly;
	fs->sandbox.no_handles = fs->host.handles == FS_HANDLES_NEVER;
	if (!err)
		err = look_at_share(fs);
	if (!err)
		err = look_at_users(fs);
	look_at_locks(&fs->host);
	if (!err && fs->watch)
		err = open_watch(fs);
	return err ? err : set_nofile(fs->nofile);
}

/* What was not given stays unset, so that a source's value can be adopted. */
static int set_params(const void *opaque, struct gw_params *params)
{
	const struct fs_daemon *fs = opaque;

	return fs_host_params(&fs->host, params);
}

static const char *const features[] = {"posix-acl-negotiation-mode",
				       "security-label-negotiation-mode", NULL};

int main(int argc, char **argv)
{
	static struct fs_daemon fs = {.host.policy = FS_POLICY_UNSET, .nofile = NOFILE_UNSET};
	static const struct gw_daemon daemon = {
		.program = "godwit-fs",
		.summary = "Share a directory with a guest over virtio-fs (vhost-user).",
		.type = "fs",
		.features = features,
		.ops = &GODWIT_FS_OPS,
		.recovers = true,
		.options = options,
		.host = &fs,
		.check = check,
		.sandbox = &fs.sandbox,
		.confined = confined,
		.prepare = prepare,
		.environment = environment,
		.open = open_sockets,
		.set_params = set_params,
	};

	return gw_daemon_main(&daemon, argc, argv);
}
