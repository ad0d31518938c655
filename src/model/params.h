/* SPDX-License-Identifier: BSD-3-Clause */
/* model/params.h - the inside of a set of values, shared by the files of this directory. */
#ifndef GW_MODEL_PARAMS_H
#define GW_MODEL_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "godwit/model.h"

/* The parameter that numbers the record layouts (design: every model has it, off is 1). */
#define GW_PARAM_STATE "state"

struct gw_params {
	const struct gw_model *model;
	unsigned count; /* of the model's parameters, at most GW_PARAMS_MAX */
	bool set[GW_PARAMS_MAX];
	int64_t value[GW_PARAMS_MAX];
};

/* Index of the parameter whose name is the @len bytes at @name, or -1. */
int gw_param_find(const struct gw_params *params, const char *name, size_t len);

/* The canonical form of an instance with @profile of @model (NULL: the default one), as
 * gw_params_canonical(): its length, -ENOSPC; -EINVAL, -ENOMEM with a sentence. */
int gw_profile_canonical(const struct gw_model *model, const char *profile, char *text,
			 size_t size);

/* All are set, and as @profile has them? */
bool gw_params_is_profile(const struct gw_params *params, const struct gw_profile *profile);

/* Is @value one that @param may have here, its off value included? */
bool gw_param_accepts(const struct gw_param *param, int64_t value);

/* @len bytes of text to a value, whether or not it is accepted: false if it is not the one
 * spelling of a value of this type (decimal without leading zeros, a name of the enum, on, off). */
bool gw_param_parse(const struct gw_param *param, const char *text, size_t len, int64_t *value);

/* The spelling of @value, which is accepted, in @text of GW_PARAM_VALUE_MAX bytes. */
void gw_param_format(const struct gw_param *param, int64_t value, char *text);

/* What @param accepts beside off, for people, cut to @size: "off, on", "1 to 64". Returns @text. */
const char *gw_param_describe(const struct gw_param *param, char *text, size_t size);

/* Notes why in *@refusal, if somebody wants to know. */
static inline void gw_refuse(enum gw_refusal *refusal, enum gw_refusal why)
{
	if (refusal)
		*refusal = why;
}

#endif
