/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/uri.c - over which way the guest goes. */
#include <string.h>

#include "cli/migrate/migrate.h"

#define SUFFIX ".migration"

/* What a destination that was started with an address has in query-migrate. */
static const json_t *listening_address(const struct mg_machine *destination)
{
	return json_array_get(json_object_get(destination->migrate, "socket-address"), 0);
}

static bool is_tcp(const char *where)
{
	return !strncmp(where, "tcp:", 4);
}

bool mg_uri_listens(const struct mg_machine *destination)
{
	return !strcmp(mg_migrate_state(destination), "setup");
}

static bool is_any_address(const char *host)
{
	return !*host || !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
}

static bool format_host(const char *host, const char *port, char uri[MG_PATH_MAX])
{
	int n = snprintf(uri, MG_PATH_MAX, strchr(host, ':') ? "tcp:[%s]:%s" : "tcp:%s:%s", host,
			 port);

	return n < MG_PATH_MAX;
}

/* Where it listens at all its addresses, it is found at the one at which its monitor was. */
static bool format_address(const json_t *address, const char *where, char uri[MG_PATH_MAX])
{
	const char *path = json_string_value(json_object_get(address, "path"));
	const char *host = json_string_value(json_object_get(address, "host"));
	const char *port = json_string_value(json_object_get(address, "port"));
	const char *end = strrchr(where, ':');
	int n = 0;

	if (path)
		n = snprintf(uri, MG_PATH_MAX, "unix:%s", path);
	else if (host && port && is_any_address(host) && is_tcp(where))
		n = snprintf(uri, MG_PATH_MAX, "%.*s:%s", (int)(end - where), where, port);
	else if (host && port)
		return format_host(host, port, uri);
	return n > 0 && n < MG_PATH_MAX;
}

bool mg_uri_choose(const struct mg_move *move, char uri[MG_PATH_MAX])
{
	const struct mg_machine *destination = &move->machines[MG_DESTINATION];
	const char *where = destination->where;
	int n;

	if (move->uri) {
		n = snprintf(uri, MG_PATH_MAX, "%s", move->uri);
		return n < MG_PATH_MAX;
	}
	if (mg_uri_listens(destination))
		return format_address(listening_address(destination), where, uri);
	if (is_tcp(where))
		return false;
	n = snprintf(uri, MG_PATH_MAX, "%s%s" SUFFIX, strncmp(where, "unix:", 5) ? "unix:" : "",
		     where);
	return n < MG_PATH_MAX;
}
