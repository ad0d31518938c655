/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/check/check.h - may an instance go there? Documents, the destination itself, and checkers. */
#ifndef GW_CLI_CHECK_CHECK_H
#define GW_CLI_CHECK_CHECK_H

#include <stdio.h>

#include "cli/what/what.h"

#define GW_CHECKERS "/etc/godwit/checkers.d" /* unless --checkers says another */

/* What was compared, and what came of it. */
struct gw_check {
	const struct gw_compat_instance *source;
	const struct gw_what *to;
	const char *to_name;
	const char *checkers; /* directory of executables; one that does not exist has none */
	/* check-migration of one that waits, where there is a connection; NULL: @to_name is its
	 * control socket. @document is borrowed, *@verdict a new reference. */
	int (*ask)(void *opaque, json_t *document, json_t **verdict);
	void *opaque;

	/* The best of what @to has; NULL: it is an instance, and no implementation. */
	const struct gw_what_implementation *implementation;
	const struct gw_compat_instance *made; /* NULL: none is there yet */
	struct gw_compat_report *report;
};

/* Fills in the second half. Negative errno only for want of memory: what cannot be found out is in
 * the report, as cannot-tell. @check->report is the caller's to free. */
int gw_check_run(struct gw_check *check);

/* SHA-256 of a canonical form, as hexadecimal; of an instance's, "" if it cannot be had. */
#define GW_FINGERPRINT_LEN 64
void gw_check_digest(const char *form, size_t len, char text[GW_FINGERPRINT_LEN + 1]);
void gw_check_fingerprint(const struct gw_compat_instance *instance, const struct gw_model *model,
			  char text[GW_FINGERPRINT_LEN + 1]);

/* ask.c: the destination's own --check-migration, where @to is a program or waits. */
int gw_check_ask(const struct gw_check *check);
/* checkers.c: executables that get both documents. */
int gw_check_ask_checkers(const struct gw_check *check);
/* explain.c: parameter by parameter, side by side. */
void gw_check_explain(const struct gw_check *check, FILE *out);

#endif
