/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/export/labels.c - Kubernetes: labels of a node, and the file of Node Feature Discovery. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/export/export.h"
#include "godwit/error.h"

#define LABEL_MAX 63	      /* a name without its prefix, and a value */
#define NFD_MAX	  (64 * 1024) /* Node Feature Discovery reads no bigger file */
#define ROOM	  "m.%s.available_instances"

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* [A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?, at most 63 */
static bool is_label(const char *text)
{
	size_t len = strlen(text);

	if (!len || len > LABEL_MAX || !is_alnum(text[0]) || !is_alnum(text[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(text[i]) && !strchr("._-", text[i]))
			return false;
	return true;
}

static int label_name(char name[GW_TOKEN_MAX], const char *alias, const char *param,
		      const char *profile, const char *suffix)
{
	snprintf(name, GW_TOKEN_MAX, "m.%s.%s%s%s%s", alias, profile ? "p." : "",
		 profile ? profile : param, suffix ? "." : "", suffix ? suffix : "");
	return is_label(name) ? 0
			      : gw_fail(EINVAL,
					"a label cannot be called '%.100s': at most %d of "
					"[A-Za-z0-9._-], and no sign at its ends",
					name, LABEL_MAX);
}

static int check_values(const struct gw_tokens *tokens)
{
	for (size_t i = 0; i < tokens->count; i++)
		if (!is_label(tokens->token[i].value))
			return gw_fail(EINVAL, "%s: a label cannot have the value '%s'",
				       tokens->token[i].of, tokens->token[i].value);
	return 0;
}

/* How many more, where that is said. No parameter is called so: '_' is in none of their names. */
static int add_room(const struct gw_export *export, const struct gw_compat_implementation *of,
		    const struct gw_model *model, struct gw_tokens *tokens)
{
	int64_t room = gw_compat_implementation_available(of, model);
	struct gw_token token = {.kind = GW_TOKEN_ROOM};
	char alias[GW_ALIAS_MAX];
	int err = gw_export_alias(export, model->name, alias);

	if (err || room < 0)
		return err;
	snprintf(token.of, sizeof(token.of), "available_instances of %s", model->name);
	snprintf(token.name, sizeof(token.name), ROOM, alias);
	snprintf(token.value, sizeof(token.value), "%" PRId64, room);
	return gw_tokens_add(tokens, &token);
}

static int collect(const struct gw_export *export, struct gw_tokens *tokens)
{
	const struct gw_compat_implementation *of;
	const struct gw_model *model;
	int err = 0;

	for (unsigned i = 0; !err && (model = gw_export_model(export, i, &of)); i++) {
		err = gw_tokens_of_model(export, model, label_name, tokens);
		if (!err)
			err = add_room(export, of, model, tokens);
	}
	return err ? err : check_values(tokens);
}

static void print(FILE *out, const struct gw_token *token)
{
	fprintf(out, GW_EXPORT_DOMAIN "/%s=%s\n", token->name, token->value);
}

static int labels_host(const struct gw_export *export)
{
	struct gw_tokens tokens = {0};
	int err = collect(export, &tokens);

	for (size_t i = 0; i < tokens.count && !err; i++)
		print(export->out, &tokens.token[i]);
	gw_tokens_free(&tokens);
	return err;
}

/* Profiles and room become labels; the rest is there for rules (NodeFeatureRule), and no label. */
static bool is_nfd_label(const struct gw_token *token)
{
	return token->kind == GW_TOKEN_PROFILE || token->kind == GW_TOKEN_ROOM;
}

/* +expiry-time holds for all that follows it, +no-label for one line. */
static void write_nfd(const struct gw_export *export, const struct gw_tokens *tokens, FILE *file)
{
	fprintf(file, "# What device back-ends on this host can be (godwit export nfd).\n");
	if (export->expiry)
		fprintf(file, "# +expiry-time=%s\n", export->expiry);
	for (size_t i = 0; i < tokens->count; i++) {
		if (!is_nfd_label(&tokens->token[i]))
			fprintf(file, "# +no-label\n");
		print(file, &tokens->token[i]);
	}
}

static int nfd_host(const struct gw_export *export)
{
	struct gw_tokens tokens = {0};
	GW_AUTO_FREE char *text = NULL;
	size_t len = 0;
	int err = collect(export, &tokens);
	FILE *file = err ? NULL : open_memstream(&text, &len);

	if (file) {
		write_nfd(export, &tokens, file);
		fclose(file);
	}
	gw_tokens_free(&tokens);
	if (!err && !file)
		err = gw_fail(ENOMEM, "no memory");
	if (!err && len > NFD_MAX)
		err = gw_fail(EFBIG, "the file would have %zu bytes, %d are read", len, NFD_MAX);
	if (!err)
		fputs(text, export->out);
	return err;
}

/* -- the request --------------------------------------------------------------------------- */

static json_t *expression(const char *name, const char *operator, const char * value)
{
	json_t *key = json_sprintf(GW_EXPORT_DOMAIN "/%s", name);

	return value ? json_pack("{s:o, s:s, s:[s]}", "key", key, "operator", operator, "values",
				 value)
		     : json_pack("{s:o, s:s}", "key", key, "operator", operator);
}

/* A bound of the host has to be on the right side of the value: Gt and Lt exclude it. Of the last
 * number that there is any bound is on the right side. */
static json_t *compare(const struct gw_token *token, const char *operator, int64_t last, int step)
{
	int64_t value = strtoll(token->value, NULL, 10);
	char text[GW_PARAM_VALUE_MAX];

	if (value == last)
		return expression(token->name, "Exists", NULL);
	snprintf(text, sizeof(text), "%" PRId64, value + step);
	return expression(token->name, operator, text);
}

static json_t *expression_of(const struct gw_token *token)
{
	switch (token->kind) {
	case GW_TOKEN_LOWER:
		return compare(token, "Lt", INT64_MAX, 1);
	case GW_TOKEN_UPPER:
		return compare(token, "Gt", INT64_MIN, -1);
	case GW_TOKEN_ROOM: /* a node without the label has room: NotIn takes it, Gt would not */
		return expression(token->name, "NotIn", "0");
	case GW_TOKEN_PROFILE:
	case GW_TOKEN_FLAG:
		break;
	}
	return expression(token->name, "In", token->value);
}

static int ask_for_room(const struct gw_export *export, struct gw_tokens *tokens)
{
	struct gw_token token = {.kind = GW_TOKEN_ROOM, .of = "room"};
	char alias[GW_ALIAS_MAX];
	int err = gw_export_alias(export, gw_compat_instance_model(export->instance), alias);

	if (err)
		return err;
	snprintf(token.name, sizeof(token.name), ROOM, alias);
	return gw_tokens_add(tokens, &token);
}

static int print_affinity(const struct gw_export *export, const struct gw_tokens *tokens)
{
	json_t *expressions = json_array(), *root;

	for (size_t i = 0; i < tokens->count; i++)
		json_array_append_new(expressions, expression_of(&tokens->token[i]));
	root = json_pack("{s:{s:{s:[{s:o}]}}}", "nodeAffinity",
			 "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms",
			 "matchExpressions", expressions);
	json_dumpf(root, export->out, JSON_INDENT(2));
	fprintf(export->out, "\n");
	json_decref(root);
	return 0;
}

static int labels_selector(const struct gw_export *export)
{
	struct gw_tokens tokens = {0};
	int err = gw_tokens_of_instance(export, label_name, &tokens);

	if (!err)
		err = ask_for_room(export, &tokens);
	if (!err)
		err = print_affinity(export, &tokens);
	gw_tokens_free(&tokens);
	return err;
}

static int nfd_selector(const struct gw_export *export)
{
	if (!export->profile)
		return gw_fail(EOPNOTSUPP, "the labels of Node Feature Discovery are profiles, and "
					   "the instance does not name one");
	return labels_selector(export);
}

const struct gw_export_format gw_export_labels = {"labels", labels_host, labels_selector};
const struct gw_export_format gw_export_nfd = {"nfd", nfd_host, nfd_selector};
