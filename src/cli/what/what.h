/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/what/what.h - WHAT of a command line: whatever can tell a model and parameters, asked. */
#ifndef GW_CLI_WHAT_WHAT_H
#define GW_CLI_WHAT_WHAT_H

#include <jansson.h>

#include "godwit/compat.h"

#define GW_WHATS_MAX	64 /* instances, and implementations, of one WHAT */
#define GW_WHAT_SECONDS 10 /* a program or a socket has to answer within */

#define GW_WHAT_SYSFS "/sys"

/* One implementation that a WHAT is or has. */
struct gw_what_implementation {
	struct gw_compat_implementation *implementation;
	json_t *document; /* as it was read */
};

struct gw_what {
	const char *kind; /* "document", "program", ...: for people */
	unsigned implementation_count, instance_count;
	struct gw_what_implementation implementations[GW_WHATS_MAX];
	struct gw_compat_instance *instances[GW_WHATS_MAX];
	char **command; /* of a program, ended by NULL; else NULL */
	bool answers;	/* it is a control socket, which can be asked more */
};

/*
 * Read what @name is:
 *	"-"		a document at standard input
 *	a pipe		a document: what a shell puts in place of <(command)
 *	a socket	a back-end's control socket: what it could be, and its instances
 *	a program	a back-end, which is asked --print-migration-info; words after its name
 *			are its arguments
 *	a file		a document (it begins with '{'), or device states
 *	a directory	an mdev parent, or an mdev device; also by name, below @sysfs_root
 *
 * Negative errno with a sentence that names it: it cannot be told. To be freed by gw_what_free().
 */
int gw_what_read(struct gw_what **what, const char *name, const char *sysfs_root);
void gw_what_free(struct gw_what *what); /* NULL is allowed */

/* A document of either kind into @what: what it is, or has among "instances". */
int gw_what_add_document(struct gw_what *what, const char *name, json_t *root);

/* The one instance that @what is or has; NULL with a sentence if there is none, or several. */
const struct gw_compat_instance *gw_what_instance(const struct gw_what *what, const char *name);

/* profile.c: an instance with this profile of an implementation in @what, which becomes its one
 * instance; @model may be NULL where there is one only. */
int gw_what_take_profile(struct gw_what *what, const char *name, const char *model,
			 const char *profile);

/* sysfs.c: -ENOENT without a sentence: it is neither an mdev parent nor an mdev device. */
int gw_what_read_sysfs(struct gw_what *what, const char *name, const char *path);

/* The file at @path, at most @max bytes, NUL behind them; to be freed. */
int gw_what_read_file(char **text, size_t *len, const char *path, size_t max);
/* The same of what somebody gave the path of: a pipe (<(command) of a shell) may take
 * GW_WHAT_SECONDS until all has come. */
int gw_what_read_given(char **text, size_t *len, const char *path, size_t max);

#endif
