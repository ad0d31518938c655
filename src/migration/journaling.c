/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/journaling.c - a session's state outlives its process. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/thread.h"
#include "godwit/error.h"
#include "migration/journaling.h"
#include "migration/session.h"
#include "state/journal.h"

/* Names in the store. */
static const char *const names[1 + GW_JOURNAL_SLOTS] = {"journal", "state-0", "state-1"};
#define KEPT "kept-" /* and an id */

#define RETRY_MS 100

struct kept {
	uint64_t id;
	int fd; /* -1: let go */
};

/* Somebody waits until it is done. */
struct wish {
	struct wish *next;
	uint64_t id;
	int fd; /* borrowed; -1: let go */
	int result;
	bool done;
};

struct gw_journaling {
	const struct gw_device_ops *ops;
	void *dev;
	struct gw_fdstore *store;
	struct gw_outliving outliving;
	int fds[1 + GW_JOURNAL_SLOTS];
	bool has_state, running;
	bool failed; /* the last checkpoint was; its thread's */

	/* Of the last life, until the device has taken what it needs. */
	struct kept *kept;
	unsigned kept_count;

	pthread_t thread;
	int wake; /* eventfd: there is a wish, or it is to end */
	_Atomic bool end;
	pthread_mutex_t wishes_lock;
	pthread_cond_t granted;
	struct wish *wishes;

	pthread_mutex_t checkpoint_lock;
	struct gw_state_header header;
};

/*
 * Descriptors that the device wants kept.
 */
static void kept_name(char name[GW_FDSTORE_NAME_MAX], uint64_t id)
{
	snprintf(name, GW_FDSTORE_NAME_MAX, KEPT "%" PRIx64, id);
}

static int grant(struct gw_journaling *journaling, const struct wish *wish)
{
	char name[GW_FDSTORE_NAME_MAX];
	int err;

	kept_name(name, wish->id);
	if (wish->fd < 0)
		return gw_fdstore_remove(journaling->store, name);
	err = gw_fdstore_put(journaling->store, name, wish->fd);
	return err ? err : gw_fdstore_sync(journaling->store);
}

