/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/what/run.h - a program asked one thing: bounded in time and in what it says. */
#ifndef GW_CLI_WHAT_RUN_H
#define GW_CLI_WHAT_RUN_H

#include <stdbool.h>
#include <stddef.h>

struct gw_ran {
	int code;   /* its exit code; -1: it ended by a signal */
	int signal; /* that one */
	char *out;  /* standard output, NUL behind it; to be freed */
	size_t out_len;
	char err[512]; /* the beginning of standard error */
};

/*
 * Run @argv (found in PATH if it has no slash) with @input at its standard input, in a process
 * group of its own, and wait for its end. -ETIMEDOUT after @seconds, -EFBIG if it says more than
 * @out_max bytes: then the whole group is killed. -errno if it cannot be started. All with a
 * sentence.
 */
int gw_run(struct gw_ran *ran, char *const argv[], const char *input, size_t input_len,
	   size_t out_max, unsigned seconds);

#endif
