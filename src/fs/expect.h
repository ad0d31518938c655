/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/expect.h - memory for a state on its way here, before it comes. */
#ifndef GW_FS_EXPECT_H
#define GW_FS_EXPECT_H

#include <stdint.h>

#include "fs/fs.h"

/*
 * A load is as long as a guest stands still, and a third of that would be the kernel's, making
 * pages zero. So a device that waits has some ready (base/bigpage.h), until it runs: what a guest
 * of middle size needs, or what is needed for the state that is expected.
 */
void fs_expect_any(void);
void fs_expect(void *fs, uint64_t state_bytes);
void fs_expect_end(struct fs *fs);

#endif
