/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/etcd.c - range, put and leases of etcd's version 3 interface. */
#include "cli/fleet/etcd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "cli/fleet/etcd_grpc.h"
#include "cli/what/what.h"
#include "godwit/error.h"

#define PAGE_FIRST   256       /* keys of the first request */
#define PAGE_MAX     2048      /* and of any other */
#define PAGE_BYTES   (8 << 20) /* what it is to have, by the size of those before */
#define KEYS_MAX     1000000
#define PREFIX_MAX   256
#define PASSWORD_MAX 1024

/* Numbers of fields, from etcd's api/etcdserverpb/rpc.proto and api/mvccpb/kv.proto. */
enum {
	AUTHENTICATE_NAME = 1,
	AUTHENTICATE_PASSWORD = 2,
	AUTHENTICATED_TOKEN = 2,
	RANGE_KEY = 1,
	RANGE_END = 2,
	RANGE_LIMIT = 3,
	RANGE_REVISION = 4,
	RANGED_HEADER = 1,
	RANGED_KVS = 2,
	RANGED_MORE = 3,
	HEADER_REVISION = 3,
	KV_KEY = 1,
	KV_VALUE = 5,
	PUT_KEY = 1,
	PUT_VALUE = 2,
	PUT_LEASE = 3,
	LEASE_GRANT_TTL = 1,
	LEASE_ID = 1,  /* of a request to keep or revoke it */
	LEASED_ID = 2, /* of an answer */
	LEASED_TTL = 3,
};

struct gw_etcd {
	struct gw_etcd_grpc *grpc;
	struct gw_etcd_access access;
	char prefix[PREFIX_MAX];
	bool authorized;
};

/* -- one field of a message ---------------------------------------------------------------- */

/* The last of that number and kind, as protobuf wants it; zero or no bytes if there is none. */
static int find_field(struct gw_bytes message, unsigned number, bool is_bytes,
		      struct gw_protobuf_field *found)
{
	struct gw_protobuf_field field;
	int more;

	*found = (struct gw_protobuf_field){0};
	while ((more = gw_protobuf_next(&message, &field)) > 0)
		if (field.number == number && field.is_bytes == is_bytes)
			*found = field;
	return more ? gw_fail_in(more, "etcd") : 0;
}

static int find_number(struct gw_bytes message, unsigned number, int64_t *value)
{
	struct gw_protobuf_field field;
	int err = find_field(message, number, false, &field);

	*value = (int64_t)field.value;
	return err;
}

static int find_bytes(struct gw_bytes message, unsigned number, struct gw_bytes *bytes)
{
	struct gw_protobuf_field field;
	int err = find_field(message, number, true, &field);

	*bytes = field.bytes;
	return err;
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
		err = gw_etcd_grpc_open(&made->grpc, endpoints, tls, &made->access);
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
		gw_etcd_grpc_close(etcd->grpc);
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
	struct gw_protobuf request = {0};
	struct gw_bytes answer, token = {0};
	unsigned status;
	size_t len = 0;
	int err;

	if (!etcd->access.user)
		return gw_fail(EACCES, "etcd wants a user (see --user)");
	if (!etcd->access.password_file)
		return gw_fail(EACCES, "etcd wants the password of user %s (see --password-file)",
			       etcd->access.user);
	err = read_password(&password, &len, etcd->access.password_file);
	if (err)
		return err;
	gw_protobuf_bytes(&request, AUTHENTICATE_NAME, etcd->access.user,
			  strlen(etcd->access.user));
	gw_protobuf_bytes(&request, AUTHENTICATE_PASSWORD, password, strlen(password));
	explicit_bzero(password, len);
	err = gw_etcd_grpc_call(etcd->grpc, "Auth/Authenticate", &request, &answer, &status);
	gw_protobuf_free(&request);
	if (err)
		return err == -EREMOTEIO ? -EACCES : err;
	err = find_bytes(answer, AUTHENTICATED_TOKEN, &token);
	if (!err && !token.len)
		err = gw_fail(EPROTO, "etcd: no token for user %s", etcd->access.user);
	if (!err)
		err = gw_etcd_grpc_authorize(etcd->grpc, token.at, token.len);
	etcd->authorized = !err;
	return err;
}

