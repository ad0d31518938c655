/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fuse-wire.c - our FUSE wire is the system's, as far as that goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fuse-wire.h"

static const struct wire_fact *find(const struct wire_fact *table, const char *name)
{
	for (; table->name; table++) {
		if (!strcmp(table->name, name))
			return table;
	}
	return NULL;
}

static void test_same_as_system(void **state)
{
	unsigned compared = 0;

	(void)state;
	for (const struct wire_fact *theirs = wire_systems; theirs->name; theirs++) {
		const struct wire_fact *ours = find(wire_ours, theirs->name);

		if (!ours)
			fail_msg("%s: the system has it, we do not", theirs->name);
		if (ours->value != theirs->value)
			fail_msg("%s: %llu here, %llu in the system's header", theirs->name,
				 ours->value, theirs->value);
		compared++;
	}
	assert_true(compared > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
