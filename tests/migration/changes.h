/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/changes.h - what a guest does while its state is on its way. */
#ifndef TESTS_MIGRATION_CHANGES_H
#define TESTS_MIGRATION_CHANGES_H

#include <stdint.h>

#include "move.h"

/* All of it in the share "from" (rounds.h), paths below it; node ids. */
uint64_t guest_make(uint64_t parent, const char *dir, const char *name);
uint64_t guest_make_dir(uint64_t parent, const char *path, const char *name);
void guest_rename(uint64_t old_parent, const char *old_name, const char *old_path,
		  uint64_t new_parent, const char *new_name, const char *new_path);
void guest_forget(uint64_t id);
void guest_unlink_in(uint64_t parent, const char *name, const char *path);
void guest_link(uint64_t id, const char *old_path, const char *name);

/* Many, so that there are several units, and rounds have something to leave alone. */
#define CROWD 500
extern uint64_t guest_crowd[CROWD];
void guest_gather(unsigned count);
void guest_gather_crowd(void);

/* What is sent first may be another thing by the time the rest is: nothing of it may stay. Each
 * change is one of what guest_prepare_few() has made. */
struct guest_change {
	const char *name;
	void (*happens)(void);
};
extern const struct guest_change guest_changes[];
extern const unsigned guest_change_count;
extern uint64_t guest_dir, guest_sub; /* of them, one in the other */
void guest_prepare_few(void);
void guest_look_again(void);

/* Whoever the guest knows at "from" it knows at "to", by the same names, and nobody else. */
void assert_same_tables(void);
unsigned count_inodes(struct share *share);

#endif
