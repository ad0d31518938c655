/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/session_recover.c - a session begins with the state that a process left behind. */
#include <errno.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "migration/session_internal.h"

struct waiting {
	struct gw_loop *loop;
	int verdict;
};

static void on_loaded(void *opaque, int verdict)
{
	struct waiting *waiting = opaque;

	waiting->verdict = verdict;
	gw_loop_quit(waiting->loop, 0);
}

/* As a destination would. Nobody is served yet, so that the loop has nothing else to do. */
static int load(struct gw_session *session, int fd)
{
	struct waiting waiting = {.loop = session->loop};
	int own_fd, err;

	err = gw_session_transfer(session, true, GW_PHASE_STOPPED, fd, &own_fd);
	if (err)
		return err;
	err = gw_session_check(session, on_loaded, &waiting);
	if (err != -EINPROGRESS)
		return err;
	gw_loop_run(session->loop);
	return waiting.verdict;
}

static int load_what_was_left(struct gw_session *session)
{
	int fd, err;

	if (!gw_journaling_has_state(session->journaling))
		return 0;
	err = gw_journaling_fold(session->journaling, &fd);
	if (err == -ENODATA)
		return 0;
	return err ? err : load(session, fd);
}

int gw_session_recover(struct gw_session *session, struct gw_fdstore *store,
		       const struct gw_unanswered *unanswered)
{
	struct gw_state_header header = {.mode = GW_MODE_STATEFUL};
	int err;

	if (!session->ops->journal)
		return 0;
	err = gw_journaling_new(&session->journaling, session->ops, session->dev, store,
				unanswered);
	if (!err)
		err = load_what_was_left(session);
	if (!err)
		err = gw_session_fill_header(session, &header);
	if (!err)
		err = gw_journaling_begin(session->journaling, &header);
	session->journals = !err;
	return err ? gw_fail_in(err, "recovery") : 0;
}
