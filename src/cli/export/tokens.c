/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/export/tokens.c - models, profiles and parameters as tokens that are compared as they are. */
#include <errno.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "cli/export/export.h"
#include "godwit/error.h"

#define DIGEST_BYTES 5

static bool is_alias(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");

	return len && len == strlen(text) && len < GW_ALIAS_MAX;
}

int gw_export_alias(const struct gw_export *export, const char *model, char alias[GW_ALIAS_MAX])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	size_t len = strlen(model);

	for (unsigned i = 0; i < export->aliases->count; i++) {
		const char *text = export->aliases->text[i];

		if (strncmp(text, model, len) != 0 || text[len] != '=')
			continue;
		if (!is_alias(text + len + 1))
			return gw_fail(EINVAL, "option --alias: '%.64s' is not 1 to %d of [a-z0-9]",
				       text + len + 1, GW_ALIAS_MAX - 1);
		snprintf(alias, GW_ALIAS_MAX, "%s", text + len + 1);
		return 0;
	}
	SHA256((const unsigned char *)model, len, digest);
	for (unsigned i = 0; i < DIGEST_BYTES; i++)
		snprintf(alias + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

int gw_tokens_add(struct gw_tokens *tokens, const struct gw_token *token)
{
	for (size_t i = 0; i < tokens->count; i++)
		if (!strcmp(tokens->token[i].name, token->name))
			return gw_fail(EEXIST, "%s and %s would both be called %s",
				       tokens->token[i].of, token->of, token->name);
	if (tokens->count == tokens->room) {
		size_t room = tokens->room ? 2 * tokens->room : 32;
		struct gw_token *more = reallocarray(tokens->token, room, sizeof(*more));

		if (!more)
			return gw_fail(ENOMEM, "no memory");
		tokens->token = more;
		tokens->room = room;
	}
	tokens->token[tokens->count++] = *token;
	return 0;
}

void gw_tokens_free(struct gw_tokens *tokens)
{
	free(tokens->token);
	*tokens = (struct gw_tokens){0};
}

/* What is asked of one token: its name's parts, and its value. */
struct want {
	const char *alias, *model, *param, *profile, *suffix;
	int64_t number; /* with a suffix; else it is "true" */
};

static int add(struct gw_tokens *tokens, gw_name_fn *name, const struct want *want)
{
	struct gw_token token = {.value = "true", .scalar = want->param != NULL};
	int err = name(token.name, want->alias, want->param, want->profile, want->suffix);

	snprintf(token.of, sizeof(token.of), "%s %s of %s", want->param ? "parameter" : "profile",
		 want->param ? want->param : want->profile, want->model);
	if (err)
		return gw_fail_in(err, "%s", token.of);
	if (want->suffix)
		snprintf(token.value, sizeof(token.value), "%" PRId64, want->number);
	return gw_tokens_add(tokens, &token);
}

static int add_bounds(struct gw_tokens *tokens, gw_name_fn *name, struct want want, int64_t min,
		      int64_t max)
{
	int err;

	want.suffix = "min";
	want.number = min;
	err = add(tokens, name, &want);
	want.suffix = "max";
	want.number = max;
	return err ? err : add(tokens, name, &want);
}

/* Values of an enum are for profiles to name. */
static int add_param(struct gw_tokens *tokens, gw_name_fn *name, struct want want,
		     const struct gw_param *param)
{
	want.param = param->name;
	switch (param->type) {
	case GW_PARAM_BOOL:
		return add(tokens, name, &want);
	case GW_PARAM_INT:
		return add_bounds(tokens, name, want, param->min, param->max);
	case GW_PARAM_ENUM:
		break;
	}
	return 0;
}

int gw_tokens_of_model(const struct gw_export *export, const struct gw_model *model,
		       gw_name_fn *name, struct gw_tokens *tokens)
{
	char alias[GW_ALIAS_MAX];
	struct want want = {.alias = alias, .model = model->name};
	int err = gw_export_alias(export, model->name, alias);

	for (const struct gw_profile *p = model->profiles; p->name && !err; p++) {
		want.profile = p->name;
		err = add(tokens, name, &want);
	}
	want.profile = NULL;
	for (const struct gw_param *p = model->params; p->name && !err; p++)
		err = add_param(tokens, name, want, p);
	return err;
}

static int add_value(struct gw_tokens *tokens, gw_name_fn *name, struct want want,
		     const char *value)
{
	char *end;
	long long number = strtoll(value, &end, 10);

	if (!strcmp(value, "off"))
		return 0;
	if (!strcmp(value, "on"))
		return add(tokens, name, &want);
	if (*end)
		return gw_fail(EOPNOTSUPP,
			       "parameter %s=%s: an enum is known to schedulers by its "
			       "profile only, and the instance does not name one",
			       want.param, value);
	return add_bounds(tokens, name, want, number, number);
}

int gw_tokens_of_instance(const struct gw_export *export, gw_name_fn *name,
			  struct gw_tokens *tokens)
{
	const struct gw_compat_instance *instance = export->instance;
	char alias[GW_ALIAS_MAX];
	struct want want = {.alias = alias, .model = gw_compat_instance_model(instance)};
	int err = gw_export_alias(export, want.model, alias);
	const char *value;

	if (!err && export->profile) {
		want.profile = export->profile;
		return add(tokens, name, &want);
	}
	for (unsigned i = 0; !err && (want.param = gw_compat_instance_param(instance, i, &value));
	     i++)
		err = add_value(tokens, name, want, value);
	if (!err && !tokens->count)
		err = gw_fail(EOPNOTSUPP,
			      "an instance with nothing on has no token unless it names "
			      "its profile");
	return err;
}
