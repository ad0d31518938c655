/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/model.c - the device model of virtio-fs, and what its parameters make of an instance. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "fs/model.h"
#include "fs/offers.h"
#include "fs/session.h"
#include "fs/xattrmap.h"
#include "godwit/error.h"
#include "model/prerequisite.h"

/* As the words of --cache, and as enum fs_cache. */
static const char *const cache_values[] = {"auto", "always", "never", "metadata", NULL};
/* As enum fs_negotiation. */
static const char *const negotiation_values[] = {"never", "auto", "always", NULL};

/* What there was when the first states were written, which do not say so: absence means this, for
 * ever, whatever a build can do besides. */
#define FUSE_MINOR_1 45
#define MAX_WRITE_1  (1024 * 1024)
/* What profiles turn on came up to it: less would not go with them. */
#define FUSE_MINOR_LEAST 36

/*
 * What the guest sees, and what the state's layout depends on. The tag is not here: only the
 * front-end knows it, or the operator gives it on both sides; a mounted file system does not look
 * at it again.
 */
static const struct gw_param params[] = {
	{.name = "state",
	 .doc = "Layouts of the device state's records.",
	 .type = GW_PARAM_INT,
	 .off = 1,
	 .min = 1,
	 .max = 3},
	{.name = "num-request-queues",
	 .doc = "Request queues, as the configuration space says.",
	 .type = GW_PARAM_INT,
	 .off = 1,
	 .min = 1,
	 .max = FS_REQUEST_QUEUES_MAX},
	{.name = "cache",
	 .doc = "How long the guest may believe what it was told.",
	 .type = GW_PARAM_ENUM,
	 .values = cache_values},
	{.name = "xattr", .doc = "Extended attributes.", .type = GW_PARAM_BOOL},
	{.name = "posix-acl",
	 .doc = "POSIX ACLs: never, if the guest knows them, or only with a guest that does.",
	 .type = GW_PARAM_ENUM,
	 .values = negotiation_values},
	{.name = "security-label",
	 .doc = "Labels with what is made: never, if the guest knows them, only with such a guest.",
	 .type = GW_PARAM_ENUM,
	 .values = negotiation_values},
	{.name = "writeback",
	 .doc = "The guest's kernel may keep what is written for a while.",
	 .type = GW_PARAM_BOOL},
	{.name = "direct-io",
	 .doc = "O_DIRECT of the guest is O_DIRECT on the host.",
	 .type = GW_PARAM_BOOL},
	{.name = "direct-mmap",
	 .doc = "Files that the guest does not cache can be mapped shared.",
	 .type = GW_PARAM_BOOL},
	{.name = "killpriv-v2",
	 .doc = "Set-id bits are taken away by the device instead of the guest's kernel.",
	 .type = GW_PARAM_BOOL},
	{.name = "posix-lock", .doc = "POSIX locks are locks on the host.", .type = GW_PARAM_BOOL},
	{.name = "flock", .doc = "Locks of flock() are locks on the host.", .type = GW_PARAM_BOOL},
	{.name = "lock-wait",
	 .doc = "Who wants to wait for a lock on the host waits.",
	 .type = GW_PARAM_BOOL},
	{.name = "notification-queue",
	 .doc = "There is a notification queue (experimental).",
	 .type = GW_PARAM_BOOL},
	{.name = "submounts",
	 .doc = "Mounts inside the share are mounts in the guest, with device numbers of their "
		"own.",
	 .type = GW_PARAM_BOOL},
	{.name = "fuse-minor",
	 .doc = "The newest FUSE that the guest is offered: 7.N, with the INIT flags that came up "
		"to it.",
	 .type = GW_PARAM_INT,
	 .off = FUSE_MINOR_1,
	 .min = FUSE_MINOR_LEAST,
	 .max = FUSE_KERNEL_MINOR_VERSION},
	{.name = "max-write",
	 .doc = "Bytes of data that a request may have, as the guest is told at INIT.",
	 .type = GW_PARAM_INT,
	 .off = MAX_WRITE_1,
	 .min = FS_MAX_WRITE_MIN,
	 .max = FS_MAX_WRITE_MAX},
	{.name = "xattr-map",
	 .doc = "Which rules map names of extended attributes: a digest of them, 0 for none.",
	 .type = GW_PARAM_INT,
	 .max = UINT32_MAX},
	{.name = "id-map",
	 .doc = "Which ranges translate users and groups: a digest of them, 0 for none.",
	 .type = GW_PARAM_INT,
	 .max = UINT32_MAX},
	{.name = NULL},
};

