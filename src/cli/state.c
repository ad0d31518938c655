/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/state.c - `godwit state`: what is in a device state, without the device that wrote it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/options.h"
#include "cli/command.h"
#include "cli/state/files.h"
#include "fs/records.h"
#include "godwit/error.h"
#include "state/walk.h"

struct state_options {
	bool json, help;
};

static const struct gw_option options[] = {
	{"json", NULL, "JSON, one object a line", offsetof(struct state_options, json),
	 GW_OPTION_FLAG},
	{"help", NULL, "print this", offsetof(struct state_options, help), GW_OPTION_FLAG,
	 .letter = 'h'},
	{NULL},
};

static int show(const struct state_options *given, char **paths)
{
	struct gw_state_file states[GW_STATES_MAX];
	unsigned count;
	int err = gw_states_open(paths[0], states, &count);

	for (unsigned i = 0; i < count && !err; i++) {
		if (count > 1 || states[i].at)
			fprintf(given->json ? stderr : stdout, "state %u, at byte %llu:\n", i + 1,
				(unsigned long long)states[i].at);
		err = given->json ? gw_state_show_json(states[i].fd, stdout)
				  : gw_state_dump(states[i].fd, fs_layouts, stdout);
	}
	gw_states_close(states, count);
	return err ? gw_cli_complain("state show", GW_EXIT_FAILED) : GW_EXIT_OK;
}

/* What verifying counts. */
struct tally {
	uint64_t objects, bytes;
};

static void count_object(void *opaque, const struct gw_layout *layout, bool deleted,
			 const struct gw_value *values)
{
	(void)layout;
	(void)deleted;
	(void)values;
	((struct tally *)opaque)->objects++;
}

static void count_bytes(void *opaque, const struct gw_state_reader *reader)
{
	((struct tally *)opaque)->bytes = gw_state_reader_bytes(reader);
}

static int verify_one(const char *path, const struct gw_state_file *state, bool json)
{
	static const struct gw_state_visitor visitor = {.object = count_object, .end = count_bytes};
	const struct gw_state_channel channel = {.fd = state->fd, .cancel = -1};
	struct tally tally = {0};
	int err = gw_state_walk(&channel, &visitor, &tally);

	if (err)
		return gw_cli_complain("state verify", GW_EXIT_FAILED);
	if (json)
		printf("{\"at\":%llu,\"bytes\":%llu,\"objects\":%llu,\"complete\":true}\n",
		       (unsigned long long)state->at, (unsigned long long)tally.bytes,
		       (unsigned long long)tally.objects);
	else
		printf("%s: at byte %llu: complete, %llu bytes, %llu objects\n", path,
		       (unsigned long long)state->at, (unsigned long long)tally.bytes,
		       (unsigned long long)tally.objects);
	return GW_EXIT_OK;
}

static int verify(const struct state_options *given, char **paths)
{
	struct gw_state_file states[GW_STATES_MAX];
	unsigned count;
	int code = GW_EXIT_OK;

	if (gw_states_open(paths[0], states, &count))
		return gw_cli_complain("state verify", GW_EXIT_FAILED);
	for (unsigned i = 0; i < count; i++)
		code |= verify_one(paths[0], &states[i], given->json);
	gw_states_close(states, count);
	return code;
}

static int read_objects(struct gw_objects **objects, const char *path)
{
	struct gw_state_file states[GW_STATES_MAX];
	unsigned count;
	int err = gw_states_open(path, states, &count);

	if (!err && count > 1)
		err = gw_fail(EINVAL, "%s: %u states are in it, and none is told to be meant", path,
			      count);
	if (!err)
		err = gw_objects_read(objects, states[0].fd);
	gw_states_close(states, count);
	return err;
}

static int diff(const struct state_options *given, char **paths)
{
	struct gw_objects *one = NULL, *other = NULL;
	int err = read_objects(&one, paths[0]);
	bool same;

	if (!err)
		err = read_objects(&other, paths[1]);
	same = !err && gw_objects_diff(one, other, given->json, stdout);
	gw_objects_free(one);
	gw_objects_free(other);
	if (err)
		return gw_cli_complain("state diff", GW_EXIT_UNKNOWN);
	return same ? GW_EXIT_OK : GW_EXIT_FAILED;
}

static const struct verb {
	const char *name, *summary, *operands;
	int files;
	int (*run)(const struct state_options *given, char **paths);
} verbs[] = {
	{"show", "Print what is in a device state.", "FILE", 1, show},
	{"verify", "Read a device state to its end: is it whole?", "FILE", 1, verify},
	{"diff", "Compare two device states, object by object.", "FILE FILE", 2, diff},
};

static int run_verb(const struct verb *verb, int argc, char **argv)
{
	struct state_options given = {0};
	const struct gw_option_table tables[] = {{"options", options, &given}, {NULL}};
	char program[32];
	const struct gw_command_line line = {
		.program = program,
		.summary = verb->summary,
		.operands = verb->operands,
		.tables = tables,
	};
	int first;

	snprintf(program, sizeof(program), "godwit state %s", verb->name);
	if (gw_options_parse(&line, argc, argv, &first))
		return gw_cli_complain("state", GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (argc - first != verb->files) {
		gw_fail(EINVAL, "%s takes %d file%s (see --help)", verb->name, verb->files,
			verb->files == 1 ? "" : "s");
		return gw_cli_complain("state", GW_EXIT_USAGE);
	}
	return verb->run(&given, argv + first);
}

static void print_help(void)
{
	printf("usage: godwit state VERB [OPTIONS] FILE...\n"
	       "Look into device states: files of godwit, or a VM's migration stream in a file.\n"
	       "verbs:\n");
	for (size_t i = 0; i < GW_ARRAY_LEN(verbs); i++)
		printf("  %-30s%s\n", verbs[i].name, verbs[i].summary);
	printf("options:\n"
	       "  --json                        JSON, one object a line\n"
	       "  --help, -h                    print this\n");
}

int gw_cli_state(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	for (size_t i = 0; i < GW_ARRAY_LEN(verbs); i++)
		if (!strcmp(word, verbs[i].name))
			return run_verb(&verbs[i], argc - 1, argv + 1);
	if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
		print_help();
		return GW_EXIT_OK;
	}
	gw_fail(EINVAL, "show, verify or diff? '%.32s' is none of them (see --help)", word);
	return gw_cli_complain("state", GW_EXIT_USAGE);
}
