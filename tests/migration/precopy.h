/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/precopy.h - most of a state ahead of it, by hand, as a session does it. */
#ifndef TESTS_MIGRATION_PRECOPY_H
#define TESTS_MIGRATION_PRECOPY_H

#include "move.h"

extern int precopy_stream;

/* Of a device into the stream: a small step at a time (> 0: there is more), and what is left. */
void precopy_begin(struct share *from);
int precopy_step(struct share *from);
void precopy_end(struct share *from);
/* One object more. */
void precopy_put(const struct gw_layout *layout, const void *object);
/* One of what @put puts, made at once. */
void precopy_made(void (*put)(struct gw_state_writer *writer));
/* What loading it says; the stream is closed. */
int precopy_load(struct share *to);

#endif
