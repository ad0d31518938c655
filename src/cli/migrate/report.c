/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/report.c - how it went, for people and for programs. */
#include <string.h>

#include "base/clock.h"
#include "cli/migrate/migrate.h"
#include "cli/print.h"
#include "control/control.h"

#define BYTES_PER_MB 1e6
#define US_PER_MS    1000

static const char *const headlines[MG_OUTCOMES] = {
	[MG_UNKNOWN] = "unknown: it cannot be said that exactly one side has the guest",
	[MG_MOVED] = "moved: the guest is at the destination, and only there",
	[MG_WOULD_MOVE] = "nothing forbids it; nothing was begun",
	[MG_REFUSED_OUTCOME] = "refused; nothing was begun",
	[MG_CANNOT_TELL_OUTCOME] = "cannot tell whether it would be good; nothing was begun",
	[MG_FAILED] = "failed: the guest goes on at the source",
	[MG_CANCELLED] = "cancelled: the guest goes on at the source",
};

static const char *const verdict_names[] = {
	[MG_PASSES] = "passes", [MG_CANNOT_TELL] = "cannot-tell", [MG_REFUSED] = "refused"};

static double ms_between(uint64_t from, uint64_t to)
{
	return from && to > from ? (double)(to - from) / GW_NS_PER_MS : 0;
}

static bool has_blackout(const struct mg_move *move)
{
	return move->outcome == MG_MOVED && move->dark_from && move->dark_to >= move->dark_from;
}

/* -- for people ----------------------------------------------------------------------------- */

static void put_findings(const struct mg_move *move, FILE *out)
{
	for (unsigned i = 0; i < move->finding_count; i++) {
		const struct mg_finding *finding = &move->findings[i];

		fprintf(out, "  %s%s", finding->overridden ? "OVERRIDDEN " : "", finding->code);
		fputs(*finding->device ? " " : "", out);
		gw_cli_put_text(out, finding->device);
		fputs(": ", out);
		gw_cli_put_text(out, finding->text);
		fputc('\n', out);
	}
	if (move->findings_left_out)
		fprintf(out, "  and %u more\n", move->findings_left_out);
}

static void put_transfer(const struct mg_backend *backend, const char *verb, FILE *out)
{
	if (backend->transfer)
		fprintf(out, "%s%s %lld bytes in %lld ms", *verb == 'l' ? ", " : " ", verb,
			gw_cli_number(backend->transfer, "bytes"),
			gw_cli_number(backend->transfer, "ms"));
}

static void put_failure(const struct mg_device *device, const char *side, FILE *out)
{
	if (!*device->backend.failure)
		return;
	fputs("  ", out);
	gw_cli_put_text(out, device->label);
	fprintf(out, ": at the %s: ", side);
	gw_cli_put_text(out, device->backend.failure);
	fputc('\n', out);
}

static void put_device(struct mg_move *move, const struct mg_device *device, FILE *out)
{
	const struct mg_device *peer = mg_device_peer(device, &move->machines[MG_DESTINATION]);

	fputs("  device         ", out);
	gw_cli_put_text(out, device->label);
	fputs(" (", out);
	gw_cli_put_text(out, device->type);
	fputc(')', out);
	put_transfer(&device->backend, "saved", out);
	if (peer)
		put_transfer(&peer->backend, "loaded", out);
	if (device->ahead.bytes)
		fprintf(out, ", %lld bytes went ahead", (long long)device->ahead.bytes);
	fputc('\n', out);
	put_failure(device, "source", out);
	if (peer)
		put_failure(peer, "destination", out);
}

static void put_phases(const struct mg_move *move, FILE *out)
{
	for (int i = 0; i < MG_PHASES; i++)
		if (move->begin[i] && move->end[i])
			fprintf(out, "  %-14s %.0f ms\n", mg_phase_name((enum mg_phase)i),
				ms_between(move->begin[i], move->end[i]));
}

static void put_figures(const struct mg_move *move, FILE *out)
{
	const json_t *ram = json_object_get(move->progress, "ram");

	if (has_blackout(move))
		fprintf(out, "  blackout       %.0f ms (QEMU says %lld)\n",
			ms_between(move->dark_from, move->dark_to),
			gw_cli_number(move->progress, "downtime"));
	if (ram)
		fprintf(out, "  memory         %.1f MB sent\n",
			(double)gw_cli_number(ram, "transferred") / BYTES_PER_MB);
}

