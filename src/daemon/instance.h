/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/instance.h - which instance of its models a daemon is to be, and what it could be. */
#ifndef GW_DAEMON_INSTANCE_H
#define GW_DAEMON_INSTANCE_H

#include "base/options.h"
#include "daemon/daemon.h"

/* As the command line has it. */
struct gw_instance_options {
	const char *model, *profile; /* NULL: not given */
	struct gw_texts params;	     /* NAME=VALUE, from --m-NAME=VALUE */
	unsigned available;	     /* for how many more there is room */
};
#define GW_AVAILABLE_UNKNOWN (~0u)

/* Takes --m-NAME=VALUE out of @argv, in place; their names are the models' and in no table. */
int gw_instance_take(struct gw_instance_options *options, int *argc, char **argv);

/*
 * What the command line asks for: the profile with --m- overriding it, and what other options
 * (--cache and the like) set, which may not contradict. Without a profile the rest stays unset.
 * -EINVAL with a sentence that begins with the reason's name.
 */
int gw_instance_params(const struct gw_daemon *daemon, const struct gw_instance_options *options,
		       struct gw_params **params);

/* Both print to standard output and return an exit code: --print-migration-info, and
 * --check-migration, which reads a document from standard input and creates nothing. @state_key is
 * the path of a key, or NULL. */
int gw_instance_print_info(const struct gw_daemon *daemon, unsigned available,
			   const char *state_key);
int gw_instance_check(const struct gw_daemon *daemon);

#endif
