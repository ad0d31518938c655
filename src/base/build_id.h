/* SPDX-License-Identifier: BSD-3-Clause */
/* base/build_id.h - what tells two builds of a program apart: the linker's digest of each. */
#ifndef GW_BASE_BUILD_ID_H
#define GW_BASE_BUILD_ID_H

#include <stddef.h>
#include <stdint.h>

#define GW_BUILD_ID_MAX	  64 /* bytes of an id */
#define GW_BUILD_NAME_MAX 64 /* of gw_build_name(), its NUL included; @version is below 16 */

/*
 * "1.2.3-0123456789abcdef": @version and the first 16 digits of the running program's build-id, as
 * `readelf -n` shows it; with those of libgodwit behind them where that is an object of its own.
 * Not git's word: a tarball has none, and it cannot see compiler, options, or what is not
 * committed. A program linked without an id has its version alone.
 */
void gw_build_name(const char *version, char text[GW_BUILD_NAME_MAX]);

/* The id among the notes of an ELF object, and its length; 0: there is none. @align is 4 or 8. */
size_t gw_build_id_find(const uint8_t *notes, size_t len, size_t align,
			uint8_t id[GW_BUILD_ID_MAX]);

#endif
