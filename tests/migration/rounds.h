/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/rounds.h - a save in rounds, by hand, from one share to another. */
#ifndef TESTS_MIGRATION_ROUNDS_H
#define TESTS_MIGRATION_ROUNDS_H

#include "move.h"

extern struct share from, to;
extern struct gw_state_writer *rounds_writer;
extern int rounds_stream;

/* For cmocka: a source, and nothing in it. */
int rounds_set_up(void **state);
int rounds_tear_down(void **state);

/* @number: the state's. */
void rounds_begin(unsigned number);
/* A whole round, and what is left when the guest is at rest; in bytes. */
uint64_t rounds_send(void);
uint64_t rounds_rest(void);
/* All of it into a second device over the same directory. */
void rounds_arrive(void);

#endif
