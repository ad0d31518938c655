/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/check/checkers.c - the operator's own checkers: executables that get both documents and may
 * refuse. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/check/check.h"
#include "cli/what/run.h"
#include "godwit/error.h"
#include "model/document.h"

#define ANSWER_MAX 4096
#define SECONDS	   10

/* Exit codes of a checker; anything else is no answer. */
enum {
	ACCEPTS = 0,
	REFUSES = 1,  /* its first line of output is the reason */
	NOT_MINE = 2, /* it knows nothing of this model */
};

static int cannot_tell(const struct gw_check *check, const char *name, const char *why)
{
	return gw_compat_report_add(check->report, GW_CANNOT_TELL, name, "checker %s: %.256s", name,
				    why);
}

static int refuse(const struct gw_check *check, const char *name, char *reason)
{
	reason[strcspn(reason, "\n")] = 0;
	for (char *c = reason; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	return gw_compat_report_add(check->report, GW_CHECKER_REFUSED, name,
				    "checker %s refuses: %.256s", name,
				    *reason ? reason : "it gives no reason");
}

static int judge(const struct gw_check *check, const char *name, const struct gw_ran *ran)
{
	char why[64];

	if (ran->code == ACCEPTS || ran->code == NOT_MINE)
		return 0;
	if (ran->code == REFUSES)
		return refuse(check, name, ran->out);
	if (ran->code < 0)
		snprintf(why, sizeof(why), "it was ended by signal %d", ran->signal);
	else
		snprintf(why, sizeof(why), "it ended with exit code %d", ran->code);
	return cannot_tell(check, name, why);
}

static const char *distrust_owner(const struct stat *st)
{
	if ((st->st_uid && st->st_uid != geteuid()) || (st->st_mode & (S_IWGRP | S_IWOTH)))
		return "others than its owner, or root, could change it";
	return NULL;
}

/* What anybody could have written is not run with the operator's rights. */
static const char *distrust(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0)
		return "it is no executable file";
	return distrust_owner(&st);
}

static int ask(const struct gw_check *check, const char *name, const char *documents)
{
	GW_AUTO_FREE char *path = NULL;
	struct gw_ran ran = {0};
	const char *fault;
	int err;

	if (asprintf(&path, "%s/%s", check->checkers, name) < 0) {
		path = NULL;
		return gw_fail(ENOMEM, "no memory");
	}
	fault = distrust(path);
	if (fault)
		return cannot_tell(check, name, fault);
	err = gw_run(&ran, (char *[]){path, NULL}, documents, strlen(documents), ANSWER_MAX,
		     SECONDS);
	err = err ? cannot_tell(check, name, gw_last_error()) : judge(check, name, &ran);
	free(ran.out);
	return err;
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* {"from": the instance, "to": the implementation or the instance that is made there} */
static char *write_documents(const struct gw_check *check)
{
	json_t *to = check->implementation ? json_incref(check->implementation->document)
		     : check->made	   ? gw_compat_instance_json(check->made)
					   : json_null();
	json_t *both = json_pack("{s:i, s:o, s:o}", "format", GW_DOCUMENT_FORMAT, "from",
				 gw_compat_instance_json(check->source), "to", to);
	char *text = both ? json_dumps(both, JSON_COMPACT) : NULL;

	json_decref(both);
	return text;
}

/* Nor is what anybody could have put there, or taken away. No directory has no checkers in it. */
static const char *distrust_directory(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? NULL : strerror(errno);
	return distrust_owner(&st);
}

int gw_check_ask_checkers(const struct gw_check *check)
{
	GW_AUTO_FREE char *documents = NULL;
	struct dirent **names = NULL;
	const char *fault = distrust_directory(check->checkers);
	int count, err = 0;

	if (fault)
		return cannot_tell(check, check->checkers, fault);
	count = scandir(check->checkers, &names, not_hidden, alphasort);
	if (count < 0)
		return errno == ENOENT ? 0 : cannot_tell(check, check->checkers, strerror(errno));
	documents = count ? write_documents(check) : NULL;
	if (count && !documents)
		err = gw_fail(ENOMEM, "no memory");
	for (int i = 0; i < count; i++) {
		if (!err)
			err = ask(check, names[i]->d_name, documents);
		free(names[i]);
	}
	free(names);
	return err;
}
