/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/etcd_grpc.c - one call to one of several endpoints, by libcurl. */
/*
 * gRPC over HTTP/2 (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md) is a POST of one message behind a
 * head of five bytes, answered by the same, and what became of it in trailers. It is what etcd
 * itself speaks; its JSON gateway costs it several times the processor time (docs/results.md), and
 * both a third more bytes. Compression is not asked for, so that none may come.
 */
#include "cli/fleet/etcd_grpc.h"

#include <curl/curl.h>
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "godwit/error.h"

#define ANSWER_MAX    (512u << 20)
#define ANSWER_FIRST  (64u << 10)
#define BUFFER	      (512u << 10)
#define ENDPOINTS_MAX 16
#define URL_ROOM      512
#define TOKEN_MAX     4096
#define WORDS_MAX     256
#define HTTP_OK	      200
#define DECIMAL	      10
#define HEX	      16

struct __attribute__((packed)) head {
	uint8_t compressed;
	uint32_t len; /* big-endian */
};

struct answer {
	uint8_t *bytes; /* a head and a message */
	size_t len, room;
	bool told; /* trailers have come, with: */
	unsigned status;
	char words[WORDS_MAX];
};

struct gw_etcd_grpc {
	CURL *curl;
	const struct gw_etcd_access *access;
	bool tls;
	char *endpoints; /* cut at the commas */
	const char *endpoint[ENDPOINTS_MAX];
	unsigned count, current;
	struct curl_slist *headers;
	struct answer answer;
	char why[CURL_ERROR_SIZE];
};

/* -- what comes ---------------------------------------------------------------------------- */

static size_t collect(char *data, size_t size, size_t count, void *opaque)
{
	struct answer *answer = opaque;
	size_t len = size * count;

	if (len > ANSWER_MAX - answer->len)
		return 0;
	if (answer->len + len > answer->room) {
		size_t room = (answer->len + len) * 2 + ANSWER_FIRST;
		uint8_t *bytes = realloc(answer->bytes, room);

		if (!bytes)
			return 0;
		answer->bytes = bytes;
		answer->room = room;
	}
	memcpy(answer->bytes + answer->len, data, len);
	answer->len += len;
	return len;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	if (!at)
		return -1;
	return (int)(at - digits) < HEX ? (int)(at - digits) : (int)(at - digits) - 6;
}

/* Percent-encoded, and for people: what cannot be printed is a question mark. */
static void read_words(char words[WORDS_MAX], const char *text, size_t len)
{
	size_t to = 0;

	for (size_t at = 0; at < len && to < WORDS_MAX - 1; at++) {
		int high = len - at > 2 && text[at] == '%' ? hex_digit(text[at + 1]) : -1;
		int low = high >= 0 ? hex_digit(text[at + 2]) : -1;
		char c = text[at];

		if (low >= 0) {
			c = (char)(high * HEX + low);
			at += 2;
		}
		words[to++] = c >= ' ' && c < 127 ? c : '?';
	}
	words[to] = '\0';
}

/* What stands behind @name in a line of a head; NULL if it is another line. */
static const char *value_of(const char *name, const char *line, size_t *len)
{
	size_t skip = strlen(name);

	if (*len < skip || strncasecmp(line, name, skip) != 0)
		return NULL;
	while (skip < *len && line[skip] == ' ')
		skip++;
	while (*len > skip && (line[*len - 1] == '\r' || line[*len - 1] == '\n'))
		(*len)--;
	*len -= skip;
	return line + skip;
}

/* Of the head as of the trailers, for a call that fails at once has only the former. */
static size_t read_header(char *line, size_t size, size_t count, void *opaque)
{
	struct answer *answer = opaque;
	size_t status_len = size * count, words_len = status_len;
	const char *status = value_of("grpc-status:", line, &status_len);
	const char *words = value_of("grpc-message:", line, &words_len);

	if (words)
		read_words(answer->words, words, words_len);
	if (!status)
		return size * count;
	answer->told = status_len && status_len < 4;
	answer->status = 0;
	for (size_t i = 0; i < status_len && answer->told; i++) {
		answer->told = status[i] >= '0' && status[i] <= '9';
		answer->status = answer->status * DECIMAL + (unsigned)(status[i] - '0');
	}
	return size * count;
}

