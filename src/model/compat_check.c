/* SPDX-License-Identifier: BSD-3-Clause */
/* model/compat_check.c - may an instance go to an implementation? All reasons against it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "godwit/error.h"
#include "model/compat.h"
#include "model/prerequisite.h"

struct comparison {
	const struct gw_compat_instance *source;
	const struct gw_compat_implementation *destination;
	const struct gw_compat_model *model; /* of the destination */
	struct gw_compat_report *report;
};

static const struct gw_param *find_param(const struct gw_compat_model *model, const char *name)
{
	for (const struct gw_param *p = model->model.params; p->name; p++)
		if (!strcmp(p->name, name))
			return p;
	return NULL;
}

/* -- parameters ---------------------------------------------------------------------------- */

static int refuse_value(const struct comparison *c, const struct gw_param *param,
			const struct gw_compat_value *value)
{
	bool is_state = !strcmp(param->name, GW_PARAM_STATE);
	char accepted[256];

	return gw_compat_report_add(c->report,
				    is_state ? GW_STATE_FORMAT_UNREADABLE : GW_VALUE_NOT_ALLOWED,
				    param->name, "parameter %s: %s has %s, %s accepts %s",
				    param->name, c->source->name, value->text, c->destination->name,
				    gw_param_describe(param, accepted, sizeof(accepted)));
}

static int check_named(const struct comparison *c)
{
	int err = 0;

	for (unsigned i = 0; i < c->source->count && !err; i++) {
		const struct gw_compat_value *value = &c->source->values[i];
		const struct gw_param *param = find_param(c->model, value->name);
		int64_t number;

		if (!param)
			err = gw_compat_report_add(c->report, GW_PARAM_UNKNOWN, value->name,
						   "parameter %s: %s has %s, %s knows no such "
						   "parameter",
						   value->name, c->source->name, value->text,
						   c->destination->name);
		else if (!gw_compat_value_read(value, param, &number))
			err = refuse_value(c, param, value);
	}
	return err;
}

static int check_required(const struct comparison *c)
{
	int err = 0;

	for (const struct gw_param *p = c->model->model.params; p->name && !err; p++) {
		if (!p->no_off || gw_compat_value_find(c->source, p->name) ||
		    gw_compat_is_unset(c->source, p->name))
			continue;
		err = gw_compat_report_add(c->report, GW_PARAM_REQUIRED, p->name,
					   "parameter %s: %s does not state it, and for %s it has "
					   "no off value",
					   p->name, c->source->name, c->destination->name);
	}
	return err;
}

/* What nobody decided yet may become anything: all of it at once, since it is one cause. */
static int check_unset(const struct comparison *c)
{
	char names[GW_PARAMS_MAX * (GW_PARAM_NAME_MAX + 2)] = "";
	size_t len = 0;

	if (!c->source->unset_count)
		return 0;
	for (unsigned i = 0; i < c->source->unset_count && len < sizeof(names); i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "",
					c->source->unset[i]);
	return gw_compat_report_add(c->report, GW_CANNOT_TELL, c->source->model,
				    "%s has not decided these parameters yet: %s", c->source->name,
				    names);
}

/* -- layouts of the state ------------------------------------------------------------------ */

/* false: a reason that was found already says so. */
static bool state_number(const struct comparison *c, int64_t *number)
{
	const struct gw_compat_value *value = gw_compat_value_find(c->source, GW_PARAM_STATE);
	const struct gw_param *param = find_param(c->model, GW_PARAM_STATE);

	if (gw_compat_is_unset(c->source, GW_PARAM_STATE))
		return false;
	if (value)
		return param && gw_compat_value_read(value, param, number);
	*number = param && !param->no_off ? param->off : 1;
	return !param || !param->no_off;
}

static int check_state(const struct comparison *c)
{
	int64_t number;

	if (!c->model->says_read || !state_number(c, &number))
		return 0;
	for (unsigned i = 0; i < c->model->read_count; i++)
		if (c->model->read[i] == number)
			return 0;
	return gw_compat_report_add(c->report, GW_STATE_FORMAT_UNREADABLE, GW_PARAM_STATE,
				    "state: %s has layout %" PRId64 ", which %s does not read",
				    c->source->name, number, c->destination->name);
}

/* -- beside the model ---------------------------------------------------------------------- */

static int check_requirement(const struct comparison *c, const char *what)
{
	const char *destination = c->destination->name;

	if (!c->destination->says_provides)
		return gw_compat_report_add(c->report, GW_CANNOT_TELL, what,
					    "%s requires %s, and %s does not say what it provides",
					    c->source->name, what, destination);
	switch (gw_prerequisite_find(what, c->destination->provides,
				     c->destination->provide_count)) {
	case GW_PROVIDED:
		return 0;
	case GW_PROVISION_UNKNOWN:
		return gw_compat_report_add(c->report, GW_CANNOT_TELL, what,
					    "%s requires %s, and %s cannot tell which it has",
					    c->source->name, what, destination);
	case GW_NOT_PROVIDED:
		break;
	}
	return gw_compat_report_add(c->report, GW_PREREQUISITE_MISSING, what,
				    "%s requires %s, which %s does not provide", c->source->name,
				    what, destination);
}

