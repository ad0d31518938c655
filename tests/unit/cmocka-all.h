/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/cmocka-all.h - cmocka and the headers that it wants before itself. */
#ifndef TEST_CMOCKA_ALL_H
#define TEST_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#endif
