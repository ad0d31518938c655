/* SPDX-License-Identifier: BSD-3-Clause */
/* state/mac.h - HMAC-SHA256 over all bytes so far. */
#ifndef GW_STATE_MAC_H
#define GW_STATE_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state/format.h"

struct gw_mac;

/* @key has GW_STATE_KEY_LEN bytes; NULL gives *@mac = NULL, which all functions accept. */
int gw_mac_new(struct gw_mac **mac, const uint8_t *key);
void gw_mac_free(struct gw_mac *mac);
int gw_mac_update(struct gw_mac *mac, const void *data, size_t len);
/* The MAC of what was updated so far; more may follow. */
int gw_mac_get(const struct gw_mac *mac, uint8_t out[GW_WIRE_MAC_LEN]);

#endif
