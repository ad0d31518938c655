/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit/device.h - what a device implements; it knows no transport. */
#ifndef GODWIT_DEVICE_H
#define GODWIT_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "godwit/model.h"
#include "godwit/queue.h"
#include "godwit/report.h"
#include "godwit/state.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Why run() is called. */
enum gw_why {
	GW_RUN_FRESH,	/* first start, nothing was loaded */
	GW_RUN_RESUMED, /* it ran before and was stopped, perhaps saved: it goes on */
	GW_RUN_LOADED,	/* the state came out of a stream and is now this device's */
};

/* What became of a save, as far as anyone told. */
enum gw_outcome {
	GW_OUTCOME_MOVED,   /* the destination runs */
	GW_OUTCOME_FAILED,  /* it does not; this side is the one */
	GW_OUTCOME_COPIED,  /* the stream was a snapshot; this side goes on, the copy may run later
			     */
	GW_OUTCOME_UNKNOWN, /* nobody told within the time given */
};

/* Bytes that a save would still have to send. */
struct gw_pending {
	uint64_t initial; /* not yet sent once */
	uint64_t dirty;	  /* sent, and changed since */
};

/* Who may hold a device's things at the same time (requirements R18, R19). */
enum gw_ownership {
	GW_SHARED,    /* both sides may: files */
	GW_EXCLUSIVE, /* only one may: connections, locks */
};

/* Does a save of an exclusive device move it, or copy it? */
enum gw_on_save {
	GW_ON_SAVE_HINT, /* it moves if a migration was announced (dirty logging is on) */
	GW_ON_SAVE_MOVE,
	GW_ON_SAVE_COPY,
};

/* What a frozen device does if nobody tells what became of the save. */
enum gw_on_lost_outcome {
	GW_LOST_KEEP,	/* stay frozen */
	GW_LOST_DROP,	/* it moved */
	GW_LOST_RESUME, /* it failed */
};

/* What is left of a device that has moved away. */
enum gw_after_migration {
	GW_AFTER_WAIT,	/* it is gone, until its front-end resets it or leaves */
	GW_AFTER_EXIT,	/* the back-end ends, unless it serves another guest */
	GW_AFTER_RESET, /* it is as it was made */
};

/* May the device's state leave this process, and how (requirements R13 to R15)? */
enum gw_migration {
	GW_MIGRATION_STATEFUL, /* in the stream */
	GW_MIGRATION_NONE,     /* it may not */
	/* It stays: the stream brings a ticket, which another front-end shows to the same back-end,
	 * and so gets the device in place. */
	GW_MIGRATION_STATELESS,
};

/* Beside model and parameters: words KIND:WHICH, divided by spaces (docs/compatibility.md). */
#define GW_ENVIRONMENT_MAX 128
struct gw_environment {
	char requires[GW_ENVIRONMENT_MAX]; /* what a destination must have */
	char provides[GW_ENVIRONMENT_MAX]; /* what a source may require here */
};

/*
 * How a device's state outlives the process (docs/recovery.md): each change is put into @journal
 * (state/journal.h) before the request that made it is answered. And descriptors: keep() returns
 * when @fd (borrowed) is where a next process will get it from, under @id. Any thread.
 */
struct gw_journal;
struct gw_outliving {
	struct gw_journal *journal;
	int (*keep)(void *opaque, uint64_t id, int fd);
	void (*let_go)(void *opaque, uint64_t id);
	/* The @i-th that the process before this one kept: borrowed, and its id; or -1. */
	int (*kept)(void *opaque, unsigned i, uint64_t *id);
	void *opaque;
	/* May that request (struct gw_elem) come again, because the process before this one has not
	 * answered it? NULL: any may. */
	bool (*unanswered)(void *opaque, unsigned queue, uint64_t serial);
	void *unanswered_opaque;
};

/* Bits of struct gw_device_ops.flags. */
enum gw_device_flags {
	/* A request may be carried out twice: in-flight requests can be given out again after a
	 * crash, so INFLIGHT_SHMFD is offered. */
	GW_DEVICE_REPEATABLE = 1 << 0,
};

/*
 * The boundary of a device. All callbacks are optional but create and destroy; what is absent is
 * defaulted in one place. @size lets the struct grow: callbacks beyond it count as absent.
 *
 * Threads: queue_* on the queue's own thread, save and load on the transfer thread, pending on
 * any, all others on the control thread, where nothing may block. save and load run only while no
 * queue is started, but for save in GW_PHASE_RUNNING, which a device with iterate is asked for.
 *
 * Functions return 0 or a negative errno with a sentence (godwit/error.h).
 */
