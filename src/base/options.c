/* SPDX-License-Identifier: BSD-3-Clause */
/* base/options.c - command lines, described by tables: parsed, and explained by --help. */
#include <errno.h>
#include <stdint.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "godwit/error.h"

/* Where --help begins to explain; a longer name gets a line of its own. */
#define HELP_COLUMN 32

/* One row, and where its table's values go. */
struct row {
	const struct gw_option *option;
	char *target;
	unsigned index; /* over all tables */
};

/* Calls for each row until @fn returns true, which is for @row. */
typedef bool row_fn(const struct row *row, const char *name, size_t len);

static bool find_row(const struct gw_command_line *line, row_fn *fn, const char *name, size_t len,
		     struct row *row)
{
	*row = (struct row){0};
	for (const struct gw_option_table *table = line->tables; table->options; table++) {
		for (row->option = table->options; row->option->name; row->option++) {
			row->target = table->target;
			if (fn(row, name, len))
				return true;
			row->index++;
		}
	}
	return false;
}

static bool is_named(const struct row *row, const char *name, size_t len)
{
	return strlen(row->option->name) == len && !memcmp(row->option->name, name, len);
}

static bool has_letter(const struct row *row, const char *name, size_t len)
{
	return row->option->letter && row->option->letter == *name;
}

struct parser {
	const struct gw_command_line *line;
	int argc, next;
	char **argv;
	bool given[GW_OPTIONS_MAX];
	bool stop; /* --help or --version: nothing else matters */
};

static int store_string(const struct row *row, const char *value)
{
	const struct gw_option *option = row->option;

	if (!*value)
		return gw_fail(EINVAL, "option --%s needs a value that is not empty", option->name);
	if (option->max && strlen(value) > option->max)
		return gw_fail(EINVAL, "option --%s: '%.64s' is longer than %u bytes", option->name,
			       value, option->max);
	memcpy(row->target + option->offset, &value, sizeof(value));
	return 0;
}

static int store_text(const struct row *row, const char *value)
{
	struct gw_texts *texts = (void *)(row->target + row->option->offset);

	if (texts->count == GW_TEXTS_MAX)
		return gw_fail(EINVAL, "option --%s is given more than %d times", row->option->name,
			       GW_TEXTS_MAX);
	texts->text[texts->count++] = value;
	return 0;
}

static int store_number(const struct row *row, const char *value)
{
	const struct gw_option *option = row->option;
	char *end;
	unsigned long number;
	unsigned stored;

	errno = 0;
	number = strtoul(value, &end, 10);
	/* strtoul() would also take a sign and blanks. */
	if (*value < '0' || *value > '9' || *end || errno || number < option->min ||
	    number > option->max)
		return gw_fail(EINVAL, "option --%s: '%.64s' is not a number from %u to %u",
			       option->name, value, option->min, option->max);
	stored = (unsigned)number;
	memcpy(row->target + option->offset, &stored, sizeof(stored));
	return 0;
}

/* How far left the number before the unit @end goes; -1: that is none. */
static int unit_shift(const char *end)
{
	static const char units[] = "KMGT";
	const char *unit = strchr(units, *end);

	if (!*end)
		return 0;
	return unit && !end[1] ? 10 * ((int)(unit - units) + 1) : -1;
}

static int store_size(const struct row *row, const char *value)
{
	unsigned long long number;
	uint64_t stored;
	char *end;
	int shift;

	errno = 0;
	number = strtoull(value, &end, 10);
	shift = unit_shift(end);
	if (*value < '0' || *value > '9' || errno || !number || shift < 0 ||
	    number > UINT64_MAX >> shift)
		return gw_fail(EINVAL,
			       "option --%s: '%.64s' is not a size such as 65536, 64K, 4M or 1G",
			       row->option->name, value);
	stored = (uint64_t)number << shift;
	memcpy(row->target + row->option->offset, &stored, sizeof(stored));
	return 0;
}

static void list_words(const struct gw_option *option, char *text, size_t size)
{
	size_t len = 0;

	text[0] = 0;
	for (unsigned i = 0; option->words[i] && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s", i ? ", " : "",
					option->words[i]);
}

static int store_word(const struct row *row, const char *value)
{
	const struct gw_option *option = row->option;
	char words[128];

	for (int i = 0; option->words[i]; i++) {
		if (!strcmp(option->words[i], value)) {
			memcpy(row->target + option->offset, &i, sizeof(i));
			return 0;
		}
	}
	list_words(option, words, sizeof(words));
	return gw_fail(EINVAL, "option --%s: '%.64s' is none of %s", option->name, value, words);
}

static int store_flag(const struct row *row, const char *value)
{
	bool yes = true;

	memcpy(row->target + row->option->offset, &yes, sizeof(yes));
	return 0;
}

static int (*const store[])(const struct row *row, const char *value) = {
	[GW_OPTION_FLAG] = store_flag, [GW_OPTION_STRING] = store_string,
	[GW_OPTION_LIST] = store_text, [GW_OPTION_NUMBER] = store_number,
	[GW_OPTION_WORD] = store_word, [GW_OPTION_SIZE] = store_size,
};

