/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/export/dra.c - Kubernetes' dynamic resource allocation: a ResourceSlice, and CEL. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/export/export.h"
#include "godwit/error.h"

#define API	       "resource.k8s.io/v1"
#define ID_MAX	       32 /* of an attribute's name, a C identifier */
#define STRING_MAX     64
#define ATTRIBUTES_MAX 32 /* of a device, its capacities among them */
#define DEVICES_MAX    128
#define SUBDOMAIN_MAX  253 /* RFC 1123: bytes of an object's name */
#define CEL_MAX	       (10 * 1024)
#define CAPACITY       "instances"

/* "rx-filter-size", "max" -> "rxFilterSizeMax"; profiles are "profile_" and their name. */
static int attribute_name(char name[GW_TOKEN_MAX], const char *alias, const char *param,
			  const char *profile, const char *suffix)
{
	const char *text = profile ? profile : param;
	size_t len = 0;
	bool upper = false;

	(void)alias; /* a device is of one model */
	if (profile)
		len = (size_t)snprintf(name, GW_TOKEN_MAX, "profile_");
	for (; *text && len < GW_TOKEN_MAX - 8; text++) {
		if (!isalnum((unsigned char)*text) && !profile) {
			upper = true;
			continue;
		}
		name[len++] = (char)(!isalnum((unsigned char)*text) ? '_'
				     : upper			    ? toupper((unsigned char)*text)
								    : *text);
		upper = false;
	}
	name[len] = 0;
	if (suffix)
		snprintf(name + len, GW_TOKEN_MAX - len, "%c%s", toupper((unsigned char)*suffix),
			 suffix + 1);
	if (!*name || isdigit((unsigned char)name[0]) || strlen(name) > ID_MAX)
		return gw_fail(EINVAL,
			       "an attribute cannot be called '%.100s': it is a C "
			       "identifier of at most %d bytes",
			       name, ID_MAX);
	return 0;
}

static json_t *value_of(const struct gw_token *token)
{
	if (token->kind == GW_TOKEN_PROFILE)
		return json_pack("{s:s}", "string", token->value);
	if (token->kind == GW_TOKEN_FLAG)
		return json_pack("{s:b}", "bool", 1);
	return json_pack("{s:I}", "int", (json_int_t)strtoll(token->value, NULL, 10));
}

static int check_limits(const struct gw_model *model, size_t attributes)
{
	if (strlen(model->name) > STRING_MAX)
		return gw_fail(EINVAL, "model %s: the name has %zu bytes, an attribute at most %d",
			       model->name, strlen(model->name), STRING_MAX);
	if (attributes > ATTRIBUTES_MAX)
		return gw_fail(E2BIG,
			       "model %s: %zu attributes and capacities, a device has at "
			       "most %d",
			       model->name, attributes, ATTRIBUTES_MAX);
	return 0;
}

/* Each claim takes one, whether it says so or not; the scheduler counts. */
static json_t *capacity(int64_t total)
{
	return json_pack("{s:{s:o, s:{s:s, s:[s]}}}", CAPACITY, "value",
			 json_sprintf("%" PRId64, total), "requestPolicy", "default", "1",
			 "validValues", "1");
}

/* Many claims share the device; what does not count them (no capacity) takes any number. */
static json_t *describe(const struct gw_model *model, const char *alias, int64_t total,
			const struct gw_tokens *tokens)
{
	json_t *attributes = json_object();
	json_t *device = json_pack("{s:s, s:b, s:o}", "name", alias, "allowMultipleAllocations", 1,
				   "attributes", attributes);

	json_object_set_new(attributes, "model", json_pack("{s:s}", "string", model->name));
	for (size_t i = 0; i < tokens->count; i++)
		json_object_set_new(attributes, tokens->token[i].name, value_of(&tokens->token[i]));
	if (total > 0)
		json_object_set_new(device, "capacity", capacity(total));
	return device;
}

static bool is_taken(const json_t *devices, const char *alias)
{
	for (size_t i = 0; i < json_array_size(devices); i++)
		if (!strcmp(alias,
			    json_string_value(json_object_get(json_array_get(devices, i), "name"))))
			return true;
	return false;
}

static int collect(const struct gw_export *export, const struct gw_model *model,
		   struct gw_tokens *tokens)
{
	/* Its place is taken, so that no parameter is called so. */
	int err = gw_tokens_add(tokens, &(struct gw_token){.name = "model", .of = "the model"});

	if (!err)
		err = gw_tokens_of_model(export, model, attribute_name, tokens);
	return err ? err : check_limits(model, tokens->count + 1);
}

/* Where there is no room there is no device: nothing is to be had of it. */
static int add_device(const struct gw_export *export, const struct gw_compat_implementation *of,
		      const struct gw_model *model, json_t *devices)
{
	int64_t total = gw_export_total(export, of, model);
	struct gw_tokens tokens = {0};
	char alias[GW_ALIAS_MAX];
	int err = gw_export_alias(export, model->name, alias);

	if (!err && is_taken(devices, alias))
		err = gw_fail(EEXIST, "model %s and another would both be called %s", model->name,
			      alias);
	if (!err)
		err = collect(export, model, &tokens);
	if (!err && total) {
		struct gw_tokens rest = {.count = tokens.count - 1, .token = tokens.token + 1};

		json_array_append_new(devices, describe(model, alias, total, &rest));
	}
	gw_tokens_free(&tokens);
	return err;
}