/* A token lives for some minutes: one that is not taken any more is fetched anew, once. */
static int call(struct gw_etcd *etcd, const char *method, struct gw_protobuf *request,
		struct gw_bytes *answer)
{
	unsigned status = 0;
	int err = 0;

	*answer = (struct gw_bytes){0};
	if (etcd->access.user && !etcd->authorized)
		err = log_in(etcd);
	if (!err)
		err = gw_etcd_grpc_call(etcd->grpc, method, request, answer, &status);
	if (err && status == GW_GRPC_UNAUTHENTICATED && etcd->authorized) {
		etcd->authorized = false;
		gw_etcd_grpc_authorize(etcd->grpc, NULL, 0);
		err = log_in(etcd);
		if (!err)
			err = gw_etcd_grpc_call(etcd->grpc, method, request, answer, &status);
	}
	gw_protobuf_free(request);
	return err;
}

/* -- keys ---------------------------------------------------------------------------------- */

/* A walk over all keys that begin with @prefix. */
struct walk {
	const char *prefix;
	size_t prefix_len;
	char end[PREFIX_MAX * 2]; /* not less than any of them: its last byte plus one */
	char *from;		  /* the first one that was not seen; with a NUL behind it */
	size_t from_len;
	int64_t revision; /* all pages are of one moment */
	uint64_t page, seen, bytes;
};

/* @kv is a KeyValue. Its key is the last that was seen. */
static int tell_key(struct walk *walk, struct gw_bytes kv, gw_etcd_fn *fn, void *opaque)
{
	struct gw_bytes key, value;
	int err = find_bytes(kv, KV_KEY, &key);

	if (!err)
		err = find_bytes(kv, KV_VALUE, &value);
	if (err)
		return err;
	if (key.len < walk->prefix_len || memcmp(key.at, walk->prefix, walk->prefix_len) != 0)
		return gw_fail(EPROTO, "etcd: a key that was not asked for");
	free(walk->from);
	walk->from_len = key.len + 1; /* the next one: this and a NUL, which stands behind it */
	walk->from = calloc(1, key.len + 1);
	if (!walk->from)
		return gw_fail(ENOMEM, "etcd: no memory");
	memcpy(walk->from, key.at, key.len);
	walk->seen++;
	walk->bytes += key.len + value.len;
	return fn(opaque, walk->from, value.at, value.len);
}

static int tell_page(struct walk *walk, struct gw_bytes page, gw_etcd_fn *fn, void *opaque)
{
	struct gw_protobuf_field field;
	int err;

	while ((err = gw_protobuf_next(&page, &field)) > 0) {
		if (field.number != RANGED_KVS || !field.is_bytes)
			continue;
		err = tell_key(walk, field.bytes, fn, opaque);
		if (err)
			return err;
	}
	return err ? gw_fail_in(err, "etcd") : 0;
}

/* How many keys are asked for, so that a page is neither a matter of nothing nor of a gigabyte. */
static uint64_t page_keys(const struct walk *walk)
{
	uint64_t fit = walk->seen ? PAGE_BYTES / (walk->bytes / walk->seen + 1) : PAGE_FIRST;

	fit = GW_MIN(fit, (uint64_t)PAGE_MAX);
	return GW_MAX(fit, (uint64_t)1);
}

static int fetch_page(struct gw_etcd *etcd, const struct walk *walk, struct gw_bytes *page)
{
	struct gw_protobuf request = {0};

	gw_protobuf_bytes(&request, RANGE_KEY, walk->from, walk->from_len);
	gw_protobuf_bytes(&request, RANGE_END, walk->end, strlen(walk->end));
	gw_protobuf_number(&request, RANGE_LIMIT, page_keys(walk));
	gw_protobuf_number(&request, RANGE_REVISION, (uint64_t)walk->revision);
	return call(etcd, "KV/Range", &request, page);
}