static const struct gw_setting profile_1[] = {
	{.name = "state", .value = 1},
	{.name = "num-request-queues", .value = FS_REQUEST_QUEUES_DEFAULT},
	{.name = "fuse-minor", .value = FUSE_MINOR_1},
	{.name = "max-write", .value = MAX_WRITE_1},
	{.name = NULL},
};

static const struct gw_setting profile_2[] = {
	{.name = "state", .value = 1},
	{.name = "num-request-queues", .value = FS_REQUEST_QUEUES_DEFAULT},
	{.name = "submounts", .value = true},
	{.name = "fuse-minor", .value = FUSE_MINOR_1},
	{.name = "max-write", .value = MAX_WRITE_1},
	{.name = NULL},
};

/* State 2: locks move. */
static const struct gw_setting profile_3[] = {
	{.name = "state", .value = 2},
	{.name = "num-request-queues", .value = FS_REQUEST_QUEUES_DEFAULT},
	{.name = "submounts", .value = true},
	{.name = "fuse-minor", .value = FUSE_MINOR_1},
	{.name = "max-write", .value = MAX_WRITE_1},
	{.name = NULL},
};

/* State 3: unnamed files go while the guest runs. */
static const struct gw_setting profile_4[] = {
	{"state", 3},		{"num-request-queues", FS_REQUEST_QUEUES_DEFAULT},
	{"submounts", 1},	{"fuse-minor", 45},
	{"max-write", 1048576}, {NULL, 0},
};

static const struct gw_profile profiles[] = {
	{.name = "1", .settings = profile_1},
	{.name = "2", .settings = profile_2},
	{.name = "3", .settings = profile_3},
	{.name = "4", .settings = profile_4},
	{.name = NULL},
};

/* Flags that a parameter asks for have to be of the FUSE that is offered. */
static int check_offers(const struct gw_params *set)
{
	const int64_t minor = gw_params_get(set, "fuse-minor", FUSE_KERNEL_MINOR_VERSION);
	const struct fs_offer *offer;

	for (unsigned i = 0; (offer = fs_offer_at(i)); i++) {
		if (offer->param && offer->since > minor && gw_params_get(set, offer->param, 0))
			return gw_fail(EINVAL,
				       "parameter %s: %s came with FUSE 7.%u, and parameter "
				       "fuse-minor is %" PRId64,
				       offer->param, offer->name, offer->since, minor);
	}
	return 0;
}

/* What is unset may still become what fits. */
int fs_model_check(const struct gw_model *model, const struct gw_params *set)
{
	bool acl = gw_params_get(set, "posix-acl", FS_NEVER) != FS_NEVER;

	(void)model;
	if (acl && !gw_params_get(set, "xattr", true))
		return gw_fail(EINVAL, "parameter posix-acl: ACLs are extended attributes, and "
				       "parameter xattr is off");
	if (acl && gw_params_get(set, "id-map", 0))
		return gw_fail(EINVAL, "parameter posix-acl: ids in ACLs are not translated, which "
				       "parameter id-map asks for");
	if (gw_params_get(set, "lock-wait", false) && !gw_params_get(set, "posix-lock", true) &&
	    !gw_params_get(set, "flock", true))
		return gw_fail(EINVAL, "parameter lock-wait: neither posix-lock nor flock is on");
	return check_offers(set);
}

const struct gw_model fs_model = {
	.name = "godwit-project.org/virtio-fs",
	.params = params,
	.profiles = profiles,
	.default_profile = "4",
};

/* Parameters that are members of struct fs_policy, and what they are where the operator says
 * nothing. */
enum kind {
	SWITCH, /* a bool, false */
	WORD,	/* an int, FS_UNSET */
	LIMIT,	/* unsigned, 0 */
};

