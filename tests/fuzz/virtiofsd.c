/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/virtiofsd.c - virtiofsd's device state: parsed into what hangs together, or refused.
 */
#include <stdlib.h>

#include "fs/foreign_virtiofsd.h"
#include "harness.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fs_virtiofsd state;

	if (!fs_virtiofsd_parse(&state, data, size))
		check(&state);
	fs_virtiofsd_clear(&state);
	return 0;
}
