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
	json_t *reasons = json_array();
	char before[GW_CANONICAL_MAX], after[GW_CANONICAL_MAX];
	json_t *document = gw_info_instance(params, NULL);
	struct gw_params *again;

	if (gw_info_read_instance(&again, models, document, reasons))
		abort();
	if (gw_params_canonical(params, before, sizeof(before)) < 0 ||
	    gw_params_canonical(again, after, sizeof(after)) < 0 || strcmp(before, after) != 0)
		abort();
	gw_params_free(again);
	json_decref(reasons);
	json_decref(document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *document = json_loadb((const char *)data, size,
				      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	struct gw_params *params = NULL;
	json_t *reasons;
	int err;

	if (!document)
		return 0;
	reasons = json_array();
	err = gw_info_read_instance(&params, models, document, reasons);
	/* A refusal has a reason, and nothing else has. */
	if ((err == -EINVAL) != (json_array_size(reasons) > 0))
		abort();
	if (!err)
		check_accepted(params);
	gw_params_free(params);
	json_decref(reasons);
	json_decref(document);
	return 0;
}
