/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/etcd.c - range, put and leases of etcd's version 3 interface, as JSON. */
#include "cli/fleet/etcd.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/fleet/etcd_http.h"
#include "cli/what/what.h"
#include "godwit/error.h"

#define PAGE		  256 /* keys a request */
#define KEYS_MAX	  1000000
#define PREFIX_MAX	  256
#define PASSWORD_MAX	  1024
#define HTTP_UNAUTHORIZED 401
#define DECIMAL		  10

struct gw_etcd {
	struct gw_etcd_http *http;
	struct gw_etcd_access access;
	char prefix[PREFIX_MAX];
	bool authorized;
};

/* -- words --------------------------------------------------------------------------------- */

/* Bytes as etcd's JSON has them: in base64. */
static json_t *encoded(const char *bytes, size_t len)
{
	unsigned char *text = malloc((len + 2) / 3 * 4 + 1);
	json_t *json = NULL;

	if (text) {
		EVP_EncodeBlock(text, (const unsigned char *)bytes, (int)len);
		json = json_string((char *)text);
	}
	free(text);
	return json;
}

static size_t padding(const char *text, size_t len)
{
	size_t count = 0;

	while (count < 2 && count < len && text[len - 1 - count] == '=')
		count++;
	return count;
}

/* NULL: it is no base64, or there is no memory. */
static char *decoded(const json_t *json, size_t *len)
{
	const char *text = json_string_value(json);
	size_t text_len = json_string_length(json);
	char *bytes = text ? malloc(text_len + 1) : NULL;
	int got = bytes ? EVP_DecodeBlock((unsigned char *)bytes, (const unsigned char *)text,
					  (int)text_len)
			: -1;

	if (got < 0 || (size_t)got < padding(text, text_len)) {
		free(bytes);
		return NULL;
	}
	*len = (size_t)got - padding(text, text_len);
	bytes[*len] = '\0';
	return bytes;
}

/* 64-bit numbers are strings there; a member that is 0 is left out. */
static int64_t number(const json_t *object, const char *member)
{
	const json_t *value = json_object_get(object, member);

	if (json_is_integer(value))
		return json_integer_value(value);
	return json_is_string(value) ? strtoll(json_string_value(value), NULL, DECIMAL) : 0;
}

static json_t *decimal(int64_t value)
{
	return json_sprintf("%" PRId64, value);
}

/* -- opened -------------------------------------------------------------------------------- */

bool gw_etcd_is_url(const char *where)
{
	return !strncmp(where, GW_ETCD_SCHEME, strlen(GW_ETCD_SCHEME)) ||
	       !strncmp(where, GW_ETCD_TLS_SCHEME, strlen(GW_ETCD_TLS_SCHEME));
}

static const char endpoint_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789.-:[],_";

/* What is between scheme and prefix, and the prefix without a slash at its end. */
static int split_url(const char *url, char **endpoints, char *prefix)
{
	const char *start = strstr(url, "://") + strlen("://");
	size_t len = strspn(start, endpoint_letters);
	const char *rest = start + len;
	size_t rest_len = strlen(rest);

	if (!len || start[0] == ',' || rest[-1] == ',' || (*rest && *rest != '/') ||
	    strstr(start, ",,"))
		return gw_fail(EINVAL,
			       "%s: expected etcd://HOST:PORT[,HOST:PORT...][/PREFIX], or etcds://",
			       url);
	while (rest_len && rest[rest_len - 1] == '/')
		rest_len--;
	if (rest_len >= PREFIX_MAX)
		return gw_fail(EINVAL, "%s: the prefix is longer than %d bytes", url,
			       PREFIX_MAX - 1);
	snprintf(prefix, PREFIX_MAX, "%.*s", (int)rest_len, rest_len ? rest : "");
	if (!rest_len)
		snprintf(prefix, PREFIX_MAX, "/godwit");
	*endpoints = strndup(start, len);
	return *endpoints ? 0 : gw_fail(ENOMEM, "etcd: no memory");
}

