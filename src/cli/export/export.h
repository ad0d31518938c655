/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/export/export.h - what an implementation can be, in the words of schedulers that exist. */
#ifndef GW_CLI_EXPORT_EXPORT_H
#define GW_CLI_EXPORT_EXPORT_H

#include <stdio.h>

#include "base/options.h"
#include "godwit/compat.h"

#define GW_EXPORT_DOMAIN "godwit-project.org"
#define GW_ALIAS_MAX	 21 /* bytes, its NUL included */
#define GW_TOKEN_MAX	 256

struct gw_export {
	const struct gw_compat_implementation *implementation; /* NULL with a selector */
	const struct gw_compat_instance *instance;	       /* of a selector */
	const char *profile;		/* of the instance, NULL: it has no name */
	const struct gw_texts *aliases; /* MODEL=ALIAS */
	const char *node, *expiry;
	unsigned generation;
	FILE *out;
};

/* A format: what a host says, and what asks for one. Negative errno with a sentence: it cannot be
 * said in it (a limit, two names that become one). Nothing was written then. */
struct gw_export_format {
	const char *name;
	int (*host)(const struct gw_export *export);
	int (*selector)(const struct gw_export *export);
};
/* -EINVAL with a sentence: Kubernetes would take neither @node nor the name of its slice. */
int gw_export_node_check(const char *node);

extern const struct gw_export_format gw_export_nfd, gw_export_labels, gw_export_dra,
	gw_export_placement;

/* -- tokens.c ------------------------------------------------------------------------------ */

/* Short for @model: as the operator says, else the first ten digits of its SHA-256. */
int gw_export_alias(const struct gw_export *export, const char *model, char alias[GW_ALIAS_MAX]);

struct gw_token {
	char name[GW_TOKEN_MAX], value[GW_PARAM_VALUE_MAX];
	char of[GW_TOKEN_MAX]; /* what it was made from, for sentences */
	bool scalar;	       /* of a parameter, not of a profile */
};
struct gw_tokens {
	size_t count, room;
	struct gw_token *token;
};
/* -EEXIST if there is one of that name already: a scheduler could not tell them apart. */
int gw_tokens_add(struct gw_tokens *tokens, const struct gw_token *token);
void gw_tokens_free(struct gw_tokens *tokens);

/*
 * One token a profile of each model, then its parameters' bounds. @name makes a token's name of
 * alias, parameter or profile (one of them NULL), and a suffix ("min", "max" or NULL); it returns
 * negative errno with a sentence if that breaks a limit.
 */
typedef int gw_name_fn(char name[GW_TOKEN_MAX], const char *alias, const char *param,
		       const char *profile, const char *suffix);
int gw_tokens_of_model(const struct gw_export *export, const struct gw_model *model,
		       gw_name_fn *name, struct gw_tokens *tokens);

/* What an instance without a profile's name asks of each of its parameters. -EOPNOTSUPP for one
 * that has no token (an enum). */
int gw_tokens_of_instance(const struct gw_export *export, gw_name_fn *name,
			  struct gw_tokens *tokens);

#endif