/* "help", "help-all" and "version" end the reading, right or wrong as the rest may be. */
static bool is_last_word(const struct gw_option *option)
{
	return !strcmp(option->name, "help") || !strcmp(option->name, "help-all") ||
	       !strcmp(option->name, "version");
}

static int take(struct parser *parser, const struct row *row, const char *attached)
{
	const struct gw_option *option = row->option;
	const char *value = attached;

	if (parser->given[row->index] && option->type != GW_OPTION_LIST)
		return gw_fail(EINVAL, "option --%s is given twice", option->name);
	parser->given[row->index] = true;
	if (attached && !option->argument)
		return gw_fail(EINVAL, "option --%s takes no value", option->name);
	if (option->implied && !attached)
		value = option->implied;
	else if (option->argument && !attached) {
		if (parser->next == parser->argc)
			return gw_fail(EINVAL, "option --%s needs a value", option->name);
		value = parser->argv[parser->next++];
	}
	if (option->instead)
		gw_warn("option %s%s is deprecated: use %s", option->name[1] ? "--" : "-",
			option->name, option->instead);
	parser->stop = is_last_word(option);
	return store[option->type](row, value);
}

static int parse_argument(struct parser *parser, const char *argument)
{
	const char *name = argument + 2, *equals;
	struct row row;

	if (argument[0] == '-' && argument[1] && argument[1] != '-' && !argument[2] &&
	    find_row(parser->line, has_letter, argument + 1, 1, &row))
		return take(parser, &row, NULL);
	if (argument[0] != '-' || argument[1] != '-')
		return gw_fail(EINVAL, "'%.64s' is not expected (see --help)", argument);
	equals = strchr(name, '=');
	if (!find_row(parser->line, is_named, name, equals ? (size_t)(equals - name) : strlen(name),
		      &row))
		return gw_fail(EINVAL, "unknown option %.64s (see --help)", argument);
	return take(parser, &row, equals ? equals + 1 : NULL);
}

static int check_required(const struct parser *parser)
{
	unsigned index = 0;

	for (const struct gw_option_table *table = parser->line->tables; table->options; table++)
		for (const struct gw_option *o = table->options; o->name; o++, index++)
			if (o->required && !parser->given[index])
				return gw_fail(EINVAL, "option --%s is required (see --help)",
					       o->name);
	return 0;
}

/* Tables grow by hand; what each row was given is noted in an array that does not. */
static int check_tables(const struct gw_command_line *line)
{
	unsigned count = 0;

	for (const struct gw_option_table *table = line->tables; table->options; table++)
		for (const struct gw_option *option = table->options; option->name; option++)
			count++;
	return count <= GW_OPTIONS_MAX ? 0
				       : gw_fail(EINVAL, "%s has %u options, at most %d fit",
						 line->program, count, GW_OPTIONS_MAX);
}

/* Operands that nothing was told to be with "--" before them: no option is meant, none is there. */
static int check_operands(const struct parser *parser)
{
	for (int i = parser->next; i < parser->argc; i++)
		if (parser->argv[i][0] == '-' && parser->argv[i][1])
			return gw_fail(EINVAL,
				       "'%.64s' follows '%.64s': options come before operands, and "
				       "-- before operands that begin with '-'",
				       parser->argv[i], parser->argv[i - 1]);
	return 0;
}

int gw_options_parse(const struct gw_command_line *line, int argc, char **argv, int *operand_index)
{
	struct parser parser = {.line = line, .argc = argc, .argv = argv, .next = 1};
	int err = check_tables(line);

	while (!err && !parser.stop && parser.next < argc) {
		const char *argument = argv[parser.next];

		if (line->operands && (argument[0] != '-' || !argument[1])) {
			err = check_operands(&parser);
			break;
		}
		parser.next++;
		if (line->operands && !strcmp(argument, "--"))
			break;
		err = parse_argument(&parser, argument);
	}
	if (operand_index)
		*operand_index = parser.next;
	return err || parser.stop ? err : check_required(&parser);
}

static const char *separator(const struct gw_option *option)
{
	if (!option->argument)
		return "";
	return option->implied ? "[=" : " ";
}

static void explain(const struct gw_option *option, FILE *out)
{
	char left[80];
	int len;

	len = snprintf(left, sizeof(left), "  --%s%s%s%s", option->name, separator(option),
		       option->argument ? option->argument : "", option->implied ? "]" : "");
	if (option->letter)
		len += snprintf(left + len, sizeof(left) - (size_t)len, ", -%c", option->letter);
	if (len > HELP_COLUMN - 2)
		fprintf(out, "%s\n%*s%s\n", left, HELP_COLUMN, "", option->help);
	else
		fprintf(out, "%-*s%s\n", HELP_COLUMN, left, option->help);
}

void gw_options_help(const struct gw_command_line *line, bool all, FILE *out)
{
	fprintf(out, "usage: %s [OPTIONS]%s%s\n%s\n", line->program, line->operands ? " " : "",
		line->operands ? line->operands : "", line->summary);
	for (const struct gw_option_table *table = line->tables; table->options; table++) {
		fprintf(out, "%s:\n", table->title);
		for (const struct gw_option *option = table->options; option->name; option++) {
			if (!option->instead && (all || !option->rare))
				explain(option, out);
		}
	}
}
