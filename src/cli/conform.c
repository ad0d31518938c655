/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform.c - `godwit conform`: does a back-end, of whatever make, do what the protocol says?
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/options.h"
#include "cli/command.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

#define TIMEOUT_MS_DEFAULT 5000

struct conform_options {
	const char *socket, *exec, *only;
	int type;
	unsigned timeout_ms;
	bool json, list, verbose, help;
};

static const char *const type_words[] = {"any", "fs", "net", "block", NULL};

#define AT(member) offsetof(struct conform_options, member)
static const struct gw_option options[] = {
	{"exec", "COMMAND", "start back-ends by this; {socket} is the path", AT(exec),
	 GW_OPTION_STRING},
	{"socket", "PATH", "talk to the one that listens there", AT(socket), GW_OPTION_STRING},
	{"type", "TYPE", "any, fs, net or block; any sends no requests", AT(type), GW_OPTION_WORD,
	 .words = type_words},
	{"only", "NAME", "the checks whose names begin like this", AT(only), GW_OPTION_STRING},
	{"timeout", "MS", "how long one reply may take (5000)", AT(timeout_ms), GW_OPTION_NUMBER,
	 .min = 100, .max = 600000},
	{"list", NULL, "print the checks; run none", AT(list), GW_OPTION_FLAG},
	{"json", NULL, "one JSON object a line and check, not TAP", AT(json), GW_OPTION_FLAG},
	{"help", NULL, "print this", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{NULL},
};

static const char *level_word(enum cf_level level)
{
	return level == CF_MUST ? "must" : "should";
}

static const char *verdict_word(enum cf_verdict verdict)
{
	static const char *const words[] = {"pass", "fail", "skip"};

	return words[verdict];
}

/* What a back-end made say must not steer a terminal, nor end a line of TAP. */
static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127 || *text == '#')
			*text = '?';
}

struct tally {
	unsigned number, passed, failed, should, skipped;
};

static void print_tap(const struct cf_check *check, const struct cf_result *result, unsigned number)
{
	const char *not = result->verdict == CF_FAIL ? "not " : "";

	printf("%sok %u - %s: %s", not, number, check->name, check->says);
	if (result->verdict == CF_SKIP)
		printf(" # SKIP %s", result->text);
	else if (result->verdict == CF_FAIL && check->level == CF_SHOULD)
		printf(" # TODO should");
	printf("\n");
	if (result->verdict == CF_FAIL)
		printf("  ---\n  level: %s\n  section: '%s'\n  seen: '%s'\n  ...\n",
		       level_word(check->level), check->section, result->text);
	fflush(stdout);
}

static void print_json(const struct cf_check *check, const struct cf_result *result)
{
	json_t *line =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:i}", "check", check->name, "says",
			  check->says, "section", check->section, "level", level_word(check->level),
			  "verdict", verdict_word(result->verdict), "ms", (int)result->ms);

	if (line && *result->text)
		json_object_set_new(line, result->verdict == CF_SKIP ? "reason" : "seen",
				    json_string(result->text));
	if (line)
		json_dumpf(line, stdout, JSON_COMPACT);
	printf("\n");
	fflush(stdout);
	json_decref(line);
}

static void count(struct tally *tally, const struct cf_check *check, enum cf_verdict verdict)
{
	tally->passed += verdict == CF_PASS;
	tally->skipped += verdict == CF_SKIP;
	tally->failed += verdict == CF_FAIL && check->level == CF_MUST;
	tally->should += verdict == CF_FAIL && check->level == CF_SHOULD;
}

static bool is_chosen(const struct conform_options *given, const struct cf_check *check)
{
	return !given->only || !strncmp(check->name, given->only, strlen(given->only));
}

static unsigned chosen(const struct conform_options *given)
{
	unsigned number = 0;

	for (size_t i = 0; cf_all_checks[i]; i++)
		for (const struct cf_check *check = cf_all_checks[i]; check->name; check++)
			number += is_chosen(given, check);
	return number;
}

static void run_one(const struct conform_options *given, const struct cf_check *check,
		    const struct cf_run *run, struct tally *tally)
{
	struct cf_result result;

	cf_perform(check, run, &result);
	clean(result.text);
	tally->number++;
	if (given->json)
		print_json(check, &result);
	else
		print_tap(check, &result, tally->number);
	count(tally, check, result.verdict);
}

static int run_all(const struct conform_options *given, const struct cf_run *run)
{
	struct tally tally = {0};

	if (!given->json)
		printf("TAP version 13\n1..%u\n", chosen(given));
	for (size_t i = 0; cf_all_checks[i]; i++)
		for (const struct cf_check *check = cf_all_checks[i]; check->name; check++)
			if (is_chosen(given, check))
				run_one(given, check, run, &tally);
	if (!given->json)
		printf("# %u passed, %u failed, %u skipped; %u that should pass did not\n",
		       tally.passed, tally.failed, tally.skipped, tally.should);
	return tally.failed ? GW_EXIT_FAILED : GW_EXIT_OK;
}

static void list(const struct conform_options *given)
{
	for (size_t i = 0; cf_all_checks[i]; i++)
		for (const struct cf_check *check = cf_all_checks[i]; check->name; check++)
			if (is_chosen(given, check))
				printf("%-24s %-7s %s\n%-33s%s\n", check->name,
				       level_word(check->level), check->says, "", check->section);
}

/* The sockets that were left there by back-ends that were killed. */
static void remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(path);
}

static int conform(const struct conform_options *given)
{
	char dir[] = "/tmp/godwit-conform.XXXXXX", why[CF_TEXT_MAX];
	const struct cf_target target = {
		.socket = given->socket,
		.exec = given->exec,
		.work = cf_work_named(type_words[given->type]),
		.timeout_ms = given->timeout_ms ? given->timeout_ms : TIMEOUT_MS_DEFAULT,
	};
	struct cf_run run = {.target = &target, .dir = dir};
	int code = GW_EXIT_UNKNOWN;

	if (!mkdtemp(dir)) {
		gw_fail(errno, "%s: %s", dir, strerror(errno));
		return gw_cli_complain("conform", GW_EXIT_FAILED);
	}
	if (cf_probe(&run, why)) {
		code = run_all(given, &run);
	} else {
		clean(why);
		gw_fail(EIO, "the back-end cannot be talked to: %s", why);
		gw_cli_complain("conform", code);
	}
	remove_dir(dir);
	return code;
}

static int check_options(const struct conform_options *given)
{
	if (!chosen(given))
		return gw_fail(EINVAL, "--only: no check's name begins with '%s' (--list has all)",
			       given->only);
	if (given->list)
		return 0;
	if (!given->socket == !given->exec)
		return gw_fail(EINVAL, "either --exec or --socket is needed (see --help)");
	if (given->exec && !strstr(given->exec, "{socket}"))
		return gw_fail(EINVAL, "--exec: the command does not say where {socket} goes");
	return 0;
}

int gw_cli_conform(int argc, char **argv)
{
	struct conform_options given = {0};
	const struct gw_option_table tables[] = {{"options", options, &given}, {NULL}};
	const struct gw_command_line line = {
		.program = "godwit conform",
		.summary = "Test whether a vhost-user back-end of any make does what the protocol "
			   "says.",
		.tables = tables,
	};

	if (gw_options_parse(&line, argc, argv, NULL))
		return gw_cli_complain("conform", GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (check_options(&given))
		return gw_cli_complain("conform", GW_EXIT_USAGE);
	if (given.list) {
		list(&given);
		return GW_EXIT_OK;
	}
	return conform(&given);
}
