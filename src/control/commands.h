/* SPDX-License-Identifier: BSD-3-Clause */
/* control/commands.h - the commands that were registered, and the answer to a line. */
#ifndef GW_CONTROL_COMMANDS_H
#define GW_CONTROL_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "control/control.h"

/* More than any daemon has; a bound for query-commands. */
#define GW_CONTROL_COMMANDS_MAX 64

struct gw_command {
	const char *name;
	gw_control_fn *fn;
	void *opaque;
};

/* An answer that is owed. */
struct gw_client;
struct gw_later {
	struct gw_client *client; /* NULL: gone */
	json_t *id;		  /* or NULL */
};
void gw_later_free(struct gw_later *later); /* NULL is allowed */

struct gw_commands {
	struct gw_later *later; /* of the command that is being executed */
	int given; /* the descriptor that came with it, or -1; taken by who leaves -1 */
	unsigned count;
	struct gw_command list[GW_CONTROL_COMMANDS_MAX];
};

int gw_commands_add(struct gw_commands *commands, const char *name, gw_control_fn *fn,
		    void *opaque);

/*
 * The reply to one line without its newline: a new reference, NULL without memory, or if it comes
 * later: then *@later is the caller's, who makes it its client's. *@negotiated becomes true at
 * qmp_capabilities. The line is not trusted.
 */
json_t *gw_commands_answer(struct gw_commands *commands, const char *line, size_t len,
			   bool *negotiated, struct gw_later **later);

#endif
