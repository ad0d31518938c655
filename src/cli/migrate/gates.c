/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/gates.c - what forbids a migration: the table, and how it is walked. */
#include <stdarg.h>
#include <string.h>

#include "base/checked.h"
#include "cli/migrate/gates.h"

/* In the order in which they are asked and told. */
static const struct mg_gate gates[] = {
	{"source-state", "the guest is in no state in which it can be moved", MG_ONCE,
	 .binding = true, .ask = mg_gate_source_state},
	{"destination-not-waiting", "the destination's QEMU does not wait for a guest (-incoming)",
	 MG_ONCE, .binding = true, .ask = mg_gate_destination_waits},
	{"migration-running", "a migration is already running", MG_ONCE, .binding = true,
	 .ask = mg_gate_migration_runs},
	{"migration-blocked", "the source's QEMU says that it cannot migrate", MG_ONCE,
	 .binding = true, .ask = mg_gate_is_blocked},
	{"no-return-path", "the source would not learn whether the destination took the guest",
	 MG_ONCE, .binding = true, .ask = mg_gate_return_path},
	{"no-uri", "the destination does not listen yet, and nobody says where it should (--uri)",
	 MG_ONCE, .binding = true, .ask = mg_gate_uri},
	{"background-snapshot", "background-snapshot is on: it does not see what back-ends write",
	 MG_ONCE, .ask = mg_gate_background_snapshot},
	{"capabilities-differ", "a migration capability is on at one side only", MG_ONCE,
	 .ask = mg_gate_capabilities},
	{"memory-not-shared", "guest memory is not shared, so that no back-end can get at it",
	 MG_ONCE, .ask = mg_gate_memory},
	{"vfio-user-device", "QEMU moves no state of a vfio-user device, and does not say so",
	 MG_EACH_DEVICE, .ask = mg_gate_vfio_user},
	{"device-missing", "only one side has this device", MG_EACH_DEVICE, .binding = true,
	 .ask = mg_gate_missing},
	{"device-differs", "it is another device at the destination", MG_EACH_PAIR,
	 .ask = mg_gate_differs},
	{"queues-differ", "its number of queues is another at the destination", MG_EACH_PAIR,
	 .ask = mg_gate_queues},
	{"virtio-differs", "the guest uses what the destination's device does not offer it",
	 MG_EACH_PAIR, .ask = mg_gate_virtio},
	{"features-unknown", "nobody tells whether its back-end can migrate", MG_EACH_PAIR,
	 .ask = mg_gate_features},
	{"no-device-state", "its back-end cannot hand over its state (DEVICE_STATE)", MG_EACH_PAIR,
	 .ask = mg_gate_device_state},
	{"no-log-all", "its back-end cannot tell which memory it writes (VHOST_F_LOG_ALL)",
	 MG_EACH_PAIR, .ask = mg_gate_log_all},
	{"no-log-shmfd", "its back-end has no way to tell which memory it writes (LOG_SHMFD)",
	 MG_EACH_PAIR, .ask = mg_gate_log_shmfd},
	{"post-copy-impossible",
	 "postcopy-ram is on, and its back-end cannot wait for memory (PAGEFAULT)", MG_EACH_PAIR,
	 .ask = mg_gate_post_copy},
	{"back-end-silent", "its back-end cannot be asked", MG_EACH_DEVICE, .ask = mg_gate_silent},
	{"same-back-end", "both sides have one and the same control socket", MG_EACH_PAIR,
	 .ask = mg_gate_same_back_end},
	{"stateless-elsewhere",
	 "its device stays in its process (stateless), and the destination has another",
	 MG_EACH_PAIR, .ask = mg_gate_other_back_end},
	{"session-unknown", "nobody can say which of its back-end's devices it is", MG_EACH_DEVICE,
	 .ask = mg_gate_session},
	{"migration-none", "its back-end was told not to migrate (migration-set, --migration)",
	 MG_EACH_DEVICE, .binding = true, .ask = mg_gate_mode},
	{"device-state", "its back-end is in no state in which it can migrate", MG_EACH_DEVICE,
	 .ask = mg_gate_state},
	{"stream-unreadable", "the destination's back-end cannot read the source's state",
	 MG_EACH_PAIR, .ask = mg_gate_stream},
	{"cannot-compare", "a back-end of another make tells neither model nor parameters",
	 MG_EACH_PAIR, .ask = mg_gate_cannot_compare},
	/* For documents that say nothing; else its findings have the codes of godwit-check(1). */
	{"cannot-tell", "model and parameters cannot be compared", MG_EACH_PAIR,
	 .ask = mg_gate_documents},
	{"cannot-travel", "something of it would not survive", MG_EACH_PAIR, .late = true,
	 .ask = mg_gate_preflight},
	{"over-limit", "it is more than the destination's back-end may hold", MG_EACH_PAIR,
	 .late = true, .ask = mg_gate_limits},
};

