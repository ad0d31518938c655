/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/hosts.c - documents of many hosts: files of a directory, or keys of etcd. */
#include "cli/fleet/hosts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/what/what.h"
#include "godwit/compat.h"
#include "godwit/error.h"

#define ROOM_FIRST 64
#define PATH_ROOM  4096

int gw_host_name_check(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-_";
	size_t len = strlen(name);

	if (!len || len > GW_HOST_NAME_MAX || name[0] == '.' || strspn(name, letters) != len)
		return gw_fail(EINVAL,
			       "'%.64s' is no name of a host: expected letters, digits, '.', '-' "
			       "and '_', at most %d",
			       name, GW_HOST_NAME_MAX);
	return 0;
}

/* @text is taken over, also on failure. */
static int add(struct gw_hosts *hosts, const char *name, char *text, size_t len)
{
	GW_AUTO_FREE char *kept = text;
	struct gw_host *host;

	if (hosts->count == GW_HOSTS_MAX)
		return gw_fail(EFBIG, "more than %d hosts", GW_HOSTS_MAX);
	/* Room doubles: whenever the count is a power of two it is used up. */
	if (hosts->count >= ROOM_FIRST ? !(hosts->count & (hosts->count - 1)) : !hosts->count) {
		size_t room = hosts->count ? hosts->count * 2 : ROOM_FIRST;
		struct gw_host *more = reallocarray(hosts->host, room, sizeof(*more));

		if (!more)
			return gw_fail(ENOMEM, "no memory for hosts");
		hosts->host = more;
	}
	host = &hosts->host[hosts->count];
	*host = (struct gw_host){.name = strdup(name), .len = len};
	if (!host->name)
		return gw_fail(ENOMEM, "no memory for hosts");
	host->text = gw_take_ptr(kept);
	hosts->count++;
	return 0;
}

/* -- a directory --------------------------------------------------------------------------- */

static void close_directory(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

static int add_file(struct gw_hosts *hosts, const char *file)
{
	size_t len = strlen(file), suffix = strlen(GW_HOST_SUFFIX);
	char name[NAME_MAX + 1];

	if (file[0] == '.' || len <= suffix || strcmp(file + len - suffix, GW_HOST_SUFFIX) != 0)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)(len - suffix), file);
	if (gw_host_name_check(name)) {
		gw_warn("%s/%s is passed over: %s", hosts->directory, file, gw_last_error());
		return 0;
	}
	return add(hosts, name, NULL, 0);
}

static int list_directory(struct gw_hosts *hosts, const char *path)
{
	GW_CLEANUP(close_directory) DIR *directory = opendir(path);
	const struct dirent *entry;
	int err = 0;

	if (!directory)
		return gw_fail(errno, "%s: %s", path, strerror(errno));
	hosts->directory = strdup(path);
	if (!hosts->directory)
		return gw_fail(ENOMEM, "no memory for hosts");
	errno = 0;
	while (!err && (entry = readdir(directory)))
		err = add_file(hosts, entry->d_name);
	if (!err && errno)
		err = gw_fail(errno, "%s: %s", path, strerror(errno));
	return err;
}

int gw_host_read(const struct gw_hosts *hosts, const struct gw_host *host, char **text, size_t *len)
{
	char path[PATH_ROOM];

	if (host->text) {
		*text = strdup(host->text);
		*len = host->len;
		return *text ? 0 : gw_fail(ENOMEM, "%s: no memory", host->name);
	}
	snprintf(path, sizeof(path), "%s/%s" GW_HOST_SUFFIX, hosts->directory, host->name);
	return gw_what_read_file(text, len, path, GW_DOCUMENT_MAX);
}

/* -- etcd ---------------------------------------------------------------------------------- */

struct listing {
	struct gw_hosts *hosts;
	size_t prefix_len;
};

/* PREFIX/hosts/NAME/info; other keys below PREFIX are not ours to judge. */
static int add_key(void *opaque, const char *key, const char *value, size_t len)
{
	const struct listing *listing = opaque;
	const char *rest = key + listing->prefix_len;
	const char *end = strchr(rest, '/');
	char name[GW_HOST_NAME_MAX + 1];
	char *text;

	if (!end || strcmp(end, GW_HOST_INFO) != 0 || end - rest > GW_HOST_NAME_MAX)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)(end - rest), rest);
	if (gw_host_name_check(name)) {
		gw_warn("a key of etcd's is passed over: %s", gw_last_error());
		return 0;
	}
	text = malloc(len + 1);
	if (!text)
		return gw_fail(ENOMEM, "no memory for hosts");
	memcpy(text, value, len + 1);
	return add(listing->hosts, name, text, len);
}

static int list_etcd(struct gw_hosts *hosts, const char *url, const struct gw_etcd_access *access)
{
	GW_AUTO_FREE char *prefix = NULL;
	struct gw_etcd *etcd = NULL;
	struct listing listing = {.hosts = hosts};
	int err = gw_etcd_open(&etcd, url, access);

	if (!err && asprintf(&prefix, "%s" GW_HOSTS_OF_ETCD, gw_etcd_prefix(etcd)) < 0)
		err = gw_fail(ENOMEM, "no memory for hosts");
	if (!err) {
		listing.prefix_len = strlen(prefix);
		err = gw_etcd_each(etcd, prefix, add_key, &listing);
	}
	gw_etcd_close(etcd);
	return err;
}

/* -- both ---------------------------------------------------------------------------------- */

static int by_name(const void *left, const void *right)
{
	return strcmp(((const struct gw_host *)left)->name, ((const struct gw_host *)right)->name);
}

int gw_hosts_list(struct gw_hosts *hosts, const char *where, const struct gw_etcd_access *access)
{
	int err;

	*hosts = (struct gw_hosts){0};
	err = gw_etcd_is_url(where) ? list_etcd(hosts, where, access)
				    : list_directory(hosts, where);
	if (!err && hosts->count)
		qsort(hosts->host, hosts->count, sizeof(*hosts->host), by_name);
	return err;
}

void gw_hosts_free(struct gw_hosts *hosts)
{
	for (size_t i = 0; i < hosts->count; i++) {
		free(hosts->host[i].name);
		free(hosts->host[i].text);
	}
	free(hosts->host);
	free(hosts->directory);
	*hosts = (struct gw_hosts){0};
}