/* -- opened -------------------------------------------------------------------------------- */

static int split_endpoints(struct gw_etcd_grpc *grpc, const char *endpoints)
{
	char *rest;

	grpc->endpoints = strdup(endpoints);
	if (!grpc->endpoints)
		return gw_fail(ENOMEM, "etcd: no memory");
	rest = grpc->endpoints;
	while (rest && grpc->count < ENDPOINTS_MAX)
		grpc->endpoint[grpc->count++] = strsep(&rest, ",");
	return rest ? gw_fail(EINVAL, "etcd: more than %u endpoints", ENDPOINTS_MAX) : 0;
}

int gw_etcd_grpc_open(struct gw_etcd_grpc **grpc, const char *endpoints, bool tls,
		      const struct gw_etcd_access *access)
{
	struct gw_etcd_grpc *made;
	int err;

	if (!(curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_HTTP2))
		return gw_fail(ENOSYS, "etcd: the libcurl that is installed here knows no HTTP/2; "
				       "a directory of documents can be used instead");
	made = calloc(1, sizeof(*made));
	if (!made)
		return gw_fail(ENOMEM, "etcd: no memory");
	made->access = access;
	made->tls = tls;
	made->curl = curl_easy_init();
	err = made->curl ? split_endpoints(made, endpoints) : gw_fail(ENOMEM, "etcd: no libcurl");
	if (!err)
		err = gw_etcd_grpc_authorize(made, NULL, 0);
	if (err) {
		gw_etcd_grpc_close(made);
		return err;
	}
	*grpc = made;
	return 0;
}

void gw_etcd_grpc_close(struct gw_etcd_grpc *grpc)
{
	if (!grpc)
		return;
	curl_slist_free_all(grpc->headers);
	if (grpc->curl) {
		void (*sigpipe)(int) = signal(SIGPIPE, SIG_IGN);

		curl_easy_cleanup(grpc->curl); /* TLS says goodbye, perhaps to nobody */
		signal(SIGPIPE, sigpipe);
	}
	free(grpc->answer.bytes);
	free(grpc->endpoints);
	free(grpc);
}

static bool add_header(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	*list = longer ? longer : *list;
	return longer;
}

/* A token of etcd's is letters, digits and dots; what could make a line of its own is none. */
int gw_etcd_grpc_authorize(struct gw_etcd_grpc *grpc, const void *token, size_t len)
{
	char line[sizeof("token: ") + TOKEN_MAX] = "token: ";
	struct curl_slist *list = NULL;
	bool whole;

	if (len > TOKEN_MAX)
		return gw_fail(EPROTO, "etcd: a token of %zu bytes", len);
	for (size_t i = 0; i < len; i++)
		if (((const char *)token)[i] <= ' ' || ((const char *)token)[i] == 127)
			return gw_fail(EPROTO, "etcd: a token that is none");
	if (token)
		memcpy(line + strlen(line), token, len);
	whole = add_header(&list, "Content-Type: application/grpc") &&
		add_header(&list, "TE: trailers") && (!token || add_header(&list, line));
	curl_slist_free_all(grpc->headers);
	grpc->headers = list;
	return whole ? 0 : gw_fail(ENOMEM, "etcd: no memory");
}

/* -- called -------------------------------------------------------------------------------- */

