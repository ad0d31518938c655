/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/gates.h - one question of many that stand before a migration. */
#ifndef GW_CLI_MIGRATE_GATES_H
#define GW_CLI_MIGRATE_GATES_H

#include "cli/migrate/migrate.h"

enum mg_scope {
	MG_ONCE,
	MG_EACH_DEVICE, /* of both machines */
	MG_EACH_PAIR,	/* a vhost-user device of the source, and what it becomes */
};

struct mg_view;

struct mg_gate {
	const char *code; /* for programs: docs/orchestrating.md has the list */
	const char *sentence;
	enum mg_scope scope;
	bool binding; /* --override does not open it: there is nothing that could be moved */
	bool late;    /* asked once nothing else forbids it, since it takes its time */
	void (*ask)(const struct mg_view *view);
};

/* What a gate looks at: of a pair, @device is the source's and @peer the destination's. */
struct mg_view {
	struct mg_move *move;
	const struct mg_gate *gate;
	struct mg_machine *machine;
	struct mg_device *device, *peer;
};

/* The gate's own sentence, and what was seen; without a format, nothing. */
void mg_found(const struct mg_view *view, enum mg_verdict verdict, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A gate that knows more exactly what is wrong than its own code says. */
void mg_found_as(const struct mg_view *view, const char *code, enum mg_verdict verdict,
		 const char *text);

/* gates_machine.c, gates_device.c, gates_backend.c, gates_documents.c */
typedef void mg_gate_fn(const struct mg_view *view);
mg_gate_fn mg_gate_source_state, mg_gate_destination_waits, mg_gate_migration_runs,
	mg_gate_is_blocked, mg_gate_return_path, mg_gate_uri, mg_gate_background_snapshot,
	mg_gate_capabilities, mg_gate_memory;
mg_gate_fn mg_gate_vfio_user, mg_gate_missing, mg_gate_differs, mg_gate_queues, mg_gate_virtio,
	mg_gate_features, mg_gate_device_state, mg_gate_log_all, mg_gate_log_shmfd,
	mg_gate_post_copy;
mg_gate_fn mg_gate_silent, mg_gate_same_back_end, mg_gate_other_back_end, mg_gate_session,
	mg_gate_mode, mg_gate_state, mg_gate_stream, mg_gate_cannot_compare, mg_gate_preflight,
	mg_gate_limits;
mg_gate_fn mg_gate_documents;

#endif
