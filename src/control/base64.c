/* SPDX-License-Identifier: BSD-3-Clause */
/* control/base64.c - bytes in a JSON string. */
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "control/base64.h"
#include "godwit/error.h"

#define TEXT_LEN(len) (((len) + 2) / 3 * 4)

json_t *gw_base64_json(const void *bytes, size_t len)
{
	GW_AUTO_FREE unsigned char *text = malloc(TEXT_LEN(len) + 1);

	if (!text || len > INT_MAX / 2)
		return NULL;
	*text = '\0'; /* of nothing nothing is written */
	EVP_EncodeBlock(text, bytes, (int)len);
	return json_string((const char *)text);
}

static size_t padding(const char *text, size_t text_len)
{
	size_t count = 0;

	while (count < 2 && count < text_len && text[text_len - 1 - count] == '=')
		count++;
	return count;
}

/* The decoder passes over much that is not as it should be: what it made of it is spelled again. */
static bool is_spelling_of(const char *text, size_t text_len, const void *bytes, size_t len)
{
	GW_AUTO_FREE unsigned char *again = malloc(TEXT_LEN(len) + 1);

	return again && EVP_EncodeBlock(again, bytes, (int)len) == (int)text_len &&
	       !memcmp(again, text, text_len);
}

int gw_base64_bytes(const json_t *string, size_t max, void **bytes, size_t *len)
{
	const char *text = json_string_value(string);
	size_t text_len = json_string_length(string);
	GW_AUTO_FREE unsigned char *decoded = NULL;
	int n;

	if (!text || text_len % 4)
		return gw_fail(EINVAL, "no base64: %s",
			       text ? "its length is no multiple of 4" : "no string");
	if (max > INT_MAX / 2 || text_len > TEXT_LEN(max))
		return gw_fail(E2BIG, "base64 of more than %zu bytes", max);
	decoded = malloc(text_len / 4 * 3 + 1);
	if (!decoded)
		return gw_fail(ENOMEM, "no memory for %zu bytes of base64", text_len);
	n = text_len ? EVP_DecodeBlock(decoded, (const unsigned char *)text, (int)text_len) : 0;
	if (n >= 0)
		n -= (int)padding(text, text_len);
	if (n < 0 || (text_len && !is_spelling_of(text, text_len, decoded, (size_t)n)))
		return gw_fail(EINVAL, "no base64: a character that should not be there");
	if ((size_t)n > max)
		return gw_fail(E2BIG, "base64 of %d bytes, at most %zu are taken", n, max);
	*bytes = gw_take_ptr(decoded);
	*len = (size_t)n;
	return 0;
}
