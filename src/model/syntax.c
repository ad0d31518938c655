/* SPDX-License-Identifier: BSD-3-Clause */
/* model/syntax.c - which bytes names and values are made of, and how values are spelled. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "godwit/model.h"
#include "model/params.h"
#include "model/syntax.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Not isalnum(): that one depends on the locale. */
static bool consists_of(const char *text, size_t len, size_t max, const char *bytes)
{
	if (!len || len >= max)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!text[i] || !strchr(bytes, text[i]))
			return false;
	return true;
}

bool gw_syntax_model(const char *name, size_t len)
{
	const char *slash;

	if (!consists_of(name, len, GW_MODEL_NAME_MAX, LOWER UPPER DIGITS "._/-"))
		return false;
	slash = memchr(name, '/', len);
	return slash && slash != name && slash != name + len - 1;
}

bool gw_syntax_param(const char *name, size_t len)
{
	return consists_of(name, len, GW_PARAM_NAME_MAX, LOWER DIGITS "-");
}

bool gw_syntax_value(const char *text, size_t len)
{
	return consists_of(text, len, GW_PARAM_VALUE_MAX, LOWER UPPER DIGITS "._-");
}

static unsigned count_values(const struct gw_param *param)
{
	unsigned n = 0;

	while (param->values[n])
		n++;
	return n;
}

bool gw_param_accepts(const struct gw_param *param, int64_t value)
{
	switch (param->type) {
	case GW_PARAM_BOOL:
		return value == 0 || value == 1;
	case GW_PARAM_INT:
		/* off may lie outside: "there is none of it". */
		return (!param->no_off && value == param->off) ||
		       (value >= param->min && value <= param->max);
	case GW_PARAM_ENUM:
		return value >= 0 && value < count_values(param);
	}
	return false;
}

static bool is_word(const char *word, const char *text, size_t len)
{
	return strlen(word) == len && !memcmp(word, text, len);
}

static bool parse_words(const char *const *words, unsigned count, const char *text, size_t len,
			int64_t *value)
{
	for (unsigned i = 0; i < count; i++) {
		if (is_word(words[i], text, len)) {
			*value = i;
			return true;
		}
	}
	return false;
}

static bool parse_int(const char *text, size_t len, int64_t *value)
{
	bool negative = len && text[0] == '-';
	int64_t sum = 0;
	size_t i = negative;

	if (i == len || (text[i] == '0' && (negative || len > 1)))
		return false;
	for (; i < len; i++) {
		int digit = text[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, negative ? -digit : digit, &sum))
			return false;
	}
	*value = sum;
	return true;
}

static const char *const bool_words[] = {"off", "on"};

bool gw_param_parse(const struct gw_param *param, const char *text, size_t len, int64_t *value)
{
	switch (param->type) {
	case GW_PARAM_BOOL:
		return parse_words(bool_words, GW_ARRAY_LEN(bool_words), text, len, value);
	case GW_PARAM_INT:
		return parse_int(text, len, value);
	case GW_PARAM_ENUM:
		return parse_words(param->values, count_values(param), text, len, value);
	}
	return false;
}

void gw_param_format(const struct gw_param *param, int64_t value, char *text)
{
	if (param->type == GW_PARAM_INT)
		snprintf(text, GW_PARAM_VALUE_MAX, "%" PRId64, value);
	else
		snprintf(text, GW_PARAM_VALUE_MAX, "%s",
			 param->type == GW_PARAM_BOOL ? bool_words[value] : param->values[value]);
}

const char *gw_param_describe(const struct gw_param *param, char *text, size_t size)
{
	size_t len = 0;

	if (param->type == GW_PARAM_INT)
		snprintf(text, size, "%" PRId64 " to %" PRId64, param->min, param->max);
	if (param->type == GW_PARAM_BOOL)
		snprintf(text, size, "off, on");
	for (unsigned i = 0; param->type == GW_PARAM_ENUM && param->values[i] && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s", i ? ", " : "",
					param->values[i]);
	return text;
}
