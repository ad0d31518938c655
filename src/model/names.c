/* SPDX-License-Identifier: BSD-3-Clause */
/* model/names.c - what reasons are called by machines. */
#include "base/checked.h"
#include "godwit/model.h"

static const char *const names[] = {
	[GW_ACCEPTED] = "accepted",
	[GW_MODEL_UNKNOWN] = "model-unknown",
	[GW_PARAM_UNKNOWN] = "param-unknown",
	[GW_VALUE_NOT_ALLOWED] = "value-not-allowed",
	[GW_PARAM_REQUIRED] = "param-required",
	[GW_PARAM_DIFFERS] = "param-differs",
	[GW_COMBINATION_REFUSED] = "combination-refused",
	[GW_STATE_FORMAT_UNREADABLE] = "state-format-unreadable",
	[GW_PREREQUISITE_MISSING] = "prerequisite-missing",
	[GW_NO_CAPACITY] = "no-capacity",
	[GW_CHECKER_REFUSED] = "checker-refused",
	[GW_CANNOT_TELL] = "cannot-tell",
};

const char *gw_refusal_name(enum gw_refusal refusal)
{
	return (unsigned)refusal < GW_ARRAY_LEN(names) ? names[refusal] : "unknown";
}
