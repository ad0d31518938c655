/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/session_ahead.c - what goes ahead of a session's state, beside its transfers. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "migration/preflight.h"
#include "migration/session_internal.h"

/* -- one at a time ------------------------------------------------------------------------- */

int gw_session_check_idle(const struct gw_session *session, const char *what)
{
	if (session->makes_way)
		return gw_fail(EBUSY, "%s: something else is done to the device", what);
	if (session->preflight)
		return gw_fail(EBUSY, "%s: a preflight is under way", what);
	if (session->ahead.job)
		return gw_fail(EBUSY, "%s: a precopy is under way", what);
	if (session->transfer)
		return gw_fail(EBUSY, "%s: a transfer is under way", what);
	return 0;
}

static void keep_made(struct gw_session *session, struct gw_precopy *job)
{
	gw_close(&session->ahead.made);
	session->ahead.made = gw_take_fd(&job->channel.fd);
	session->ahead.made_len = job->bytes;
}

/* Joined: what is left of it here, and with the device. */
static int settle(struct gw_session *session, struct gw_precopy *job, bool cancelled)
{
	int err = cancelled ? -ECANCELED : job->result;

	if (!job->load)
		session->ops->precopy(session->dev, false);
	if (job->load && err)
		session->ops->precopy_load(session->dev, NULL);
	if (!job->load && !err)
		keep_made(session, job);
	if (cancelled)
		return gw_fail(ECANCELED, "precopy: something else is done to the device");
	return err ? gw_fail(-err, "%s", job->reason) : 0;
}

void gw_session_end_precopy(struct gw_session *session)
{
	struct gw_precopy *job = gw_take_ptr(session->ahead.job);
	bool cancelled;
	int err;

	if (!job)
		return;
	cancelled = gw_precopy_cancel(job);
	gw_precopy_join(job);
	err = settle(session, job, cancelled);
	job->done(job->opaque, err, job->bytes);
	gw_precopy_free(job);
}

/* Who is told may ask for the next one at once, and shall not get it. */
void gw_session_drop_jobs(struct gw_session *session)
{
	bool before = session->makes_way;

	session->makes_way = true;
	gw_session_drop_preflight(session);
	gw_session_end_precopy(session);
	session->makes_way = before;
}

/* -- memory -------------------------------------------------------------------------------- */

