/* SPDX-License-Identifier: BSD-3-Clause */
/* model/canonical.h - reading the canonical form back. */
#ifndef GW_MODEL_CANONICAL_H
#define GW_MODEL_CANONICAL_H

#include "model/params.h"

/*
 * Read @len bytes that claim to be the canonical form of an instance of @model. They come out of a
 * stream and are not trusted: anything but the one spelling that gw_params_canonical() writes is
 * refused, so that equal texts and equal meanings are the same thing. What the text does not name
 * is unset in *@out.
 *
 * -EBADMSG: it is no canonical form; -EINVAL: it is one, and does not fit this build. Both leave a
 * sentence and the reason.
 */
int gw_canonical_parse(struct gw_params **out, const struct gw_model *model, const char *text,
		       size_t len, enum gw_refusal *refusal);

#endif
