/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/etcd_http.c - one request to one of several endpoints, by libcurl. */
#include "cli/fleet/etcd_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "godwit/error.h"

/* A page of 256 documents of a common size has some MiB. */
#define ANSWER_MAX    (256u << 20)
#define ENDPOINTS_MAX 16
#define URL_ROOM      512
#define HTTP_OK	      200

struct gw_etcd_http {
	CURL *curl;
	const struct gw_etcd_access *access;
	bool tls;
	char *endpoints; /* cut at the commas */
	const char *endpoint[ENDPOINTS_MAX];
	unsigned count, current;
	struct curl_slist *headers;
	char why[CURL_ERROR_SIZE];
};

struct answer {
	char *text;
	size_t len, room;
};

static size_t collect(char *data, size_t size, size_t count, void *opaque)
{
	struct answer *answer = opaque;
	size_t len = size * count;

	if (len > ANSWER_MAX - answer->len)
		return 0;
	if (answer->len + len >= answer->room) {
		size_t room = (answer->len + len) * 2 + 1;
		char *text = realloc(answer->text, room);

		if (!text)
			return 0;
		answer->text = text;
		answer->room = room;
	}
	memcpy(answer->text + answer->len, data, len);
	answer->len += len;
	answer->text[answer->len] = '\0';
	return len;
}

static int split_endpoints(struct gw_etcd_http *http, const char *endpoints)
{
	char *rest;

	http->endpoints = strdup(endpoints);
	if (!http->endpoints)
		return gw_fail(ENOMEM, "etcd: no memory");
	rest = http->endpoints;
	while (rest && http->count < ENDPOINTS_MAX)
		http->endpoint[http->count++] = strsep(&rest, ",");
	return rest ? gw_fail(EINVAL, "etcd: more than %u endpoints", ENDPOINTS_MAX) : 0;
}

int gw_etcd_http_open(struct gw_etcd_http **http, const char *endpoints, bool tls,
		      const struct gw_etcd_access *access)
{
	struct gw_etcd_http *made = calloc(1, sizeof(*made));
	int err;

	if (!made)
		return gw_fail(ENOMEM, "etcd: no memory");
	made->access = access;
	made->tls = tls;
	made->curl = curl_easy_init();
	err = made->curl ? split_endpoints(made, endpoints) : gw_fail(ENOMEM, "etcd: no libcurl");
	if (!err)
		err = gw_etcd_http_authorize(made, NULL);
	if (err) {
		gw_etcd_http_close(made);
		return err;
	}
	*http = made;
	return 0;
}

void gw_etcd_http_close(struct gw_etcd_http *http)
{
	if (!http)
		return;
	curl_slist_free_all(http->headers);
	if (http->curl) {
		void (*sigpipe)(int) = signal(SIGPIPE, SIG_IGN);

		curl_easy_cleanup(http->curl); /* TLS says goodbye, perhaps to nobody */
		signal(SIGPIPE, sigpipe);
	}
	free(http->endpoints);
	free(http);
}

int gw_etcd_http_authorize(struct gw_etcd_http *http, const char *token)
{
	GW_AUTO_FREE char *line = NULL;
	struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");

	if (list && token && asprintf(&line, "Authorization: %s", token) >= 0) {
		struct curl_slist *longer = curl_slist_append(list, line);

		if (!longer)
			curl_slist_free_all(list);
		list = longer;
	}
	curl_slist_free_all(http->headers);
	http->headers = list;
	return list ? 0 : gw_fail(ENOMEM, "etcd: no memory");
}

/* Nothing of the environment (proxies, .netrc) decides where a document goes. */
static void set_up(struct gw_etcd_http *http, const char *url, const char *body,
		   struct answer *answer)
{
	const struct gw_etcd_access *access = http->access;
	CURL *curl = http->curl;

	curl_easy_reset(curl); /* connections are kept */
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, http->headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)access->timeout);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)access->timeout);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->why);
	if (access->cacert)
		curl_easy_setopt(curl, CURLOPT_CAINFO, access->cacert);
	if (access->cert)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, access->cert);
	if (access->key)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, access->key);
}

/* The same endpoint again, as long as it answers; else the next one, each once. */
static CURLcode perform(struct gw_etcd_http *http, const char *path, const char *body,
			struct answer *answer)
{
	CURLcode code = CURLE_COULDNT_CONNECT;
	char url[URL_ROOM];

	for (unsigned tried = 0; tried < http->count; tried++) {
		snprintf(url, sizeof(url), "%s://%s%s", http->tls ? "https" : "http",
			 http->endpoint[http->current], path);
		answer->len = 0;
		http->why[0] = '\0';
		set_up(http, url, body, answer);
		code = curl_easy_perform(http->curl);
		if (code == CURLE_OK)
			break;
		gw_set_error("etcd %s: %s", http->endpoint[http->current],
			     http->why[0] ? http->why : curl_easy_strerror(code));
		http->current = (http->current + 1) % http->count;
	}
	return code;
}

static int judge_answer(struct gw_etcd_http *http, const struct answer *answer, json_t **json,
			long *status)
{
	const char *endpoint = http->endpoint[http->current], *message;

	curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, status);
	*json = answer->text ? json_loads(answer->text, 0, NULL) : NULL;
	if (*status == HTTP_OK && json_is_object(*json))
		return 0;
	message = json_string_value(json_object_get(*json, "message"));
	if (!message)
		message = json_string_value(json_object_get(*json, "error"));
	if (message)
		gw_fail(EREMOTEIO, "etcd %s: %.200s", endpoint, message);
	else
		gw_fail(EPROTO, "etcd %s: an answer that is none of etcd's (HTTP status %ld)",
			endpoint, *status);
	json_decref(*json);
	*json = NULL;
	return message ? -EREMOTEIO : -EPROTO;
}

int gw_etcd_http_post(struct gw_etcd_http *http, const char *path, json_t *body, json_t **answer,
		      long *status)
{
	GW_AUTO_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct answer got = {0};
	void (*sigpipe)(int);
	int err;

	json_decref(body);
	*answer = NULL;
	*status = 0;
	if (!text)
		return gw_fail(ENOMEM, "etcd: no memory");
	/* Without CURLOPT_NOSIGNAL libcurl would do so itself, and use SIGALRM besides. */
	sigpipe = signal(SIGPIPE, SIG_IGN);
	if (perform(http, path, text, &got) == CURLE_OK)
		err = judge_answer(http, &got, answer, status);
	else
		err = -ECONNREFUSED;
	signal(SIGPIPE, sigpipe);
	free(got.text);
	return err;
}
