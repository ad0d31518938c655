/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/virtiofsd.c - virtiofsd's device state: parsed into what hangs together and loaded, or
 * refused. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../migration/move.h"
#include "fs/foreign_virtiofsd.h"
#include "harness.h"

static struct share share;

static void quiet(void *opaque, enum gw_log_level level, const char *line)
{
	(void)opaque;
	(void)level;
	(void)line;
}

static void close_share(void)
{
	share_close(&share);
}

/* Where the recorded states were made there was such a tree (interop/virtiofsd.c). */
static void set_up(void)
{
	gw_log_set_sink(quiet, NULL);
	share_open(&share, 64);
	share_file(&share, "hello", "hello, guest");
	share_mkdir(&share, "dir");
	share_mkdir(&share, "dir/inner");
	share_mkdir(&share, "many");
	share_file(&share, "dir/inner/deep", "deep down");
	share_file(&share, "link", "");
	atexit(close_share);
}

static void check(const struct fs_virtiofsd *state)
{
	for (uint32_t i = 0; i < state->inode_count; i++) {
		const struct fs_virtiofsd_inode *inode = &state->inodes[state->order[i]];

		if (inode->kind != FS_VIRTIOFSD_PATH)
			continue;
		if (inode->parent >= state->inode_count ||
		    state->inodes[inode->parent].id != inode->parent_id)
			abort();
	}
	for (uint32_t i = 0; i < state->open_count; i++) {
		if (state->opens[i].inode >= state->inode_count)
			abort();
	}
}

/* What was loaded is there to be used, saved, and forgotten. */
static void use(struct share *to)
{
	int stream;

	for (uint64_t id = 1; id < 16; id++) {
		FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(to->fs.inodes, id);
		struct statx stx;

		if (inode)
			(void)!fs_inode_statx(inode, &stx);
	}
	(void)!move_save_result(to, &stream);
	close(stream);
	fs_handles_clear(to->fs.handles);
	fs_inodes_clear(to->fs.inodes);
}

static void load(const uint8_t *data, size_t size)
{
	int stream = memfd_create("state", MFD_CLOEXEC);
	struct share to;

	if (write(stream, data, size) != (ssize_t)size)
		abort();
	lseek(stream, 0, SEEK_SET);
	move_twin(&to, &share);
	to.host.on_error = FS_ON_ERROR_GUEST;
	if (!move_load(&to, stream))
		use(&to);
	move_twin_close(&to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fs_virtiofsd state;

	if (!share.path[0])
		set_up();
	if (!fs_virtiofsd_parse(&state, data, size)) {
		check(&state);
		load(data, size);
	}
	fs_virtiofsd_clear(&state);
	return 0;
}
