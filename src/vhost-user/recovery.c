/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/recovery.c - a connection that goes on in the next process when this one dies. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/recovery_internal.h"

/* Names in the store. */
#define LEDGER	   "ledger"
#define CONNECTION "connection"
#define PIPE_READ  "pipe-read"
#define PIPE_WRITE "pipe-write"

/*
 * A message is dealt with.
 */
static void drop_call_fds(struct gw_recovery *recovery)
{
	while (recovery->call_fd_count)
		close(recovery->call_fds[--recovery->call_fd_count]);
}

/* They are the handler's, which may have closed them by the time that it is known what for. */
void gw_recovery_call(struct gw_dialog *dialog, const struct gw_call *call)
{
	struct gw_recovery *recovery = dialog->recovery;

	if (!recovery || recovery->replaying)
		return;
	drop_call_fds(recovery);
	for (unsigned i = 0; i < call->fd_count; i++) {
		int copy = fcntl(call->fds[i], F_DUPFD_CLOEXEC, 0);

		if (copy < 0)
			return;
		recovery->call_fds[recovery->call_fd_count++] = copy;
	}
}

static void commit(void *opaque, const void *reply, size_t len, bool with_fd, size_t message_len)
{
	struct gw_recovery *recovery = opaque;
	struct gw_dialog *dialog = recovery->dialog;
	const struct gw_call *call = &dialog->call;
	struct gw_edit edit = {.recovery = recovery};
	struct gw_ledger_answer answer = {
		.sequence = ++recovery->sequence,
		.message_len = (uint32_t)message_len,
		.with_fd = with_fd,
	};

	answer.len = (uint32_t)GW_MIN(len, sizeof(answer.bytes));
	memcpy(answer.bytes, reply, answer.len);
	if (!dialog->call_result)
		gw_edit_message(&edit, call);
	gw_edit_end(&edit, &answer);
	drop_call_fds(recovery);
}

static void done(void *opaque)
{
	struct gw_recovery *recovery = opaque;

	gw_ledger_done(recovery->ledger);
}

static struct gw_conn_durable durable_of(struct gw_recovery *recovery)
{
	return (struct gw_conn_durable){.pipe = {recovery->pipe[0], recovery->pipe[1]},
					.commit = commit,
					.done = done,
					.opaque = recovery};
}

/*
 * Connections come and go.
 */
int gw_recovery_take_connection(struct gw_recovery *recovery)
{
	return recovery->ledger ? gw_fdstore_take(recovery->store, CONNECTION) : -1;
}

void gw_recovery_attach(struct gw_recovery *recovery, struct gw_dialog *dialog, bool left)
{
	const struct gw_conn_durable durable = durable_of(recovery);

	recovery->dialog = dialog;
	dialog->recovery = recovery;
	gw_conn_outlive(dialog->conn, &durable, left);
}

/* Not what another process may have to go on with. */
static void forget(struct gw_recovery *recovery)
{
	struct gw_edit edit = {.recovery = recovery};

	if (gw_fdstore_is_trial(recovery->store))
		return;
	memset(recovery->left, 0, sizeof(recovery->left));
	gw_fdstore_remove(recovery->store, CONNECTION);
	gw_ledger_clear(recovery->ledger);
	gw_edit_end(&edit, NULL);
	gw_given_drop_all(recovery);
	gw_fdstore_remove(recovery->store, GW_RECOVERY_INFLIGHT);
	gw_inflight_unref(gw_take_ptr(recovery->inflight));
	drop_call_fds(recovery);
}

int gw_recovery_begin(struct gw_recovery *recovery, struct gw_dialog *dialog, int fd)
{
	int err;

	forget(recovery);
	gw_recovery_attach(recovery, dialog, false);
	err = gw_fdstore_put(recovery->store, CONNECTION, fd);
	return err ? err : gw_fdstore_sync(recovery->store);
}

void gw_recovery_end(struct gw_recovery *recovery, const struct gw_dialog *dialog)
{
	if (recovery->dialog != dialog)
		return;
	recovery->dialog = NULL;
	forget(recovery);
}

/*
 * The set.
 */

/* Until the process that wrote it has ended, whoever it was that was told so. */
static int lock(int fd)
{
	const struct flock whole = {.l_type = F_WRLCK};
	int result;

	do
		result = fcntl(fd, F_SETLKW, &whole);
	while (result < 0 && errno == EINTR);
	return result < 0 ? gw_fail(errno, "recovery: the ledger's lock: %s", strerror(errno)) : 0;
}

