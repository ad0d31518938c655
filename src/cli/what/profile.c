/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/what/profile.c - an implementation as the instance that one of its profiles would make. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/what/what.h"
#include "godwit/error.h"

struct found {
	const struct gw_model *model;
	const json_t *document; /* of the implementation that has it */
};

static bool find_model(const struct gw_what *what, const char *model, struct found *found)
{
	const struct gw_model *m;
	unsigned count = 0;

	for (unsigned i = 0; i < what->implementation_count; i++) {
		const struct gw_what_implementation *of = &what->implementations[i];

		for (unsigned k = 0; (m = gw_compat_implementation_model(of->implementation, k));
		     k++) {
			if (model && strcmp(m->name, model) != 0)
				continue;
			*found = (struct found){m, of->document};
			count++;
		}
	}
	return count == 1;
}

/* What any instance of it would require, as words; a document that does not say has none. */
static int write_requires(const char *name, const json_t *document, char *text, size_t size)
{
	const json_t *list = json_object_get(document, "requires");
	size_t len = 0;

	text[0] = 0;
	if (list && !json_is_array(list))
		return gw_fail(EBADMSG, "%s: member 'requires' is not an array", name);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *word = json_string_value(json_array_get(list, i));

		if (!word)
			return gw_fail(EBADMSG, "%s: member 'requires' is not an array of words",
				       name);
		len += (size_t)snprintf(text + len, size - len, "%s ", word);
		if (len >= size)
			return gw_fail(EFBIG, "%s: member 'requires' has more than %zu bytes", name,
				       size - 1);
	}
	return 0;
}

static int write_form(const struct gw_model *model, const char *profile, char *form, size_t size,
		      size_t *len)
{
	struct gw_params *params = NULL;
	int err = gw_params_new(&params, model), written = 0;

	if (!err)
		err = gw_params_apply_profile(params, profile);
	if (!err)
		written = gw_params_canonical(params, form, size);
	gw_params_free(params);
	if (err || written < 0)
		return err ? err : written;
	*len = (size_t)written;
	return 0;
}

int gw_what_take_profile(struct gw_what *what, const char *name, const char *model,
			 const char *profile)
{
	char form[GW_CANONICAL_MAX], requires[GW_REQUIRES_MAX * GW_REQUIRE_MAX];
	struct found found;
	size_t len = 0;
	int err;

	if (!find_model(what, model, &found))
		return gw_fail(ENOENT, "%s: it has no model %.128s, or several", name,
			       model ? model : "");
	err = write_form(found.model, profile, form, sizeof(form), &len);
	if (err)
		return gw_fail_in(err, "%s", name);
	err = write_requires(name, found.document, requires, sizeof(requires));
	if (err)
		return err;
	while (what->instance_count)
		gw_compat_instance_free(what->instances[--what->instance_count]);
	err = gw_compat_instance_canonical(&what->instances[0], name, form, len, requires);
	what->instance_count = !err;
	return err;
}
