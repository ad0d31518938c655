/* SPDX-License-Identifier: BSD-3-Clause */
/* control/request.h - a line from a client to a request, and answers to lines. */
#ifndef GW_CONTROL_REQUEST_H
#define GW_CONTROL_REQUEST_H

#include <jansson.h>
#include <stddef.h>

/* All but @root are borrowed from it. */
struct gw_request {
	json_t *root; /* NULL if the line was no JSON object; the caller's to release */
	const char *name;
	const json_t *arguments; /* NULL or an object */
	json_t *id;		 /* any value, or NULL */
};

/* -EINVAL with a sentence if @line is no request; @id is set as far as it is known. */
int gw_request_parse(struct gw_request *request, const char *line, size_t len);

/* New references; @id may be NULL, @result is taken over (NULL: {}). NULL: no memory. */
json_t *gw_reply_return(json_t *id, json_t *result);
json_t *gw_reply_error(json_t *id, const char *class, const char *sentence);

#endif
