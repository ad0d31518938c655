/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/session_header.c - what stands at the front of a session's streams: filled in by who
 * saves, adopted by who loads. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "migration/session_internal.h"
#include "model/prerequisite.h"

/* What a device that never ran would be if it ran now; @params is the caller's to free. */
static int params_to_save(const struct gw_session *session, struct gw_params **params)
{
	int err = gw_params_copy(params, session->params);

	return err ? err : gw_params_apply_profile(*params, NULL);
}

static_assert(GW_ENVIRONMENT_MAX == GW_STATE_NAME_MAX, "what is required goes into the header");

int gw_session_fill_header(const struct gw_session *session, struct gw_state_header *header)
{
	struct gw_environment environment;
	bool stateless = session->config.migration == GW_MIGRATION_STATELESS;
	struct gw_params *params = NULL;
	int err = 0, len = 0;

	memcpy(header->implementation, session->implementation, sizeof(header->implementation));
	header->mode = stateless ? GW_MODE_STATELESS : GW_MODE_STATEFUL;
	if (stateless &&
	    getrandom(header->ticket, sizeof(header->ticket), 0) != sizeof(header->ticket))
		return gw_fail(errno ? errno : EIO, "transfer: no ticket: %s", strerror(errno));
	if (session->config.transfer_id)
		memcpy(header->id, session->config.transfer_id, sizeof(header->id));
	else if (getrandom(header->id, sizeof(header->id), 0) != sizeof(header->id))
		return gw_fail(errno ? errno : EIO, "transfer: no random id: %s", strerror(errno));
	gw_session_environment(session, &environment);
	memcpy(header->prerequisites, environment.requires, sizeof(environment.requires));
	if (!session->params)
		return 0;
	err = params_to_save(session, &params);
	if (!err)
		len = gw_params_canonical(params, header->model, sizeof(header->model));
	gw_params_free(params);
	return err ? err : (len < 0 ? len : 0);
}

/* A stream of another make has no model in its header: what is known of it, in ours' place. */
static int complete_model(struct gw_session *session)
{
	struct gw_transfer *transfer = session->transfer;
	struct gw_bytes bytes;
	const struct gw_foreign_format *format = gw_state_reader_foreign(transfer->reader, &bytes);
	struct gw_params *params;
	int err;

	if (!format)
		return 0;
	err = gw_params_copy(&params, session->params);
	if (err)
		return err;
	err = format->params(bytes.data, bytes.len, params);
	if (!err)
		err = gw_params_canonical(params, transfer->header.model,
					  sizeof(transfer->header.model));
	gw_params_free(params);
	return err < 0 ? err : 0;
}

struct gw_session *gw_session_find_offer(const struct gw_session *session,
					 const struct gw_state_header *header)
{
	struct gw_session *offer = NULL;

	if (session->config.find_offer)
		offer = session->config.find_offer(session->config.opaque, header->ticket);
	if (!offer)
		gw_fail(ENOENT, "load: the stream has a ticket in place of a state "
				"(--migration=stateless), and no device of this process is offered "
				"by it: the destination must connect to the source's own back-end");
	return offer;
}

/* "Cannot tell" is for who asks beforehand: what a device loads it proves by itself. */
static int check_word(const struct gw_session *session, const char *what,
		      const struct gw_words *provided)
{
	const char *provides = "nothing of the kind";

	switch (gw_prerequisite_find(what, provided->word, provided->count)) {
	case GW_PROVIDED:
		return 0;
	case GW_PROVISION_UNKNOWN:
		gw_info("load: the source requires %s, and device %s cannot tell which it has",
			what, session->ops->name);
		return 0;
	case GW_NOT_PROVIDED:
		break;
	}
	for (unsigned i = 0; i < provided->count; i++)
		if (!strncmp(provided->word[i], what, strcspn(what, ":") + 1))
			provides = provided->word[i];
	return gw_fail(EINVAL, "%s: the source requires %s, device %s has %s",
		       gw_refusal_name(GW_PREREQUISITE_MISSING), what, session->ops->name,
		       provides);
}

static int check_prerequisites(const struct gw_session *session, const char *required)
{
	struct gw_environment environment;
	struct gw_words words, provided;
	int err;

	if (!session->ops->environment)
		return 0;
	gw_session_environment(session, &environment);
	err = gw_words_split(&words, required);
	if (!err)
		err = gw_words_split(&provided, environment.provides);
	for (unsigned i = 0; !err && i < words.count; i++)
		err = check_word(session, words.word[i], &provided);
	return err;
}

int gw_session_adopt(struct gw_session *session)
{
	const char *model = session->transfer->header.model;
	enum gw_refusal refusal = GW_ACCEPTED;
	int err;

	gw_transfer_print_id(session->last.id, session->transfer->header.id);
	if (session->transfer->header.mode == GW_MODE_STATELESS &&
	    !gw_session_find_offer(session, &session->transfer->header))
		return -ENOENT;
	if (!session->params)
		return model[0] ? gw_fail(EINVAL, "load: the stream has a model, the device none")
				: 0;
	err = complete_model(session);
	if (err)
		return gw_fail_in(err, "load");
	err = check_prerequisites(session, session->transfer->header.prerequisites);
	if (err)
		return gw_fail_in(err, "load");
	err = gw_params_adopt(session->params, model, strlen(model), &session->adopted, &refusal);
	if (err)
		return gw_fail_in(err, "load: %s", gw_refusal_name(refusal));
	err = session->ops->adopt(session->dev, session->adopted);
	if (err) {
		gw_params_free(gw_take_ptr(session->adopted));
		return gw_fail_in(err, "load: device %s", session->ops->name);
	}
	return 0;
}

static void params_in_force(struct gw_session *session, struct gw_params *params)
{
	if (session->params != session->created)
		gw_params_free(session->params);
	session->params = params;
}

void gw_session_settle_adoption(struct gw_session *session, bool good)
{
	struct gw_params *adopted = gw_take_ptr(session->adopted);

	if (!adopted)
		return;
	if (good) {
		params_in_force(session, adopted);
		return;
	}
	if (session->ops->adopt(session->dev, session->params))
		gw_error("device %s does not take its own parameters back: %s", session->ops->name,
			 gw_last_error());
	gw_params_free(adopted);
}

int gw_session_settle_params(struct gw_session *session)
{
	struct gw_params *params = NULL;
	int err;

	if (!session->params)
		return 0;
	err = params_to_save(session, &params);
	if (!err)
		err = session->ops->adopt(session->dev, params);
	if (err) {
		gw_params_free(params);
		return gw_fail_in(err, "device %s: default parameters", session->ops->name);
	}
	params_in_force(session, params);
	return 0;
}