int gw_etcd_open(struct gw_etcd **etcd, const char *url, const struct gw_etcd_access *access)
{
	GW_AUTO_FREE char *endpoints = NULL;
	struct gw_etcd *made = calloc(1, sizeof(*made));
	bool tls = !strncmp(url, GW_ETCD_TLS_SCHEME, strlen(GW_ETCD_TLS_SCHEME));
	int err;

	if (!made)
		return gw_fail(ENOMEM, "etcd: no memory");
	made->access = *access;
	err = split_url(url, &endpoints, made->prefix);
	if (!err)
		err = gw_etcd_http_open(&made->http, endpoints, tls, &made->access);
	if (err) {
		gw_etcd_close(made);
		return err;
	}
	*etcd = made;
	return 0;
}

void gw_etcd_close(struct gw_etcd *etcd)
{
	if (etcd)
		gw_etcd_http_close(etcd->http);
	free(etcd);
}

const char *gw_etcd_prefix(const struct gw_etcd *etcd)
{
	return etcd->prefix;
}

/* -- let in -------------------------------------------------------------------------------- */

/* Its first line; to be wiped and freed. */
static int read_password(char **password, size_t *len, const char *path)
{
	int err = gw_what_read_given(password, len, path, PASSWORD_MAX);

	if (err)
		return gw_fail_in(err, "password file");
	(*password)[strcspn(*password, "\r\n")] = '\0';
	return 0;
}

static int log_in(struct gw_etcd *etcd)
{
	GW_AUTO_FREE char *password = NULL;
	size_t len = 0;
	json_t *answer;
	long status;
	int err;

	if (!etcd->access.user)
		return gw_fail(EACCES, "etcd wants a user (see --user)");
	if (!etcd->access.password_file)
		return gw_fail(EACCES, "etcd wants the password of user %s (see --password-file)",
			       etcd->access.user);
	err = read_password(&password, &len, etcd->access.password_file);
	if (err)
		return err;
	err = gw_etcd_http_post(
		etcd->http, "/v3/auth/authenticate",
		json_pack("{s:s, s:s}", "name", etcd->access.user, "password", password), &answer,
		&status);
	OPENSSL_cleanse(password, len);
	if (err)
		return err == -EREMOTEIO ? -EACCES : err;
	err = gw_etcd_http_authorize(etcd->http,
				     json_string_value(json_object_get(answer, "token")));
	json_decref(answer);
	etcd->authorized = !err;
	return err;
}

/* A token lives for some minutes: one that is not taken any more is fetched anew, once. */
static int call(struct gw_etcd *etcd, const char *path, json_t *body, json_t **answer)
{
	long status = 0;
	int err = 0;

	if (etcd->access.user && !etcd->authorized)
		err = log_in(etcd);
	if (!err)
		err = gw_etcd_http_post(etcd->http, path, json_incref(body), answer, &status);
	if (err && status == HTTP_UNAUTHORIZED && etcd->authorized) {
		etcd->authorized = false;
		gw_etcd_http_authorize(etcd->http, NULL);
		err = log_in(etcd);
		if (!err)
			err = gw_etcd_http_post(etcd->http, path, json_incref(body), answer,
						&status);
	}
	json_decref(body);
	return err;
}

/* -- keys ---------------------------------------------------------------------------------- */

/* What is not less than every key that begins with @prefix: its last byte plus one. */
static json_t *range_end(const char *prefix)
{
	size_t len = strlen(prefix);
	char end[PREFIX_MAX * 2];

	snprintf(end, sizeof(end), "%s", prefix);
	end[len - 1]++; /* printable, so that it does not run over */
	return encoded(end, len);
}

