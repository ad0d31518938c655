/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/report.h - what the device tells who operates it. */
#ifndef GW_FS_REPORT_H
#define GW_FS_REPORT_H

#include "godwit/report.h"

struct fs;

/* preflight.c: what would not survive a move, how much there is to move, and how long that takes.
 */
int fs_preflight(struct fs *fs, struct gw_report *report);

int fs_report(void *dev, enum gw_report_kind kind, struct gw_report *report);

#endif
