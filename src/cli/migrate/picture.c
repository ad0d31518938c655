/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/picture.c - a migration as a picture: phases, the blackout, each device's part. */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/migrate/migrate.h"
#include "cli/print.h"
#include "cli/svg.h"

/* Pixels. */
#define ROW	  26
#define HEAD	  58
#define LABEL	  150
#define BAR_WIDTH 620
#define MARGIN	  130

struct picture {
	const struct mg_move *move;
	FILE *out;
	uint64_t from, to;
	int rows;
};

static const char *const colours[MG_PHASES] = {
	[MG_ASKING] = "#9aa5b1",     [MG_PREFLIGHT] = "#74b816", [MG_PREPARING] = "#9aa5b1",
	[MG_SETTING_UP] = "#f08c00", [MG_PRECOPY] = "#2f9e44",	 [MG_SWITCHOVER] = "#e8590c",
	[MG_VERIFYING] = "#1971c2",  [MG_TELLING] = "#7048e8",
};

static double x_of(const struct picture *picture, uint64_t at)
{
	double all = (double)GW_MAX(picture->to - picture->from, (uint64_t)1);

	return LABEL + (double)(at - picture->from) * BAR_WIDTH / all;
}

static void draw_bar(struct picture *picture, const char *label, const char *colour, uint64_t from,
		     uint64_t to)
{
	int y = HEAD + picture->rows++ * ROW;
	double left = x_of(picture, from), right = x_of(picture, to);

	fprintf(picture->out, "<text x='%d' y='%d' class='l'>", LABEL - 10, y + 14);
	gw_svg_text(picture->out, label);
	fprintf(picture->out,
		"</text>\n<rect x='%.1f' y='%d' width='%.1f' height='%d' fill='%s'/>\n"
		"<text x='%.1f' y='%d' class='n'>%.1f ms</text>\n",
		left, y + 2, GW_MAX(right - left, 1.5), ROW - 8, colour, right + 6, y + 14,
		(double)(to - from) / GW_NS_PER_MS);
}

static void draw_phases(struct picture *picture)
{
	const struct mg_move *move = picture->move;

	for (int i = 0; i < MG_PHASES; i++)
		if (move->begin[i] && move->end[i])
			draw_bar(picture, mg_phase_name((enum mg_phase)i), colours[i],
				 move->begin[i], move->end[i]);
	if (move->dark_from && move->dark_to >= move->dark_from)
		draw_bar(picture, "blackout", "#212529", move->dark_from, move->dark_to);
}

/* Back-ends have no clock in common with us: how much they did, not when. */
static void draw_transfer(struct picture *picture, const struct mg_device *device, const char *verb)
{
	const json_t *transfer = device->backend.transfer;
	int y = HEAD + picture->rows * ROW;

	if (!transfer)
		return;
	picture->rows++;
	fprintf(picture->out, "<text x='%d' y='%d' class='l'>", LABEL - 10, y + 14);
	gw_svg_text(picture->out, device->label);
	fprintf(picture->out,
		"</text>\n<text x='%d' y='%d' class='n'>%s, %lld bytes in %lld ms</text>\n", LABEL,
		y + 14, verb, gw_cli_number(transfer, "bytes"), gw_cli_number(transfer, "ms"));
}

static void draw_devices(struct picture *picture)
{
	static const char *const verbs[MG_SIDES] = {"saved", "loaded"};

	for (int side = 0; side < MG_SIDES; side++) {
		const struct mg_machine *machine = &picture->move->machines[side];

		for (unsigned i = 0; i < machine->count; i++)
			draw_transfer(picture, &machine->devices[i], verbs[side]);
	}
}

static int rows_of(const struct mg_move *move)
{
	return MG_PHASES + 1 +
	       (int)(move->machines[MG_SOURCE].count + move->machines[MG_DESTINATION].count);
}

static void draw(struct picture *picture)
{
	const struct mg_move *move = picture->move;

	gw_svg_begin(picture->out, LABEL + BAR_WIDTH + MARGIN, HEAD + (rows_of(move) + 1) * ROW,
		     ".l{font-size:12px;fill:#212529;text-anchor:end}\n"
		     ".n{font-size:11px;fill:#495057}\n.s{font-size:14px;font-weight:bold}\n");
	fprintf(picture->out,
		"<text x='12' y='24' class='s'>%s, %.1f ms</text>\n<text x='12' y='42' class='n'>",
		mg_outcome_name(move->outcome),
		(double)(picture->to - picture->from) / GW_NS_PER_MS);
	gw_svg_text(picture->out, move->reason);
	fputs("</text>\n", picture->out);
	draw_phases(picture);
	draw_devices(picture);
	gw_svg_end(picture->out);
}

int mg_report_svg(const struct mg_move *move, const char *path)
{
	struct picture picture = {.move = move, .from = move->begun, .to = move->begun};
	GW_AUTO_FCLOSE FILE *out = fopen(path, "we");

	if (!out)
		return gw_fail(errno, "%s: %s", path, strerror(errno));
	picture.out = out;
	for (int i = 0; i < MG_PHASES; i++)
		picture.to = GW_MAX(picture.to, move->end[i]);
	draw(&picture);
	return fflush(out) || ferror(out) ? gw_fail(EIO, "%s: it could not be written", path) : 0;
}