struct gw_device_ops {
	size_t size; /* sizeof(struct gw_device_ops) */
	const char *name;
	uint32_t virtio_id; /* VIRTIO 1.3, section 5 */
	unsigned max_queues;
	size_t config_len; /* of the device-specific configuration space, 0 if none */
	enum gw_ownership ownership;
	unsigned flags;

	/* NULL-terminated; the first is the default. Static: asked without an instance. */
	const struct gw_model *const *models;
	/* Could an instance with these parameters be made? Creates nothing. */
	int (*check)(const struct gw_model *model, const struct gw_params *params);

	/* @host is what the daemon configured (paths, limits), as given in gw_backend_config.
	 * @params is the instance's own copy, valid until destroy. */
	int (*create)(void **dev, const struct gw_params *params, const void *host);
	void (*destroy)(void *dev);

	/* Virtio feature bits offered beyond those of the ring, which the library adds. */
	uint64_t (*features)(void *dev);
	int (*negotiated)(void *dev, uint64_t features);
	/* -ENOTSUP, also for 0 bytes: this instance has no configuration space after all. */
	int (*config_get)(void *dev, size_t offset, void *buf, size_t len);
	int (*config_set)(void *dev, size_t offset, const void *buf, size_t len);

	int (*queue_start)(void *dev, struct gw_queue *queue);
	/* Buffers may be available; pop until NULL. Called again for every kick. */
	void (*queue_ready)(void *dev, struct gw_queue *queue);
	/* A stop began: nothing is popped any more. Ends in gw_queue_stopped(). If absent, the
	 * library waits for the elements alone. */
	void (*queue_stop)(void *dev, struct gw_queue *queue);
	/* Back to what create made; no queue is started. */
	void (*reset)(void *dev);

	/*
	 * Migration. src/migration/lifecycle.h says in which state each may be called.
	 */

	/* While fresh: parameters that were unset take the values of a stream's header, or at a
	 * first run without one those of the default profile. If the load fails later it is called
	 * again with what was before, and that may not fail. @params is valid until the next call.
	 */
	int (*adopt)(void *dev, const struct gw_params *params);
	/* A migration may be coming (true) or is not any more: start, stop collecting. A hint. */
	int (*prepare)(void *dev, bool on);
	/* Write state. 0: all of it is written for this @phase; > 0: more to come (only in
	 * GW_PHASE_RUNNING, after about @budget bytes: a cancel and the end of the phase wait for
	 * it). In RUNNING queues may be at work. The calls up to one that returns 0 are a round:
	 * what was not sent yet, or changed since, each thing once, so that a round ends however
	 * busy the guest is. Changes nothing of the device. */
	int (*save)(void *dev, struct gw_state_writer *writer, enum gw_phase phase, size_t budget);
	/* Of a save in phases; an estimate. */
	int (*pending)(void *dev, struct gw_pending *pending);
	/* Read state to its end and stage it; on success swap it in, on failure leave no trace.
	 * All that can fail is done here: run() may not. */
	int (*load)(void *dev, struct gw_state_reader *reader);
	/* From here on nothing spontaneous, on either side. */
	int (*suspend)(void *dev);
	/* It runs here: the first ring is both started and enabled. */
	void (*run)(void *dev, enum gw_why why);
	/* What became of a save. Of one that failed, or was cancelled, before the whole stream was
	 * written: GW_OUTCOME_FAILED, at once. */
	void (*outcome)(void *dev, enum gw_outcome outcome);
	/* A channel of the device's own making instead of the front-end's, where it is better:
	 * *@own is this side's end, *@peer the one that the front-end is answered with; both are
	 * handed over. Absent, or -EOPNOTSUPP: the front-end's descriptor is used. */
	int (*channel)(void *dev, bool load, int *own, int *peer);

	/* Streams of other makes that load() understands. */
	const struct gw_foreign_format *foreign;
	/* Transfer thread: the whole state in the format of another make, in heap memory that the
	 * library frees, if the operator wants that. -ENOENT: save() in ours. With @bytes NULL
	 * only the question (control thread): 0 or -ENOENT. */
	int (*save_foreign)(void *dev, void **bytes, size_t *len);

	/* How many of max_queues this instance has; asked at each connection. Absent: all. */
	unsigned (*queues)(void *dev);