void mg_report_text(struct mg_move *move, FILE *out)
{
	fprintf(out, "%s\n", headlines[move->outcome]);
	if (*move->reason && move->outcome != MG_MOVED) {
		fputs("  ", out);
		gw_cli_put_text(out, move->reason);
		fputc('\n', out);
	}
	put_findings(move, out);
	for (unsigned i = 0; i < move->note_count; i++) {
		fputs("  note: ", out);
		gw_cli_put_text(out, move->notes[i]);
		fputc('\n', out);
	}
	for (unsigned i = 0; i < move->machines[MG_SOURCE].count; i++)
		put_device(move, &move->machines[MG_SOURCE].devices[i], out);
	put_phases(move, out);
	put_figures(move, out);
}

/* -- for programs --------------------------------------------------------------------------- */

static json_t *json_findings(const struct mg_move *move)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < move->finding_count; i++) {
		const struct mg_finding *finding = &move->findings[i];
		json_t *one =
			json_pack("{s:s, s:s, s:b, s:o}", "code", finding->code, "verdict",
				  verdict_names[finding->verdict], "overridden",
				  finding->overridden, "text", gw_control_text(finding->text));

		if (*finding->device)
			json_object_set_new(one, "device", gw_control_text(finding->device));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *json_backend(const struct mg_backend *backend)
{
	static const char *const makes[] = {
		[MG_SILENT] = "silent", [MG_FOREIGN] = "foreign", [MG_GODWIT] = "godwit"};
	json_t *object = json_pack("{s:s, s:O?}", "make", makes[backend->make], "transfer",
				   backend->transfer);

	if (*backend->control)
		json_object_set_new(object, "control", gw_control_text(backend->control));
	if (*backend->failure)
		json_object_set_new(object, "failure", gw_control_text(backend->failure));
	if (backend->preflight)
		json_object_set(object, "preflight", backend->preflight);
	return object;
}

static json_t *json_ahead(const struct mg_ahead *ahead)
{
	json_t *object = json_pack("{s:I, s:i, s:f}", "bytes", ahead->bytes, "times",
				   (int)ahead->times, "ms", (double)ahead->took_ns / GW_NS_PER_MS);

	if (*ahead->reason)
		json_object_set_new(object, "reason", gw_control_text(ahead->reason));
	return object;
}

static json_t *json_devices(struct mg_move *move)
{
	const struct mg_machine *source = &move->machines[MG_SOURCE];
	json_t *list = json_array();

	for (unsigned i = 0; i < source->count; i++) {
		const struct mg_device *device = &source->devices[i];
		const struct mg_device *peer =
			mg_device_peer(device, &move->machines[MG_DESTINATION]);
		json_t *one = json_pack("{s:o, s:o, s:o}", "device", gw_control_text(device->label),
					"type", gw_control_text(device->type), "source",
					json_backend(&device->backend));

		if (peer)
			json_object_set_new(one, "destination", json_backend(&peer->backend));
		if (device->ahead.begun_ns && (device->ahead.times || *device->ahead.reason))
			json_object_set_new(one, "ahead", json_ahead(&device->ahead));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *json_phases(const struct mg_move *move)
{
	json_t *list = json_array();

	for (int i = 0; i < MG_PHASES; i++)
		if (move->begin[i] && move->end[i])
			json_array_append_new(
				list, json_pack("{s:s, s:f, s:f}", "name",
						mg_phase_name((enum mg_phase)i), "at_ms",
						ms_between(move->begun, move->begin[i]), "ms",
						ms_between(move->begin[i], move->end[i])));
	return list;
}

static json_t *json_notes(const struct mg_move *move)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < move->note_count; i++)
		json_array_append_new(list, gw_control_text(move->notes[i]));
	return list;
}

static json_t *json_machine(const struct mg_machine *machine)
{
	return json_pack("{s:o, s:o, s:b}", "qmp", gw_control_text(machine->where), "state",
			 gw_control_text(machine->state), "running", machine->running);
}

json_t *mg_report_json(struct mg_move *move)
{
	json_t *report = json_pack(
		"{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "outcome",
		mg_outcome_name(move->outcome), "exit", mg_outcome_exit(move->outcome), "findings",
		json_findings(move), "notes", json_notes(move), "devices", json_devices(move),
		"phases", json_phases(move), "source", json_machine(&move->machines[MG_SOURCE]),
		"destination", json_machine(&move->machines[MG_DESTINATION]));

	if (*move->reason)
		json_object_set_new(report, "reason", gw_control_text(move->reason));
	if (move->override)
		json_object_set_new(report, "override", gw_control_text(move->override));
	if (move->progress)
		json_object_set(report, "migration", move->progress);
	if (has_blackout(move))
		json_object_set_new(report, "blackout_ms",
				    json_real(ms_between(move->dark_from, move->dark_to)));
	return report;
}
