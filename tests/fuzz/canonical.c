/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/canonical.c - any bytes as the parameters of a source: refused, or the one spelling.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/model-example.h"
#include "harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char again[GW_CANONICAL_MAX];
	struct gw_params *own, *adopted = NULL;
	int len;

	if (gw_params_new(&own, &example_model))
		abort();
	if (!gw_params_adopt(own, (const char *)data, size, &adopted, NULL)) {
		len = gw_params_canonical(adopted, again, sizeof(again));
		if (len < 0 || (size_t)len != size || memcmp(again, data, size) != 0)
			abort();
	}
	gw_params_free(adopted);
	gw_params_free(own);
	return 0;
}