	/*
	 * Tell who operates the device (godwit/report.h says on which thread what is asked). A
	 * preflight changes nothing, may run at any time but beside load, reset and destroy, and
	 * says by these names, as far as they mean something to the device:
	 *
	 *	cannot_travel	list of objects: kind, path, reason (and what helps to find it)
	 *	state_bytes	the size of the state if it were saved now
	 *	orphan_bytes	of it, content of files without a name
	 *	unsynced_bytes	written by the guest, and to be synced before it can move
	 *	locks		held by the guest
	 *	blackout_us	estimated, without the time that the bytes take on their way
	 *	estimate	a sentence: what the estimate was made from
	 */
	int (*report)(void *dev, enum gw_report_kind kind, struct gw_report *report);

	/* What moves with the device beside model and parameters: what it requires stands in the
	 * header of its states, and is compared with what it provides before a load looks at one.
	 * @environment is all zeros. Absent: it requires nothing, and is not asked at a load. */
	void (*environment)(void *dev, struct gw_environment *environment);

	/*
	 * Recovery. All three or none; without them the next process begins with a fresh device.
	 */

	/* From now on, for as long as the device lives (@outliving is copied). */
	int (*journal)(void *dev, const struct gw_outliving *outliving);
	/* The whole state, on a thread of its own, beside the guest: of what changes meanwhile
	 * either value will do, since the journal has it too. Changes nothing. */
	int (*checkpoint)(void *dev, struct gw_state_writer *writer);
	/* A checkpoint and the journal of a process that died, as one state for load(), which
	 * follows. -ENODATA: a fresh device is in that state. */
	int (*fold)(void *dev, struct gw_state_reader *reader, const struct gw_outliving *outliving,
		    struct gw_state_writer *writer);

	/* A save in phases begins (true: save() in GW_PHASE_RUNNING may follow, from nothing sent)
	 * or has ended, whatever became of it. Absent: in that phase nothing is asked of the
	 * device, and all of its state is sent once it stands still. Refused: no such save. */
	int (*iterate)(void *dev, bool on);

	/* Control thread, device not running and fresh: an operator knows that a state of some
	 * @state_bytes is going to be loaded, as a preflight at the source has them. Does not wait.
	 * A hint that may be wrong, or come to nothing; a load without one works as well, and may
	 * have to get its memory while the guest stands still. */
	void (*expect)(void *dev, uint64_t state_bytes);

	/*
	 * Precopy: an operator brings most of a state ahead of it, beside the protocol, to a device
	 * that waits. The state itself comes as ever, whole, and counts alone: what came ahead may
	 * be old or wrong, and spares load() the work for what is the same in both. Both or none.
	 */

	/* Control thread; the device may be running. true: save() in GW_PHASE_RUNNING follows on a
	 * thread of its own, until it returns 0 (one round); false: that is over, whatever became
	 * of it, and as if it had not been. Never beside a transfer, a preflight or a reset. */
	int (*precopy)(void *dev, bool on);
	/*
	 * On a thread of its own while the device is fresh: read to the end and keep aside, in the
	 * place of what was kept before; the next load() may use it. A failure keeps nothing.
	 * Beside it a front-end may come, set the device up, and go, but nothing is transferred,
	 * reset or run. What is kept outlasts reset() of a device that is fresh anyway (a VMM that
	 * waits for a migration resets as well), and is the device's to let go once load() was
	 * called.
	 *
	 * @reader NULL (control thread): what is kept is dropped, and a call under way ends soon,
	 * with -ECANCELED (so does its reader; NULL comes again when it has). Called before the
	 * device runs without having loaded, after a reset of one that was not fresh, after a
	 * failure, and before destroy(), whether or not anything is kept.
	 */
	int (*precopy_load)(void *dev, struct gw_state_reader *reader);
};

/* Configuration space of the device that create made as @dev is not what it was: the driver is
 * told, now or when the device runs. Any thread; does not wait. */
void gw_config_changed(void *dev);

/* The device that create made as @dev can not go on: its rings break (the front-end's err
 * descriptors are signalled) and stop, nothing is saved, and only a reset makes it usable again.
 * Elements still come back by gw_elem_push() or gw_park(). Any thread; does not wait. */
void gw_device_failed(void *dev);

/* The device that create made as @dev was told what became of its last save, by the process that
 * has its state now: as if an operator had told it (outcome() follows on the control thread, if it
 * is not too late for that). GW_OUTCOME_MOVED or GW_OUTCOME_FAILED. Any thread; does not wait. */
void gw_device_outcome(void *dev, enum gw_outcome outcome);

/* Something happened at the device that create made as @dev: @name (upper case, like QMP's) with
 * @data, which is taken over, goes to who listens on the control socket. Any thread; does not wait.
 * Of events in a burst some are lost, which is counted in the status: what must not be missed is
 * counted by the device. */
void gw_device_event(void *dev, const char *name, struct gw_report *data);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
