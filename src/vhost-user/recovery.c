/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/recovery.c - a connection that goes on in the next process when this one dies. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <linux/kcmp.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/handlers.h"
#include "vhost-user/ledger.h"
#include "vhost-user/recovery.h"
#include "vhost-user/ring.h"

/* Names in the store. */
#define LEDGER	   "ledger"
#define CONNECTION "connection"
#define INFLIGHT   "inflight"
#define PIPE_READ  "pipe-read"
#define PIPE_WRITE "pipe-write"
#define GIVEN	   "given-" /* by the front-end; and a number */

/* A descriptor that the front-end gave. The store may hold what is open only once. */
struct given {
	uint64_t number;
	unsigned uses;
	int fd;
};

struct gw_recovery {
	struct gw_fdstore *store;
	struct gw_ledger *ledger;
	int ledger_fd; /* its lock says that this process is alive: never closed before the end */
	int pipe[2];
	bool replaying;
	uint64_t sequence;
	struct gw_dialog *dialog;     /* whose connection it is; NULL: none */
	struct gw_inflight *inflight; /* of our own; NULL: no ring was started yet */
	bool packed;		      /* what it was made for */
	/* By ring: what the region says counts at the next start, too. Its queue was stopped when
	 * the process before this one died, which knew what it had parked. */
	bool left[GW_VU_VRING_INDEX_MASK + 1];
	unsigned given_count, given_room;
	struct given *given;
	int call_fds[GW_VU_FDS_MAX]; /* copies of those of the call at hand */
	unsigned call_fd_count;
};

/*
 * Descriptors given by the front-end.
 */
static void given_name(char name[GW_FDSTORE_NAME_MAX], uint64_t number)
{
	snprintf(name, GW_FDSTORE_NAME_MAX, GIVEN "%" PRIx64, number);
}

static struct given *given_find(struct gw_recovery *recovery, uint64_t number)
{
	for (unsigned i = 0; i < recovery->given_count; i++) {
		if (recovery->given[i].number == number)
			return &recovery->given[i];
	}
	return NULL;
}

/* Takes @fd over, also on failure. */
static struct given *given_add(struct gw_recovery *recovery, uint64_t number, int fd)
{
	if (recovery->given_count == recovery->given_room) {
		unsigned room = GW_MAX(2 * recovery->given_room, 64U);
		struct given *given = realloc(recovery->given, room * sizeof(*given));

		if (!given) {
			close(fd);
			return NULL;
		}
		recovery->given = given;
		recovery->given_room = room;
	}
	recovery->given[recovery->given_count] = (struct given){.number = number, .fd = fd};
	return &recovery->given[recovery->given_count++];
}

static void given_drop(struct gw_recovery *recovery, struct given *given)
{
	char name[GW_FDSTORE_NAME_MAX];

	given_name(name, given->number);
	if (gw_fdstore_remove(recovery->store, name))
		gw_warn("recovery: %s", gw_last_error());
	close(given->fd);
	*given = recovery->given[--recovery->given_count];
}

/* What systemd has already it does not take a second time. */
static bool is_same(int a, int b)
{
	pid_t self = getpid();

	return syscall(SYS_kcmp, self, self, KCMP_FILE, a, b) == 0;
}

static struct given *given_same(struct gw_recovery *recovery, int fd)
{
	for (unsigned i = 0; i < recovery->given_count; i++) {
		if (is_same(recovery->given[i].fd, fd))
			return &recovery->given[i];
	}
	return NULL;
}

/* @fd is borrowed. */
static int given_keep(struct gw_recovery *recovery, int fd, uint64_t *number)
{
	struct given *given = given_same(recovery, fd);
	char name[GW_FDSTORE_NAME_MAX];
	int copy, err;

	if (!given) {
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (copy < 0)
			return gw_fail(errno, "descriptor %d: %s", fd, strerror(errno));
		given = given_add(recovery, gw_ledger_next_fd(recovery->ledger), copy);
		if (!given)
			return gw_fail(ENOMEM, "no memory");
		given_name(name, given->number);
		err = gw_fdstore_put(recovery->store, name, copy);
		if (err)
			return err;
	}
	given->uses++;
	*number = given->number;
	return 0;
}