static int new_memory(void)
{
	int fd = memfd_create("godwit-precopy", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? gw_fail(errno, "precopy: memfd: %s", strerror(errno)) : fd;
}

void gw_session_forget_ahead(struct gw_session *session)
{
	gw_close(&session->ahead.written);
	if (session->ops->precopy_load)
		session->ops->precopy_load(session->dev, NULL);
}

void gw_session_free_ahead(struct gw_session *session)
{
	session->makes_way = true; /* for good */
	gw_session_drop_jobs(session);
	if (session->dev)
		gw_session_forget_ahead(session);
	gw_close(&session->ahead.made);
}

/* -- the source ---------------------------------------------------------------------------- */

static int check_able(const struct gw_session *session, const char *what)
{
	int err = gw_session_may_migrate(session, what);

	if (err)
		return err;
	if (!gw_device_takes_ahead(session->ops))
		return gw_fail(EOPNOTSUPP, "%s: nothing goes ahead of device %s's state", what,
			       session->ops->name);
	if (session->config.migration != GW_MIGRATION_STATEFUL)
		return gw_fail(EOPNOTSUPP, "%s: stateless: the device stays in this process", what);
	return 0;
}

static int check_source(const struct gw_session *session, const char *what)
{
	enum gw_device_state device = session->life.device;
	int err = check_able(session, what);

	if (!err)
		err = gw_session_check_idle(session, what);
	if (!err && (device == GW_DEVICE_GONE || device == GW_DEVICE_FAILED))
		err = gw_fail(EPERM, "%s: the device is %s", what, gw_device_state_name(device));
	if (!err && session->ops->save_foreign(session->dev, NULL, NULL) != -ENOENT)
		err = gw_fail(EOPNOTSUPP, "%s: nothing goes ahead of a stream of another make",
			      what);
	return err;
}

static struct gw_precopy job_of(struct gw_session *session, bool load, gw_precopy_done *done,
				void *opaque)
{
	return (struct gw_precopy){.load = load,
				   .ops = session->ops,
				   .dev = session->dev,
				   .channel = {.fd = -1,
					       .key = session->has_key ? session->key : NULL,
					       .from_start = true},
				   .wake = session->wake,
				   .done = done,
				   .opaque = opaque};
}

int gw_session_ahead_save(struct gw_session *session, gw_precopy_done *done, void *opaque)
{
	struct gw_precopy as = job_of(session, false, done, opaque);
	int err = check_source(session, "precopy-save");

	if (!err)
		err = gw_session_fill_header(session, &as.header);
	if (!err)
		err = as.channel.fd = new_memory();
	if (err < 0)
		return err;
	/* The device is told first: it has to be ready when its thread asks. */
	err = session->ops->precopy(session->dev, true);
	if (err) {
		gw_close(&as.channel.fd);
		return err;
	}
	err = gw_precopy_start(&session->ahead.job, &as);
	if (err)
		session->ops->precopy(session->dev, false);
	return err;
}

ssize_t gw_session_ahead_read(struct gw_session *session, uint64_t position, void *buf, size_t len)
{
	const struct gw_ahead *ahead = &session->ahead;
	ssize_t n;

	if (ahead->made < 0)
		return gw_fail(ENODATA, "precopy-read: nothing was made");
	if (position > ahead->made_len)
		return gw_fail(EINVAL, "precopy-read: position %llu, there are %llu bytes",
			       (unsigned long long)position, (unsigned long long)ahead->made_len);
	n = pread(ahead->made, buf, GW_MIN((uint64_t)len, ahead->made_len - position),
		  (off_t)position);
	return n < 0 ? gw_fail(errno, "precopy-read: %s", strerror(errno)) : n;
}

/* -- the destination ----------------------------------------------------------------------- */

static int check_destination(const struct gw_session *session, const char *what)
{
	int err = check_able(session, what);

	if (!err)
		err = gw_session_check_idle(session, what);
	if (!err && session->life.device != GW_DEVICE_FRESH)
		err = gw_fail(EBUSY, "%s: device %s is %s; a state is loaded into a fresh one",
			      what, session->ops->name, gw_device_state_name(session->life.device));
	return err;
}

static int begin_anew(struct gw_session *session)
{
	int fd = new_memory();

	if (fd < 0)
		return fd;
	gw_close(&session->ahead.written);
	session->ahead.written = fd;
	session->ahead.written_len = 0;
	return 0;
}

static int check_position(const struct gw_ahead *ahead, uint64_t position, size_t len)
{
	uint64_t written = ahead->written < 0 ? 0 : ahead->written_len;

	if (position && position != written)
		return gw_fail(EINVAL, "precopy-write: position %llu, expected %llu, or 0",
			       (unsigned long long)position, (unsigned long long)written);
	if (len > GW_AHEAD_MAX - position)
		return gw_fail(EFBIG, "precopy-write: %llu bytes, at most %llu are taken",
			       (unsigned long long)position + len,
			       (unsigned long long)GW_AHEAD_MAX);
	return 0;
}

int gw_session_ahead_write(struct gw_session *session, uint64_t position, const void *buf,
			   size_t len)
{
	struct gw_ahead *ahead = &session->ahead;
	int err = check_destination(session, "precopy-write");
	ssize_t n;

	if (!err)
		err = check_position(ahead, position, len);
	if (!err && !position)
		err = begin_anew(session);
	if (err)
		return err;
	n = pwrite(ahead->written, buf, len, (off_t)position);
	if (n != (ssize_t)len)
		return gw_fail(n < 0 ? errno : ENOSPC, "precopy-write: %s",
			       n < 0 ? strerror(errno) : "no room for all of it");
	ahead->written_len += len;
	return 0;
}

int gw_session_ahead_load(struct gw_session *session, gw_precopy_done *done, void *opaque)
{
	struct gw_precopy as = job_of(session, true, done, opaque);
	int err = check_destination(session, "precopy-load");

	if (err)
		return err;
	if (session->ahead.written < 0)
		return gw_fail(ENODATA, "precopy-load: nothing was written");
	as.model = session->params ? gw_params_model(session->params) : NULL;
	as.channel.fd = gw_take_fd(&session->ahead.written);
	/* Sealed it is read where it lies (state/sealed.c); if somebody has a page of it in hand,
	 * and it is refused, it is read all the same. */
	fcntl(as.channel.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	return gw_precopy_start(&session->ahead.job, &as);
}
