/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/load.c - a stream becomes the device's state, whole or not at all. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/collector.h"
#include "fs/hidden.h"
#include "fs/journal.h"
#include "fs/load.h"
#include "fs/locks.h"
#include "fs/precopied.h"
#include "fs/resolver.h"
#include "godwit/error.h"
#include "state/stream.h"

static void swap_in(struct fs_loading *loading)
{
	struct fs *fs = loading->fs;
	const struct gw_fs_session_v1 *session = &loading->session;
	struct fs_inodes *inodes = fs->inodes;
	struct fs_handles *handles = fs->handles;
	struct fs_locks *locks = fs->locks;

	fs_resolver_stop(fs->resolver);
	fs->locks = loading->locks;
	loading->locks = locks;
	fs->inodes = loading->inodes;
	fs->handles = loading->handles;
	fs_slots_filled(&fs->inodes->slots);
	fs_slots_filled(&fs->handles->slots);
	loading->inodes = inodes;
	loading->handles = handles;
	loading->staged_count = 0; /* they are in the other table */
	fs->session.minor = session->minor;
	fs->session.flags = session->flags;
	fs->session.max_write = session->max_write;
	fs->session.max_readahead = session->max_readahead;
	fs->session.max_pages = session->max_pages;
	fs->session.initialised = session->initialised;
	fs_journal_use(fs);
	if (loading->index)
		fs_index_hand_over(gw_take_ptr(loading->index), gw_take_ptr(loading->staged),
				   &loading->staged_memory);
}

/* Another make's state becomes the same objects. */
static int stage_all(struct fs_loading *loading, struct gw_state_reader *reader)
{
	const struct gw_foreign_format *format;
	struct gw_bytes bytes;

	if (gw_state_read_foreign(reader, &format, &bytes)) {
		loading->is_copy = loading->fs->host->same == FS_SAME_TREE;
		loading->inodes->copied.is_copy = loading->is_copy;
		fs_slots_fill(&loading->inodes->slots);
		fs_slots_fill(&loading->handles->slots);
		gw_state_at_phase(reader, fs_arrived, loading);
		gw_state_at_layout(reader, fs_precopied_at, loading);
		return gw_state_read(reader, fs_load_handlers, loading);
	}
	/* Which has paths alone anyway: what is staged is what was found by them here. */
	return fs_stage_virtiofsd(loading, &bytes);
}

/* Whoever made the stream could have put any handle of the file system into it. */
static bool trusts_handles(const struct fs *fs, const struct gw_state_reader *reader)
{
	switch (fs->host->migration_mode) {
	case FS_MIGRATION_AUTO:
		return gw_state_reader_is_signed(reader);
	case FS_MIGRATION_HANDLES:
		return true;
	case FS_MIGRATION_PATHS:
		break;
	}
	return false;
}

/* What came ahead of it, if it is a state that can be compared to that. */
static struct fs_precopied *take_precopied(struct fs *fs, struct gw_state_reader *reader)
{
	struct fs_precopied *precopied = atomic_exchange(&fs->precopied, NULL);
	const struct gw_foreign_format *format;
	struct gw_bytes bytes;

	if (precopied && (fs->recovering || !gw_state_read_foreign(reader, &format, &bytes))) {
		fs_precopied_free(precopied);
		return NULL;
	}
	return precopied;
}

static int load(struct fs_loading *loading, struct gw_state_reader *reader)
{
	struct fs *fs = loading->fs;
	int err = fs->recovering ? fs_handed_take_kept(loading) : 0;

	if (!err)
		err = stage_all(loading, reader);
	if (!err && loading->precopied)
		err = fs_precopied_end(loading);
	if (!err && loading->precopied)
		err = fs_verify_again(loading);
	if (!err)
		loading->inodes->trusts_handles = trusts_handles(fs, reader);
	if (!err)
		err = fs_adopt_all(loading);
	if (!err)
		err = fs_hidden_load(fs->hidden, loading);
	if (!err) {
		fs_collector_hold(fs->collector);
		swap_in(loading);
		fs_collector_release(fs->collector);
	}
	if (!err && loading->lost)
		gw_warn("load: %llu inodes and handles are missing here",
			(unsigned long long)loading->lost);
	if (err)
		fs_hidden_end(fs->hidden);
	return err;
}

static int load_whole(struct fs *fs, struct gw_state_reader *reader)
{
	struct fs_loading loading;
	int err = fs_loading_new(&loading, fs);

	if (!err)
		err = load(&loading, reader);
	fs_loading_free(&loading);
	return err;
}

int fs_load(void *dev, struct gw_state_reader *reader)
{
	struct fs *fs = dev;
	struct fs_precopied *precopied = take_precopied(fs, reader);
	int err;

	atomic_store(&fs->loaded.same, 0);
	atomic_store(&fs->loaded.different, 0);
	if (!precopied)
		return load_whole(fs, reader);
	err = load(fs_precopied_begin(precopied), reader);
	fs_precopied_free(precopied);
	return err;
}