static void entry_release(struct gw_recovery *recovery, const struct gw_ledger_entry *entry)
{
	for (unsigned i = 0; entry && i < entry->fd_count && i < GW_VU_FDS_MAX; i++) {
		struct given *given = given_find(recovery, entry->fds[i]);

		if (given && !--given->uses)
			given_drop(recovery, given);
	}
}

/*
 * Entries. Descriptors of what is replaced are let go only after the commit that does without them.
 */
#define RELEASED_MAX (2 * GW_VU_REGIONS_MAX)
struct edit {
	struct gw_recovery *recovery;
	unsigned count;
	struct gw_ledger_entry *old;
	int err;
};

static void edit_remove(struct edit *edit, uint32_t request, uint32_t ring)
{
	struct gw_ledger *ledger = edit->recovery->ledger;
	const struct gw_ledger_entry *entry = gw_ledger_find(ledger, request, ring);
	struct gw_ledger_entry *old;

	if (!entry)
		return;
	old = realloc(edit->old, (edit->count + 1) * sizeof(*old));
	if (old) {
		old[edit->count++] = *entry;
		edit->old = old;
	}
	gw_ledger_remove(ledger, request, ring);
}

static void edit_put(struct edit *edit, struct gw_ledger_entry *entry, const int *fds,
		     unsigned fd_count)
{
	for (unsigned i = 0; i < fd_count && !edit->err; i++) {
		edit->err = given_keep(edit->recovery, fds[i], &entry->fds[i]);
		entry->fd_count = i + 1;
	}
	edit_remove(edit, entry->request, entry->ring);
	if (!edit->err)
		edit->err = gw_ledger_put(edit->recovery->ledger, entry);
	if (!edit->err && fd_count)
		edit->err = gw_fdstore_sync(edit->recovery->store);
}

static void edit_end(struct edit *edit, const struct gw_ledger_answer *answer)
{
	if (edit->err)
		gw_error("recovery: a message cannot be remembered, so it would not be survived: "
			 "%s",
			 gw_last_error());
	gw_ledger_commit(edit->recovery->ledger, answer);
	for (unsigned i = 0; i < edit->count; i++)
		entry_release(edit->recovery, &edit->old[i]);
	free(edit->old);
}

static void put_message(struct edit *edit, const struct gw_call *call, uint32_t ring)
{
	struct gw_recovery *recovery = edit->recovery;
	struct gw_ledger_entry entry = {.request = call->message->header.request, .ring = ring};

	entry.size = (uint32_t)GW_MIN(call->message->header.size, sizeof(entry.payload));
	memcpy(&entry.payload, call->payload, entry.size);
	edit_put(edit, &entry, recovery->call_fds, recovery->call_fd_count);
}

static void put_plain(struct edit *edit, const struct gw_call *call)
{
	put_message(edit, call, 0);
}

static void put_ring(struct edit *edit, const struct gw_call *call)
{
	put_message(edit, call, call->payload->state.index);
}

static void put_ring_fd(struct edit *edit, const struct gw_call *call)
{
	put_message(edit, call, (uint32_t)(call->payload->u64 & GW_VU_VRING_INDEX_MASK));
}

/* Regions are remembered one by one, however they came. */
static void put_region(struct edit *edit, const struct gw_vu_region *region, int fd)
{
	struct gw_ledger_entry entry = {
		.request = GW_VU_ADD_MEM_REG,
		.ring = (uint32_t)gw_ledger_next_fd(edit->recovery->ledger),
		.size = sizeof(entry.payload.mem_reg),
		.payload.mem_reg.region = *region,
	};

	edit_put(edit, &entry, &fd, 1);
}

