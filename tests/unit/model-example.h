/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/model-example.h - a model with a parameter of every kind. */
#ifndef TEST_MODEL_EXAMPLE_H
#define TEST_MODEL_EXAMPLE_H

#include "godwit/model.h"

static const char *const example_colours[] = {"none", "red", "green", NULL};

/* Deliberately not sorted by name. */
static const struct gw_param example_params[] = {
	{.name = "state", .type = GW_PARAM_INT, .off = 1, .min = 1, .max = 3},
	{.name = "queues", .type = GW_PARAM_INT, .off = 0, .min = 2, .max = 64},
	{.name = "tag-len", .type = GW_PARAM_INT, .no_off = true, .min = 1, .max = 36},
	{.name = "colour", .type = GW_PARAM_ENUM, .values = example_colours},
	{.name = "acl", .type = GW_PARAM_BOOL},
	{NULL},
};

static const struct gw_setting example_v1[] = {{"tag-len", 36}, {NULL, 0}};
static const struct gw_setting example_v2[] = {
	{"tag-len", 36}, {"state", 2}, {"acl", 1}, {"colour", 2}, {NULL, 0}};
static const struct gw_setting example_incomplete[] = {{"acl", 1}, {NULL, 0}};
static const struct gw_setting example_misspelt[] = {{"tag-len", 36}, {"alc", 1}, {NULL, 0}};
static const struct gw_profile example_profiles[] = {
	{"v1", example_v1},
	{"v2", example_v2},
	{"incomplete", example_incomplete},
	{"misspelt", example_misspelt},
	{NULL, NULL},
};

static const struct gw_model example_model = {
	.name = "example.org/device",
	.params = example_params,
	.profiles = example_profiles,
	.default_profile = "v2",
};

#endif
