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

#define PATH_ROOM 4096

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

/* Who is told of each host, and how many there were. */
struct listing {
	const char *where;
	gw_host_fn *fn;
	void *opaque;
	size_t count;
	size_t prefix_len; /* of etcd's keys */
};

/* @text is taken over, also on failure. */
static int tell(struct listing *listing, const char *name, char *text, size_t len)
{
	if (listing->count++ < GW_HOSTS_MAX)
		return listing->fn(listing->opaque, name, text, len);
	free(text);
	return gw_fail(EFBIG, "%s: more than %d hosts", listing->where, GW_HOSTS_MAX);
}

/* -- a directory --------------------------------------------------------------------------- */

static void close_directory(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

static int tell_file(struct listing *listing, const char *file)
{
	size_t len = strlen(file), suffix = strlen(GW_HOST_SUFFIX);
	char name[NAME_MAX + 1];

	if (file[0] == '.' || len <= suffix || strcmp(file + len - suffix, GW_HOST_SUFFIX) != 0)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)(len - suffix), file);
	if (gw_host_name_check(name)) {
		gw_warn("%s/%s is passed over: %s", listing->where, file, gw_last_error());
		return 0;
	}
	return tell(listing, name, NULL, 0);
}

static int list_directory(struct listing *listing)
{
	GW_CLEANUP(close_directory) DIR *directory = opendir(listing->where);
	const struct dirent *entry;
	int err = 0;

	if (!directory)
		return gw_fail(errno, "%s: %s", listing->where, strerror(errno));
	for (;;) {
		errno = 0;
		entry = readdir(directory);
		if (!entry)
			return errno ? gw_fail(errno, "%s: %s", listing->where, strerror(errno))
				     : 0;
		err = tell_file(listing, entry->d_name);
		if (err)
			return err;
	}
}

int gw_host_read(const char *where, const char *name, char **text, size_t *len)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "%s/%s" GW_HOST_SUFFIX, where, name);
	return gw_what_read_file(text, len, path, GW_DOCUMENT_MAX);
}

/* -- etcd ---------------------------------------------------------------------------------- */

/* PREFIX/hosts/NAME/info; other keys below PREFIX are not ours to judge. */
static int tell_key(void *opaque, const char *key, const void *value, size_t len)
{
	struct listing *listing = opaque;
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
	if (len)
		memcpy(text, value, len);
	return tell(listing, name, text, len);
}

static int list_etcd(struct listing *listing, const struct gw_etcd_access *access)
{
	GW_AUTO_FREE char *prefix = NULL;
	struct gw_etcd *etcd = NULL;
	int err = gw_etcd_open(&etcd, listing->where, access);

	if (!err && asprintf(&prefix, "%s" GW_HOSTS_OF_ETCD, gw_etcd_prefix(etcd)) < 0)
		err = gw_fail(ENOMEM, "no memory for hosts");
	if (!err) {
		listing->prefix_len = strlen(prefix);
		err = gw_etcd_each(etcd, prefix, tell_key, listing);
	}
	gw_etcd_close(etcd);
	return err;
}

/* ------------------------------------------------------------------------------------------ */

int gw_hosts_each(const char *where, const struct gw_etcd_access *access, gw_host_fn *fn,
		  void *opaque)
{
	struct listing listing = {.where = where, .fn = fn, .opaque = opaque};

	return gw_etcd_is_url(where) ? list_etcd(&listing, access) : list_directory(&listing);
}
