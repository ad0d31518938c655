/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/export/export.h - what an implementation can be, in the words of schedulers that exist. */
#ifndef GW_CLI_EXPORT_EXPORT_H
#define GW_CLI_EXPORT_EXPORT_H

#include <stdio.h>

#include "base/options.h"
#include "cli/what/what.h"
#include "godwit/compat.h"

#define GW_EXPORT_DOMAIN      "godwit-project.org"
#define GW_ALIAS_MAX	      21 /* bytes, its NUL included */
#define GW_TOKEN_MAX	      256
#define GW_EXPORT_FINGERPRINT 16 /* hexadecimal digits of a fingerprint: the first */

struct gw_export {
	struct gw_what *const *whats; /* of one host; one only with a selector */
	unsigned what_count;
	const struct gw_compat_instance *instance; /* of a selector */
	const char *profile;			   /* of the instance, NULL: it has no name */
	const struct gw_texts *aliases;		   /* MODEL=ALIAS */
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

/* The @i-th model of all that the host has, and the implementation that has it; NULL behind the
 * last one. */
const struct gw_model *gw_export_model(const struct gw_export *export, unsigned i,
				       const struct gw_compat_implementation **of);

/*
 * Of @model, for a scheduler that itself counts what it gave away: the room that there is, and what
 * is made already. 0: there is no room. -1: the document does not say, which means that there is.
 */
int64_t gw_export_total(const struct gw_export *export,
			const struct gw_compat_implementation *implementation,
			const struct gw_model *model);

enum gw_token_kind {
	GW_TOKEN_PROFILE, /* its value is a fingerprint: names may be the same by chance */
	GW_TOKEN_FLAG,	  /* a bool that can be on: "true" */
	GW_TOKEN_LOWER,
	GW_TOKEN_UPPER,
	GW_TOKEN_ROOM,
};
struct gw_token {
	enum gw_token_kind kind;
	char name[GW_TOKEN_MAX], value[GW_PARAM_VALUE_MAX];
	char of[GW_TOKEN_MAX]; /* what it was made from, for sentences */
};
struct gw_tokens {
	size_t count, room;
	struct gw_token *token;
};
/* What an instance is, or @profile of @model makes: digits of the SHA-256 of its canonical form. */
int gw_export_fingerprint(const struct gw_model *model, const char *profile,
			  char text[GW_EXPORT_FINGERPRINT + 1]);
int gw_export_instance_fingerprint(const struct gw_export *export,
				   char text[GW_EXPORT_FINGERPRINT + 1]);

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
