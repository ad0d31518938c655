/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/what/profile.c - an implementation as the instance that one of its profiles would make. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/what/what.h"
#include "godwit/error.h"
#include "model/params.h"

struct found {
	const struct gw_model *model;
	const struct gw_compat_implementation *implementation; /* that has it */
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
			*found = (struct found){m, of->implementation};
			count++;
		}
	}
	return count == 1;
}

/* What any instance of it would require, as words; there is room for as many as may be. */
static void write_requires(const struct gw_compat_implementation *implementation,
			   char text[GW_REQUIRES_MAX * GW_REQUIRE_MAX])
{
	const char *word;
	size_t len = 0;

	text[0] = 0;
	for (unsigned i = 0; (word = gw_compat_implementation_requires(implementation, i)); i++)
		len += (size_t)snprintf(text + len, GW_REQUIRES_MAX * GW_REQUIRE_MAX - len, "%s ",
					word);
}

int gw_what_take_profile(struct gw_what *what, const char *name, const char *model,
			 const char *profile)
{
	char form[GW_CANONICAL_MAX], requires[GW_REQUIRES_MAX * GW_REQUIRE_MAX];
	struct found found;
	int len, err;

	if (!find_model(what, model, &found))
		return gw_fail(ENOENT, "%s: it has no model %.128s, or several", name,
			       model ? model : "");
	len = gw_profile_canonical(found.model, profile, form, sizeof(form));
	if (len < 0)
		return gw_fail_in(len, "%s", name);
	write_requires(found.implementation, requires);
	while (what->instance_count)
		gw_compat_instance_free(what->instances[--what->instance_count]);
	err = gw_compat_instance_canonical(&what->instances[0], name, form, (size_t)len, requires);
	what->instance_count = !err;
	return err;
}
