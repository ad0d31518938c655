/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/migrate.h - a guest that moves: what is known of both sides, what forbids it, how it
 * went. */
#ifndef GW_CLI_MIGRATE_MIGRATE_H
#define GW_CLI_MIGRATE_MIGRATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/qmp/ahead.h"
#include "cli/qmp/qmp.h"
#include "godwit/error.h"

#define MG_DEVICES_MAX	64  /* vhost-user and vfio-user devices of one machine */
#define MG_FINDINGS_MAX 128 /* more are only counted */
#define MG_NOTES_MAX	32
#define MG_NAME_MAX	64
#define MG_PATH_MAX	256
#define MG_TEXT_MAX	768

/* -- what is known -------------------------------------------------------------------------- */

enum mg_side { MG_SOURCE, MG_DESTINATION, MG_SIDES };

/* What is at the other end of a device. */
enum mg_make {
	MG_SILENT,  /* there should be a control socket, but nothing can be learned there */
	MG_FOREIGN, /* there is no control socket: of another make */
	MG_GODWIT,  /* speaks as docs/control.md says */
};

struct mg_backend {
	enum mg_side side;
	char control[MG_PATH_MAX]; /* "" : none */
	enum mg_make make;
	char reason[MG_TEXT_MAX];  /* why it is silent */
	struct gw_qmp *talk;	   /* NULL unless it is one of ours */
	json_t *info;		   /* query-migration-info */
	json_t *status;		   /* query-status, before anything was begun */
	json_t *preflight;	   /* of its session, or NULL */
	char failure[MG_TEXT_MAX]; /* its own words, if its part of the migration failed */
	json_t *transfer;	   /* the last one afterwards, if it is this migration's */
};

/* What goes ahead of a device's state. */
struct mg_ahead {
	struct gw_qmp_ahead way; /* its conversations are NULL where nothing goes, or no more */
	uint64_t begun_ns, ended_ns, took_ns; /* the last one */
	json_int_t bytes;		      /* that the destination has */
	unsigned times;			      /* it came, as a whole */
	char reason[MG_TEXT_MAX];	      /* why no more came; "": as it should be */
};

enum mg_kind { MG_VHOST_USER, MG_VFIO_USER };

struct mg_device {
	enum mg_kind kind;
	char label[MG_NAME_MAX];  /* its id, else its tag, else its name in QOM */
	char path[MG_PATH_MAX];	  /* in QOM */
	char type[MG_NAME_MAX];	  /* "vhost-user-fs-pci" */
	char socket[MG_PATH_MAX]; /* the vhost-user socket's path; "": not known */
	json_t *properties;	  /* those that both sides have to agree on */
	json_t *virtio;		  /* what QEMU and the guest agreed on; NULL: it does not say */
	json_t *vhost;		  /* QEMU and back-end; NULL unless the guest uses the device */
	struct mg_backend backend;
	struct mg_ahead ahead; /* of the source's */
};

struct mg_machine {
	enum mg_side side;
	const char *where;
	struct gw_qmp *qmp;
	bool reconnected;	 /* events may have been missed */
	char state[MG_NAME_MAX]; /* of the guest, as query-status has it */
	bool running;
	json_t *migrate;      /* query-migrate */
	json_t *capabilities; /* {name: bool} */
	json_t *memory;	      /* query-memdev */
	unsigned count;
	struct mg_device devices[MG_DEVICES_MAX];
};

/* -- what forbids it ------------------------------------------------------------------------ */

enum mg_verdict { MG_PASSES, MG_CANNOT_TELL, MG_REFUSED };

struct mg_finding {
	const char *code;
	char device[MG_NAME_MAX]; /* "" : all of it */
	enum mg_verdict verdict;
	bool overridden;
	char text[MG_TEXT_MAX];
};

/* -- how it went ---------------------------------------------------------------------------- */

enum mg_phase {
	MG_ASKING,     /* both QEMUs and all back-ends */
	MG_PREFLIGHT,  /* beside the guest: what would not survive */
	MG_PREPARING,  /* capabilities, the destination listens */
	MG_SETTING_UP, /* the source connects */
	MG_PRECOPY,    /* memory, while the guest runs */
	MG_SWITCHOVER, /* the guest stands; the rest of memory, and the devices */
	MG_VERIFYING,  /* who runs? */
	MG_TELLING,    /* the back-ends, the outcome */
	MG_PHASES,
};

/* Exit codes beyond those of base/options.h. */
enum {
	MG_EXIT_STAYED = 4,	     /* it failed, and the guest is where it was */
	MG_EXIT_UNKNOWN_OUTCOME = 5, /* it cannot be said that exactly one side has the guest */
};

enum mg_outcome {
	MG_UNKNOWN, /* what is true of a migration that nobody has judged yet */
	MG_MOVED,
	MG_WOULD_MOVE, /* --dry-run */
	MG_REFUSED_OUTCOME,
	MG_CANNOT_TELL_OUTCOME,
	MG_FAILED,
	MG_CANCELLED,
	MG_OUTCOMES,
};

struct mg_move {
	struct gw_qmp_group group;
	struct mg_machine machines[MG_SIDES];
	json_t *plan; /* {ID: {"from":, "to":}}, or NULL */

	const char *uri, *override;
	const char *checkers; /* a directory, as of godwit-check(1) */
	unsigned time_limit;  /* seconds, 0: none */
	bool dry_run, quiet;

	unsigned finding_count, findings_left_out;
	struct mg_finding findings[MG_FINDINGS_MAX];
	unsigned note_count;
	char notes[MG_NOTES_MAX][MG_TEXT_MAX];

