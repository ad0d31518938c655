/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/publish.c - `godwit publish`: what this host can be, where `godwit find` looks for it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/options.h"
#include "cli/command.h"
#include "cli/fleet/access.h"
#include "cli/fleet/hosts.h"
#include "cli/what/what.h"
#include "godwit/error.h"
#include "migration/info.h"

#define TTL_DEFAULT_S 30
#define TTL_MIN_S     3
#define TTL_MAX_S     86400
/* A lease is kept three times before it could run out. */
#define KEEPS_A_TTL 3
#define RETRY_S	    1
#define PATH_ROOM   4096
#define NUMBER_MAX  64 /* bytes of a file with a number */

struct publish_options {
	const char *host, *sysfs_root, *available;
	unsigned ttl;
	bool help;
};

#define AT(member) offsetof(struct publish_options, member)
static const struct gw_option options[] = {
	{"host", "NAME", "this host's [as the kernel has it]", AT(host), GW_OPTION_STRING,
	 .max = GW_HOST_NAME_MAX},
	{"available-instances", "N", "room for N more of each model, or a file with N",
	 AT(available), GW_OPTION_STRING},
	{"ttl", "SECONDS", "of etcd: gone so long after this host is [30]", AT(ttl),
	 GW_OPTION_NUMBER, .min = TTL_MIN_S, .max = TTL_MAX_S},
	{"sysfs-root", "DIR", "look for mediated devices there [/sys]", AT(sysfs_root),
	 GW_OPTION_STRING},
	{"help", NULL, "print this", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{NULL},
};

struct publishing {
	const struct publish_options *given;
	const struct gw_etcd_access *access;
	const char *what, *where;
	char host[GW_HOST_NAME_MAX + 1];
	struct gw_etcd *etcd;
	char *key;
	int64_t lease; /* 0: nothing is published */
	char *published;
};

/* -- what is published --------------------------------------------------------------------- */

/* A number of at most INT32_MAX, and nothing behind it. */
static bool read_number(const char *text, int64_t *number)
{
	size_t len = strspn(text, "0123456789");

	*number = len && len <= 10 ? strtoll(text, NULL, 10) : -1;
	return *number >= 0 && *number <= INT32_MAX && !text[len];
}

/* What has no '/' is no file, so that a number with a slip in it is found at once. */
static int check_available(const char *given)
{
	int64_t number;

	if (!given || strchr(given, '/') || read_number(given, &number))
		return 0;
	return gw_fail(EINVAL,
		       "option --available-instances: '%.32s', expected a number of at most %d, or "
		       "the path, with a '/', of a file that has one",
		       given, INT32_MAX);
}

/* As the option has it, or the file that it names, which may say something else each time. */
static int limit_instances(const struct publishing *p, json_t *document)
{
	const char *given = p->given->available;
	GW_AUTO_FREE char *text = NULL;
	int64_t available;
	size_t len;
	int err;

	if (!read_number(given, &available)) {
		err = gw_what_read_file(&text, &len, given, NUMBER_MAX);
		if (err)
			return err;
		text[strcspn(text, "\n")] = 0;
		if (!read_number(text, &available))
			return gw_fail(EINVAL, "%s: '%.32s' is no number of instances", given,
				       text);
	}
	gw_info_set_available(document, available);
	return 0;
}

/* NULL with a sentence: it cannot be told what this host is now. */
static char *read_document(const struct publishing *p)
{
	const char *sysfs = p->given->sysfs_root ? p->given->sysfs_root : GW_WHAT_SYSFS;
	struct gw_what *what = NULL;
	char *text = NULL;

	if (gw_what_read(&what, p->what, sysfs))
		return NULL;
	if (what->implementation_count != 1)
		gw_set_error("%s: expected one implementation, here are %u", p->what,
			     what->implementation_count);
	else if (!p->given->available || !limit_instances(p, what->implementations[0].document))
		text = json_dumps(what->implementations[0].document, JSON_COMPACT | JSON_SORT_KEYS);
	gw_what_free(what);
	return text;
}

/* -- into a directory ---------------------------------------------------------------------- */

/* Negative errno without a sentence: the file's name says nothing to anybody. */
static int write_whole(const char *path, const char *text)
{
	GW_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t len = strlen(text), done = 0;

	while (fd >= 0 && done < len) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0)
			break;
		done += (size_t)n;
	}
	return fd < 0 || done < len || fsync(fd) ? -errno : 0;
}

/* Whoever reads meanwhile finds the old document or the new one, whole. */
static int publish_file(const struct publishing *p)
{
	GW_AUTO_FREE char *text = read_document(p);
	char path[PATH_ROOM], temporary[PATH_ROOM];
	int err;

	if (!text)
		return -EIO;
	snprintf(path, sizeof(path), "%s/%s" GW_HOST_SUFFIX, p->where, p->host);
	snprintf(temporary, sizeof(temporary), "%s/.%s.%ld", p->where, p->host, (long)getpid());
	err = write_whole(temporary, text);
	if (err)
		gw_fail(-err, "%s: no document can be written there: %s", p->where, strerror(-err));
	else if (rename(temporary, path))
		err = gw_fail(errno, "%s: %s", path, strerror(errno));
	if (err)
		unlink(temporary);
	return err;
}

