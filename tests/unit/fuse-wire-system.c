/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fuse-wire-system.c - the FUSE wire as the system's header has it. */
#include <linux/fuse.h>

#define WIRE_TABLE wire_systems
#include "fuse-wire-list.h"
