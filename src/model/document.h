/* SPDX-License-Identifier: BSD-3-Clause */
/* model/document.h - untrusted JSON as a document: bounded, and what is wrong with it named. */
#ifndef GW_MODEL_DOCUMENT_H
#define GW_MODEL_DOCUMENT_H

#include <jansson.h>
#include <stdarg.h>

#include "godwit/compat.h"

/* Where in a document something stands, for sentences: DOCUMENT: models.MODEL.LIST.ITEM.MEMBER.
 * What is NULL is left out; the strings have passed their syntax checks, or are our own. */
struct gw_place {
	const char *document, *model, *list, *item;
};

/* JSON within the bounds of a document, whatever it is; the caller's to release. */
int gw_document_parse(json_t **root, const char *name, const char *text, size_t len);
/* An object of a known format; the caller's to release. */
int gw_document_load(json_t **root, const char *name, const char *text, size_t len);
/* The same of JSON that is there already. */
int gw_document_check(const char *name, const json_t *root);

/* -EBADMSG: "DOCUMENT: member 'PLACE.MEMBER' is not EXPECTED"; @member may be NULL. */
int gw_document_wrong(const struct gw_place *place, const char *member, const char *expected);

/* Short, printable and without spaces: "cap:dac_read_search". */
bool gw_syntax_prerequisite(const char *text, size_t len);

/* Documents out of JSON that is there already; what gw_compat_*_parse() do once it is. */
int gw_compat_instance_from_json(struct gw_compat_instance **instance, const char *name,
				 const json_t *root);
int gw_compat_implementation_from_json(struct gw_compat_implementation **implementation,
				       const char *name, const json_t *root);

/*
 * And into JSON. A report: {"verdict": "compatible" | "incompatible" | "cannot-tell", "reasons":
 * [{"code":, "subject":, "text":}]}. An instance: its document. NULL: no memory.
 */
json_t *gw_compat_report_json(const struct gw_compat_report *report);
json_t *gw_compat_instance_json(const struct gw_compat_instance *instance);

#endif
