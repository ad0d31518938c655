/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/options.c - any arguments as a command line, old forms (-o) included: values of the
 * kind that their table says, or refused. Arguments end with a NUL. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/options.h"
#include "daemon/legacy.h"
#include "godwit/error.h"
#include "harness.h"

#define ARGUMENTS_MAX 256
#define NUMBER_MIN    2
#define NUMBER_MAX    1000
#define TAG_MAX	      36

static const char *const words[] = {"auto", "always", "never", "metadata", NULL};
#define WORDS 4

struct values {
	const char *text, *tag;
	unsigned number;
	bool flag, old, help;
	struct gw_texts list;
	int word, implied;
};

#define AT(member) offsetof(struct values, member)
static const struct gw_option options[] = {
	{"shared-dir", "DIR", "", AT(text), GW_OPTION_STRING, .required = true},
	{"tag", "TAG", "", AT(tag), GW_OPTION_STRING, .max = TAG_MAX},
	{"thread-pool-size", "N", "", AT(number), GW_OPTION_NUMBER, .min = NUMBER_MIN,
	 .max = NUMBER_MAX},
	{"xattr", NULL, "", AT(flag), GW_OPTION_FLAG, .letter = 'x'},
	{"translate-uid", "RANGE", "", AT(list), GW_OPTION_LIST},
	{"cache", "POLICY", "", AT(word), GW_OPTION_WORD, .words = words},
	{"posix-acl", "WHEN", "", AT(implied), GW_OPTION_WORD, .words = words, .implied = "always",
	 .rare = true},
	{"d", NULL, "", AT(old), GW_OPTION_FLAG, .letter = 'd', .instead = "nothing"},
	{"help", NULL, "", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{NULL},
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct values *values)
{
	if (values->help)
		return;
	must(values->text);
	must(!values->tag || strlen(values->tag) <= TAG_MAX);
	must(values->number == NUMBER_MIN ||
	     (values->number >= NUMBER_MIN && values->number <= NUMBER_MAX));
	must(values->word >= 0 && values->word < WORDS);
	must(values->implied >= 0 && values->implied < WORDS);
	must(values->list.count <= GW_TEXTS_MAX);
	for (unsigned i = 0; i < values->list.count; i++)
		must(values->list.text[i]);
}

static void parse(int argc, char **argv)
{
	struct values values = {.number = NUMBER_MIN};
	const struct gw_option_table tables[] = {{"all", options, &values}, {NULL}};
	const struct gw_command_line line = {.program = "p", .summary = "s", .tables = tables};
	GW_AUTO_FREE char **expanded = NULL;
	int count;

	if (gw_legacy_expand(argc, argv, &expanded, &count))
		return;
	must(count >= 1 && !expanded[count]);
	for (int i = 0; i < count; i++)
		must(strlen(expanded[i]) < SIZE_MAX);
	if (!gw_options_parse(&line, count, expanded, NULL))
		check(&values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[ARGUMENTS_MAX + 1] = {(char *)"p"}, *at;
	GW_AUTO_FREE char *text = malloc(size + 1);
	int argc = 1;

	gw_log_set_level(GW_LOG_OFF);
	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	for (at = text; at < text + size && argc < ARGUMENTS_MAX; at += strlen(at) + 1) {
		/* Each in a block of its own, so that a sanitizer sees one byte too many. */
		argv[argc] = strdup(at);
		must(argv[argc++]);
	}
	parse(argc, argv);
	while (--argc)
		free(argv[argc]);
	return 0;
}
