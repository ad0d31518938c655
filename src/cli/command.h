/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/command.h - the subcommands of `godwit`, one file each. */
#ifndef GW_CLI_COMMAND_H
#define GW_CLI_COMMAND_H

/* @argv[0] is the subcommand's name; returns an exit code (GW_EXIT_*). */
typedef int gw_command_fn(int argc, char **argv);

gw_command_fn gw_cli_baseline, gw_cli_check, gw_cli_conform, gw_cli_export, gw_cli_find,
	gw_cli_info, gw_cli_load, gw_cli_migrate, gw_cli_preflight, gw_cli_publish, gw_cli_save,
	gw_cli_state, gw_cli_stats, gw_cli_status, gw_cli_trace, gw_cli_upgrade;

/* Prints "godwit NAME: " and the last sentence to standard error; returns @code. */
int gw_cli_complain(const char *name, int code);

#endif
