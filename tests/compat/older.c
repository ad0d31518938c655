/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/compat/older.c - virtio-fs as it was when there were only states of number 1, and profile
 * "1" was the newest; src/daemon/godwit-fs.c is built with it as an older build of the program. */
#include <stdlib.h>
#include <string.h>

#include "fs/fs.h"
#include "older.h"

static struct gw_param params[GW_PARAMS_MAX + 1];
static struct gw_profile profiles[2];
static struct gw_model model;
static const struct gw_model *const models[] = {&model, NULL};
struct gw_device_ops older_ops;

/* Before main(): what the build of today has, without what came later. */
__attribute__((constructor)) static void make(void)
{
	unsigned count = 0;

	for (const struct gw_param *p = fs_model.params; p->name; p++) {
		params[count] = *p;
		if (!strcmp(p->name, "state"))
			params[count].max = 1;
		count++;
	}
	for (const struct gw_profile *p = fs_model.profiles; p->name; p++)
		if (!strcmp(p->name, "1"))
			profiles[0] = *p;
	if (!profiles[0].name)
		abort(); /* a released profile is kept for ever */
	model = (struct gw_model){.name = fs_model.name,
				  .params = params,
				  .profiles = profiles,
				  .default_profile = "1"};
	older_ops = fs_device_ops;
	older_ops.models = models;
}