/* -- findings ------------------------------------------------------------------------------- */

void mg_found_as(const struct mg_view *view, const char *code, enum mg_verdict verdict,
		 const char *text)
{
	struct mg_move *move = view->move;
	struct mg_finding *finding = &move->findings[move->finding_count];

	if (move->finding_count == MG_FINDINGS_MAX) {
		/* What is not told must count all the same: the last one stands for it. */
		finding--;
		finding->verdict = GW_MAX(finding->verdict, verdict);
		finding->overridden = finding->overridden && !view->gate->binding;
		move->findings_left_out++;
		return;
	}
	move->finding_count++;
	finding->code = code;
	finding->verdict = verdict;
	finding->overridden = move->override && !view->gate->binding;
	snprintf(finding->device, sizeof(finding->device), "%s",
		 view->device ? view->device->label : "");
	snprintf(finding->text, sizeof(finding->text), "%s", text);
}

void mg_found(const struct mg_view *view, enum mg_verdict verdict, const char *format, ...)
{
	char detail[MG_TEXT_MAX / 2] = "", text[MG_TEXT_MAX];
	va_list arguments;

	if (format) {
		va_start(arguments, format);
		vsnprintf(detail, sizeof(detail), format, arguments);
		va_end(arguments);
	}
	snprintf(text, sizeof(text), "%s%s%s", view->gate->sentence, *detail ? ": " : "", detail);
	mg_found_as(view, view->gate->code, verdict, text);
}

enum mg_verdict mg_findings_verdict(const struct mg_move *move)
{
	enum mg_verdict worst = MG_PASSES;

	for (unsigned i = 0; i < move->finding_count; i++)
		if (!move->findings[i].overridden)
			worst = GW_MAX(worst, move->findings[i].verdict);
	return worst;
}

/* -- the walk ------------------------------------------------------------------------------- */

static void ask_pairs(struct mg_view *view)
{
	struct mg_machine *source = &view->move->machines[MG_SOURCE];

	view->machine = source;
	for (unsigned i = 0; i < source->count; i++) {
		view->device = &source->devices[i];
		view->peer = mg_device_peer(view->device, &view->move->machines[MG_DESTINATION]);
		if (view->device->kind == MG_VHOST_USER && view->peer &&
		    view->peer->kind == MG_VHOST_USER)
			view->gate->ask(view);
	}
}

static void ask_devices(struct mg_view *view)
{
	for (int side = 0; side < MG_SIDES; side++) {
		view->machine = &view->move->machines[side];
		for (unsigned i = 0; i < view->machine->count; i++) {
			view->device = &view->machine->devices[i];
			view->peer = mg_device_peer(view->device, &view->move->machines[!side]);
			view->gate->ask(view);
		}
	}
}

static void ask_gate(struct mg_move *move, const struct mg_gate *gate)
{
	struct mg_view view = {.move = move, .gate = gate};

	switch (gate->scope) {
	case MG_ONCE:
		gate->ask(&view);
		break;
	case MG_EACH_DEVICE:
		ask_devices(&view);
		break;
	case MG_EACH_PAIR:
		ask_pairs(&view);
		break;
	}
}

static void ask_all(struct mg_move *move, bool late)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(gates); i++)
		if (gates[i].late == late)
			ask_gate(move, &gates[i]);
}

void mg_gates_ask(struct mg_move *move)
{
	ask_all(move, false);
	if (mg_findings_verdict(move) != MG_PASSES)
		return;
	mg_phase_enter(move, MG_PREFLIGHT);
	ask_all(move, true);
}
