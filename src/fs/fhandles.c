/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/fhandles.c - file handles that are known of inodes, kept as small as they are. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/table.h"

/* One lock for all: who needs a handle opens a file next, which takes far longer. */
struct kept {
	int32_t type;
	uint8_t len;
	uint8_t bytes[];
};

static_assert(FS_FHANDLE_MAX <= UINT8_MAX, "a length has one byte");
static_assert(offsetof(struct kept, bytes) + FS_FHANDLE_MAX <= GW_SLAB_OBJECT_MAX, "slab");

int fs_fhandles_init(struct fs_inodes *inodes)
{
	pthread_mutex_init(&inodes->fhandles_lock, NULL);
	return gw_slab_init(&inodes->fhandle_slab);
}

void fs_fhandles_fini(struct fs_inodes *inodes)
{
	gw_slab_fini(&inodes->fhandle_slab);
	pthread_mutex_destroy(&inodes->fhandles_lock);
}

bool fs_fhandle_recall(struct fs_inode *inode, struct fs_fhandle *handle)
{
	struct fs_inodes *inodes = fs_table_of(inode);
	const struct kept *kept;

	if (!fs_fhandle_is_known(inode))
		return false;
	GW_LOCK_SCOPE(&inodes->fhandles_lock);
	kept = gw_slab_at(&inodes->fhandle_slab, atomic_load(&inode->fhandle));
	return kept && !fs_fhandle_set(handle, kept->type, kept->bytes, kept->len);
}

int fs_fhandle_remember(struct fs_inode *inode, const struct fs_fhandle *handle)
{
	struct fs_inodes *inodes = fs_table_of(inode);
	GW_LOCK_SCOPE(&inodes->fhandles_lock);
	struct kept *kept;
	uint32_t ref;

	if (fs_fhandle_is_known(inode))
		return 0;
	ref = gw_slab_alloc(&inodes->fhandle_slab, offsetof(struct kept, bytes) + handle->len);
	if (!ref)
		return -ENOMEM;
	kept = gw_slab_at(&inodes->fhandle_slab, ref);
	kept->type = handle->type;
	kept->len = (uint8_t)handle->len;
	memcpy(kept->bytes, handle->bytes, handle->len);
	atomic_store_explicit(&inode->fhandle, ref, memory_order_release);
	return 0;
}

void fs_fhandle_forget(struct fs_inode *inode)
{
	struct fs_inodes *inodes = fs_table_of(inode);

	if (!fs_fhandle_is_known(inode))
		return;
	GW_LOCK_SCOPE(&inodes->fhandles_lock);
	gw_slab_free(&inodes->fhandle_slab, atomic_exchange(&inode->fhandle, 0));
}
