/* SPDX-License-Identifier: BSD-3-Clause */
/* null/null.h - the smallest device there can be. */
#ifndef GW_NULL_NULL_H
#define GW_NULL_NULL_H

#include "godwit/device.h"

/*
 * One queue. An element with device-writable room gets back what it brought, as far as there is
 * room; one without gets nothing. The device's whole state is a count of the elements it served;
 * configuration space shows that count (little-endian, 8 bytes), which a driver may overwrite.
 */
extern const struct gw_device_ops gw_null_ops;

/* The number of its one layout's record, and how `state` 1 looks in a stream. */
extern const struct gw_layout gw_null_layout;

#endif
