/* SPDX-License-Identifier: BSD-3-Clause */
/* model/implementation.c - what a document says of an implementation, asked. */
#include <string.h>

#include "model/compat.h"

const char *gw_compat_implementation_name(const struct gw_compat_implementation *implementation)
{
	return implementation->name;
}

const char *gw_compat_implementation_program(const struct gw_compat_implementation *implementation,
					     const char *member)
{
	const json_t *program = json_object_get(implementation->root, "implementation");

	return json_string_value(json_object_get(program, member));
}

const struct gw_model *
gw_compat_implementation_model(const struct gw_compat_implementation *implementation, unsigned i)
{
	return i < implementation->count ? &implementation->models[i].model : NULL;
}

const struct gw_compat_model *
gw_compat_model_find(const struct gw_compat_implementation *implementation, const char *name)
{
	for (unsigned i = 0; i < implementation->count; i++)
		if (!strcmp(implementation->models[i].model.name, name))
			return &implementation->models[i];
	return NULL;
}

const struct gw_model *
gw_compat_implementation_find(const struct gw_compat_implementation *implementation,
			      const char *model)
{
	const struct gw_compat_model *found = gw_compat_model_find(implementation, model);

	return found ? &found->model : NULL;
}

const char *gw_compat_implementation_provides(const struct gw_compat_implementation *implementation,
					      unsigned i)
{
	return i < implementation->provide_count ? implementation->provides[i] : NULL;
}

const char *gw_compat_implementation_requires(const struct gw_compat_implementation *implementation,
					      unsigned i)
{
	return i < implementation->require_count ? implementation->requires[i] : NULL;
}

int64_t gw_compat_implementation_available(const struct gw_compat_implementation *implementation,
					   const struct gw_model *model)
{
	const struct gw_compat_model *found = gw_compat_model_find(implementation, model->name);

	return found ? found->available : -1;
}