/* RFC 1123: labels of [a-z0-9-] with dots between, and no '-' at the ends of one. */
static bool is_subdomain(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	const char *at = name + strspn(name, letters);

	while (at > name && (*at == '.' || *at == '-')) {
		/* One dot between letters, or any number of '-'. */
		size_t signs = *at == '.' ? 1 : strspn(at, "-");
		size_t len = strspn(at + signs, letters);

		if (!len)
			return false;
		at += signs + len;
	}
	return at > name && !*at;
}

int gw_export_node_check(const char *node)
{
	size_t max = SUBDOMAIN_MAX - strlen("-" GW_EXPORT_DOMAIN);

	if (strlen(node) > max)
		return gw_fail(EINVAL,
			       "option --node: %zu bytes, a ResourceSlice's name leaves %zu for it",
			       strlen(node), max);
	if (!is_subdomain(node))
		return gw_fail(EINVAL,
			       "option --node: '%.64s' is no name of a node: expected [a-z0-9-], "
			       "with dots between, beginning and ending with a letter or digit",
			       node);
	return 0;
}

static int dra_host(const struct gw_export *export)
{
	json_t *devices = json_array(), *root;
	const struct gw_compat_implementation *of;
	const struct gw_model *model;
	int err = export->node ? 0 : gw_fail(EINVAL, "a ResourceSlice is of a node: --node NAME");

	for (unsigned i = 0; !err && (model = gw_export_model(export, i, &of)); i++)
		err = add_device(export, of, model, devices);
	if (!err && json_array_size(devices) > DEVICES_MAX)
		err = gw_fail(E2BIG, "more than %d models in one ResourceSlice", DEVICES_MAX);
	if (err) {
		json_decref(devices);
		return err;
	}
	root = json_pack("{s:s, s:s, s:{s:o}, s:{s:s, s:s, s:{s:s, s:i, s:i}, s:o}}", "apiVersion",
			 API, "kind", "ResourceSlice", "metadata", "name",
			 json_sprintf("%s-" GW_EXPORT_DOMAIN, export->node), "spec", "driver",
			 GW_EXPORT_DOMAIN, "nodeName", export->node, "pool", "name", export->node,
			 "generation", (int)export->generation, "resourceSliceCount", 1, "devices",
			 devices);
	json_dumpf(root, export->out, JSON_INDENT(2));
	fprintf(export->out, "\n");
	json_decref(root);
	return 0;
}

/* -- the request --------------------------------------------------------------------------- */

#define ATTRIBUTES "device.attributes[\"" GW_EXPORT_DOMAIN "\"]"
#define CAPACITIES "device.capacity[\"" GW_EXPORT_DOMAIN "\"]"

static void print_condition(FILE *out, const struct gw_token *token)
{
	const char *name = token->name;

	/* What a device does not say is an error in CEL, and no match. */
	fprintf(out, " && \"%s\" in " ATTRIBUTES " && " ATTRIBUTES ".%s", name, name);
	if (token->kind == GW_TOKEN_PROFILE)
		fprintf(out, " == \"%s\"", token->value);
	else if (token->kind != GW_TOKEN_FLAG)
		fprintf(out, " %s %s", token->kind == GW_TOKEN_LOWER ? "<=" : ">=", token->value);
}

/* What is left of the capacity the scheduler itself looks after; here it is that there is any. */
static void print_expression(FILE *out, const char *model, const struct gw_tokens *tokens)
{
	fprintf(out, "device.driver == \"" GW_EXPORT_DOMAIN "\" && " ATTRIBUTES ".model == \"%s\"",
		model);
	for (size_t i = 0; i < tokens->count; i++)
		print_condition(out, &tokens->token[i]);
	fprintf(out, " && (!(\"" CAPACITY "\" in " CAPACITIES ") || " CAPACITIES "." CAPACITY
		     ".compareTo(quantity(\"1\")) >= 0)\n");
}

static int write_expression(const struct gw_export *export, const struct gw_tokens *tokens)
{
	GW_AUTO_FREE char *text = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&text, &len);

	if (!file)
		return gw_fail(ENOMEM, "no memory");
	print_expression(file, gw_compat_instance_model(export->instance), tokens);
	if (fclose(file))
		return gw_fail(ENOMEM, "no memory");
	if (len - 1 > CEL_MAX)
		return gw_fail(EFBIG, "the expression would have %zu bytes, CEL is read up to %d",
			       len - 1, CEL_MAX);
	fputs(text, export->out);
	return 0;
}

static int dra_selector(const struct gw_export *export)
{
	struct gw_tokens tokens = {0};
	int err = gw_tokens_of_instance(export, attribute_name, &tokens);

	/* A model is an attribute, so that an instance with nothing on can be asked for. */
	if (err == -EOPNOTSUPP && !gw_compat_instance_param(export->instance, 0, NULL))
		err = 0;
	if (!err)
		err = write_expression(export, &tokens);
	gw_tokens_free(&tokens);
	return err;
}

const struct gw_export_format gw_export_dra = {"dra", dra_host, dra_selector};
