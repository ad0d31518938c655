/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/progress.c - how far it is. */
#include <unistd.h>

#include "base/clock.h"
#include "cli/migrate/migrate.h"

#define BITS_PER_BYTE 8
#define BYTES_PER_MB  1e6
#define US_PER_MS     1000
#define MS_PER_S      1000
#define LINE_EVERY_NS (2 * (uint64_t)GW_NS_PER_S)
#define CLEAR_LINE    "\r\033[K"

static double rate_of(const struct mg_move *move)
{
	const json_t *ram = json_object_get(move->progress, "ram");

	return json_number_value(json_object_get(ram, "mbps")) * BYTES_PER_MB / BITS_PER_BYTE;
}

/* Of what was measured on this host, and what its bytes take on the way. */
static double backend_ms(const struct mg_backend *backend, double rate)
{
	const json_t *preflight = backend->preflight;
	double us = json_number_value(json_object_get(preflight, "blackout_us"));
	double bytes = json_number_value(json_object_get(preflight, "state_bytes"));

	return us / US_PER_MS + (rate > 0 ? bytes * MS_PER_S / rate : 0);
}

long long mg_expected_blackout_ms(const struct mg_move *move)
{
	const struct mg_machine *source = &move->machines[MG_SOURCE];
	double ms = json_number_value(json_object_get(move->progress, "expected-downtime"));

	for (unsigned i = 0; i < source->count; i++)
		ms += backend_ms(&source->devices[i].backend, rate_of(move));
	return (long long)ms;
}

static void print_line(const struct mg_move *move)
{
	const json_t *ram = json_object_get(move->progress, "ram");
	double sent = json_number_value(json_object_get(ram, "transferred"));
	double left = json_number_value(json_object_get(ram, "remaining"));

	fprintf(stderr, "%.1f MB sent, %.1f MB/s, %.1f MB left, expected blackout %lld ms",
		sent / BYTES_PER_MB, rate_of(move) / BYTES_PER_MB, left / BYTES_PER_MB,
		mg_expected_blackout_ms(move));
}

/* On a terminal one line that changes, in a log one now and then. */
void mg_progress_show(struct mg_move *move)
{
	bool terminal = isatty(STDERR_FILENO);
	uint64_t now = gw_clock_ns();

	if (move->quiet || !json_object_get(move->progress, "ram"))
		return;
	if (!terminal && move->shown_ns && now - move->shown_ns < LINE_EVERY_NS)
		return;
	move->shown_ns = now;
	fputs(terminal ? CLEAR_LINE : "", stderr);
	print_line(move);
	fputs(terminal ? "" : "\n", stderr);
	fflush(stderr);
}

void mg_progress_end(const struct mg_move *move)
{
	if (!move->quiet && isatty(STDERR_FILENO))
		fputs(CLEAR_LINE, stderr);
}
