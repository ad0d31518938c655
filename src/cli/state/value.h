/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/state/value.h - bytes of a device state for people. */
#ifndef GW_CLI_STATE_VALUE_H
#define GW_CLI_STATE_VALUE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Hexadecimal digits, to be freed; NULL without memory. */
static inline char *gw_hex_of(const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = data;
	char *text = malloc(2 * len + 1);

	for (size_t i = 0; text && i < len; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	if (text)
		text[2 * len] = 0;
	return text;
}

#endif
