/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/trace/svg.c - a picture of a trace: who said what and when, the phases, the blackout. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/svg.h"
#include "cli/trace/trace.h"
#include "godwit/error.h"

/* Pixels. */
#define ROW	    18
#define HEAD	    84
#define TIME_WIDTH  120
#define TRACE_WIDTH 460
#define FRONT_AT    70
#define BACK_AT	    390
#define USEC_PER_MS 1000.0
/* Phases for which there is room in a line. */
#define SUMMARY_MAX 6

/* A request and its reply; or several of the same kind in a row. */
struct row {
	size_t first, last; /* messages; the reply is not one of them */
	size_t reply;	    /* 0: none, since the first message is no reply */
	unsigned count, trace;
};

struct picture {
	const struct tr_list *list;
	struct tr_story story;
	struct row *rows;
	size_t count;
	size_t *shown; /* in which row a message is */
	unsigned traces;
	FILE *out;
};

static const char *const colours[TR_PHASES] = {
	[TR_NEGOTIATE] = "#9aa5b1", [TR_RUN] = "#2f9e44",  [TR_STOP] = "#e8590c",
	[TR_SAVE] = "#7048e8",	    [TR_LOAD] = "#1971c2", [TR_START] = "#f08c00",
};

static bool same_kind(const struct tr_message *a, const struct tr_message *b)
{
	return a->request == b->request && a->channel == b->channel && a->from == b->from;
}

/* The row that a reply belongs to: the latest of its request in its trace. */
static struct row *row_of(struct picture *picture, const struct tr_message *reply)
{
	for (size_t i = picture->count; i--;) {
		const struct tr_message *asked = &picture->list->at[picture->rows[i].last];

		if (asked->trace == reply->trace && asked->request == reply->request &&
		    asked->channel == reply->channel && asked->from != reply->from)
			return &picture->rows[i];
	}
	return NULL;
}

static void add_row(struct picture *picture, size_t at)
{
	const struct tr_message *message = &picture->list->at[at];
	struct row *before = picture->count ? &picture->rows[picture->count - 1] : NULL;

	if (before && before->trace == message->trace &&
	    same_kind(&picture->list->at[before->last], message)) {
		before->last = at;
		before->count++;
		return;
	}
	picture->rows[picture->count++] =
		(struct row){.first = at, .last = at, .count = 1, .trace = message->trace};
}

static void make_rows(struct picture *picture)
{
	for (size_t i = 0; i < picture->list->count; i++) {
		const struct tr_message *message = &picture->list->at[i];
		struct row *asked = tr_is_reply(message) ? row_of(picture, message) : NULL;

		if (asked)
			asked->reply = i;
		else
			add_row(picture, i);
		picture->shown[i] = asked ? (size_t)(asked - picture->rows) : picture->count - 1;
	}
}

static int y_of(size_t row)
{
	return HEAD + ROW + (int)row * ROW;
}

static double ms_between(const struct picture *picture, size_t from, size_t to)
{
	return (double)(picture->list->at[to].at - picture->list->at[from].at) / USEC_PER_MS;
}

static void draw_phase(const struct picture *picture, const struct tr_phase *phase)
{
	size_t first = picture->shown[phase->first], last = picture->shown[phase->last];
	int x = TIME_WIDTH + (int)phase->trace * TRACE_WIDTH;
	int top = y_of(first) - ROW + 3, height = (int)(last - first + 1) * ROW - 2;

	fprintf(picture->out,
		"<rect x='%d' y='%d' width='%d' height='%d' fill='%s' fill-opacity='.12'/>\n"
		"<rect x='%d' y='%d' width='5' height='%d' fill='%s'/>\n"
		"<text x='%d' y='%d' class='p' fill='%s'>%s</text>\n",
		x, top, TRACE_WIDTH - 20, height, colours[phase->kind], x, top, height,
		colours[phase->kind], x + 9, top + 12, colours[phase->kind],
		tr_phase_name(phase->kind));
}

static void draw_blackout(const struct picture *picture)
{
	const struct tr_story *story = &picture->story;
	int top, bottom;

	if (!story->has_blackout)
		return;
	top = y_of(picture->shown[story->dark_from]) - ROW + 3;
	bottom = y_of(picture->shown[story->dark_to]) + 1;
	fprintf(picture->out,
		"<rect x='%d' y='%d' width='9' height='%d' fill='#212529'/>\n"
		"<text transform='translate(%d %d) rotate(-90)' class='b'>blackout %.3f "
		"ms</text>\n",
		TIME_WIDTH - 16, top, bottom - top, TIME_WIDTH - 22, (top + bottom) / 2,
		ms_between(picture, story->dark_from, story->dark_to));
}

static void draw_label(const struct picture *picture, const struct row *row)
{
	const struct tr_message *last = &picture->list->at[row->last];
	char detail[TR_DETAIL_MAX];

	gw_svg_text(picture->out, tr_name(last));
	if (row->count > 1)
		fprintf(picture->out, " ×%u", row->count);
	tr_detail(last, detail);
	if (*detail && row->count == 1 && strlen(detail) < 30) {
		fputs(" ", picture->out);
		gw_svg_text(picture->out, detail);
	}
	if (!row->reply)
		return;
	tr_detail(&picture->list->at[row->reply], detail);
	if (strlen(detail) < 20) {
		fputs(" → ", picture->out);
		gw_svg_text(picture->out, detail);
	}
	fprintf(picture->out, " (%.2f ms)", ms_between(picture, row->last, row->reply));
}

