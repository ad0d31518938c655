/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/sync.h - what was written and answered is on the server before the guest is elsewhere. */
#ifndef GW_FS_SYNC_H
#define GW_FS_SYNC_H

#include <stdbool.h>
#include <stdint.h>

struct fs;
struct fs_handle;

/* May what another host has done there go unseen here for a while? By what statfs() says. */
bool fs_sync_is_incoherent(int fd);
bool fs_sync_type_is_incoherent(uint64_t f_type);
/* Was it written to since its last sync, where another host would not see that? */
bool fs_sync_is_due(const struct fs_handle *handle);

/* While a migration is announced: what was written starts on its way. */
void fs_sync_begin(struct fs *fs);
/* At SAVE: every handle that was written to since its last sync. An error fails the save. */
int fs_sync_all(struct fs *fs);

#endif