static void ring(struct gw_journaling *journaling)
{
	uint64_t one = 1;

	if (write(journaling->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		gw_error("recovery: its thread cannot be woken: %s", strerror(errno));
}

static int ask(struct gw_journaling *journaling, uint64_t id, int fd)
{
	struct wish wish = {.id = id, .fd = fd};

	/* The thread itself may see the end of an inode. */
	if (!journaling->running || pthread_equal(pthread_self(), journaling->thread))
		return grant(journaling, &wish);
	GW_LOCK_SCOPE(&journaling->wishes_lock);

	wish.next = journaling->wishes;
	/* cppcheck-suppress autoVariables; it is waited for below */
	journaling->wishes = &wish;
	ring(journaling);
	while (!wish.done)
		pthread_cond_wait(&journaling->granted, &journaling->wishes_lock);
	return wish.result;
}

static int keep(void *opaque, uint64_t id, int fd)
{
	return ask(opaque, id, fd);
}

static void let_go(void *opaque, uint64_t id)
{
	ask(opaque, id, -1);
}

static int kept(void *opaque, unsigned i, uint64_t *id)
{
	struct gw_journaling *journaling = opaque;

	if (i >= journaling->kept_count)
		return -1;
	*id = journaling->kept[i].id;
	return journaling->kept[i].fd;
}

static void grant_all(struct gw_journaling *journaling)
{
	GW_LOCK_SCOPE(&journaling->wishes_lock);

	while (journaling->wishes) {
		struct wish *wish = journaling->wishes;

		journaling->wishes = wish->next;
		wish->result = grant(journaling, wish);
		wish->done = true;
	}
	pthread_cond_broadcast(&journaling->granted);
}

/*
 * Checkpoints.
 */
static int write_state(struct gw_journaling *journaling, int fd)
{
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct gw_state_writer *writer = NULL;
	int err = gw_state_writer_new(&writer, &channel, &journaling->header);

	if (!err)
		err = gw_state_writer_phase(writer, GW_PHASE_STOPPED);
	if (!err)
		err = journaling->ops->checkpoint(journaling->dev, writer);
	if (!err)
		err = gw_state_writer_end(writer);
	gw_state_writer_free(writer);
	return err;
}

int gw_journaling_checkpoint(struct gw_journaling *journaling, const struct gw_state_header *header)
{
	GW_LOCK_SCOPE(&journaling->checkpoint_lock);
	int fd, err;

	if (header)
		journaling->header = *header;
	err = gw_journal_begin(journaling->outliving.journal, &fd);
	if (!err)
		err = write_state(journaling, fd);
	return err ? gw_fail_in(err, "recovery: checkpoint")
		   : gw_journal_end(journaling->outliving.journal);
}

static void drain(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		gw_error("recovery: eventfd: %s", strerror(errno));
}

/* It may be that there is no memory for it: whoever wants room goes on asking. */
static void try_checkpoint(struct gw_journaling *journaling)
{
	bool failed = gw_journaling_checkpoint(journaling, NULL);

	if (failed && !journaling->failed)
		gw_error("%s; it is tried again", gw_last_error());
	if (failed)
		poll(NULL, 0, RETRY_MS);
	else if (journaling->failed)
		gw_info("recovery: checkpoints are written again");
	journaling->failed = failed;
}

static void *run(void *opaque)
{
	struct gw_journaling *journaling = opaque;
	struct pollfd polled[] = {
		{.fd = gw_journal_wake_fd(journaling->outliving.journal), .events = POLLIN},
		{.fd = journaling->wake, .events = POLLIN},
	};

	while (!atomic_load(&journaling->end)) {
		if (poll(polled, GW_ARRAY_LEN(polled), -1) < 0)
			continue;
		if (polled[1].revents)
			drain(polled[1].fd);
		grant_all(journaling);
		if (!polled[0].revents)
			continue;
		drain(polled[0].fd);
		try_checkpoint(journaling);
	}
	return NULL;
}

int gw_journaling_begin(struct gw_journaling *journaling, const struct gw_state_header *header)
{
	int err = journaling->ops->journal(journaling->dev, &journaling->outliving);

	/* What a process left is as good as it was, with what comes on top: a guest waits, and the
	 * thread does it. */
	journaling->header = *header;
	if (!err && journaling->has_state)
		gw_journal_wake(journaling->outliving.journal);
	else if (!err)
		err = gw_journaling_checkpoint(journaling, NULL);
	if (!err)
		err = gw_thread_start(&journaling->thread, GW_THREAD_TRANSFER, "gw-journal", run,
				      journaling);
	journaling->running = !err;
	return err;
}

/*
 * What the process before this one left.
 */
static int make_anew(struct gw_journaling *journaling)
{
	int err = gw_journal_new(&journaling->outliving.journal, journaling->fds);

	/* Those of one who died while making them are of no use. */
	for (unsigned i = 0; i < GW_ARRAY_LEN(names) && !err; i++)
		err = gw_fdstore_remove(journaling->store, names[i]);
	for (unsigned i = 0; i < GW_ARRAY_LEN(names) && !err; i++)
		err = gw_fdstore_put(journaling->store, names[i], journaling->fds[i]);
	return err ? err : gw_fdstore_sync(journaling->store);
}

static int take_kept(struct gw_journaling *journaling)
{
	unsigned long long id;
	int fd;

	while (gw_fdstore_take_any(journaling->store, KEPT, &id, &fd)) {
		struct kept *more =
			realloc(journaling->kept, (journaling->kept_count + 1) * sizeof(*more));

		if (!more) {
			close(fd);
			return gw_fail(ENOMEM, "recovery: no memory");
		}
		journaling->kept = more;
		more[journaling->kept_count++] = (struct kept){.id = id, .fd = fd};
	}
	return 0;
}

static int take_or_make(struct gw_journaling *journaling)
{
	int err, fd;

	for (unsigned i = 0; i < GW_ARRAY_LEN(names); i++)
		journaling->fds[i] = gw_fdstore_take(journaling->store, names[i]);
	if (journaling->fds[0] < 0 || journaling->fds[1] < 0 || journaling->fds[2] < 0)
		return make_anew(journaling);
	err = gw_journal_open(&journaling->outliving.journal, journaling->fds);
	if (err)
		return err;
	journaling->has_state = !gw_journal_slot(journaling->outliving.journal, &fd);
	return take_kept(journaling);
}

/*
 * What a living process has, looked at by another build.
 */

/* A description of our own: where it reads is nobody else's business. */
static int open_again(int fd)
{
	char path[32];
	int own;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDONLY | O_CLOEXEC);
	return own < 0 ? gw_fail(errno, "recovery: %s: %s", path, strerror(errno)) : own;
}

static int check_model(const struct gw_params *params, const char *canonical)
{
	enum gw_refusal refusal = GW_ACCEPTED;
	struct gw_params *adopted = NULL;
	int err = gw_params_adopt(params, canonical, strlen(canonical), &adopted, &refusal);

	gw_params_free(adopted);
	return err ? gw_fail_in(err, "%s", gw_refusal_name(refusal)) : 0;
}

static int check_state(const struct gw_params *params, int slot)
{
	GW_AUTO_FD int fd = open_again(slot);
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct gw_state_reader *reader = NULL;
	int err = fd < 0 ? fd : gw_state_reader_new(&reader, &channel);

	if (!err)
		err = check_model(params, gw_state_reader_header(reader)->model);
	gw_state_reader_free(reader);
	return err;
}

int gw_journaling_check(const struct gw_device_ops *ops, const struct gw_params *params,
			const struct gw_fdstore *store)
{
	int fds[1 + GW_JOURNAL_SLOTS], slot, err;
	struct gw_journal *journal = NULL;

	if (!ops->journal)
		return 0;
	for (unsigned i = 0; i < GW_ARRAY_LEN(names); i++)
		fds[i] = gw_fdstore_look(store, names[i]);
	if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0)
		return gw_fail(ENOENT, "recovery: no state is kept");
	err = gw_journal_open(&journal, fds);
	if (!err && !gw_journal_is_whole(journal))
		err = gw_fail(EAGAIN, "the journal is not whole, since a checkpoint is late");
	if (!err)
		err = gw_journal_newest(journal, &slot);
	if (!err)
		err = check_state(params, slot);
	gw_journal_free(journal);
	return err ? gw_fail_in(err, "recovery: what is kept") : 0;
}

