/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/instance.c - which instance of its models a daemon is to be, and what it could be. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/instance.h"
#include "daemon/key.h"
#include "godwit/error.h"
#include "migration/info.h"
#include "model/document.h"

#define PREFIX	     "--m-"
#define DOCUMENT_MAX (64 * 1024)
#define BOOT_ID	     "/proc/sys/kernel/random/boot_id"

/* -- the command line ---------------------------------------------------------------------- */

int gw_instance_take(struct gw_instance_options *options, int *argc, char **argv)
{
	int kept = 1;

	for (int i = 1; i < *argc; i++) {
		const char *text = argv[i] + strlen(PREFIX);

		if (strncmp(argv[i], PREFIX, strlen(PREFIX)) != 0) {
			argv[kept++] = argv[i];
			continue;
		}
		if (!strchr(text, '=') || *text == '=')
			return gw_fail(EINVAL, "option %.64s: it is --m-PARAM=VALUE", argv[i]);
		if (options->params.count == GW_TEXTS_MAX)
			return gw_fail(EINVAL, "option %.64s: more than %d of them", argv[i],
				       GW_TEXTS_MAX);
		options->params.text[options->params.count++] = text;
	}
	argv[kept] = NULL;
	*argc = kept;
	return 0;
}

static const struct gw_model *find_model(const struct gw_device_ops *ops, const char *name)
{
	const struct gw_model *const *model = ops->models;

	while (name && *model && strcmp((*model)->name, name) != 0)
		model++;
	return *model;
}

static int set_one(struct gw_params *params, const char *text, enum gw_refusal *refusal)
{
	const char *equals = strchr(text, '=');
	GW_AUTO_FREE char *name = strndup(text, (size_t)(equals - text));

	if (!name)
		return gw_fail(ENOMEM, "no memory");
	return gw_params_set_text(params, name, equals + 1, refusal);
}

/* The options that are parameters under names of their own come last, and may not contradict. */
static int merge(struct gw_params *params, const struct gw_params *others, enum gw_refusal *refusal)
{
	const struct gw_param *param = gw_params_model(params)->params;

	for (; param && param->name; param++) {
		int64_t value;

		if (!gw_params_is_set(others, param->name))
			continue;
		value = gw_params_get(others, param->name, 0);
		if (gw_params_is_set(params, param->name) &&
		    gw_params_get(params, param->name, 0) != value) {
			*refusal = GW_PARAM_DIFFERS;
			return gw_fail(EINVAL,
				       "parameter %s: another option says something else than the "
				       "profile or --m-%s",
				       param->name, param->name);
		}
		gw_params_set(params, param->name, value, NULL);
	}
	return 0;
}

static int merge_host(const struct gw_daemon *daemon, struct gw_params *params,
		      enum gw_refusal *refusal)
{
	struct gw_params *others = NULL;
	int err;

	if (!daemon->set_params)
		return 0;
	err = gw_params_new(&others, gw_params_model(params));
	if (!err)
		err = daemon->set_params(daemon->host, others);
	if (!err)
		err = merge(params, others, refusal);
	gw_params_free(others);
	return err;
}

static int check(const struct gw_device_ops *ops, const struct gw_params *params,
		 enum gw_refusal *refusal)
{
	int err = ops->check ? ops->check(gw_params_model(params), params) : 0;

	if (err)
		*refusal = GW_COMBINATION_REFUSED;
	return err;
}

static int build(const struct gw_daemon *daemon, const struct gw_instance_options *options,
		 struct gw_params *params, enum gw_refusal *refusal)
{
	int err = 0;

	for (unsigned i = 0; i < options->params.count && !err; i++)
		err = set_one(params, options->params.text[i], refusal);
	if (!err && options->profile)
		err = gw_params_apply_profile(params, options->profile);
	if (!err)
		err = merge_host(daemon, params, refusal);
	return err ? err : check(daemon->ops, params, refusal);
}

int gw_instance_params(const struct gw_daemon *daemon, const struct gw_instance_options *options,
		       struct gw_params **params)
{
	const struct gw_model *model = find_model(daemon->ops, options->model);
	enum gw_refusal refusal = GW_ACCEPTED;
	int err;

	*params = NULL;
	if (!model)
		return gw_fail(EINVAL, "%s: model '%.128s' is unknown here",
			       gw_refusal_name(GW_MODEL_UNKNOWN), options->model);
	err = gw_params_new(params, model);
	if (!err)
		err = build(daemon, options, *params, &refusal);
	if (err && refusal != GW_ACCEPTED)
		gw_fail_in(err, "%s", gw_refusal_name(refusal));
	return err;
}

/* -- documents ----------------------------------------------------------------------------- */

static int print(json_t *document)
{
	int err = document ? json_dumpf(document, stdout, JSON_INDENT(2)) : -1;

	printf("\n");
	json_decref(document);
	return err || fflush(stdout) ? GW_EXIT_FAILED : GW_EXIT_OK;
}

/* As far as it can be told. */
static void look_at_key(struct gw_environment *environment, const char *path)
{
	char key[GW_DAEMON_KEY_LEN];
	int err = path ? gw_daemon_read_key(path, key) : 0;

	if (err)
		gw_warn("--state-key: %s", gw_last_error());
	else
		gw_info_add_key(environment, path ? (const uint8_t *)key : NULL);
	explicit_bzero(key, sizeof(key));
}

int gw_instance_print_info(const struct gw_daemon *daemon, unsigned available,
			   const char *state_key)
{
	struct gw_environment environment = {0};
	json_t *document;
	char boot[64] = "";
	FILE *file = fopen(BOOT_ID, "re");

	if (file && fgets(boot, sizeof(boot), file))
		boot[strcspn(boot, "\n")] = 0;
	if (file)
		fclose(file);
	if (daemon->environment) {
		daemon->environment(daemon->host, &environment);
		look_at_key(&environment, state_key);
	}
	document = gw_info_implementation(daemon->ops, daemon->program, GODWIT_VERSION,
					  *boot ? boot : NULL,
					  daemon->environment ? &environment : NULL);
	if (available != GW_AVAILABLE_UNKNOWN)
		gw_info_set_available(document, available);
	return print(document);
}

/* At most DOCUMENT_MAX bytes. */
static int read_document(json_t **document)
{
	GW_AUTO_FREE char *text = malloc(DOCUMENT_MAX + 1);
	size_t len = text ? fread(text, 1, DOCUMENT_MAX + 1, stdin) : 0;

	if (!text)
		return gw_fail(ENOMEM, "no memory");
	if (len > DOCUMENT_MAX)
		return gw_fail(EFBIG, "the document has more than %d bytes", DOCUMENT_MAX);
	return gw_document_load(document, "standard input", text, len);
}

int gw_instance_check(const struct gw_daemon *daemon)
{
	json_t *document = NULL, *verdict = NULL;
	int err = read_document(&document);
	bool compatible;

	if (!err)
		err = gw_info_check(daemon->ops, document, &verdict);
	json_decref(document);
	if (err) {
		fprintf(stderr, "%s: %s\n", daemon->program, gw_last_error());
		return GW_EXIT_UNKNOWN;
	}
	compatible = json_is_true(json_object_get(verdict, "compatible"));
	if (print(verdict))
		return GW_EXIT_UNKNOWN;
	return compatible ? GW_EXIT_OK : GW_EXIT_FAILED;
}