static int check_requires(const struct comparison *c)
{
	int err = 0;

	for (unsigned i = 0; i < c->source->require_count && !err; i++)
		err = check_requirement(c, c->source->requires[i]);
	return err;
}

static int check_room(const struct comparison *c)
{
	if (c->model->available)
		return 0;
	return gw_compat_report_add(c->report, GW_NO_CAPACITY, c->source->model,
				    "%s has no room for one more %s", c->destination->name,
				    c->source->model);
}

int gw_compat_check(const struct gw_compat_instance *source,
		    const struct gw_compat_implementation *destination,
		    struct gw_compat_report *report)
{
	static int (*const steps[])(const struct comparison *c) = {
		check_named, check_required, check_state, check_requires, check_room, check_unset};
	const struct comparison c = {source, destination,
				     gw_compat_model_find(destination, source->model), report};
	int err = 0;

	if (!c.model)
		return gw_compat_report_add(report, GW_MODEL_UNKNOWN, source->model,
					    "model %s of %s is unknown to %s", source->model,
					    source->name, destination->name);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !err; i++)
		err = steps[i](&c);
	return err;
}

/* -- an instance that is there already ----------------------------------------------------- */

/* As text; what is not named is off. NULL: it cannot be said. */
static const char *value_text(const struct gw_compat_instance *instance,
			      const struct gw_param *param, char text[GW_PARAM_VALUE_MAX])
{
	const struct gw_compat_value *value = gw_compat_value_find(instance, param->name);

	if (value)
		return value->text;
	if (param->no_off)
		return NULL;
	gw_param_format(param, param->off, text);
	return text;
}

static int compare_made(const struct comparison *c, const struct gw_compat_instance *made)
{
	char there[GW_PARAM_VALUE_MAX], here[GW_PARAM_VALUE_MAX];
	int err = 0;

	for (const struct gw_param *p = c->model->model.params; p->name && !err; p++) {
		const char *source, *own;

		if (gw_compat_is_unset(c->source, p->name) || gw_compat_is_unset(made, p->name))
			continue;
		source = value_text(c->source, p, there);
		own = value_text(made, p, here);
		if (source && own && strcmp(source, own) != 0)
			err = gw_compat_report_add(c->report, GW_PARAM_DIFFERS, p->name,
						   "parameter %s: %s has %s, %s was made with %s",
						   p->name, c->source->name, source, made->name,
						   own);
	}
	return err;
}

/* Without the model nobody knows what absence means. */
static int compare_one_sided(const struct comparison *c, const struct gw_compat_instance *with,
			     const struct gw_compat_instance *without)
{
	int err = 0;

	for (unsigned i = 0; i < with->count && !err; i++) {
		const char *name = with->values[i].name;

		if (gw_compat_value_find(without, name) || gw_compat_is_unset(without, name))
			continue;
		err = gw_compat_report_add(c->report, GW_CANNOT_TELL, name,
					   "parameter %s: %s has %s, %s does not name it, and what "
					   "that means is not known here",
					   name, with->name, with->values[i].text, without->name);
	}
	return err;
}

static int compare_texts(const struct comparison *c, const struct gw_compat_instance *made)
{
	int err = 0;

	for (unsigned i = 0; i < c->source->count && !err; i++) {
		const struct gw_compat_value *value = &c->source->values[i];
		const struct gw_compat_value *own = gw_compat_value_find(made, value->name);

		if (own && strcmp(value->text, own->text) != 0)
			err = gw_compat_report_add(c->report, GW_PARAM_DIFFERS, value->name,
						   "parameter %s: %s has %s, %s was made with %s",
						   value->name, c->source->name, value->text,
						   made->name, own->text);
	}
	if (!err)
		err = compare_one_sided(c, c->source, made);
	return err ? err : compare_one_sided(c, made, c->source);
}

int gw_compat_check_made(const struct gw_compat_instance *source,
			 const struct gw_compat_instance *made,
			 const struct gw_compat_implementation *destination,
			 struct gw_compat_report *report)
{
	const struct gw_compat_model *model =
		destination ? gw_compat_model_find(destination, made->model) : NULL;
	const struct comparison c = {source, destination, model, report};

	if (strcmp(source->model, made->model) != 0)
		return gw_compat_report_add(report, GW_MODEL_UNKNOWN, source->model,
					    "%s is a %s, %s is a %s", source->name, source->model,
					    made->name, made->model);
	return c.model ? compare_made(&c, made) : compare_texts(&c, made);
}