static void remove_all(struct edit *edit, uint32_t request)
{
	const struct gw_ledger *ledger = edit->recovery->ledger;

	for (unsigned i = gw_ledger_count(ledger); i; i--) {
		const struct gw_ledger_entry *entry = gw_ledger_at(ledger, i - 1);

		if (entry->request == request)
			edit_remove(edit, request, entry->ring);
	}
}

static void put_table(struct edit *edit, const struct gw_call *call)
{
	const struct gw_vu_mem_table *table = &call->payload->table;

	remove_all(edit, GW_VU_ADD_MEM_REG);
	for (uint32_t i = 0; i < table->count && i < edit->recovery->call_fd_count; i++)
		put_region(edit, &table->regions[i], edit->recovery->call_fds[i]);
}

static void add_region(struct edit *edit, const struct gw_call *call)
{
	put_region(edit, &call->payload->mem_reg.region, edit->recovery->call_fds[0]);
}

static bool is_region(const struct gw_vu_region *a, const struct gw_vu_region *b)
{
	return a->gpa == b->gpa && a->size == b->size && a->uaddr == b->uaddr;
}

static void remove_region(struct edit *edit, const struct gw_call *call)
{
	const struct gw_ledger *ledger = edit->recovery->ledger;

	for (unsigned i = gw_ledger_count(ledger); i; i--) {
		const struct gw_ledger_entry *entry = gw_ledger_at(ledger, i - 1);

		if (entry->request == GW_VU_ADD_MEM_REG &&
		    is_region(&entry->payload.mem_reg.region, &call->payload->mem_reg.region))
			edit_remove(edit, entry->request, entry->ring);
	}
}

/* A ring that was stopped: where it is to begin again, unless the front-end says otherwise. */
static void ring_stopped(struct edit *edit, const struct gw_call *call)
{
	struct gw_ledger_entry base = {
		.request = GW_VU_SET_VRING_BASE,
		.ring = call->payload->state.index,
		.size = sizeof(base.payload.state),
		.payload.state = call->reply.state,
	};

	edit_remove(edit, GW_VU_SET_VRING_KICK, base.ring);
	edit_put(edit, &base, NULL, 0);
}

static void all_disabled(struct edit *edit, const struct gw_call *call)
{
	remove_all(edit, GW_VU_SET_VRING_ENABLE);
}

static void device_reset(struct edit *edit, const struct gw_call *call)
{
	all_disabled(edit, call);
	remove_all(edit, GW_VU_SET_VRING_KICK);
}

/* What each message changes; the others leave nothing behind. Replayed in the order of @turn. */
static const struct {
	void (*note)(struct edit *edit, const struct gw_call *call);
	unsigned turn;
} kinds[GW_VU_REQUESTS] = {
	[GW_VU_SET_PROTOCOL_FEATURES] = {put_plain, 1},
	[GW_VU_SET_OWNER] = {put_plain, 2},
	[GW_VU_SET_FEATURES] = {put_plain, 3},
	[GW_VU_SET_BACKEND_REQ_FD] = {put_plain, 4},
	[GW_VU_SET_MEM_TABLE] = {put_table},
	[GW_VU_ADD_MEM_REG] = {add_region, 5},
	[GW_VU_REM_MEM_REG] = {remove_region},
	[GW_VU_SET_LOG_BASE] = {put_plain, 6},
	[GW_VU_SET_LOG_FD] = {put_plain, 7},
	[GW_VU_SET_INFLIGHT_FD] = {put_plain, 8},
	[GW_VU_SET_VRING_NUM] = {put_ring, 9},
	[GW_VU_SET_VRING_ADDR] = {put_ring, 10},
	[GW_VU_SET_VRING_BASE] = {put_ring, 11},
	[GW_VU_SET_VRING_CALL] = {put_ring_fd, 12},
	[GW_VU_SET_VRING_ERR] = {put_ring_fd, 13},
	[GW_VU_SET_VRING_ENABLE] = {put_ring, 14},
	[GW_VU_SET_VRING_KICK] = {put_ring_fd, 15},
	[GW_VU_GET_VRING_BASE] = {ring_stopped},
	[GW_VU_RESET_OWNER] = {all_disabled},
	[GW_VU_RESET_DEVICE] = {device_reset},
};
#define TURNS 15

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
	uint32_t request = call->message->header.request;
	struct edit edit = {.recovery = recovery};
	struct gw_ledger_answer answer = {
		.sequence = ++recovery->sequence,
		.message_len = (uint32_t)message_len,
		.with_fd = with_fd,
	};

	answer.len = (uint32_t)GW_MIN(len, sizeof(answer.bytes));
	memcpy(answer.bytes, reply, answer.len);
	if (!dialog->call_result && request < GW_VU_REQUESTS && kinds[request].note)
		kinds[request].note(&edit, call);
	edit_end(&edit, &answer);
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
 * Rings.
 */
