/* SPDX-License-Identifier: BSD-3-Clause */
/* state/mac.c - HMAC-SHA256 over all bytes so far, by libcrypto. */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "state/mac.h"
#include "state/stream.h"

struct gw_mac {
	EVP_MAC_CTX *context;
};

static EVP_MAC_CTX *context_new(const uint8_t *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *context = hmac ? EVP_MAC_CTX_new(hmac) : NULL;

	EVP_MAC_free(hmac);
	if (context && !EVP_MAC_init(context, key, GW_STATE_KEY_LEN, params)) {
		EVP_MAC_CTX_free(context);
		context = NULL;
	}
	return context;
}

int gw_mac_new(struct gw_mac **out, const uint8_t *key)
{
	GW_AUTO_FREE struct gw_mac *mac = NULL;

	*out = NULL;
	if (!key)
		return 0;
	mac = calloc(1, sizeof(*mac));
	if (!mac)
		return gw_fail(ENOMEM, "MAC: no memory");
	mac->context = context_new(key);
	if (!mac->context)
		return gw_fail(EIO, "MAC: libcrypto has no HMAC-SHA256 for us");
	*out = gw_take_ptr(mac);
	return 0;
}

void gw_mac_free(struct gw_mac *mac)
{
	if (!mac)
		return;
	EVP_MAC_CTX_free(mac->context);
	free(mac);
}

int gw_mac_update(struct gw_mac *mac, const void *data, size_t len)
{
	if (mac && !EVP_MAC_update(mac->context, data, len))
		return gw_fail(EIO, "MAC: libcrypto failed");
	return 0;
}

int gw_mac_get(const struct gw_mac *mac, uint8_t out[GW_WIRE_MAC_LEN])
{
	EVP_MAC_CTX *now = EVP_MAC_CTX_dup(mac->context);
	size_t len = 0;
	bool good = now && EVP_MAC_final(now, out, &len, GW_WIRE_MAC_LEN);

	EVP_MAC_CTX_free(now);
	return good && len == GW_WIRE_MAC_LEN ? 0 : gw_fail(EIO, "MAC: libcrypto failed");
}
