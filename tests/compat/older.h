/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/compat/older.h - the device as an older build had it; in place of fs_device_ops. */
#ifndef TEST_COMPAT_OLDER_H
#define TEST_COMPAT_OLDER_H

#include "godwit/device.h"

extern struct gw_device_ops older_ops;

#endif