	uint64_t begun, begin[MG_PHASES], end[MG_PHASES]; /* gw_clock_ns() */
	enum mg_phase phase;				  /* MG_PHASES: none */
	uint64_t dark_from, dark_to; /* the source's guest stopped, the destination's went on */
	bool was_running;
	bool news;	   /* a QEMU has told something */
	json_t *progress;  /* the last query-migrate of the source */
	uint64_t shown_ns; /* when the last line of progress was */
	enum mg_outcome outcome;
	char reason[MG_TEXT_MAX]; /* why it was not moved */
};

/* machine.c: -EREMOTEIO and the like with a sentence that names the side. */
int mg_machine_open(struct mg_machine *machine, struct gw_qmp_group *group, const char *where);
int mg_machine_ask_state(struct mg_machine *machine);
int mg_machine_describe(struct mg_machine *machine);
void mg_machine_close(struct mg_machine *machine);
const char *mg_side_name(enum mg_side side);
bool mg_has_capability(const struct mg_machine *machine, const char *name);
const char *mg_migrate_state(const struct mg_machine *machine);
/* Has one begun that has not ended? A destination that listens counts. */
bool mg_migration_runs(const struct mg_machine *machine);

/* devices.c */
int mg_devices_find(struct mg_machine *machine);
/* The same device of the other machine; NULL if it has none. */
struct mg_device *mg_device_peer(const struct mg_device *device, struct mg_machine *other);
/* Of what QEMU negotiated: the name without its explanation, or its bit where QEMU knows no name.
 */
bool mg_device_has_protocol(const struct mg_device *device, const char *name, unsigned bit);
/*
 * Names of features that the guest uses of @device and @peer does not offer it, into @text, which
 * is empty if there is none. MG_CANNOT_TELL: they may be among those that one of both QEMUs has no
 * name for.
 */
enum mg_verdict mg_device_lacks_features(const struct mg_device *device,
					 const struct mg_device *peer, char text[MG_TEXT_MAX / 2]);
bool mg_device_has_feature(const struct mg_device *device, const char *name, unsigned bit);

/* plan.c: -EINVAL with a sentence. */
int mg_plan_read(json_t **plan, const char *file);
/* Does every entry of the plan name a device of the source? */
int mg_plan_check(const json_t *plan, const struct mg_machine *source);
/* Which control socket a device's back-end has, as far as can be said. */
void mg_plan_control(const json_t *plan, enum mg_side side, struct mg_device *device);

/* backend.c */
void mg_backend_ask(struct mg_backend *backend, struct gw_qmp_group *group);
/* -ECANCELED, or what it refused with. -EOPNOTSUPP if it knows none. */
int mg_backend_preflight(struct mg_backend *backend);
/* To a destination's: so much comes, as the source's @preflight (may be NULL) says. A hint, which
 * gives it time to get memory; who does not take it, or is silent for @ms, is none the worse. */
void mg_backend_expect(struct mg_backend *backend, const json_t *preflight, unsigned ms);
/* What it has to say of the transfer afterwards. */
void mg_backend_ask_transfer(struct mg_backend *backend);
void mg_backend_close(struct mg_backend *backend);
/* The device's session, as the status had it; NULL if nobody can say which it is. */
const json_t *mg_backend_session(const struct mg_backend *backend);
/* "stateful", "stateless", "none" */
const char *mg_backend_mode(const struct mg_backend *backend);

/* gates.c: all of them, into the findings. */
void mg_gates_ask(struct mg_move *move);
/* The worst of what was found and is not overridden. */
enum mg_verdict mg_findings_verdict(const struct mg_move *move);

/* ahead.c: ways from back-end to back-end where they are found soon (@ms for all); and no more. */
void mg_ahead_open(struct mg_move *move, unsigned ms);
void mg_ahead_close(struct mg_move *move);
/* As gw_qmp_group_listen(), and what goes ahead goes on meanwhile; not @wanted: nothing new is. */
void mg_ahead_listen(struct mg_move *move, bool wanted, unsigned ms);

/* move.c: phases, notes */
void mg_phase_enter(struct mg_move *move, enum mg_phase phase); /* MG_PHASES: the last one ends */
const char *mg_phase_name(enum mg_phase phase);
void mg_note(struct mg_move *move, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mg_reason(struct mg_move *move, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *mg_outcome_name(enum mg_outcome outcome);
int mg_outcome_exit(enum mg_outcome outcome);

/* run.c: from a move that no gate forbids to its end, whatever that is. */
void mg_run(struct mg_move *move);

/*
 * uri.c: where the source finds the destination: --uri, or where it listens already, or a Unix
 * socket beside its monitor's. False: none of these.
 */
bool mg_uri_choose(const struct mg_move *move, char uri[MG_PATH_MAX]);
bool mg_uri_listens(const struct mg_machine *destination);

/* outcome.c: who runs, and is that what should be? Tells the back-ends. @completed: the source's
 * QEMU said so. */
void mg_outcome_settle(struct mg_move *move, bool completed);

/* tell.c: ask the back-ends of both sides what they did, and tell the source's what became of it.
 */
void mg_tell(struct mg_move *move, bool moved);

/* progress.c */
void mg_progress_show(struct mg_move *move);
void mg_progress_end(const struct mg_move *move);
/* The guest will stand still for so long: QEMU's part and the back-ends'. */
long long mg_expected_blackout_ms(const struct mg_move *move);

/* report.c, picture.c */
void mg_report_text(struct mg_move *move, FILE *out);
json_t *mg_report_json(struct mg_move *move);
int mg_report_svg(const struct mg_move *move, const char *path);

#endif
