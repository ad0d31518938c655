/* SPDX-License-Identifier: BSD-3-Clause */
/* control/base64.h - bytes in a JSON string. */
#ifndef GW_CONTROL_BASE64_H
#define GW_CONTROL_BASE64_H

#include <jansson.h>
#include <stddef.h>

/* @len bytes in base64 (RFC 4648, section 4), of which there is one spelling. NULL: no memory. */
json_t *gw_base64_json(const void *bytes, size_t len);
/* Of @string, which may be anything: heap memory (also for 0 bytes) and its length. -EINVAL, -E2BIG
 * if it is more than @max bytes. */
int gw_base64_bytes(const json_t *string, size_t max, void **bytes, size_t *len);

#endif
