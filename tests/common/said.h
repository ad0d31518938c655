/* SPDX-License-Identifier: BSD-3-Clause */
/* common/said.h - what programs say on standard error while a test tries something with them. */
#ifndef GW_TESTS_SAID_H
#define GW_TESTS_SAID_H

#include "../unit/cmocka-all.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static char said[8192];
static int said_own_stderr = -1, said_heard = -1;

static inline void listen_to_it(void)
{
	said_heard = memfd_create("said", MFD_CLOEXEC);
	said_own_stderr = dup(STDERR_FILENO);
	assert_true(said_heard >= 0 && said_own_stderr >= 0);
	dup2(said_heard, STDERR_FILENO);
}

static inline void listen_no_more(void)
{
	ssize_t len = pread(said_heard, said, sizeof(said) - 1, 0);

	said[len > 0 ? len : 0] = 0;
	dup2(said_own_stderr, STDERR_FILENO);
	close(said_own_stderr);
	close(said_heard);
	said_own_stderr = said_heard = -1;
}

/* For a teardown: where the test failed meanwhile. */
static inline int said_tear_down(void **state)
{
	(void)state;
	if (said_heard >= 0) {
		listen_no_more();
		fprintf(stderr, "%s", said);
	}
	return 0;
}

#endif
