/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/instance.c - any JSON as the document of an instance: refused with a reason, or what
 * it says comes out again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/model-example.h"
#include "harness.h"
#include "migration/info.h"

static const struct gw_model *const models[] = {&example_model, NULL};

/* Written and read again it is the same. */
static void check_accepted(const struct gw_params *params)
{
	char before[GW_CANONICAL_MAX], after[GW_CANONICAL_MAX];
	json_t *document = gw_info_instance(params, NULL);
	struct gw_params *again;

	if (gw_info_read_instance(&again, models, document, NULL))
		abort();
	if (gw_params_canonical(params, before, sizeof(before)) < 0 ||
	    gw_params_canonical(again, after, sizeof(after)) < 0 || strcmp(before, after) != 0)
		abort();
	gw_params_free(again);
	json_decref(document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *document = json_loadb((const char *)data, size,
				      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	enum gw_refusal refusal = GW_PARAM_DIFFERS;
	struct gw_params *params = NULL;
	int err;

	if (!document)
		return 0;
	err = gw_info_read_instance(&params, models, document, &refusal);
	/* A refusal has a reason, and nothing else has. */
	if ((err == -EINVAL) != (refusal != GW_ACCEPTED))
		abort();
	if (!err)
		check_accepted(params);
	gw_params_free(params);
	json_decref(document);
	return 0;
}
