/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit/compat.h - known before a device moves: may this instance go to that implementation? */
#ifndef GODWIT_COMPAT_H
#define GODWIT_COMPAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "godwit/model.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * Two documents (docs/compatibility.md), both JSON with "format": 1: an instance says what one
 * device is and needs, an implementation says what a build on a host can be. Here they are read and
 * compared, by pure functions: no file, no process, no clock.
 *
 * Documents are not trusted. What is not known in them is passed over; another format, a key that
 * is there twice, and what exceeds a bound below is refused with a sentence that names document,
 * member and what was expected. Objects are not locked; one that nobody changes may be read by many
 * threads.
 */
#define GW_DOCUMENT_FORMAT    1
#define GW_DOCUMENT_MAX	      (1024 * 1024) /* bytes */
#define GW_DOCUMENT_DEPTH_MAX 16	    /* objects and arrays in each other */
#define GW_MODELS_MAX	      64	    /* of one implementation */
#define GW_PROFILES_MAX	      256	    /* of one model */
#define GW_VALUES_MAX	      256	    /* of one enum */
#define GW_STATE_NUMBERS_MAX  256	    /* numbers of record layouts */
#define GW_REQUIRES_MAX	      16	    /* prerequisites of one document */
#define GW_REQUIRE_MAX	      128	    /* bytes of one, its NUL included */

/* -- an instance --------------------------------------------------------------------------- */

/* {"format": 1, "model": NAME, "params": {NAME: VALUE}, "requires": [NAME], "unset": [NAME],
 * "profile": NAME}; the last three may be missing. */
struct gw_compat_instance;

/*
 * @name is what sentences call the document; it is copied. -EBADMSG with a sentence if the text is
 * no such document, -EFBIG if it is too long, -ENOMEM. The same for the next two.
 */
int gw_compat_instance_parse(struct gw_compat_instance **instance, const char *name,
			     const char *text, size_t len);
/* From the header of a stream: the canonical form, and prerequisites separated by spaces. */
int gw_compat_instance_canonical(struct gw_compat_instance **instance, const char *name,
				 const char *form, size_t len, const char *prerequisites);
void gw_compat_instance_free(struct gw_compat_instance *instance); /* NULL is allowed */

/* Strings live as long as the instance. */
const char *gw_compat_instance_name(const struct gw_compat_instance *instance);
const char *gw_compat_instance_model(const struct gw_compat_instance *instance);
/* As the document has it; NULL if it does not say. */
const char *gw_compat_instance_profile(const struct gw_compat_instance *instance);
/* The @i-th by name, its value as text ("on", "36", "red"); NULL behind the last one. */
const char *gw_compat_instance_param(const struct gw_compat_instance *instance, unsigned i,
				     const char **value);
/* What a destination must have ("cap:dac_read_search"); NULL behind the last one. */
const char *gw_compat_instance_requires(const struct gw_compat_instance *instance, unsigned i);
/* Parameters that are still open; NULL behind the last one. */
const char *gw_compat_instance_unset(const struct gw_compat_instance *instance, unsigned i);

/* -- an implementation --------------------------------------------------------------------- */

/*
 * {"format": 1, "implementation": {"name":, "build":, "boot":}, "provides": [NAME],
 * "requires": [NAME], "models": {NAME: {"params":, "profiles":, "default":, "state": {"write":
 * [N], "read": [N]}, "available_instances": N}}}; all but format and models may be missing.
 */
struct gw_compat_implementation;

int gw_compat_implementation_parse(struct gw_compat_implementation **implementation,
				   const char *name, const char *text, size_t len);
void gw_compat_implementation_free(struct gw_compat_implementation *implementation);

const char *gw_compat_implementation_name(const struct gw_compat_implementation *implementation);
/* What the document says about the program: @member "name", "build" or "boot"; NULL if it does not.
 */
const char *gw_compat_implementation_program(const struct gw_compat_implementation *implementation,
					     const char *member);
/* The @i-th as the document has it; NULL behind the last one. */
const struct gw_model *
gw_compat_implementation_model(const struct gw_compat_implementation *implementation, unsigned i);
/* NULL: it has none of that name. */
const struct gw_model *
gw_compat_implementation_find(const struct gw_compat_implementation *implementation,
			      const char *model);
