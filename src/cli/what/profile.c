/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/what/profile.c - an implementation as the instance that one of its profiles would make. */
#include <errno.h>
#include <string.h>

#include "cli/what/what.h"
#include "godwit/error.h"

static const struct gw_model *find_model(const struct gw_what *what, const char *model)
{
	const struct gw_model *found = NULL, *m;
	unsigned count = 0;

	for (unsigned i = 0; i < what->implementation_count; i++)
		for (unsigned k = 0; (m = gw_compat_implementation_model(
					      what->implementations[i].implementation, k));
		     k++) {
			if (model && strcmp(m->name, model) != 0)
				continue;
			found = m;
			count++;
		}
	return count == 1 ? found : NULL;
}

int gw_what_take_profile(struct gw_what *what, const char *name, const char *model,
			 const char *profile)
{
	const struct gw_model *of = find_model(what, model);
	char form[GW_CANONICAL_MAX];
	struct gw_params *params = NULL;
	int len = 0, err;

	if (!of)
		return gw_fail(ENOENT, "%s: it has no model %.128s, or several", name,
			       model ? model : "");
	err = gw_params_new(&params, of);
	if (!err)
		err = gw_params_apply_profile(params, profile);
	if (!err)
		len = gw_params_canonical(params, form, sizeof(form));
	gw_params_free(params);
	if (err || len < 0)
		return gw_fail_in(err ? err : len, "%s", name);
	while (what->instance_count)
		gw_compat_instance_free(what->instances[--what->instance_count]);
	err = gw_compat_instance_canonical(&what->instances[0], name, form, (size_t)len, NULL);
	what->instance_count = !err;
	return err;
}
