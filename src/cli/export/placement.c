/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/export/placement.c - OpenStack placement: traits, an inventory, and what is required. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/export/export.h"
#include "godwit/error.h"

#define TRAIT_MAX 255
#define TOTAL_MAX INT32_MAX /* of an inventory; none has less than 1 */

/* ^CUSTOM_[A-Z0-9_]+$ */
static int custom_name(char name[GW_TOKEN_MAX], const char *alias, const char *profile,
		       const char *fingerprint)
{
	int len = profile ? snprintf(name, GW_TOKEN_MAX, "CUSTOM_GODWIT_%s_%s_%s", alias, profile,
				     fingerprint)
			  : snprintf(name, GW_TOKEN_MAX, "CUSTOM_GODWIT_%s", alias);

	if (len > TRAIT_MAX)
		return gw_fail(EINVAL, "a trait has at most %d bytes", TRAIT_MAX);
	for (char *c = name; *c; c++)
		*c = (char)(isalnum((unsigned char)*c) ? toupper((unsigned char)*c) : '_');
	return 0;
}

static int add_trait(const struct gw_model *model, const char *alias, const char *profile,
		     struct gw_tokens *traits)
{
	char fingerprint[GW_EXPORT_FINGERPRINT + 1];
	struct gw_token token = {.kind = GW_TOKEN_PROFILE};
	int err = gw_export_fingerprint(model, profile, fingerprint);

	snprintf(token.of, sizeof(token.of), "profile %s of %s", profile, model->name);
	if (!err)
		err = custom_name(token.name, alias, profile, fingerprint);
	return err ? err : gw_tokens_add(traits, &token);
}

static int add_class(const struct gw_export *export, const struct gw_compat_implementation *of,
		     const struct gw_model *model, const char *alias, struct gw_tokens *classes)
{
	int64_t total = gw_export_total(export, of, model);
	struct gw_token token = {.kind = GW_TOKEN_ROOM};

	if (total < 0 || total > TOTAL_MAX)
		total = TOTAL_MAX;
	snprintf(token.of, sizeof(token.of), "model %s", model->name);
	snprintf(token.value, sizeof(token.value), "%" PRId64, total);
	custom_name(token.name, alias, NULL, NULL);
	return gw_tokens_add(classes, &token);
}

/* What a scheduler of OpenStack knows of a host. Parameters have no place here. */
struct provider {
	struct gw_tokens traits, classes;
};

static int collect(const struct gw_export *export, struct provider *provider)
{
	const struct gw_compat_implementation *of;
	const struct gw_model *model;
	int err = 0;

	for (unsigned i = 0; !err && (model = gw_export_model(export, i, &of)); i++) {
		char alias[GW_ALIAS_MAX];

		err = gw_export_alias(export, model->name, alias);
		for (const struct gw_profile *p = model->profiles; p->name && !err; p++)
			err = add_trait(model, alias, p->name, &provider->traits);
		if (!err)
			err = add_class(export, of, model, alias, &provider->classes);
	}
	return err;
}

static json_t *list_traits(const struct gw_tokens *tokens)
{
	json_t *traits = json_array();

	for (size_t i = 0; i < tokens->count; i++)
		json_array_append_new(traits, json_string(tokens->token[i].name));
	return traits;
}

/* Where there is no room there is no inventory, and what asks for one of it passes it by. */
static json_t *list_inventories(const struct gw_tokens *tokens)
{
	json_t *inventories = json_object();

	for (size_t i = 0; i < tokens->count; i++) {
		json_int_t total = strtoll(tokens->token[i].value, NULL, 10);

		if (total)
			json_object_set_new(inventories, tokens->token[i].name,
					    json_pack("{s:I}", "total", total));
	}
	return inventories;
}

/* The bodies of two requests, PUT /resource_providers/{uuid}/traits and …/inventories. */
static int placement_host(const struct gw_export *export)
{
	struct provider provider = {0};
	int err = collect(export, &provider);
	json_t *root = NULL;

	if (!err)
		root = json_pack("{s:{s:o, s:i}, s:{s:o, s:i}}", "traits", "traits",
				 list_traits(&provider.traits), "resource_provider_generation",
				 (int)export->generation, "inventories", "inventories",
				 list_inventories(&provider.classes),
				 "resource_provider_generation", (int)export->generation);
	if (root) {
		json_dumpf(root, export->out, JSON_INDENT(2));
		fprintf(export->out, "\n");
	}
	json_decref(root);
	gw_tokens_free(&provider.traits);
	gw_tokens_free(&provider.classes);
	return err;
}

static int placement_selector(const struct gw_export *export)
{
	char alias[GW_ALIAS_MAX], class[GW_TOKEN_MAX], trait[GW_TOKEN_MAX];
	char fingerprint[GW_EXPORT_FINGERPRINT + 1];
	int err;

	if (!export->profile)
		return gw_fail(EOPNOTSUPP, "traits are profiles, and the instance does not name "
					   "one");
	err = gw_export_alias(export, gw_compat_instance_model(export->instance), alias);
	if (!err)
		err = gw_export_instance_fingerprint(export, fingerprint);
	if (!err)
		err = custom_name(trait, alias, export->profile, fingerprint);
	if (!err)
		err = custom_name(class, alias, NULL, NULL);
	if (!err)
		fprintf(export->out, "resources=%s:1&required=%s\n", class, trait);
	return err;
}

const struct gw_export_format gw_export_placement = {"placement", placement_host,
						     placement_selector};
