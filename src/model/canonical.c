/* SPDX-License-Identifier: BSD-3-Clause */
/* model/canonical.c - the canonical form of an instance: written, and strictly read. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "model/canonical.h"
#include "model/syntax.h"

static int by_name(const void *a, const void *b)
{
	const struct gw_param *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

/* The parameters that the form names, in its order; how many. */
static unsigned collect_named(const struct gw_params *params, const struct gw_param **named)
{
	const struct gw_param *all = params->model->params;
	unsigned n = 0;

	for (unsigned i = 0; i < params->count; i++)
		if (params->set[i] && (all[i].no_off || params->value[i] != all[i].off))
			named[n++] = &all[i];
	if (n) {
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): it is pointers that are sorted */
		qsort(named, n, sizeof(*named), by_name);
	}
	return n;
}

static int append(char *text, size_t size, size_t *len, const char *line, size_t line_len)
{
	if (line_len >= size - *len)
		return gw_fail(ENOSPC, "canonical form: more than %zu bytes", size);
	memcpy(text + *len, line, line_len + 1);
	*len += line_len;
	return 0;
}

int gw_params_canonical(const struct gw_params *params, char *text, size_t size)
{
	const struct gw_param *named[GW_PARAMS_MAX];
	unsigned count = collect_named(params, named);
	char line[GW_MODEL_NAME_MAX + GW_PARAM_NAME_MAX + GW_PARAM_VALUE_MAX];
	char value[GW_PARAM_VALUE_MAX];
	size_t len = 0;
	int n, err;

	if (!size)
		return gw_fail(ENOSPC, "canonical form: no room");
	n = snprintf(line, sizeof(line), "%s\n", params->model->name);
	err = append(text, size, &len, line, (size_t)n);
	for (unsigned i = 0; !err && i < count; i++) {
		gw_param_format(named[i], params->value[named[i] - params->model->params], value);
		n = snprintf(line, sizeof(line), "%s=%s\n", named[i]->name, value);
		err = append(text, size, &len, line, (size_t)n);
	}
	return err ? err : (int)len;
}

/* A piece of the text; not NUL-terminated. */
struct piece {
	const char *at;
	size_t len;
};

struct form {
	const char *at, *end;
	struct piece last; /* name of the line before, for the order */
	enum gw_refusal *refusal;
};

/* What is printed of a piece: it has passed its syntax check, so it is short and printable. */
#define PIECE(p) (int)(p).len, (p).at

static int malformed(struct form *form, const char *what)
{
	gw_refuse(form->refusal, GW_STATE_FORMAT_UNREADABLE);
	return gw_fail(EBADMSG, "parameters of the source: %s", what);
}

static bool take_line(struct form *form, struct piece *line)
{
	const char *newline = memchr(form->at, '\n', (size_t)(form->end - form->at));

	if (!newline)
		return false;
	*line = (struct piece){form->at, (size_t)(newline - form->at)};
	form->at = newline + 1;
	return true;
}

static int read_model(struct form *form, const struct gw_model *model)
{
	struct piece line;

	if (!take_line(form, &line) || !gw_syntax_model(line.at, line.len))
		return malformed(form, "they do not begin with the name of a model");
	if (strlen(model->name) == line.len && !memcmp(model->name, line.at, line.len))
		return 0;
	gw_refuse(form->refusal, GW_MODEL_UNKNOWN);
	return gw_fail(EINVAL, "the source is a %.*s, this is a %s", PIECE(line), model->name);
}

static bool is_after(struct piece before, struct piece name)
{
	size_t shorter = before.len < name.len ? before.len : name.len;
	int order = shorter ? memcmp(before.at, name.at, shorter) : 0;

	return order < 0 || (!order && before.len < name.len);
}

static int split(struct form *form, struct piece line, struct piece *name, struct piece *value)
{
	const char *equals = memchr(line.at, '=', line.len);

	if (!equals)
		return malformed(form, "a line is not name=value");
	*name = (struct piece){line.at, (size_t)(equals - line.at)};
	*value = (struct piece){equals + 1, line.len - name->len - 1};
	if (!gw_syntax_param(name->at, name->len) || !gw_syntax_value(value->at, value->len))
		return malformed(form, "a line has a name or value of forbidden bytes or length");
	if (!is_after(form->last, *name))
		return malformed(form, "they are not sorted, or one is there twice");
	form->last = *name;
	return 0;
}

static int refuse_value(struct form *form, const struct gw_param *param, struct piece value)
{
	if (!strcmp(param->name, GW_PARAM_STATE)) {
		gw_refuse(form->refusal, GW_STATE_FORMAT_UNREADABLE);
		return gw_fail(EINVAL, "the state has layout %.*s, this build reads %lld to %lld",
			       PIECE(value), (long long)param->min, (long long)param->max);
	}
	gw_refuse(form->refusal, GW_VALUE_NOT_ALLOWED);
	return gw_fail(EINVAL, "parameter %s: the source has %.*s, which is not accepted here",
		       param->name, PIECE(value));
}

static int read_param(struct form *form, struct gw_params *params, struct piece line)
{
	struct piece name = {0}, text = {0};
	const struct gw_param *param;
	int64_t value;
	int i, err = split(form, line, &name, &text);

	if (err)
		return err;
	i = gw_param_find(params, name.at, name.len);
	if (i < 0) {
		gw_refuse(form->refusal, GW_PARAM_UNKNOWN);
		return gw_fail(EINVAL, "parameter %.*s of the source is unknown here", PIECE(name));
	}
	param = &params->model->params[i];
	if (!gw_param_parse(param, text.at, text.len, &value) || !gw_param_accepts(param, value))
		return refuse_value(form, param, text);
	if (!param->no_off && value == param->off)
		return malformed(form, "one is named although it has its off value");
	params->set[i] = true;
	params->value[i] = value;
	return 0;
}

int gw_canonical_parse(struct gw_params **out, const struct gw_model *model, const char *text,
		       size_t len, enum gw_refusal *refusal)
{
	GW_AUTO_FREE struct gw_params *params = NULL;
	struct form form = {.at = text, .end = text + len, .last = {"", 0}, .refusal = refusal};
	struct piece line;
	int err;

	gw_refuse(refusal, GW_ACCEPTED); /* what fails for lack of memory is no refusal */
	if (len >= GW_CANONICAL_MAX)
		return malformed(&form, "they are too long");
	err = gw_params_new(&params, model);
	if (!err)
		err = read_model(&form, model);
	while (!err && take_line(&form, &line))
		err = read_param(&form, params, line);
	if (err)
		return err;
	if (form.at != form.end)
		return malformed(&form, "the last line is cut");
	*out = gw_take_ptr(params);
	return 0;
}