static int make_inflight(struct gw_recovery *recovery, const struct gw_instance *instance)
{
	bool packed = instance->features & GW_VIRTIO_F_RING_PACKED;
	GW_AUTO_FD int fd = -1;
	int err;

	if (recovery->inflight && recovery->packed == packed)
		return 0;
	gw_inflight_unref(gw_take_ptr(recovery->inflight));
	/* Rings of any size, since the others' are not known yet. Memory that nobody touches is
	 * none. */
	err = gw_inflight_create(&recovery->inflight, packed, instance->ring_count,
				 GW_QUEUE_SIZE_MAX, &fd);
	if (!err)
		err = gw_fdstore_remove(recovery->store, INFLIGHT);
	if (!err)
		err = gw_fdstore_put(recovery->store, INFLIGHT, fd);
	recovery->packed = packed;
	return err ? err : gw_fdstore_sync(recovery->store);
}

/* The front-end's own region does as well. */
static bool has_its_own(const struct gw_recovery *recovery)
{
	return gw_ledger_find(recovery->ledger, GW_VU_SET_INFLIGHT_FD, 0);
}

static int use_inflight(struct gw_recovery *recovery, struct gw_ring *ring, unsigned what)
{
	const struct gw_queue_change change = {.what = what, .inflight = recovery->inflight};

	return gw_queue_change(ring->queue, &change, NULL, NULL);
}

/*
 * The region is begun anew before the ledger says that the ring runs, and the ledger says so before
 * it does: whoever finds it there knows that the region is right.
 */
int gw_recovery_ring_starts(struct gw_dialog *dialog, struct gw_call *call, struct gw_ring *ring)
{
	struct gw_recovery *recovery = dialog->recovery;
	struct edit edit = {.recovery = recovery};
	int err = 0;

	if (!recovery)
		return 0;
	if (recovery->replaying) {
		recovery->left[ring->index] = false;
		return use_inflight(recovery, ring, GW_QUEUE_RESUME);
	}
	if (!has_its_own(recovery)) {
		err = make_inflight(recovery, dialog->instance);
		if (!err)
			err = use_inflight(recovery, ring, GW_QUEUE_INFLIGHT);
		if (!err && !recovery->left[ring->index] &&
		    !gw_session_has_parked(dialog->instance->session, ring->index))
			gw_inflight_forget(recovery->inflight, ring->index);
		recovery->left[ring->index] = false;
	}
	if (!err)
		put_ring_fd(&edit, call);
	if (!err)
		edit_end(&edit, NULL);
	return err ? err : edit.err;
}

/*
 * The next process.
 */
