/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/export/placement.c - OpenStack placement: traits, an inventory, and what is required. */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "cli/export/export.h"
#include "godwit/error.h"

#define TRAIT_MAX 255

/* ^CUSTOM_[A-Z0-9_]+$ */
static int trait_name(char name[GW_TOKEN_MAX], const char *alias, const char *param,
		      const char *profile, const char *suffix)
{
	int len = snprintf(name, GW_TOKEN_MAX, "CUSTOM_GODWIT_%s_%s%s%s", alias,
			   profile ? profile : param, suffix ? "_" : "", suffix ? suffix : "");

	if (len > TRAIT_MAX)
		return gw_fail(EINVAL, "a trait has at most %d bytes", TRAIT_MAX);
	for (char *c = name; *c; c++)
		*c = (char)(isalnum((unsigned char)*c) ? toupper((unsigned char)*c) : '_');
	return 0;
}

/* Amounts are inventories; parameters have no place here. */
static int collect(const struct gw_export *export, json_t *traits, json_t *inventories)
{
	const struct gw_model *model;
	struct gw_tokens tokens = {0};
	int err = 0;

	for (unsigned i = 0;
	     !err && (model = gw_compat_implementation_model(export->implementation, i)); i++) {
		int64_t room = gw_compat_implementation_available(export->implementation, model);
		struct gw_token class = {.of = "the model"};
		char alias[GW_ALIAS_MAX];

		err = gw_export_alias(export, model->name, alias);
		for (const struct gw_profile *p = model->profiles; p->name && !err; p++) {
			struct gw_token token = {0};

			snprintf(token.of, sizeof(token.of), "profile %s of %s", p->name,
				 model->name);
			err = trait_name(token.name, alias, NULL, p->name, NULL);
			if (!err)
				err = gw_tokens_add(&tokens, &token);
			if (!err)
				json_array_append_new(traits, json_string(token.name));
		}
		snprintf(class.name, sizeof(class.name), "CUSTOM_GODWIT_%s", alias);
		for (char *c = class.name; *c; c++)
			*c = (char)toupper((unsigned char)*c);
		if (!err)
			err = gw_tokens_add(&tokens, &class);
		if (!err && room > 0)
			json_object_set_new(inventories, class.name,
					    json_pack("{s:I}", "total", (json_int_t)room));
	}
	gw_tokens_free(&tokens);
	return err;
}

/* The bodies of two requests, PUT /resource_providers/{uuid}/traits and …/inventories. */
static int placement_host(const struct gw_export *export)
{
	json_t *traits = json_array(), *inventories = json_object(), *root;
	int err = collect(export, traits, inventories);

	if (err) {
		json_decref(traits);
		json_decref(inventories);
		return err;
	}
	root = json_pack("{s:{s:o, s:i}, s:{s:o, s:i}}", "traits", "traits", traits,
			 "resource_provider_generation", (int)export->generation, "inventories",
			 "inventories", inventories, "resource_provider_generation",
			 (int)export->generation);
	json_dumpf(root, export->out, JSON_INDENT(2));
	fprintf(export->out, "\n");
	json_decref(root);
	return 0;
}

static int placement_selector(const struct gw_export *export)
{
	char alias[GW_ALIAS_MAX], name[GW_TOKEN_MAX];
	int err;

	if (!export->profile)
		return gw_fail(EOPNOTSUPP, "traits are profiles, and the instance does not name "
					   "one");
	err = gw_export_alias(export, gw_compat_instance_model(export->instance), alias);
	if (!err)
		err = trait_name(name, alias, NULL, export->profile, NULL);
	if (!err)
		fprintf(export->out, "required=%s\n", name);
	return err;
}

const struct gw_export_format gw_export_placement = {"placement", placement_host,
						     placement_selector};
