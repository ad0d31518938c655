/* SPDX-License-Identifier: BSD-3-Clause */
/* state/checksum.h - XXH3-64, as fast as this machine can. */
#ifndef GW_STATE_CHECKSUM_H
#define GW_STATE_CHECKSUM_H

/*
 * The library is built for the oldest machine; where it has functions that choose by the machine
 * they run on (twice as fast with AVX2), its own header puts them in place of the plain ones.
 */
#ifdef GW_XXHASH_DISPATCH
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

#endif
