/* SPDX-License-Identifier: BSD-3-Clause */
/* common/die_after.h - a program that dies right after a system call that the test names, or waits
 * in one. */
#ifndef GW_TESTS_DIE_AFTER_H
#define GW_TESTS_DIE_AFTER_H

#include <stdatomic.h>

/*
 * die_after.so (LD_PRELOAD) and the test share this through the file that DIE_AFTER names. Set
 * @call first, then @left: the process that makes the @left-th such call from then on is killed, as
 * by SIGKILL, when the call is done and nothing else is. @left is 0 then, and whoever comes next
 * lives. "any" is each of those that die_after.c knows.
 */
#define DIE_AFTER "DIE_AFTER"

struct die_after {
	char call[16];
	int spared; /* a process that calls what it wants: the one that starts others */
	atomic_int left;
	int late_ms;  /* a look into a socket that finds nothing returns only when there is
		       * something, after so long at most */
	int intrudes; /* before it dies, a pwritev2() is made twice, as if by somebody else as well
		       */
	atomic_int stuck;   /* the process that stays in there if it calls writev() */
	atomic_int ahead_s; /* so much later it is for the program */
};

#endif