static int replay_entry(struct gw_recovery *recovery, struct gw_dialog *dialog,
			const struct gw_ledger_entry *entry)
{
	struct gw_message message = {
		.header = {.request = entry->request, .flags = GW_VU_VERSION, .size = entry->size}};
	const struct gw_vu_row *row = gw_vu_row(entry->request);

	if (!row || !row->handle || entry->size > sizeof(entry->payload) ||
	    entry->fd_count > GW_VU_FDS_MAX)
		return gw_fail(EINVAL, "message %u of %u bytes", entry->request, entry->size);
	memcpy(&message.payload, &entry->payload, entry->size);
	for (unsigned i = 0; i < entry->fd_count; i++) {
		struct given *given = given_find(recovery, entry->fds[i]);
		int copy = given ? fcntl(given->fd, F_DUPFD_CLOEXEC, 0) : -1;

		if (copy < 0)
			return gw_fail(EBADF, "%s: its descriptor is not there", row->name);
		given->uses++;
		message.fds[message.fd_count++] = copy;
	}
	return gw_dialog_replay(dialog, &message);
}

static int replay_turn(struct gw_recovery *recovery, struct gw_dialog *dialog, unsigned turn)
{
	int err = 0;

	for (unsigned i = 0; !err && i < gw_ledger_count(recovery->ledger); i++) {
		const struct gw_ledger_entry *entry = gw_ledger_at(recovery->ledger, i);

		if (entry->request < GW_VU_REQUESTS && kinds[entry->request].turn == turn)
			err = replay_entry(recovery, dialog, entry);
	}
	return err;
}

static int use_inflight_everywhere(struct gw_recovery *recovery, struct gw_instance *instance)
{
	int err = 0;

	for (unsigned i = 0; i < instance->ring_count && !err; i++) {
		recovery->left[i] = true;
		err = use_inflight(recovery, &instance->rings[i], GW_QUEUE_INFLIGHT);
	}
	return err;
}

static int take_inflight(struct gw_recovery *recovery, struct gw_instance *instance)
{
	int err;
	GW_AUTO_FD int fd = gw_fdstore_take(recovery->store, INFLIGHT);
	uint64_t size;

	if (fd < 0)
		return 0;
	recovery->packed = instance->features & GW_VIRTIO_F_RING_PACKED;
	size = gw_inflight_size(recovery->packed, instance->ring_count, GW_QUEUE_SIZE_MAX);
	err = gw_inflight_map(&recovery->inflight, fd, 0, size, recovery->packed,
			      instance->ring_count, GW_QUEUE_SIZE_MAX);
	return err ? err : use_inflight_everywhere(recovery, instance);
}

#define FEATURES_TURN 3

int gw_recovery_replay(struct gw_recovery *recovery, struct gw_dialog *dialog)
{
	const struct gw_ledger_answer *answer = gw_ledger_answer(recovery->ledger);
	int err = 0;

	recovery->replaying = true;
	for (unsigned turn = 1; turn <= TURNS && !err; turn++) {
		err = replay_turn(recovery, dialog, turn);
		if (!err && turn == FEATURES_TURN)
			err = take_inflight(recovery, dialog->instance);
	}
	recovery->replaying = false;
	if (err)
		return gw_fail_in(err, "recovery");
	recovery->sequence = answer->sequence;
	gw_conn_take_up(dialog->conn, gw_ledger_is_done(recovery->ledger) ? NULL : answer->bytes,
			answer->len, answer->with_fd, answer->message_len);
	return 0;
}

int gw_recovery_take_connection(struct gw_recovery *recovery)
{
	return recovery->ledger ? gw_fdstore_take(recovery->store, CONNECTION) : -1;
}

/*
 * Connections come and go.
 */
void gw_recovery_attach(struct gw_recovery *recovery, struct gw_dialog *dialog, bool left)
{
	const struct gw_conn_durable durable = durable_of(recovery);

	recovery->dialog = dialog;
	dialog->recovery = recovery;
	gw_conn_outlive(dialog->conn, &durable, left);
}

