/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/checks.c - all checks, in the order of a back-end's life. */
#include "cli/conform/conform.h"

const struct cf_check *const cf_all_checks[] = {
	cf_checks_features,
	cf_checks_framing,
	cf_checks_memory,
	cf_checks_rings,
	cf_checks_stop,
	cf_checks_log,
	cf_checks_state,
	cf_checks_channel,
	cf_checks_load,
	cf_checks_move,
	cf_checks_hostile,
	cf_checks_experimental,
	NULL,
};
