/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/main.c - `godwit`: finds the subcommand. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/options.h"
#include "base/output.h"
#include "cli/command.h"
#include "cli/print.h"
#include "godwit/error.h"

static const struct {
	const char *name;
	gw_command_fn *run;
	const char *help;
	int unwritten; /* in place of 0 if what was found out could not be printed; what was done
			* is done */
} commands[] = {
	{"baseline", gw_cli_baseline, "the largest profile that all of some can run",
	 GW_EXIT_UNKNOWN},
	{"check", gw_cli_check, "may this instance go there? before anything moves",
	 GW_EXIT_UNKNOWN},
	{"conform", gw_cli_conform, "test a back-end of any make against the protocol",
	 GW_EXIT_UNKNOWN},
	{"export", gw_cli_export, "what a host can be, in a scheduler's words", GW_EXIT_UNKNOWN},
	{"info", gw_cli_info, "show model and parameters of whatever can tell", GW_EXIT_UNKNOWN},
	{"load", gw_cli_load, "bring a device's state from a file into a back-end"},
	{"save", gw_cli_save, "take a device's state out of a back-end into a file"},
	{"find", gw_cli_find, "find hosts that can take a device", GW_EXIT_UNKNOWN},
	{"publish", gw_cli_publish, "keep what a host can be where find looks for it"},
	{"state", gw_cli_state, "look into device states in files", GW_EXIT_FAILED},
	{"migrate", gw_cli_migrate, "move a guest to another QEMU, checked before and after"},
	{"preflight", gw_cli_preflight, "ask what would not survive a migration now",
	 GW_EXIT_UNKNOWN},
	{"stats", gw_cli_stats, "print a back-end's counters as Prometheus reads them",
	 GW_EXIT_FAILED},
	{"status", gw_cli_status, "show what back-ends are doing", GW_EXIT_FAILED},
	{"trace", gw_cli_trace, "show what a front-end and a back-end say", GW_EXIT_FAILED},
	{"upgrade", gw_cli_upgrade, "let the installed build take over under a running VM"},
};

static void print_help(void)
{
	printf("usage: godwit COMMAND [OPTIONS] ...\n"
	       "Look after device back-ends that migrate.\n"
	       "commands (godwit COMMAND --help says more):\n");
	for (size_t i = 0; i < GW_ARRAY_LEN(commands); i++)
		printf("  %-14s%s\n", commands[i].name, commands[i].help);
	printf("options:\n  --help, -h    print this\n  --version, -V print the version\n");
}

int gw_cli_complain(const char *name, int code)
{
	fprintf(stderr, "godwit %s: ", name);
	gw_cli_put_text(stderr, gw_last_error());
	fputc('\n', stderr);
	return code;
}

static bool is_either(const char *argument, const char *name, const char *letter)
{
	return !strcmp(argument, name) || !strcmp(argument, letter);
}

/* "godwit check" */
static int run(size_t i, int argc, char **argv)
{
	int code = commands[i].run(argc, argv);
	char name[64];

	snprintf(name, sizeof(name), "godwit %s", commands[i].name);
	return gw_output_end(name, code, commands[i].unwritten);
}

int main(int argc, char **argv)
{
	gw_output_begin();
	if (argc < 2) {
		fprintf(stderr, "godwit: which command? (see godwit --help)\n");
		return GW_EXIT_USAGE;
	}
	for (size_t i = 0; i < GW_ARRAY_LEN(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return run(i, argc - 1, argv + 1);
	if (is_either(argv[1], "--help", "-h")) {
		print_help();
	} else if (is_either(argv[1], "--version", "-V")) {
		printf("godwit %s\n", GODWIT_VERSION);
	} else {
		fprintf(stderr, "godwit: unknown command '%.64s' (see godwit --help)\n", argv[1]);
		return GW_EXIT_USAGE;
	}
	return gw_output_end("godwit", GW_EXIT_OK, GW_EXIT_FAILED);
}