static int each_of_page(const json_t *page, const char *prefix, gw_etcd_fn *fn, void *opaque,
			char **last, size_t *last_len)
{
	const json_t *kvs = json_object_get(page, "kvs"), *kv;
	size_t i;
	int err = 0;

	json_array_foreach(kvs, i, kv)
	{
		size_t key_len = 0, len = 0;
		GW_AUTO_FREE char *key = decoded(json_object_get(kv, "key"), &key_len);
		const json_t *value_json = json_object_get(kv, "value");
		GW_AUTO_FREE char *value = value_json ? decoded(value_json, &len) : strdup("");

		if (!key || !value)
			return gw_fail(EPROTO, "etcd: a key or value that is no base64");
		if (strncmp(key, prefix, strlen(prefix)) != 0)
			return gw_fail(EPROTO, "etcd: a key that was not asked for");
		err = fn(opaque, key, value, len);
		if (err)
			return err;
		free(*last);
		*last = gw_take_ptr(key);
		*last_len = key_len;
	}
	return 0;
}

int gw_etcd_each(struct gw_etcd *etcd, const char *prefix, gw_etcd_fn *fn, void *opaque)
{
	GW_AUTO_FREE char *from = strdup(prefix);
	size_t from_len = strlen(prefix);
	int64_t revision = 0, seen = 0;
	bool more = from && from_len;
	int err = more ? 0 : gw_fail(EINVAL, "etcd: no prefix");

	while (!err && more) {
		json_t *page = NULL;

		err = call(etcd, "/v3/kv/range",
			   json_pack("{s:o, s:o, s:i, s:o}", "key", encoded(from, from_len),
				     "range_end", range_end(prefix), "limit", PAGE, "revision",
				     decimal(revision)),
			   &page);
		if (err)
			break;
		if (!revision) /* all pages are of one moment */
			revision = number(json_object_get(page, "header"), "revision");
		more = json_is_true(json_object_get(page, "more"));
		seen += (int64_t)json_array_size(json_object_get(page, "kvs"));
		err = each_of_page(page, prefix, fn, opaque, &from, &from_len);
		from_len++; /* the next key: the last one and a NUL, which stands behind it */
		if (!err && more && !json_array_size(json_object_get(page, "kvs")))
			err = gw_fail(EPROTO, "etcd: an empty page of several");
		if (!err && seen > KEYS_MAX)
			err = gw_fail(EFBIG, "etcd: more than %d keys under %s", KEYS_MAX, prefix);
		json_decref(page);
	}
	return err;
}

int gw_etcd_put(struct gw_etcd *etcd, const char *key, const char *value, size_t len, int64_t lease)
{
	json_t *answer = NULL;
	int err = call(etcd, "/v3/kv/put",
		       json_pack("{s:o, s:o, s:o}", "key", encoded(key, strlen(key)), "value",
				 encoded(value, len), "lease", decimal(lease)),
		       &answer);

	json_decref(answer);
	return err;
}

/* -- leases -------------------------------------------------------------------------------- */

int gw_etcd_lease_grant(struct gw_etcd *etcd, unsigned ttl, int64_t *lease)
{
	json_t *answer = NULL;
	int err = call(etcd, "/v3/lease/grant", json_pack("{s:o}", "TTL", decimal(ttl)), &answer);

	*lease = number(answer, "ID");
	json_decref(answer);
	return err || *lease ? err : gw_fail(EPROTO, "etcd: a lease without a number");
}

int gw_etcd_lease_keep(struct gw_etcd *etcd, int64_t lease)
{
	json_t *answer = NULL;
	int err = call(etcd, "/v3/lease/keepalive", json_pack("{s:o}", "ID", decimal(lease)),
		       &answer);
	int64_t ttl = number(json_object_get(answer, "result"), "TTL");

	json_decref(answer);
	return err || ttl > 0 ? err : gw_fail(ENOENT, "etcd: the lease has run out");
}

int gw_etcd_lease_revoke(struct gw_etcd *etcd, int64_t lease)
{
	json_t *answer = NULL;
	int err = call(etcd, "/v3/lease/revoke", json_pack("{s:o}", "ID", decimal(lease)), &answer);

	json_decref(answer);
	return err;
}