/* Nothing of the environment (proxies, .netrc) decides where a document goes. */
static void set_up(struct gw_etcd_grpc *grpc, const char *url, const void *body, size_t len)
{
	const struct gw_etcd_access *access = grpc->access;
	CURL *curl = grpc->curl;

	curl_easy_reset(curl); /* connections are kept */
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(
		curl, CURLOPT_HTTP_VERSION,
		(long)(grpc->tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE));
	/* libcurl 7.88 knows no second request on a connection that is HTTP/2 without TLS. */
	curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, grpc->tls ? 0L : 1L);
	/* Nor, with a buffer that is smaller than its own for HTTP/2, that there is more in that
	 * one: it waits for the socket, until a timer ends the wait. */
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)BUFFER);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, grpc->headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)access->timeout);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)access->timeout);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &grpc->answer);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, read_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &grpc->answer);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, grpc->why);
	if (access->cacert)
		curl_easy_setopt(curl, CURLOPT_CAINFO, access->cacert);
	if (access->cert)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, access->cert);
	if (access->key)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, access->key);
}

/* The same endpoint again, as long as it answers; else the next one, each once. */
static CURLcode perform(struct gw_etcd_grpc *grpc, const char *method, const void *body, size_t len)
{
	CURLcode code = CURLE_COULDNT_CONNECT;
	char url[URL_ROOM];

	for (unsigned tried = 0; tried < grpc->count; tried++) {
		snprintf(url, sizeof(url), "%s://%s/etcdserverpb.%s", grpc->tls ? "https" : "http",
			 grpc->endpoint[grpc->current], method);
		grpc->answer.len = 0;
		grpc->answer.told = false;
		grpc->answer.words[0] = grpc->why[0] = '\0';
		set_up(grpc, url, body, len);
		code = curl_easy_perform(grpc->curl);
		if (code == CURLE_OK)
			break;
		gw_set_error("etcd %s: %s", grpc->endpoint[grpc->current],
			     grpc->why[0] ? grpc->why : curl_easy_strerror(code));
		grpc->current = (grpc->current + 1) % grpc->count;
	}
	return code;
}

/* The one message that is behind the head, and nothing behind it. */
static bool find_message(const struct answer *answer, struct gw_bytes *message)
{
	struct head head;

	if (answer->len < sizeof(head))
		return false;
	memcpy(&head, answer->bytes, sizeof(head));
	*message = (struct gw_bytes){answer->bytes + sizeof(head), answer->len - sizeof(head)};
	return !head.compressed && be32toh(head.len) == message->len;
}

static int judge_answer(struct gw_etcd_grpc *grpc, struct gw_bytes *message, unsigned *status)
{
	const char *endpoint = grpc->endpoint[grpc->current];
	const struct answer *answer = &grpc->answer;
	long http_status = 0;

	curl_easy_getinfo(grpc->curl, CURLINFO_RESPONSE_CODE, &http_status);
	if (http_status != HTTP_OK || !answer->told)
		return gw_fail(EPROTO,
			       "etcd %s: an answer that is none of etcd's (HTTP status %ld)",
			       endpoint, http_status);
	*status = answer->status;
	if (answer->status)
		return gw_fail(EREMOTEIO, "etcd %s: %s", endpoint,
			       answer->words[0] ? answer->words : "refused, without a reason");
	return find_message(answer, message)
		       ? 0
		       : gw_fail(EPROTO, "etcd %s: an answer that is not one message", endpoint);
}

int gw_etcd_grpc_call(struct gw_etcd_grpc *grpc, const char *method,
		      const struct gw_protobuf *request, struct gw_bytes *answer, unsigned *status)
{
	const struct head head = {.len = htobe32((uint32_t)request->len)};
	size_t len = sizeof(head) + request->len;
	uint8_t *body = request->failed ? NULL : malloc(len);
	void (*sigpipe)(int);
	CURLcode code;

	*status = 0;
	if (!body)
		return gw_fail(ENOMEM, "etcd: no memory");
	memcpy(body, &head, sizeof(head));
	if (request->len)
		memcpy(body + sizeof(head), request->bytes, request->len);
	/* Without CURLOPT_NOSIGNAL libcurl would do so itself, and use SIGALRM besides. */
	sigpipe = signal(SIGPIPE, SIG_IGN);
	code = perform(grpc, method, body, len);
	signal(SIGPIPE, sigpipe);
	explicit_bzero(body, len);
	free(body);
	return code == CURLE_OK ? judge_answer(grpc, answer, status) : -ECONNREFUSED;
}
