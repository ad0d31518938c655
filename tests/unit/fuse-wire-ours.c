/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fuse-wire-ours.c - the FUSE wire as we have it. */
#include "fs/fuse_wire.h"

#define WIRE_TABLE wire_ours
#include "fuse-wire-list.h"
