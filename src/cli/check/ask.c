/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/check/ask.c - the destination's own word, by the code of start-up: --check-migration. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/options.h"
#include "cli/ask.h"
#include "cli/check/check.h"
#include "cli/what/run.h"
#include "godwit/error.h"
#include "model/document.h"

#define ANSWER_MAX (64 * 1024)

static int cannot_tell(const struct gw_check *check, const char *why)
{
	return gw_compat_report_add(check->report, GW_CANNOT_TELL, check->to_name,
				    "%s does not say whether it could be that: %.256s",
				    check->to_name, why);
}

/* A code that only the destination knows is a refusal all the same. */
static enum gw_refusal code_of(const char *name)
{
	for (int code = GW_MODEL_UNKNOWN; name && code < GW_CANNOT_TELL; code++)
		if (!strcmp(name, gw_refusal_name((enum gw_refusal)code)))
			return (enum gw_refusal)code;
	return GW_COMBINATION_REFUSED;
}

/* Nothing in its text may steer a terminal. */
static char *printable(const char *text)
{
	char *copy = strndup(text ? text : "it gives no reason", 256);

	for (char *c = copy; c && *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	return copy;
}

static int add_reason(const struct gw_check *check, const json_t *reason)
{
	GW_AUTO_FREE char *text = printable(json_string_value(json_object_get(reason, "text")));

	if (!text)
		return gw_fail(ENOMEM, "no memory");
	return gw_compat_report_add(check->report,
				    code_of(json_string_value(json_object_get(reason, "code"))), "",
				    "%s: %s", check->to_name, text);
}

static int add_reasons(const struct gw_check *check, const char *answer, size_t len)
{
	json_t *root = json_loadb(answer, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *reasons = json_object_get(root, "reasons");
	size_t count = json_array_size(reasons);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = add_reason(check, json_array_get(reasons, i));
	/* It refuses, and does not say why. */
	if (!count)
		err = add_reason(check, NULL);
	json_decref(root);
	return err;
}

static int judge(const struct gw_check *check, const struct gw_ran *ran)
{
	switch (ran->code) {
	case GW_EXIT_OK:
		return 0;
	case GW_EXIT_FAILED:
		return add_reasons(check, ran->out, ran->out_len);
	default: {
		GW_AUTO_FREE char *why = printable(ran->err);

		return why ? cannot_tell(check, why) : gw_fail(ENOMEM, "no memory");
	}
	}
}

static int ask(const struct gw_check *check, const char *document)
{
	char **command = check->to->command;
	struct gw_ran ran = {0};
	unsigned count = 0;
	int err;

	while (command[count])
		count++;
	command[count] = (char *)"--check-migration";
	err = gw_run(&ran, command, document, strlen(document), ANSWER_MAX, GW_WHAT_SECONDS);
	command[count] = NULL;
	err = err ? cannot_tell(check, gw_last_error()) : judge(check, &ran);
	free(ran.out);
	return err;
}

static int ask_control_socket(const char *path, json_t *document, json_t **verdict)
{
	json_t *arguments = json_pack("{s:O}", "document", document);
	int err = gw_cli_ask_about(path, "check-migration", arguments, GW_WHAT_SECONDS, verdict);

	json_decref(arguments);
	return err;
}

/* One that waits has been started, and says the same. */
static int ask_waiting(const struct gw_check *check, json_t *document)
{
	GW_AUTO_FREE char *text = NULL;
	json_t *verdict = NULL;
	int err = check->ask ? check->ask(check->opaque, document, &verdict)
			     : ask_control_socket(check->to_name, document, &verdict);

	if (err)
		return cannot_tell(check, gw_last_error());
	if (!json_is_true(json_object_get(verdict, "compatible")))
		text = json_dumps(verdict, JSON_COMPACT);
	json_decref(verdict);
	return text ? add_reasons(check, text, strlen(text)) : 0;
}

int gw_check_ask(const struct gw_check *check)
{
	GW_AUTO_FREE char *text = NULL;
	json_t *document;
	int err = 0;

	/* What documents refuse needs no second word; of what is not decided there is none. */
	if ((!check->to->command && !check->to->answers) ||
	    gw_compat_instance_unset(check->source, 0) ||
	    gw_compat_report_verdict(check->report) == GW_INCOMPATIBLE)
		return 0;
	document = gw_compat_instance_json(check->source);
	if (!document)
		return gw_fail(ENOMEM, "no memory");
	if (check->to->answers) {
		err = ask_waiting(check, document);
	} else {
		text = json_dumps(document, JSON_COMPACT);
		err = text ? ask(check, text) : gw_fail(ENOMEM, "no memory");
	}
	json_decref(document);
	return err;
}