static int make_pipe(struct gw_recovery *recovery)
{
	int err;

	if (pipe2(recovery->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return gw_fail(errno, "recovery: pipe: %s", strerror(errno));
	/* One who died here may have left half of a pair. */
	err = gw_fdstore_remove(recovery->store, PIPE_READ);
	if (!err)
		err = gw_fdstore_remove(recovery->store, PIPE_WRITE);
	if (!err)
		err = gw_fdstore_put(recovery->store, PIPE_READ, recovery->pipe[0]);
	return err ? err : gw_fdstore_put(recovery->store, PIPE_WRITE, recovery->pipe[1]);
}

static int begin_anew(struct gw_recovery *recovery)
{
	int err = gw_ledger_new(&recovery->ledger, &recovery->ledger_fd);

	if (!err)
		gw_ledger_commit(recovery->ledger, NULL);
	if (!err)
		err = lock(recovery->ledger_fd);
	if (!err)
		err = make_pipe(recovery);
	if (!err)
		err = gw_fdstore_put(recovery->store, LEDGER, recovery->ledger_fd);
	return err ? err : gw_fdstore_sync(recovery->store);
}

/* Its keeper was told so, but may not have listened to a process that was gone by then. */
static int begin_after_end(struct gw_recovery *recovery)
{
	int err = gw_fdstore_remove(recovery->store, LEDGER);

	gw_ledger_free(gw_take_ptr(recovery->ledger));
	gw_close(&recovery->ledger_fd);
	if (!err)
		err = gw_fdstore_drop(recovery->store);
	return err ? err : begin_anew(recovery);
}

static int go_on(struct gw_recovery *recovery)
{
	int err = lock(recovery->ledger_fd);

	if (!err)
		err = gw_ledger_open(&recovery->ledger, recovery->ledger_fd);
	if (!err && gw_ledger_has_ended(recovery->ledger))
		return begin_after_end(recovery);
	recovery->pipe[0] = gw_fdstore_take(recovery->store, PIPE_READ);
	recovery->pipe[1] = gw_fdstore_take(recovery->store, PIPE_WRITE);
	if (!err && (recovery->pipe[0] < 0 || recovery->pipe[1] < 0))
		err = gw_fail(EBADF, "recovery: descriptors are missing");
	if (!err)
		err = gw_given_take(recovery);
	if (!err)
		gw_recovery_read_unanswered(recovery);
	return err;
}

int gw_recovery_new(struct gw_recovery **out, struct gw_fdstore *store)
{
	struct gw_recovery *recovery = calloc(1, sizeof(*recovery));
	int err;

	if (!recovery)
		return gw_fail(ENOMEM, "recovery: no memory");
	recovery->store = store;
	recovery->pipe[0] = recovery->pipe[1] = -1;
	recovery->unanswered_known = true; /* nothing was asked yet */
	recovery->ledger_fd = gw_fdstore_take(store, LEDGER);
	err = recovery->ledger_fd < 0 ? begin_anew(recovery) : go_on(recovery);
	if (err) {
		gw_recovery_free(recovery);
		return err;
	}
	*out = recovery;
	return 0;
}

int gw_recovery_check(const struct gw_fdstore *store)
{
	struct gw_ledger *ledger = NULL;
	int fd = gw_fdstore_look(store, LEDGER);
	int err =
		fd < 0 ? gw_fail(ENOENT, "recovery: nothing is kept") : gw_ledger_open(&ledger, fd);

	if (!err && gw_ledger_has_ended(ledger))
		err = -ENODATA;
	gw_ledger_free(ledger);
	return err == -ENODATA ? gw_fail(ENODATA, "recovery: the ledger is empty") : err;
}

void gw_recovery_clear(struct gw_recovery *recovery)
{
	static const char *const names[] = {LEDGER,    PIPE_READ, PIPE_WRITE,
					    "journal", "state-0", "state-1"};

	if (!recovery || gw_fdstore_is_trial(recovery->store))
		return;
	gw_ledger_end(recovery->ledger);
	forget(recovery);
	for (unsigned i = 0; i < GW_ARRAY_LEN(names); i++)
		gw_fdstore_remove(recovery->store, names[i]);
}

void gw_recovery_free(struct gw_recovery *recovery)
{
	if (!recovery)
		return;
	drop_call_fds(recovery);
	gw_recovery_forget_unanswered(recovery);
	gw_given_close(recovery);
	gw_inflight_unref(recovery->inflight);
	gw_ledger_free(recovery->ledger);
	gw_close(&recovery->pipe[0]);
	gw_close(&recovery->pipe[1]);
	gw_close(&recovery->ledger_fd);
	free(recovery);
}