int gw_journaling_new(struct gw_journaling **out, const struct gw_device_ops *ops, void *dev,
		      struct gw_fdstore *store, const struct gw_unanswered *unanswered)
{
	struct gw_journaling *journaling = calloc(1, sizeof(*journaling));
	int err;

	if (!journaling)
		return gw_fail(ENOMEM, "recovery: no memory");
	journaling->ops = ops;
	journaling->dev = dev;
	journaling->store = store;
	journaling->outliving = (struct gw_outliving){
		.keep = keep,
		.let_go = let_go,
		.kept = kept,
		.opaque = journaling,
		.unanswered = unanswered->may_come,
		.unanswered_opaque = unanswered->opaque,
	};
	pthread_mutex_init(&journaling->wishes_lock, NULL);
	pthread_mutex_init(&journaling->checkpoint_lock, NULL);
	pthread_cond_init(&journaling->granted, NULL);
	journaling->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = journaling->wake < 0 ? gw_fail(errno, "recovery: eventfd: %s", strerror(errno))
				   : take_or_make(journaling);
	if (err) {
		gw_journaling_free(journaling);
		return err;
	}
	*out = journaling;
	return 0;
}

void gw_journaling_stop(struct gw_journaling *journaling)
{
	if (!journaling || !journaling->running)
		return;
	atomic_store(&journaling->end, true);
	ring(journaling);
	pthread_join(journaling->thread, NULL);
	journaling->running = false;
}

void gw_journaling_free(struct gw_journaling *journaling)
{
	if (!journaling)
		return;
	for (unsigned i = 0; i < journaling->kept_count; i++)
		close(journaling->kept[i].fd);
	free(journaling->kept);
	gw_journal_free(journaling->outliving.journal);
	for (unsigned i = 0; i < GW_ARRAY_LEN(names); i++)
		gw_close(&journaling->fds[i]);
	gw_close(&journaling->wake);
	pthread_cond_destroy(&journaling->granted);
	pthread_mutex_destroy(&journaling->wishes_lock);
	pthread_mutex_destroy(&journaling->checkpoint_lock);
	free(journaling);
}

bool gw_journaling_has_state(const struct gw_journaling *journaling)
{
	return journaling->has_state;
}

static int fold_into(struct gw_journaling *journaling, struct gw_state_reader *reader, int fd)
{
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct gw_state_writer *writer = NULL;
	int err = gw_state_writer_new(&writer, &channel, gw_state_reader_header(reader));

	if (!err)
		err = gw_state_writer_phase(writer, GW_PHASE_STOPPED);
	if (!err)
		err = journaling->ops->fold(journaling->dev, reader, &journaling->outliving,
					    writer);
	if (!err)
		err = gw_state_writer_end(writer);
	gw_state_writer_free(writer);
	return err;
}

int gw_journaling_fold(struct gw_journaling *journaling, int *out)
{
	GW_AUTO_FD int fd = memfd_create("godwit-folded", MFD_CLOEXEC);
	struct gw_state_channel channel = {.cancel = -1};
	struct gw_state_reader *reader = NULL;
	int err = gw_journal_slot(journaling->outliving.journal, &channel.fd);

	if (!err && fd < 0)
		err = gw_fail(errno, "recovery: memfd: %s", strerror(errno));
	if (!err)
		err = gw_state_reader_new(&reader, &channel);
	if (!err)
		err = fold_into(journaling, reader, fd);
	gw_state_reader_free(reader);
	if (!err && lseek(fd, 0, SEEK_SET) < 0)
		err = gw_fail(errno, "recovery: memfd: %s", strerror(errno));
	if (!err)
		*out = gw_take_fd(&fd);
	return err;
}