static const struct setting {
	const char *param;
	size_t offset;
	enum kind kind;
} settings[] = {
	{"cache", offsetof(struct fs_policy, cache), WORD},
	{"posix-acl", offsetof(struct fs_policy, posix_acl), WORD},
	{"security-label", offsetof(struct fs_policy, security_label), WORD},
	{"submounts", offsetof(struct fs_policy, submounts), WORD},
	{"xattr", offsetof(struct fs_policy, xattr)},
	{"writeback", offsetof(struct fs_policy, writeback)},
	{"direct-io", offsetof(struct fs_policy, direct_io)},
	{"direct-mmap", offsetof(struct fs_policy, mmap)},
	{"posix-lock", offsetof(struct fs_policy, posix_lock)},
	{"flock", offsetof(struct fs_policy, flock)},
	{"lock-wait", offsetof(struct fs_policy, lock_wait)},
	{"killpriv-v2", offsetof(struct fs_policy, killpriv)},
	{"notification-queue", offsetof(struct fs_policy, notification)},
	{"fuse-minor", offsetof(struct fs_policy, fuse_minor), LIMIT},
	{"max-write", offsetof(struct fs_policy, max_write), LIMIT},
};

static int64_t setting_get(const struct setting *setting, const struct fs_policy *policy)
{
	const void *at = (const char *)policy + setting->offset;

	switch (setting->kind) {
	case WORD:
		return *(const int *)at;
	case LIMIT:
		return *(const unsigned *)at;
	case SWITCH:
		break;
	}
	return *(const bool *)at;
}

static void setting_put(const struct setting *setting, struct fs_policy *policy, int64_t value)
{
	void *at = (char *)policy + setting->offset;

	if (setting->kind == WORD)
		*(int *)at = (int)value;
	else if (setting->kind == LIMIT)
		*(unsigned *)at = (unsigned)value;
	else
		*(bool *)at = value;
}

/* A switch that is not given may be one that is off. */
static bool is_said(const struct setting *setting, int64_t value)
{
	return value != (setting->kind == WORD ? FS_UNSET : 0);
}

static int64_t off_of(const char *name)
{
	const struct gw_param *param = params;

	while (strcmp(param->name, name) != 0)
		param++;
	return param->off;
}

void fs_policy_apply(struct fs *fs)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(settings); i++) {
		int64_t own = setting_get(&settings[i], &fs->host->policy);

		if (!is_said(&settings[i], own))
			own = off_of(settings[i].param);
		setting_put(&settings[i], &fs->policy,
			    gw_params_get(fs->params, settings[i].param, own));
	}
}

#define CAP_HANDLES  "cap:dac_read_search"
#define ACCESS_WRITE "access:write"
#define BACKING_ANY  "shared-backing:any"

/* Only in mode file-handles do states come with nothing else to find an inode by. A share that may
 * be a copy takes states of any. A guest that could write has no use of a share where it may not;
 * the other way round nothing is lost. Who is told other owners after a move than before, or may no
 * longer do what it did, has lost something, so those are equal on both sides. */
void fs_host_environment(const struct fs_host *host, bool handles,
			 struct gw_environment *environment)
{
	const bool writes = !host->readonly && !host->unwritable;
	const char *backing = host->backing ? host->backing : "shared-backing:unknown";

	*environment = (struct gw_environment){0};
	if (host->migration_mode == FS_MIGRATION_HANDLES)
		gw_words_add(environment->requires, GW_ENVIRONMENT_MAX, CAP_HANDLES);
	if (host->backing)
		gw_words_add(environment->requires, GW_ENVIRONMENT_MAX, backing);
	if (handles)
		gw_words_add(environment->provides, GW_ENVIRONMENT_MAX, CAP_HANDLES);
	gw_words_add(environment->provides, GW_ENVIRONMENT_MAX,
		     host->same == FS_SAME_TREE ? BACKING_ANY : backing);
	if (writes) {
		gw_words_add(environment->requires, GW_ENVIRONMENT_MAX, ACCESS_WRITE);
		gw_words_add(environment->provides, GW_ENVIRONMENT_MAX, ACCESS_WRITE);
	}
	if (host->users) {
		gw_words_add(environment->requires, GW_ENVIRONMENT_MAX, host->users);
		gw_words_add(environment->provides, GW_ENVIRONMENT_MAX, host->users);
	}
}

