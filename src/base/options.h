/* SPDX-License-Identifier: BSD-3-Clause */
/* base/options.h - command lines, described by tables: parsed, and explained by --help. */
#ifndef GW_BASE_OPTIONS_H
#define GW_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Exit codes of all programs. */
enum {
	GW_EXIT_OK = 0,
	GW_EXIT_FAILED = 1,  /* it could not be done; one line on standard error says why */
	GW_EXIT_USAGE = 2,   /* the command line is wrong */
	GW_EXIT_UNKNOWN = 3, /* it was asked a question and cannot tell: never yes, never no */
};

#define GW_OPTIONS_MAX 128 /* rows of all tables of one program: more are refused */

enum gw_option_type {
	GW_OPTION_FLAG,	  /* bool, false unless given */
	GW_OPTION_STRING, /* const char *, into argv; at most @max bytes unless that is 0 */
	GW_OPTION_NUMBER, /* unsigned, decimal, from @min to @max */
	GW_OPTION_SIZE,	  /* uint64_t, bytes, at least 1: "64K", "4M", "1G" */
	GW_OPTION_LIST,	  /* struct gw_texts: may be given several times */
	GW_OPTION_WORD,	  /* int: an index into @words; for enums */
};

#define GW_TEXTS_MAX 64

/* What an option said each time, in order. */
struct gw_texts {
	unsigned count;
	const char *text[GW_TEXTS_MAX];
};

/* One option. Where its value goes is @offset into the struct that its table is used with. */
struct gw_option {
	const char *name;     /* without dashes */
	const char *argument; /* what --help calls it; NULL: takes none */
	const char *help;
	size_t offset;
	enum gw_option_type type;
	char letter; /* "-h" as well as "--help" */
	bool required;
	bool rare; /* only --help-all shows it */
	unsigned min, max;
	const char *const *words; /* ended by NULL */
	const char *implied;	  /* the value of --name without one; others need =VALUE */
	const char *instead;	  /* deprecated: accepted with a warning that names what to use */
};

struct gw_option_table {
	const char *title;		 /* over its part of --help */
	const struct gw_option *options; /* ended by a NULL name */
	void *target;
};

struct gw_command_line {
	const char *program;
	const char *summary;  /* one line under "usage:" */
	const char *operands; /* "CONTROL-SOCKET..." for --help, NULL: none are taken */
	const struct gw_option_table *tables; /* ended by a NULL options */
};

/*
 * Store what @argv says; each option but lists at most once, as --name VALUE or --name=VALUE. What
 * follows is not looked at once "help", "help-all" or "version" was met. -EINVAL with a sentence if
 * it is wrong. With operands, *@operand_index is the first one's; options come before them, and
 * "--" before those that begin with '-' ("-" alone does not count).
 */
int gw_options_parse(const struct gw_command_line *line, int argc, char **argv, int *operand_index);
/* @all: the rare ones too. */
void gw_options_help(const struct gw_command_line *line, bool all, FILE *out);

#endif
