/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/compat/later.h - the device as a later build will have it; in place of fs_device_ops. */
#ifndef TEST_COMPAT_LATER_H
#define TEST_COMPAT_LATER_H

#include "fs/fuse_wire.h"
#include "godwit/device.h"

#define LATER (FUSE_KERNEL_MINOR_VERSION + 1)

extern struct gw_device_ops later_ops;

#endif
