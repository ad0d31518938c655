/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/work.c - the device types that requests are known of. */
#include <string.h>

#include "base/checked.h"
#include "cli/conform/conform.h"

/* Of a device that nothing is known of, only what the protocol itself says can be checked. */
const struct cf_work cf_work_any = {.name = "any", .queues = 1};

const struct cf_work *cf_work_named(const char *name)
{
	static const struct cf_work *const works[] = {&cf_work_any, &cf_work_fs, &cf_work_net,
						      &cf_work_block};

	for (size_t i = 0; i < GW_ARRAY_LEN(works); i++)
		if (!strcmp(works[i]->name, name))
			return works[i];
	return NULL;
}
