/* SPDX-License-Identifier: BSD-3-Clause */
/* base/output.h - standard streams: that they are there, and that what was printed arrived. */
#ifndef GW_BASE_OUTPUT_H
#define GW_BASE_OUTPUT_H

/*
 * First thing in a program: whichever of descriptors 0 to 2 is closed stays as good as closed, so
 * that no file or socket which is opened later takes its place, and gets what is printed.
 */
void gw_output_begin(void);

/*
 * Last thing: @code, or @unwritten in place of 0 if not all that was printed to standard output
 * could be written; then a line at standard error says so. What nobody can read is no answer.
 */
int gw_output_end(const char *program, int code, int unwritten);

#endif