/* The revision is in the header of each page; what it is told once is asked for from then on. */
static int find_revision(struct walk *walk, struct gw_bytes page)
{
	struct gw_bytes header;
	int err = walk->revision ? 0 : find_bytes(page, RANGED_HEADER, &header);

	if (err || walk->revision)
		return err;
	return find_number(header, HEADER_REVISION, &walk->revision);
}

static int walk_pages(struct gw_etcd *etcd, struct walk *walk, gw_etcd_fn *fn, void *opaque)
{
	int64_t more = true;
	int err = 0;

	while (!err && more) {
		uint64_t before = walk->seen;
		struct gw_bytes page;

		err = fetch_page(etcd, walk, &page);
		if (!err)
			err = find_revision(walk, page);
		if (!err)
			err = find_number(page, RANGED_MORE, &more);
		if (!err)
			err = tell_page(walk, page, fn, opaque);
		if (!err && more && walk->seen == before)
			err = gw_fail(EPROTO, "etcd: an empty page of several");
		if (!err && walk->seen > KEYS_MAX)
			err = gw_fail(EFBIG, "etcd: more than %d keys under %s", KEYS_MAX,
				      walk->prefix);
	}
	return err;
}

int gw_etcd_each(struct gw_etcd *etcd, const char *prefix, gw_etcd_fn *fn, void *opaque)
{
	struct walk walk = {.prefix = prefix, .prefix_len = strlen(prefix)};
	int err;

	if (!walk.prefix_len || walk.prefix_len >= sizeof(walk.end))
		return gw_fail(EINVAL, "etcd: a prefix of %zu bytes", walk.prefix_len);
	memcpy(walk.end, prefix, walk.prefix_len);
	walk.end[walk.prefix_len - 1]++; /* printable, so that it does not run over */
	walk.from = strdup(prefix);
	walk.from_len = walk.prefix_len;
	err = walk.from ? walk_pages(etcd, &walk, fn, opaque) : gw_fail(ENOMEM, "etcd: no memory");
	free(walk.from);
	return err;
}

int gw_etcd_put(struct gw_etcd *etcd, const char *key, const char *value, size_t len, int64_t lease)
{
	struct gw_protobuf request = {0};
	struct gw_bytes answer;

	gw_protobuf_bytes(&request, PUT_KEY, key, strlen(key));
	gw_protobuf_bytes(&request, PUT_VALUE, value, len);
	gw_protobuf_number(&request, PUT_LEASE, (uint64_t)lease);
	return call(etcd, "KV/Put", &request, &answer);
}

/* -- leases -------------------------------------------------------------------------------- */

int gw_etcd_lease_grant(struct gw_etcd *etcd, unsigned ttl, int64_t *lease)
{
	struct gw_protobuf request = {0};
	struct gw_bytes answer;
	int err;

	*lease = 0;
	gw_protobuf_number(&request, LEASE_GRANT_TTL, ttl);
	err = call(etcd, "Lease/LeaseGrant", &request, &answer);
	if (!err)
		err = find_number(answer, LEASED_ID, lease);
	return err || *lease ? err : gw_fail(EPROTO, "etcd: a lease without a number");
}

/* A stream of requests and answers to etcd; here of one. */
int gw_etcd_lease_keep(struct gw_etcd *etcd, int64_t lease)
{
	struct gw_protobuf request = {0};
	struct gw_bytes answer;
	int64_t ttl = 0;
	int err;

	gw_protobuf_number(&request, LEASE_ID, (uint64_t)lease);
	err = call(etcd, "Lease/LeaseKeepAlive", &request, &answer);
	if (!err)
		err = find_number(answer, LEASED_TTL, &ttl);
	return err || ttl > 0 ? err : gw_fail(ENOENT, "etcd: the lease has run out");
}

int gw_etcd_lease_revoke(struct gw_etcd *etcd, int64_t lease)
{
	struct gw_protobuf request = {0};
	struct gw_bytes answer;

	gw_protobuf_number(&request, LEASE_ID, (uint64_t)lease);
	return call(etcd, "Lease/LeaseRevoke", &request, &answer);
}