static void forget(struct gw_recovery *recovery)
{
	struct edit edit = {.recovery = recovery};

	memset(recovery->left, 0, sizeof(recovery->left));
	gw_fdstore_remove(recovery->store, CONNECTION);
	gw_ledger_clear(recovery->ledger);
	edit_end(&edit, NULL);
	while (recovery->given_count)
		given_drop(recovery, recovery->given);
	gw_fdstore_remove(recovery->store, INFLIGHT);
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

static bool is_held(const struct gw_ledger *ledger, uint64_t number)
{
	for (unsigned i = 0; i < gw_ledger_count(ledger); i++) {
		const struct gw_ledger_entry *entry = gw_ledger_at(ledger, i);

		for (unsigned j = 0; j < entry->fd_count && j < GW_VU_FDS_MAX; j++)
			if (entry->fds[j] == number)
				return true;
	}
	return false;
}

/* Who dies between keeping one and the commit leaves it behind, and its number will come again. */
static void give_back(struct gw_recovery *recovery, uint64_t number, int fd)
{
	char name[GW_FDSTORE_NAME_MAX];

	given_name(name, number);
	if (gw_fdstore_remove(recovery->store, name))
		gw_warn("recovery: %s", gw_last_error());
	close(fd);
}

static int take_given(struct gw_recovery *recovery)
{
	unsigned long long number;
	int fd;

	while (gw_fdstore_take_any(recovery->store, GIVEN, &number, &fd)) {
		if (!is_held(recovery->ledger, number))
			give_back(recovery, number, fd);
		else if (!given_add(recovery, number, fd))
			return gw_fail(ENOMEM, "recovery: no memory");
	}
	return 0;
}

static int go_on(struct gw_recovery *recovery)
{
	int err = lock(recovery->ledger_fd);

	if (!err)
		err = gw_ledger_open(&recovery->ledger, recovery->ledger_fd);
	recovery->pipe[0] = gw_fdstore_take(recovery->store, PIPE_READ);
	recovery->pipe[1] = gw_fdstore_take(recovery->store, PIPE_WRITE);
	if (!err && (recovery->pipe[0] < 0 || recovery->pipe[1] < 0))
		err = gw_fail(EBADF, "recovery: descriptors are missing");
	return err ? err : take_given(recovery);
}

int gw_recovery_new(struct gw_recovery **out, struct gw_fdstore *store)
{
	struct gw_recovery *recovery = calloc(1, sizeof(*recovery));
	int err;

	if (!recovery)
		return gw_fail(ENOMEM, "recovery: no memory");
	recovery->store = store;
	recovery->pipe[0] = recovery->pipe[1] = -1;
	recovery->ledger_fd = gw_fdstore_take(store, LEDGER);
	err = recovery->ledger_fd < 0 ? begin_anew(recovery) : go_on(recovery);
	if (err) {
		gw_recovery_free(recovery);
		return err;
	}
	*out = recovery;
	return 0;
}

void gw_recovery_clear(struct gw_recovery *recovery)
{
	static const char *const names[] = {LEDGER,    PIPE_READ, PIPE_WRITE,
					    "journal", "state-0", "state-1"};

	if (!recovery)
		return;
	forget(recovery);
	for (unsigned i = 0; i < GW_ARRAY_LEN(names); i++)
		gw_fdstore_remove(recovery->store, names[i]);
}

void gw_recovery_free(struct gw_recovery *recovery)
{
	if (!recovery)
		return;
	drop_call_fds(recovery);
	for (unsigned i = 0; i < recovery->given_count; i++)
		close(recovery->given[i].fd);
	free(recovery->given);
	gw_inflight_unref(recovery->inflight);
	gw_ledger_free(recovery->ledger);
	gw_close(&recovery->pipe[0]);
	gw_close(&recovery->pipe[1]);
	gw_close(&recovery->ledger_fd);
	free(recovery);
}
