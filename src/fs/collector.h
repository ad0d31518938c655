/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/collector.h - the thread that makes a device ready to be saved beside its guest. */
#ifndef GW_FS_COLLECTOR_H
#define GW_FS_COLLECTOR_H

#include <stdint.h>

struct fs;
struct fs_collector;

int fs_collector_new(struct fs_collector **collector, struct fs *fs);
void fs_collector_free(struct fs_collector *collector); /* waits for the thread */

/* A migration may be coming, or is not any more. Control thread; waits for nothing: what was
 * collected is given up by the thread, which then ends. */
int fs_collector_start(struct fs_collector *collector);
void fs_collector_stop(struct fs_collector *collector);

/* The thread stands still in between, if there is one: for who saves, or puts another table in
 * place. Transfer thread. */
void fs_collector_hold(struct fs_collector *collector);
void fs_collector_release(struct fs_collector *collector);

/* How often it has gone through the whole table. */
uint64_t fs_collector_rounds(struct fs_collector *collector);

#endif
