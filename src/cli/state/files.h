/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/state/files.h - device states in files, of ours and inside of a VM's migration stream. */
#ifndef GW_CLI_STATE_FILES_H
#define GW_CLI_STATE_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "state/stream.h"

/* Device states in one file; a machine has no more back-ends. */
#define GW_STATES_MAX 64

/* One state: a descriptor of its own, at its beginning. */
struct gw_state_file {
	int fd;
	uint64_t at; /* where in the file it begins */
};

/*
 * What is in the file at @path: a state of ours, or those that QEMU has put into a migration stream
 * (each in pieces of a big-endian length and bytes, ended by length 0). -ENOENT with a sentence if
 * there is none. To be freed by gw_states_close().
 */
int gw_states_open(const char *path, struct gw_state_file states[GW_STATES_MAX], unsigned *count);
void gw_states_close(struct gw_state_file states[GW_STATES_MAX], unsigned count);

/* json.c: one JSON object a line. */
int gw_state_show_json(int fd, FILE *out);

/* objects.c: the objects that a stream comes down to, later ones over earlier ones. */
struct gw_objects;
int gw_objects_read(struct gw_objects **objects, int fd);
void gw_objects_free(struct gw_objects *objects);
/* What is in one and not in the other, "-" and "+"; true if nothing is. */
bool gw_objects_diff(const struct gw_objects *one, const struct gw_objects *other, bool json,
		     FILE *out);

#endif