/* Rules cannot be taken over from a digest of them, so this is never left open. */
static int set_xattrmap(const struct fs_host *host, struct gw_params *set)
{
	struct fs_xattrmap *map = NULL;
	int err = host->xattrmap ? fs_xattrmap_new(&map, host->xattrmap) : 0;

	if (!err)
		err = gw_params_set(set, "xattr-map", fs_xattrmap_id(map), NULL);
	/* Where names are mapped or ACLs are kept, attributes there must be. */
	if (!err && (map || host->policy.posix_acl > FS_NEVER))
		err = gw_params_set(set, "xattr", true, NULL);
	fs_xattrmap_free(map);
	return err;
}

static int read_ids(struct fs_idmap *map, const struct gw_texts *texts)
{
	int err = 0;

	for (unsigned i = 0; i < texts->count && !err; i++)
		err = fs_idmap_add(map, texts->text[i]);
	return err;
}

int fs_host_ids(const struct fs_host *host, struct fs_idmap *uids, struct fs_idmap *gids)
{
	int err = read_ids(uids, &host->translate_uid);

	if (err)
		return gw_fail_in(err, "--translate-uid");
	err = read_ids(gids, &host->translate_gid);
	return err ? gw_fail_in(err, "--translate-gid") : 0;
}

static int set_idmap(const struct fs_host *host, struct gw_params *set)
{
	struct fs_idmap uids = {0}, gids = {0};
	int err = fs_host_ids(host, &uids, &gids);

	return err ? err : gw_params_set(set, "id-map", fs_idmaps_id(&uids, &gids), NULL);
}

int fs_host_params(const struct fs_host *host, struct gw_params *set)
{
	int err = 0;

	if (host->num_request_queues)
		err = gw_params_set(set, "num-request-queues", host->num_request_queues, NULL);
	for (size_t i = 0; i < GW_ARRAY_LEN(settings) && !err; i++) {
		int64_t value = setting_get(&settings[i], &host->policy);

		if (is_said(&settings[i], value))
			err = gw_params_set(set, settings[i].param, value, NULL);
	}
	if (!err)
		err = set_xattrmap(host, set);
	return err ? err : set_idmap(host, set);
}

/* The host's kernel has to know an ACL as one, and the ids in it are the host's. */
static int check_acl(const struct fs_xattrmap *map, const struct fs_idmap *uids,
		     const struct fs_idmap *gids)
{
	static const char *const names[] = {"system.posix_acl_access", "system.posix_acl_default"};
	char host[FS_XATTR_NAME_MAX + 1];

	if (fs_idmaps_id(uids, gids))
		return gw_fail(EINVAL, "--posix-acl is not possible with --translate-uid or "
				       "--translate-gid: ids in ACLs are not translated");
	for (size_t i = 0; i < GW_ARRAY_LEN(names); i++) {
		if (fs_xattrmap_to_host(map, names[i], host) || strcmp(host, names[i]) != 0)
			return gw_fail(EINVAL,
				       "--posix-acl is not possible with rules of --xattrmap that "
				       "do not let %s through",
				       names[i]);
	}
	return 0;
}

int fs_host_check(const struct fs_host *host)
{
	struct fs_idmap uids = {0}, gids = {0};
	struct fs_xattrmap *map = NULL;
	int err = 0;

	if (!host || !host->shared_dir)
		return gw_fail(EINVAL, "virtio-fs: no shared directory is given");
	if (host->tag && (!host->tag[0] || strlen(host->tag) > FS_TAG_MAX))
		return gw_fail(EINVAL, "virtio-fs: tag '%s' has %zu bytes, allowed are 1 to %d",
			       host->tag, strlen(host->tag), FS_TAG_MAX);
	if (host->num_request_queues > FS_REQUEST_QUEUES_MAX)
		return gw_fail(EINVAL, "virtio-fs: %u request queues, at most %d are possible",
			       host->num_request_queues, FS_REQUEST_QUEUES_MAX);
	if (host->xattrmap)
		err = fs_xattrmap_new(&map, host->xattrmap);
	if (!err)
		err = fs_host_ids(host, &uids, &gids);
	if (!err && host->policy.posix_acl > FS_NEVER)
		err = check_acl(map, &uids, &gids);
	fs_xattrmap_free(map);
	return err;
}
