/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/stats.h - what is counted of a device that moved here. */
#ifndef GW_FS_STATS_H
#define GW_FS_STATS_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * Inodes that came out of a stream, by what became of them. Any thread reads; snapshots are racy.
 * They belong to the inode table (fs_inodes.lazy) and begin anew with each load.
 */
struct fs_lazy_stats {
	_Atomic uint64_t unresolved; /* now: adopted, and not yet looked for */
	_Atomic uint64_t resolved;   /* so far: looked for after the load, and found */
	_Atomic uint64_t stale;	     /* so far: not found, or another file; the guest gets ESTALE */
};

#endif