/* What the host has ("cap:dac_read_search"); NULL behind the last one. */
const char *gw_compat_implementation_provides(const struct gw_compat_implementation *implementation,
					      unsigned i);
/* What any instance that is made there would require; NULL behind the last one. */
const char *gw_compat_implementation_requires(const struct gw_compat_implementation *implementation,
					      unsigned i);
/* How many more instances of @model it has room for, -1 if the document does not say. */
int64_t gw_compat_implementation_available(const struct gw_compat_implementation *implementation,
					   const struct gw_model *model);

/* -- compared ------------------------------------------------------------------------------ */

/* The numbers are the exit codes of `godwit check`. */
enum gw_verdict {
	GW_COMPATIBLE = 0,
	GW_INCOMPATIBLE = 1,
	GW_VERDICT_UNKNOWN = 3, /* never to be read as yes */
};

struct gw_compat_reason {
	enum gw_refusal code; /* gw_refusal_name() */
	const char *subject;  /* the parameter, prerequisite, model or checker; "" if none */
	const char *text;     /* a sentence */
};

const char *
gw_verdict_name(enum gw_verdict verdict); /* "compatible", "incompatible", "cannot-tell" */

/* All reasons of a comparison, in the order in which they were found. */
struct gw_compat_report;

int gw_compat_report_new(struct gw_compat_report **report);
void gw_compat_report_free(struct gw_compat_report *report);
/* -ENOMEM. GW_CANNOT_TELL makes a report that has no refusal unknown, all other codes refuse. */
int gw_compat_report_add(struct gw_compat_report *report, enum gw_refusal code, const char *subject,
			 const char *format, ...) __attribute__((format(printf, 4, 5)));
enum gw_verdict gw_compat_report_verdict(const struct gw_compat_report *report);
unsigned gw_compat_report_count(const struct gw_compat_report *report);
/* @i below the count; lives until the next one is added. */
const struct gw_compat_reason *gw_compat_report_reason(const struct gw_compat_report *report,
						       unsigned i);

/*
 * May @source become an instance of @destination: is its model there, is every parameter that it
 * names accepted, is every parameter stated that cannot be off, are the layouts of its state read
 * there, has the host what it requires, and room? Every reason against it is added to @report.
 * Documents cannot say which combinations of accepted values go together: the destination's own
 * --check-migration does.
 * 0 whatever the answer is; -ENOMEM.
 */
int gw_compat_check(const struct gw_compat_instance *source,
		    const struct gw_compat_implementation *destination,
		    struct gw_compat_report *report);

/*
 * The same if an instance is already made there: parameters of @made are fixed, those that it
 * lists as unset are not. Adds param-differs, or model-unknown if it is of another model; to be
 * called beside gw_compat_check(), which finds all other reasons. Where no implementation is known
 * @destination is NULL: then equal parameters fit, and one that only one of both names makes it
 * cannot-tell.
 */
int gw_compat_check_made(const struct gw_compat_instance *source,
			 const struct gw_compat_instance *made,
			 const struct gw_compat_implementation *destination,
			 struct gw_compat_report *report);

/*
 * What both call the same: the canonical form of @instance, in which parameters at the off value
 * that @model gives them are left out. NULL: nothing is left out. Returns the length or -ENOSPC.
 */
int gw_compat_fingerprint(const struct gw_compat_instance *instance, const struct gw_model *model,
			  char *text, size_t size);

/*
 * Which of several destinations that can take @source? A profile of exactly its parameters goes
 * first, then a profile of the name that the source gives itself, then fewest parameters that
 * differ from the destination's default profile, then its name.
 */
struct gw_compat_rank {
	bool exact;
	bool same_profile;
	unsigned changed;
};

/* @destination is one that gw_compat_check() found compatible. */
void gw_compat_rank(const struct gw_compat_instance *source,
		    const struct gw_compat_implementation *destination,
		    struct gw_compat_rank *rank);
/* Negative if @left goes first, positive if @right does, as for qsort(). */
int gw_compat_rank_compare(const struct gw_compat_rank *left, const char *left_name,
			   const struct gw_compat_rank *right, const char *right_name);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
