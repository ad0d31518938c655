/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/compat/two-models.c - a program of two models: the null device, and one that has a colour
 * besides, of which nobody knows what it is for. */
#include <errno.h>

#include "daemon/daemon.h"
#include "godwit/error.h"
#include "null/null.h"

static const char *const colours[] = {"none", "red", "blue", NULL};

static const struct gw_param params[] = {
	{.name = "state", .doc = "Layouts.", .type = GW_PARAM_INT, .off = 1, .min = 1, .max = 1},
	{.name = "colour", .doc = "Its colour.", .type = GW_PARAM_ENUM, .values = colours},
	{.name = "deep", .doc = "A deeper one.", .type = GW_PARAM_BOOL},
	{.name = NULL},
};

static const struct gw_profile profiles[] = {
	{.name = "plain", .settings = (const struct gw_setting[]){{.name = NULL}}},
	{.name = "red", .settings = (const struct gw_setting[]){{"colour", 1}, {.name = NULL}}},
	{.name = NULL},
};

static const struct gw_model coloured = {
	.name = "example.org/coloured",
	.params = params,
	.profiles = profiles,
	.default_profile = "red",
};

static const struct gw_model *models[] = {NULL, &coloured, NULL};
static struct gw_device_ops ops;

static int check(const struct gw_model *model, const struct gw_params *set)
{
	if (model == &coloured && gw_params_get(set, "deep", false) &&
	    !gw_params_get(set, "colour", 1))
		return gw_fail(EINVAL, "parameter deep: there is no colour to be deeper");
	return 0;
}

static const struct gw_daemon daemon = {
	.program = "two-models",
	.summary = "Serve the null device, coloured or not, over vhost-user.",
	.type = "null",
	.ops = &ops,
};

int main(int argc, char **argv)
{
	models[0] = gw_null_ops.models[0];
	ops = gw_null_ops;
	ops.models = models;
	ops.check = check;
	return gw_daemon_main(&daemon, argc, argv);
}
