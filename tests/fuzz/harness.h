/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/harness.h - what every harness defines; libFuzzer or replay.c calls it. */
#ifndef TEST_FUZZ_HARNESS_H
#define TEST_FUZZ_HARNESS_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
