/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/backing.c - a name for what is shared, that two hosts with the same share give it alike. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/backing.h"
#include "godwit/error.h"
#include "state/checksum.h"

/* What a hash is made of, grown piece by piece. */
struct evidence {
	size_t len;
	unsigned char bytes[1024];
};

static bool add(struct evidence *evidence, const void *bytes, size_t len)
{
	if (len > sizeof(evidence->bytes) - evidence->len)
		return false;
	memcpy(evidence->bytes + evidence->len, bytes, len);
	evidence->len += len;
	return true;
}

static bool add_text(struct evidence *evidence, const char *text)
{
	return add(evidence, text, strlen(text) + 1);
}

/* -- what tells a file system from others of its type -------------------------------------- */

/* These make f_fsid from their UUID, in all versions of Linux. */
static bool add_fsid(struct evidence *evidence, const struct fs_backing_facts *facts)
{
	static const uint8_t none[sizeof(facts->fsid)];

	return memcmp(facts->fsid, none, sizeof(none)) != 0 &&
	       add(evidence, facts->fsid, sizeof(facts->fsid));
}

static bool add_uuid(struct evidence *evidence, const struct fs_backing_facts *facts)
{
	return *facts->uuid && add_text(evidence, facts->uuid);
}

static bool add_source(struct evidence *evidence, const struct fs_backing_facts *facts)
{
	return *facts->source && add_text(evidence, facts->source);
}

/* Only of types whose handles mean the same on every host (fs_fhandle_is_portable()). */
static const struct fs_type {
	uint32_t magic;
	bool (*add)(struct evidence *evidence, const struct fs_backing_facts *facts);
} types[] = {
	{FS_MAGIC_EXT4, add_fsid}, /* and ext2, ext3 */
	{FS_MAGIC_BTRFS, add_fsid}, {FS_MAGIC_CEPH, add_fsid},
	{FS_MAGIC_XFS, add_uuid}, /* whose f_fsid is the device's number */
	{FS_MAGIC_GFS2, add_uuid},  {FS_MAGIC_OCFS2, add_uuid},
	{FS_MAGIC_NFS, add_source}, {FS_MAGIC_LUSTRE, add_source},
};

/* -- the name ------------------------------------------------------------------------------ */

static bool add_handle(struct evidence *evidence, const struct fs_backing_facts *facts)
{
	const struct fs_fhandle *handle = &facts->handle;

	return facts->has_handle && add(evidence, &handle->type, sizeof(handle->type)) &&
	       add(evidence, handle->bytes, handle->len);
}

static bool add_shared(struct evidence *evidence, const struct fs_backing_facts *facts)
{
	if (!fs_fhandle_is_portable(facts->magic))
		return false;
	for (size_t i = 0; i < GW_ARRAY_LEN(types); i++)
		if (types[i].magic == facts->magic)
			return add(evidence, &facts->magic, sizeof(facts->magic)) &&
			       types[i].add(evidence, facts) && add_handle(evidence, facts);
	return false;
}

/* What nobody but this host can tell from another, and only until it boots again. */
static void add_local(struct evidence *evidence, const struct fs_backing_facts *facts)
{
	if (*facts->boot)
		add_text(evidence, facts->boot);
	if (facts->ino) {
		add(evidence, &facts->dev, sizeof(facts->dev));
		add(evidence, &facts->ino, sizeof(facts->ino));
	}
}

static void spell(char word[FS_BACKING_MAX], const struct evidence *evidence, const char *prefix)
{
	XXH128_hash_t hash = XXH3_128bits(evidence->bytes, evidence->len);

	snprintf(word, FS_BACKING_MAX, "shared-backing:%s%016" PRIx64 "%016" PRIx64, prefix,
		 (uint64_t)hash.high64, (uint64_t)hash.low64);
}

void fs_backing_spell(char word[FS_BACKING_MAX], const struct fs_backing_facts *facts)
{
	struct evidence evidence = {0};
	bool shared = add_shared(&evidence, facts);

	if (!shared) {
		evidence.len = 0;
		add_local(&evidence, facts);
	}
	spell(word, &evidence, shared ? "" : "unknown-");
}

int fs_backing_name(char word[FS_BACKING_MAX], const char *path, const char *share_id)
{
	struct fs_backing_facts facts;
	struct evidence evidence = {0};
	int err;

	if (share_id) {
		if (!*share_id || !add_text(&evidence, share_id))
			return gw_fail(EINVAL,
				       "option --share-id: it has %zu bytes, 1 to %zu are "
				       "allowed",
				       strlen(share_id), sizeof(evidence.bytes) - 1);
		spell(word, &evidence, "");
		return 0;
	}
	err = fs_backing_look(&facts, path);
	if (!err)
		fs_backing_spell(word, &facts);
	return err;
}
