/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/export/tokens.c - models, profiles and parameters as tokens that are compared as they are. */
#include <errno.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check/check.h"
#include "cli/export/export.h"
#include "godwit/error.h"
#include "model/params.h"

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

const struct gw_model *gw_export_model(const struct gw_export *export, unsigned i,
				       const struct gw_compat_implementation **of)
{
	for (unsigned w = 0; w < export->what_count; w++)
		for (unsigned n = 0; n < export->whats[w]->implementation_count; n++) {
			const struct gw_model *model;

			*of = export->whats[w]->implementations[n].implementation;
			for (unsigned m = 0; (model = gw_compat_implementation_model(*of, m)); m++)
				if (!i--)
					return model;
		}
	return NULL;
}

static unsigned count_made(const struct gw_what *what, const struct gw_model *model)
{
	unsigned made = 0;

	for (unsigned i = 0; i < what->instance_count; i++)
		made += !strcmp(gw_compat_instance_model(what->instances[i]), model->name);
	return made;
}

int64_t gw_export_total(const struct gw_export *export,
			const struct gw_compat_implementation *implementation,
			const struct gw_model *model)
{
	int64_t room = gw_compat_implementation_available(implementation, model);
	unsigned made = 0;

	for (unsigned i = 0; i < export->what_count; i++)
		made += count_made(export->whats[i], model);
	if (room <= 0)
		return room;
	return room > INT64_MAX - made ? INT64_MAX : room + made;
}

/* -- fingerprints -------------------------------------------------------------------------- */

static void shorten(const char *form, int len, char text[GW_EXPORT_FINGERPRINT + 1])
{
	char digest[GW_FINGERPRINT_LEN + 1];

	gw_check_digest(form, (size_t)len, digest);
	snprintf(text, GW_EXPORT_FINGERPRINT + 1, "%.*s", GW_EXPORT_FINGERPRINT, digest);
}

int gw_export_fingerprint(const struct gw_model *model, const char *profile,
			  char text[GW_EXPORT_FINGERPRINT + 1])
{
	char form[GW_CANONICAL_MAX];
	int len = gw_profile_canonical(model, profile, form, sizeof(form));

	if (len < 0)
		return len;
	shorten(form, len, text);
	return 0;
}

/* Without an implementation nobody knows what is off: what is named is taken to be something. */
int gw_export_instance_fingerprint(const struct gw_export *export,
				   char text[GW_EXPORT_FINGERPRINT + 1])
{
	const struct gw_what *what = export->whats[0];
	const struct gw_model *model = NULL;
	char form[GW_CANONICAL_MAX];
	int len;

	for (unsigned i = 0; i < what->implementation_count && !model; i++)
		model = gw_compat_implementation_find(what->implementations[i].implementation,
						      gw_compat_instance_model(export->instance));
	len = gw_compat_fingerprint(export->instance, model, form, sizeof(form));
	if (len >= 0)
		shorten(form, len, text);
	return len < 0 ? len : 0;
}

/* -- tokens -------------------------------------------------------------------------------- */

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
	enum gw_token_kind kind;
	const char *alias, *model, *param, *profile;
	const char *value;
};

static int add(struct gw_tokens *tokens, gw_name_fn *name, const struct want *want)
{
	static const char *const suffixes[] = {[GW_TOKEN_LOWER] = "min", [GW_TOKEN_UPPER] = "max"};
	struct gw_token token = {.kind = want->kind};
	int err = name(token.name, want->alias, want->param, want->profile, suffixes[want->kind]);

	snprintf(token.of, sizeof(token.of), "%s %s of %s", want->param ? "parameter" : "profile",
		 want->param ? want->param : want->profile, want->model);
	if (err)
		return gw_fail_in(err, "%s", token.of);
	snprintf(token.value, sizeof(token.value), "%s", want->value);
	return gw_tokens_add(tokens, &token);
}

static int add_flag(struct gw_tokens *tokens, gw_name_fn *name, struct want want)
{
	want.kind = GW_TOKEN_FLAG;
	want.value = "true";
	return add(tokens, name, &want);
}

static int add_bounds(struct gw_tokens *tokens, gw_name_fn *name, struct want want, int64_t min,
		      int64_t max)
{
	char text[GW_PARAM_VALUE_MAX];
	int err;

	want.value = text;
	want.kind = GW_TOKEN_LOWER;
	snprintf(text, sizeof(text), "%" PRId64, min);
	err = add(tokens, name, &want);
	want.kind = GW_TOKEN_UPPER;
	snprintf(text, sizeof(text), "%" PRId64, max);
	return err ? err : add(tokens, name, &want);
}

/* Values of an enum are for profiles to name. */
static int add_param(struct gw_tokens *tokens, gw_name_fn *name, struct want want,
		     const struct gw_param *param)
{
	want.param = param->name;
	switch (param->type) {
	case GW_PARAM_BOOL:
		return add_flag(tokens, name, want);
	case GW_PARAM_INT:
		return add_bounds(tokens, name, want, param->min, param->max);
	case GW_PARAM_ENUM:
		break;
	}
	return 0;
}

static int add_profile(struct gw_tokens *tokens, gw_name_fn *name, struct want want,
		       const struct gw_model *model, const char *profile)
{
	char fingerprint[GW_EXPORT_FINGERPRINT + 1];
	int err = gw_export_fingerprint(model, profile, fingerprint);

	want.kind = GW_TOKEN_PROFILE;
	want.profile = profile;
	want.value = fingerprint;
	return err ? err : add(tokens, name, &want);
}

int gw_tokens_of_model(const struct gw_export *export, const struct gw_model *model,
		       gw_name_fn *name, struct gw_tokens *tokens)
{
	char alias[GW_ALIAS_MAX];
	const struct want want = {.alias = alias, .model = model->name};
	int err = gw_export_alias(export, model->name, alias);

	for (const struct gw_profile *p = model->profiles; p->name && !err; p++)
		err = add_profile(tokens, name, want, model, p->name);
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
		return add_flag(tokens, name, want);
	if (*end)
		return gw_fail(EOPNOTSUPP,
			       "parameter %s=%s: an enum is known to schedulers by its "
			       "profile only, and the instance does not name one",
			       want.param, value);
	return add_bounds(tokens, name, want, number, number);
}

static int add_own_profile(const struct gw_export *export, gw_name_fn *name, struct want want,
			   struct gw_tokens *tokens)
{
	char fingerprint[GW_EXPORT_FINGERPRINT + 1];
	int err = gw_export_instance_fingerprint(export, fingerprint);

	want.kind = GW_TOKEN_PROFILE;
	want.profile = export->profile;
	want.value = fingerprint;
	return err ? err : add(tokens, name, &want);
}

int gw_tokens_of_instance(const struct gw_export *export, gw_name_fn *name,
			  struct gw_tokens *tokens)
{
	const struct gw_compat_instance *instance = export->instance;
	char alias[GW_ALIAS_MAX];
	struct want want = {.alias = alias, .model = gw_compat_instance_model(instance)};
	int err = gw_export_alias(export, want.model, alias);
	const char *value;

	if (!err && export->profile)
		return add_own_profile(export, name, want, tokens);
	for (unsigned i = 0; !err && (want.param = gw_compat_instance_param(instance, i, &value));
	     i++)
		err = add_value(tokens, name, want, value);
	if (!err && !tokens->count)
		err = gw_fail(EOPNOTSUPP,
			      "an instance with nothing on has no token unless it names "
			      "its profile");
	return err;
}
