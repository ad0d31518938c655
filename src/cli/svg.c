/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/svg.c - what all pictures have in common. */
#include "cli/svg.h"

#include "control/control.h"

void gw_svg_begin(FILE *out, int width, int height, const char *style)
{
	fprintf(out,
		"<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' "
		"font-family='sans-serif'>\n<style>\n%s</style>\n"
		"<rect width='100%%' height='100%%' fill='#fff'/>\n",
		width, height, style);
}

void gw_svg_end(FILE *out)
{
	fputs("</svg>\n", out);
}

void gw_svg_text(FILE *out, const char *text)
{
	json_t *whole = gw_control_text(text); /* text may have been cut within a letter */

	for (text = json_string_value(whole); text && *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '<')
			fputs("&lt;", out);
		else if (c == '&')
			fputs("&amp;", out);
		else
			fputc(c < ' ' || c == 127 ? '?' : c, out);
	}
	json_decref(whole);
}