static void draw_row(const struct picture *picture, size_t index)
{
	const struct row *row = &picture->rows[index];
	const struct tr_message *message = &picture->list->at[row->first];
	int x = TIME_WIDTH + (int)row->trace * TRACE_WIDTH, y = y_of(index);
	bool there = message->from == TR_FRONTEND;

	fprintf(picture->out,
		"<text x='%d' y='%d' class='t'>%.3f</text>\n"
		"<line x1='%d' y1='%d' x2='%d' y2='%d' class='a' marker-end='url(#h)'/>\n"
		"<text x='%d' y='%d' class='m'>",
		TIME_WIDTH - 54, y, ms_between(picture, 0, row->first),
		x + (there ? FRONT_AT : BACK_AT), y, x + (there ? BACK_AT : FRONT_AT), y,
		x + (FRONT_AT + BACK_AT) / 2, y - 3);
	draw_label(picture, row);
	fputs("</text>\n", picture->out);
}

static void draw_lifelines(const struct picture *picture)
{
	int bottom = y_of(picture->count);

	for (unsigned i = 0; i < picture->traces; i++) {
		int x = TIME_WIDTH + (int)i * TRACE_WIDTH;
		const char *where = picture->traces == 1 ? "" : i ? "destination " : "source ";

		fprintf(picture->out,
			"<text x='%d' y='%d' class='h'>%sfront-end</text>\n"
			"<text x='%d' y='%d' class='h'>%sback-end</text>\n"
			"<path d='M%d %dV%dM%d %dV%d' class='l'/>\n",
			x + FRONT_AT, HEAD - 8, where, x + BACK_AT, HEAD - 8, where, x + FRONT_AT,
			HEAD, bottom, x + BACK_AT, HEAD, bottom);
	}
}

/* How long each phase of a trace took, in the order in which they came. */
static void draw_summary(const struct picture *picture, unsigned trace)
{
	const struct tr_story *story = &picture->story;
	unsigned told = 0;

	fprintf(picture->out, "<text x='%d' y='%d' class='n'>",
		TIME_WIDTH + (int)trace * TRACE_WIDTH, HEAD - 30);
	for (unsigned i = 0; i < story->count && told < SUMMARY_MAX; i++) {
		const struct tr_phase *phase = &story->phases[i];

		if (phase->trace == trace && phase->kind != TR_NEGOTIATE)
			fprintf(picture->out, "%s%s %.2f ms", told++ ? ", " : "",
				tr_phase_name(phase->kind),
				ms_between(picture, phase->first, phase->last));
	}
	fputs("</text>\n", picture->out);
}

static const char style[] = ".t{font-size:10px;fill:#868e96;text-anchor:end}\n"
			    ".m{font-size:10px;fill:#212529;text-anchor:middle}\n"
			    ".h{font-size:12px;font-weight:bold;text-anchor:middle}\n"
			    ".p{font-size:10px}\n"
			    ".b{font-size:11px;font-weight:bold;text-anchor:middle}\n"
			    ".s{font-size:13px;font-weight:bold}\n.n{font-size:10px;fill:#495057}\n"
			    ".a{stroke:#495057;stroke-width:1}\n"
			    ".l{stroke:#adb5bd;stroke-dasharray:3 3;fill:none}\n";

static void draw_all(const struct picture *picture)
{
	gw_svg_begin(picture->out, TIME_WIDTH + (int)picture->traces * TRACE_WIDTH + 20,
		     y_of(picture->count) + ROW, style);
	fputs("<defs><marker id='h' viewBox='0 0 8 8' refX='8' refY='4' markerWidth='6' "
	      "markerHeight='6' orient='auto'><path d='M0 0L8 4L0 8z' "
	      "fill='#495057'/></marker></defs>\n",
	      picture->out);
	for (unsigned i = 0; i < picture->story.count; i++)
		draw_phase(picture, &picture->story.phases[i]);
	draw_lifelines(picture);
	draw_blackout(picture);
	for (size_t i = 0; i < picture->count; i++)
		draw_row(picture, i);
	fprintf(picture->out, "<text x='12' y='22' class='s'>%zu messages in %.3f ms</text>\n",
		picture->list->count, ms_between(picture, 0, picture->list->count - 1));
	for (unsigned i = 0; i < picture->traces; i++)
		draw_summary(picture, i);
	gw_svg_end(picture->out);
}

int tr_draw(const struct tr_list *list, unsigned traces, FILE *out)
{
	struct picture picture = {.list = list, .traces = traces, .out = out};
	GW_AUTO_FREE struct row *rows = calloc(list->count + 1, sizeof(*rows));
	GW_AUTO_FREE size_t *shown = calloc(list->count + 1, sizeof(*shown));

	if (!list->count)
		return gw_fail(ENODATA, "there is no message to draw");
	if (!rows || !shown)
		return gw_fail(ENOMEM, "no memory for %zu messages", list->count);
	picture.rows = rows;
	picture.shown = shown;
	make_rows(&picture);
	tr_story_tell(&picture.story, list);
	draw_all(&picture);
	return ferror(out) ? gw_fail(EIO, "the picture could not be written") : 0;
}
