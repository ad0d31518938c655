/* SPDX-License-Identifier: BSD-3-Clause */
/* model/adopt.c - does a source fit this instance, and what is taken over from it. */
#include <errno.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "model/canonical.h"

/* What the source has: absence means off, and what has no off must be there. */
static int complete(struct gw_params *source, enum gw_refusal *refusal)
{
	for (unsigned i = 0; i < source->count; i++) {
		const struct gw_param *param = &source->model->params[i];

		if (source->set[i])
			continue;
		if (param->no_off) {
			gw_refuse(refusal, GW_PARAM_REQUIRED);
			return gw_fail(EINVAL, "parameter %s: the source does not state it",
				       param->name);
		}
		source->set[i] = true;
		source->value[i] = param->off;
	}
	return 0;
}

static int compare(const struct gw_params *own, const struct gw_params *source,
		   enum gw_refusal *refusal)
{
	char here[GW_PARAM_VALUE_MAX], there[GW_PARAM_VALUE_MAX];

	for (unsigned i = 0; i < own->count; i++) {
		const struct gw_param *param = &own->model->params[i];

		if (!own->set[i] || own->value[i] == source->value[i])
			continue;
		gw_param_format(param, own->value[i], here);
		gw_param_format(param, source->value[i], there);
		gw_refuse(refusal, GW_PARAM_DIFFERS);
		return gw_fail(EINVAL, "parameter %s: the source has %s, this instance %s",
			       param->name, there, here);
	}
	return 0;
}

int gw_params_adopt(const struct gw_params *own, const char *text, size_t len,
		    struct gw_params **adopted, enum gw_refusal *refusal)
{
	GW_AUTO_FREE struct gw_params *source = NULL;
	int err = gw_canonical_parse(&source, own->model, text, len, refusal);

	if (!err)
		err = complete(source, refusal);
	if (!err)
		err = compare(own, source, refusal);
	if (!err)
		*adopted = gw_take_ptr(source);
	return err;
}
