/* SPDX-License-Identifier: BSD-3-Clause */
/* base/bigpage.h - memory by the big page, some of it made ready before it is needed. */
#ifndef GW_BASE_BIGPAGE_H
#define GW_BASE_BIGPAGE_H

#include <stdbool.h>
#include <stddef.h>

/* Of x86-64 and, as a rule, of arm64. Where the kernel has none it is small ones, and no matter. */
#define GW_BIG_PAGE (2048u * 1024u)

/* @len bytes, a multiple of GW_BIG_PAGE and aligned to it, all zero; NULL: no memory. munmap() ends
 * them, or parts of them. Any thread. */
void *gw_big_map(size_t len);

/*
 * The first @len bytes of a file, as mmap() maps them, but aligned to GW_BIG_PAGE: only so are its
 * big pages mapped as what they are, or small ones made big ones (MADV_COLLAPSE). The kernel itself
 * looks to that only where it makes big pages of such files by itself. NULL and errno: no mapping.
 */
void *gw_big_map_file(int fd, size_t len, int prot, int flags);

/*
 * A process that is going to need much at once, at a time when every millisecond counts, makes
 * @len bytes ready before: gw_big_map() gives them out first. What is left gw_big_release() gives
 * back. One such store a process, as large as the largest preparation since. Any thread; takes
 * milliseconds, during which the others are not held up.
 */
void gw_big_prepare(size_t len);
void gw_big_release(void);
bool gw_big_is_ready(void); /* some of it is left */

#endif