/* -- under a lease ------------------------------------------------------------------------- */

static void withdraw(struct publishing *p)
{
	if (p->lease)
		gw_etcd_lease_revoke(p->etcd, p->lease);
	p->lease = 0;
	free(gw_take_ptr(p->published));
}

static int put(struct publishing *p, char *text)
{
	int err = gw_etcd_put(p->etcd, p->key, text, strlen(text), p->lease);

	if (err)
		return err;
	if (!p->published)
		gw_info("published %s", p->key);
	free(p->published);
	p->published = strdup(text);
	return 0;
}

/*
 * One round: what this host is now is there, under a lease that lives. What cannot be told any more
 * is withdrawn: no document is better than one that may be wrong.
 */
static int publish_round(struct publishing *p)
{
	GW_AUTO_FREE char *text = read_document(p);
	int err = 0;

	if (!text) {
		withdraw(p);
		return -EIO;
	}
	if (p->lease)
		err = gw_etcd_lease_keep(p->etcd, p->lease);
	if (err == -ENOENT) {
		p->lease = 0;
		free(gw_take_ptr(p->published));
		err = 0;
	}
	if (!err && !p->lease)
		err = gw_etcd_lease_grant(p->etcd, p->given->ttl, &p->lease);
	if (!err && (!p->published || strcmp(p->published, text) != 0))
		err = put(p, text);
	return err;
}

/* True if somebody wants this to end. SIGHUP wants it to look now. */
static bool wait_for(unsigned seconds, const sigset_t *signals)
{
	const struct timespec time = {.tv_sec = seconds};
	int number = sigtimedwait(signals, NULL, &time);

	return number > 0 && number != SIGHUP;
}

static int publish_on(struct publishing *p)
{
	unsigned period = GW_MAX(p->given->ttl / KEEPS_A_TTL, 1u);
	bool told = false;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	for (;;) {
		int err = publish_round(p);

		if (err && !told)
			gw_warn("not published: %s; trying on", gw_last_error());
		told = err;
		if (wait_for(err ? RETRY_S : period, &signals))
			break;
	}
	withdraw(p);
	return 0;
}

static int publish_etcd(struct publishing *p)
{
	int err = gw_etcd_open(&p->etcd, p->where, p->access);

	if (!err && asprintf(&p->key, "%s" GW_HOSTS_OF_ETCD "%s" GW_HOST_INFO,
			     gw_etcd_prefix(p->etcd), p->host) < 0)
		err = gw_fail(ENOMEM, "no memory");
	if (!err)
		err = publish_on(p);
	free(p->published);
	free(p->key);
	gw_etcd_close(p->etcd);
	return err;
}

/* ------------------------------------------------------------------------------------------ */

static int name_host(struct publishing *p)
{
	if (p->given->host)
		snprintf(p->host, sizeof(p->host), "%s", p->given->host);
	else if (gethostname(p->host, sizeof(p->host) - 1))
		return gw_fail(errno, "this host has no name (see --host)");
	return gw_host_name_check(p->host);
}

static int publish(struct publishing *p)
{
	int err = name_host(p);

	if (err)
		return gw_cli_complain("publish", GW_EXIT_USAGE);
	err = gw_etcd_is_url(p->where) ? publish_etcd(p) : publish_file(p);
	return err ? gw_cli_complain("publish", GW_EXIT_FAILED) : GW_EXIT_OK;
}

int gw_cli_publish(int argc, char **argv)
{
	struct publish_options given = {.ttl = TTL_DEFAULT_S};
	struct gw_etcd_access access = gw_etcd_access_default;
	struct publishing publishing = {.given = &given, .access = &access};
	const struct gw_option_table tables[] = {
		{"options", options, &given}, {"etcd", gw_etcd_options, &access}, {NULL}};
	const struct gw_command_line line = {
		.program = "godwit publish",
		.summary = "Keep what this host's back-end can be where godwit find looks for it.",
		.operands = "WHAT HOSTS",
		.tables = tables,
	};
	int first;

	if (gw_options_parse(&line, argc, argv, &first))
		return gw_cli_complain("publish", GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (first != argc - 2) {
		gw_fail(EINVAL, "what is published (a back-end, a document), and where: a "
				"directory, or etcd://HOST:PORT/PREFIX (see --help)");
		return gw_cli_complain("publish", GW_EXIT_USAGE);
	}
	if (check_available(given.available))
		return gw_cli_complain("publish", GW_EXIT_USAGE);
	publishing.what = argv[first];
	publishing.where = argv[first + 1];
	return publish(&publishing);
}
