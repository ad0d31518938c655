/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/svg.h - what all pictures have in common. */
#ifndef GW_CLI_SVG_H
#define GW_CLI_SVG_H

#include <stdio.h>

/* @style: classes of CSS. On a white ground. */
void gw_svg_begin(FILE *out, int width, int height, const char *style);
void gw_svg_end(FILE *out);
/* Whatever it is that others said: no markup, and always XML. */
void gw_svg_text(FILE *out, const char *text);

#endif
