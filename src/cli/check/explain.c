/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/check/explain.c - parameter by parameter, side by side. */
#include <string.h>

#include "cli/check/check.h"
#include "model/params.h"

#define CELL 64

static bool is_unset(const struct gw_compat_instance *instance, const char *name)
{
	const char *known;

	for (unsigned i = 0; (known = gw_compat_instance_unset(instance, i)); i++)
		if (!strcmp(known, name))
			return true;
	return false;
}

/* What is not decided has one reason for all of it. */
static const char *code_for(const struct gw_check *check, const char *subject)
{
	if (is_unset(check->source, subject))
		return gw_refusal_name(GW_CANNOT_TELL);
	for (unsigned i = 0; i < gw_compat_report_count(check->report); i++) {
		const struct gw_compat_reason *reason = gw_compat_report_reason(check->report, i);

		if (!strcmp(reason->subject, subject))
			return gw_refusal_name(reason->code);
	}
	return "";
}

static const char *value_in(const struct gw_compat_instance *instance, const char *name)
{
	const char *value, *known;

	for (unsigned i = 0; (known = gw_compat_instance_param(instance, i, &value)); i++)
		if (!strcmp(known, name))
			return value;
	return NULL;
}

/* What the source has; in @text where only the destination knows what absence means. */
static const char *source_cell(const struct gw_check *check, const char *name,
			       const struct gw_param *param, char text[GW_PARAM_VALUE_MAX])
{
	const char *from = value_in(check->source, name);

	if (from)
		return from;
	if (is_unset(check->source, name))
		return "undecided";
	if (!param || param->no_off)
		return "-";
	gw_param_format(param, param->off, text);
	return text;
}

static void print_row(const struct gw_check *check, const char *name, const struct gw_param *param,
		      FILE *out)
{
	const char *made = check->made ? value_in(check->made, name) : NULL;
	char to[CELL] = "-", off[GW_PARAM_VALUE_MAX];

	if (param)
		gw_param_describe(param, to, sizeof(to));
	if (check->made && !is_unset(check->made, name))
		snprintf(to, sizeof(to), "%.48s, fixed", made ? made : "off");
	fprintf(out, "%-22s %-14s %-32s %s\n", name, source_cell(check, name, param, off), to,
		code_for(check, name));
}

static const struct gw_param *find_param(const struct gw_model *model, const char *name)
{
	for (const struct gw_param *p = model ? model->params : NULL; p && p->name; p++)
		if (!strcmp(p->name, name))
			return p;
	return NULL;
}

static void print_params(const struct gw_check *check, const struct gw_model *model, FILE *out)
{
	const char *name;

	fprintf(out, "%-22s %-14s %-32s %s\n", "PARAMETER", "FROM", "TO ACCEPTS", "REASON");
	for (unsigned i = 0; (name = gw_compat_instance_param(check->source, i, NULL)); i++)
		print_row(check, name, find_param(model, name), out);
	for (const struct gw_param *p = model ? model->params : NULL; p && p->name; p++)
		if (!value_in(check->source, p->name))
			print_row(check, p->name, p, out);
}

static void print_requires(const struct gw_check *check, FILE *out)
{
	const char *what, *provided;

	for (unsigned i = 0; (what = gw_compat_instance_requires(check->source, i)); i++) {
		const char *there = "-";

		for (unsigned k = 0;
		     check->implementation && (provided = gw_compat_implementation_provides(
						       check->implementation->implementation, k));
		     k++)
			if (!strcmp(what, provided))
				there = "provided";
		fprintf(out, "%-37s %-32s %s\n", what, there, code_for(check, what));
	}
}

void gw_check_explain(const struct gw_check *check, FILE *out)
{
	const char *name = gw_compat_instance_model(check->source);
	const struct gw_model *model =
		check->implementation
			? gw_compat_implementation_find(check->implementation->implementation, name)
			: NULL;

	fprintf(out, "model %s: %s\n", name,
		model || !check->implementation ? "known at both" : "unknown at the destination");
	print_params(check, model, out);
	print_requires(check, out);
}
