/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fuse-wire.h - one fact about the FUSE wire. */
#ifndef TESTS_UNIT_FUSE_WIRE_H
#define TESTS_UNIT_FUSE_WIRE_H

struct wire_fact {
	const char *name; /* NULL ends a table */
	unsigned long long value;
};

extern const struct wire_fact wire_ours[], wire_systems[];

#endif
