/* SPDX-License-Identifier: BSD-3-Clause */
/* model/syntax.h - which bytes names and values are made of. */
#ifndef GW_MODEL_SYNTAX_H
#define GW_MODEL_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

/* Each bounds the length as well: not empty, and shorter than its constant in godwit/model.h. */
bool gw_syntax_model(const char *name, size_t len); /* <domain>/<path> of [A-Za-z0-9._/-] */
bool gw_syntax_param(const char *name, size_t len); /* [a-z0-9-]+ */
bool gw_syntax_value(const char *text, size_t len); /* [A-Za-z0-9._-]+ */

#endif
