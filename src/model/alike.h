/* SPDX-License-Identifier: BSD-3-Clause */
/* model/alike.h - documents of many hosts, of which most describe the same models. */
#ifndef GW_MODEL_ALIKE_H
#define GW_MODEL_ALIKE_H

#include "godwit/compat.h"

/* Models that were read before, known again by the bytes that describe them. One thread. */
struct gw_alike;

int gw_alike_new(struct gw_alike **alike); /* -ENOMEM */
void gw_alike_free(struct gw_alike *alike);

/*
 * gw_compat_implementation_parse(), with the same answer to any text, sooner if the models of a
 * document that was read before are written in it as they were there. What it makes may outlive
 * @alike, and belongs to the same thread.
 */
int gw_alike_parse(struct gw_alike *alike, struct gw_compat_implementation **implementation,
		   const char *name, const char *text, size_t len);

#endif
