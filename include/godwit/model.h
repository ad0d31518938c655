/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit/model.h - device models: what must match for a device to move. */
#ifndef GODWIT_MODEL_H
#define GODWIT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * A model is a name `<domain>/<path>`, typed parameters, and profiles, each a named assignment.
 * A parameter that is absent has its `off` value, so that a new parameter is harmless to old
 * peers. Only what the guest sees or the state's layout depends on is a parameter; host-side
 * details are not. Models are static tables.
 */
enum gw_param_type {
	GW_PARAM_BOOL, /* 0 or 1, written "off", "on" */
	GW_PARAM_INT,  /* min to max, decimal */
	GW_PARAM_ENUM, /* an index into values */
};

struct gw_param {
	const char *name; /* [a-z0-9-]+ */
	const char *doc;  /* one sentence */
	enum gw_param_type type;
	bool no_off;		   /* true: cannot be left out; every source states it */
	int64_t off;		   /* the value that absence means */
	int64_t min, max;	   /* GW_PARAM_INT: what this build accepts */
	const char *const *values; /* GW_PARAM_ENUM: NULL-terminated */
};

/*
 * The parameter that every model has: the number of the layouts of its records (godwit/state.h), of
 * which this build writes and reads 1 to @newest. A build that adds layouts raises it and adds a
 * profile, and still writes what older builds read.
 */
#define GW_PARAM_STATE_UP_TO(newest)                                                         \
	{                                                                                    \
		.name = "state", .doc = "Number of the record layouts in the state stream.", \
		.type = GW_PARAM_INT, .off = 1, .min = 1, .max = (newest)                    \
	}

struct gw_setting {
	const char *name;
	int64_t value; /* for an enum the index */
};

struct gw_profile {
	const char *name;
	const struct gw_setting *settings; /* ended by a NULL name; what is absent is off */
};

struct gw_model {
	const char *name;
	const struct gw_param *params;	   /* ended by a NULL name */
	const struct gw_profile *profiles; /* ended by a NULL name */
	const char *default_profile;
};

/* Bounds for what comes from outside. */
#define GW_MODEL_NAME_MAX  128
#define GW_PARAM_NAME_MAX  64
#define GW_PARAM_VALUE_MAX 64
#define GW_PARAMS_MAX	   64
/* Room for any canonical form, its NUL included. */
#define GW_CANONICAL_MAX \
	(GW_MODEL_NAME_MAX + GW_PARAMS_MAX * (GW_PARAM_NAME_MAX + GW_PARAM_VALUE_MAX + 2) + 1)

/* Why parameters do not fit; the names are gw_refusal_name()'s. */
enum gw_refusal {
	GW_ACCEPTED,
	GW_MODEL_UNKNOWN,
	GW_PARAM_UNKNOWN,
	GW_VALUE_NOT_ALLOWED,
	GW_PARAM_REQUIRED,
	GW_PARAM_DIFFERS,
	GW_COMBINATION_REFUSED,
	GW_STATE_FORMAT_UNREADABLE,
	GW_PREREQUISITE_MISSING, /* something beside the model (godwit/compat.h) */
	GW_NO_CAPACITY,
	GW_CHECKER_REFUSED,
	GW_CANNOT_TELL, /* no refusal, and no acceptance */
};
const char *gw_refusal_name(enum gw_refusal refusal); /* "param-unknown", ... */

/* A set of values for a model's parameters; each is set or unset. Not locked. */
struct gw_params;

int gw_params_new(struct gw_params **params, const struct gw_model *model);
int gw_params_copy(struct gw_params **copy, const struct gw_params *params);
void gw_params_free(struct gw_params *params); /* NULL is allowed */
const struct gw_model *gw_params_model(const struct gw_params *params);

/* -EINVAL with a sentence, and the reason in *@refusal (may be NULL), if name or value do not fit.
 */
int gw_params_set(struct gw_params *params, const char *name, int64_t value,
		  enum gw_refusal *refusal);
int gw_params_set_text(struct gw_params *params, const char *name, const char *value,
		       enum gw_refusal *refusal);
bool gw_params_is_set(const struct gw_params *params, const char *name);
/* The value if set, else @fallback. An unknown name is the caller's bug: abort(). */
int64_t gw_params_get(const struct gw_params *params, const char *name, int64_t fallback);

/* Everything unset takes the named profile's value (NULL: the default one). */
int gw_params_apply_profile(struct gw_params *params, const char *profile);

/*
 * The canonical form: `model\n` and then `name=value\n` for each parameter that is set and not
 * off, sorted by name. Equal forms mean compatible. Returns the length or -ENOSPC.
 */
int gw_params_canonical(const struct gw_params *params, char *text, size_t size);

/*
 * Does what a stream's header says (canonical form, @text of @len bytes, untrusted) fit this
 * instance? Every parameter that is set here must be equal there, where absence there means off;
 * what is unset here is taken over. On success *@adopted is a complete new set.
 */
int gw_params_adopt(const struct gw_params *own, const char *text, size_t len,
		    struct gw_params **adopted, enum gw_refusal *refusal);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
