/* SPDX-License-Identifier: BSD-3-Clause */
/* model/compat.h - the inside of documents, shared by the files of this directory. */
#ifndef GW_MODEL_COMPAT_H
#define GW_MODEL_COMPAT_H

#include "model/document.h"
#include "model/params.h"

/* How a value was spelled, which has to go with its parameter's type. */
enum gw_spelling {
	GW_SPELT_BOOL,
	GW_SPELT_INT,
	GW_SPELT_WORD,
	GW_SPELT_ANY, /* in a canonical form all are text */
};

struct gw_compat_value {
	char name[GW_PARAM_NAME_MAX];
	char text[GW_PARAM_VALUE_MAX];
	enum gw_spelling spelling;
};

struct gw_compat_instance {
	char *name;
	char model[GW_MODEL_NAME_MAX];
	char profile[GW_PARAM_VALUE_MAX]; /* "" if it does not say */
	unsigned count;
	struct gw_compat_value values[GW_PARAMS_MAX]; /* sorted by name */
	unsigned require_count;
	char requires[GW_REQUIRES_MAX][GW_REQUIRE_MAX];
	unsigned unset_count;
	char unset[GW_PARAMS_MAX][GW_PARAM_NAME_MAX];
};

/* A model as a document describes it. */
struct gw_compat_model {
	struct gw_model model;
	unsigned param_count;
	bool says_read; /* "state" has a list of what is read */
	unsigned read_count;
	const int64_t *read;
	int64_t available; /* -1: not said */
};

struct gw_compat_implementation {
	char *name;
	json_t *root; /* names and values point into it */
	unsigned count;
	struct gw_compat_model *models;
	bool says_provides;
	unsigned provide_count;
	const char *provides[GW_REQUIRES_MAX];
	unsigned require_count;
	const char *requires[GW_REQUIRES_MAX]; /* of any instance that is made here */
	struct gw_memory *memory;	       /* all that belongs to models */
	unsigned holders;		       /* beside its owner; of one thread (model/alike.h) */
	struct gw_compat_implementation *lender; /* whose parameters these are; NULL: its own */
};

/* @to, which has no models, gets those of @lender, which lives as long then. -ENOMEM. */
int gw_compat_implementation_borrow(struct gw_compat_implementation *to,
				    struct gw_compat_implementation *lender);

/* NULL if it has none of that name. */
const struct gw_compat_value *gw_compat_value_find(const struct gw_compat_instance *instance,
						   const char *name);
bool gw_compat_is_unset(const struct gw_compat_instance *instance, const char *name);
/* false: it is no value of @param, or spelled as one of another type. */
bool gw_compat_value_read(const struct gw_compat_value *value, const struct gw_param *param,
			  int64_t *number);
const struct gw_compat_model *
gw_compat_model_find(const struct gw_compat_implementation *implementation, const char *name);

#endif
