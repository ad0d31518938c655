/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/report.c - named values of a device, as JSON, bounded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "control/control.h"
#include "migration/report.h"

/* Of a value's punctuation, and of a number. */
#define VALUE_BYTES 32
/* What one byte of a text may become: \u0000. */
#define TEXT_GROWTH 6

struct gw_report *gw_report_new(void)
{
	struct gw_report *report = calloc(1, sizeof(*report));

	if (!report)
		return NULL;
	report->depth = 1;
	report->levels[0].value = json_object();
	report->failed = !report->levels[0].value;
	return report;
}

void gw_report_free(struct gw_report *report)
{
	if (!report)
		return;
	json_decref(report->levels[0].value);
	free(report);
}

static struct gw_report_level *innermost(struct gw_report *report)
{
	return &report->levels[report->depth - 1];
}

static bool is_full(const struct gw_report *report, size_t more)
{
	return more > GW_REPORT_BYTES_MAX - report->bytes;
}

/* What goes in takes @bytes. False: it is left out, as are all elements of a list once one was; in
 * an object everything has its place, which is a few values. */
static bool has_room(struct gw_report *report, const char *name, size_t bytes)
{
	struct gw_report_level *level = innermost(report);

	if (!level->value)
		return false;
	bytes += VALUE_BYTES + (name ? strlen(name) : 0);
	if (json_is_array(level->value) && (level->left_out || is_full(report, bytes))) {
		level->left_out++;
		return false;
	}
	report->bytes += GW_MIN(bytes, GW_REPORT_BYTES_MAX - report->bytes);
	return true;
}

/* Takes @value over. */
static void put(struct gw_report *report, const char *name, json_t *value)
{
	json_t *into = innermost(report)->value;
	int err = json_is_array(into) ? json_array_append_new(into, value)
				      : json_object_set_new(into, name ? name : "", value);

	if (err)
		report->failed = true;
}

static bool is_writable(const struct gw_report *report)
{
	return report && !report->failed && !report->too_deep;
}

void gw_report_number(struct gw_report *report, const char *name, uint64_t value)
{
	if (is_writable(report) && has_room(report, name, 0))
		put(report, name, json_integer((json_int_t)GW_MIN(value, (uint64_t)INT64_MAX)));
}

void gw_report_flag(struct gw_report *report, const char *name, bool value)
{
	if (is_writable(report) && has_room(report, name, 0))
		put(report, name, json_boolean(value));
}

void gw_report_text(struct gw_report *report, const char *name, const char *text)
{
	if (is_writable(report) && has_room(report, name, TEXT_GROWTH * strlen(text)))
		put(report, name, gw_control_text(text));
}

/* -- names of files ------------------------------------------------------------------------ */

/* How many bytes the printable UTF-8 character at @at has; 0 if there is none. RFC 3629. */
static size_t printable(const unsigned char *at, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	uint32_t code;

	if (at[0] < 0x80)
		return at[0] >= ' ' && at[0] != 0x7f && at[0] != '\\';
	if (!len || len > left || at[0] > 0xf4)
		return 0;
	code = at[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	/* Overlong, surrogates, beyond the end; the control characters of ISO 6429. */
	if (code < least[len] || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
		return 0;
	return code < 0xa0 ? 0 : len;
}

/* To free. Four bytes for one at most. */
static char *escape(const char *path, size_t len)
{
	const unsigned char *from = (const unsigned char *)path, *end = from + len;
	char *text = malloc(4 * len + 1), *to = text;

	while (text && from < end) {
		size_t good = printable(from, (size_t)(end - from));

		if (good)
			memcpy(to, from, good);
		else
			snprintf(to, 5, "\\x%02x", *from);
		to += good ? good : 4;
		from += good ? good : 1;
	}
	if (text)
		*to = 0;
	return text;
}

void gw_report_path(struct gw_report *report, const char *name, const char *path, size_t len)
{
	GW_AUTO_FREE char *text = NULL;

	if (!is_writable(report))
		return;
	text = escape(path, len);
	if (!text)
		report->failed = true;
	/* A backslash is two bytes in JSON. */
	else if (has_room(report, name, 2 * strlen(text)))
		put(report, name, json_string(text));
}

/* -- objects and lists --------------------------------------------------------------------- */

static void open_level(struct gw_report *report, const char *name, json_t *value)
{
	struct gw_report_level level = {.name = name};

	if (!report || report->failed || report->too_deep || report->depth == GW_REPORT_DEPTH_MAX) {
		json_decref(value);
		if (report) {
			report->failed = true;
			report->too_deep++;
		}
		return;
	}
	if (has_room(report, name, 0)) {
		put(report, name, value);
		level.value = report->failed ? NULL : value; /* what it was put into holds it */
	} else {
		json_decref(value);
	}
	report->levels[report->depth++] = level;
}

void gw_report_object(struct gw_report *report, const char *name)
{
	open_level(report, name, report ? json_object() : NULL);
}

void gw_report_list(struct gw_report *report, const char *name)
{
	open_level(report, name, report ? json_array() : NULL);
}

static void tell_left_out(struct gw_report *report, const struct gw_report_level *ended)
{
	char name[GW_REPORT_NAME_MAX + sizeof("_left_out")];

	if (!ended->left_out || !ended->name)
		return;
	snprintf(name, sizeof(name), "%.*s_left_out", GW_REPORT_NAME_MAX, ended->name);
	gw_report_number(report, name, ended->left_out);
}

void gw_report_end(struct gw_report *report)
{
	if (!report)
		return;
	if (report->too_deep)
		report->too_deep--;
	else if (report->depth > 1)
		tell_left_out(report, &report->levels[--report->depth]);
}

json_t *gw_report_json(const struct gw_report *report)
{
	return report && !report->failed ? json_incref(report->levels[0].value) : NULL;
}

/* -- metrics ------------------------------------------------------------------------------- */

/* The metric's object {help, type, samples}, made when it is first seen. */
static json_t *family_of(struct gw_report *report, const struct gw_metric *metric, const char *type)
{
	json_t *root = report->levels[0].value;
	json_t *family = json_object_get(root, metric->name);

	if (family)
		return family;
	family = json_pack("{s:s, s:s, s:[]}", "help", metric->help, "type", type, "samples");
	json_object_set_new(root, metric->name, family);
	return family;
}

/* What stands in front of a value, as far as it is there. */
struct labels {
	const char *all[3];
};

static void put_sample(struct gw_report *report, json_t *family, const char *name,
		       const struct labels *labels, const char *value)
{
	char sample[512];
	const char *separator = "{";
	int len = snprintf(sample, sizeof(sample), "%s", name);

	for (size_t i = 0; i < GW_ARRAY_LEN(labels->all); i++) {
		if (!labels->all[i])
			continue;
		len += snprintf(sample + len, sizeof(sample) - (size_t)len, "%s%s", separator,
				labels->all[i]);
		len = GW_MIN(len, (int)sizeof(sample) - 1);
		separator = ",";
	}
	snprintf(sample + len, sizeof(sample) - (size_t)len, "%s %s", *separator == ',' ? "}" : "",
		 value);
	if (is_full(report, strlen(sample)))
		return;
	report->bytes += strlen(sample);
	if (json_array_append_new(json_object_get(family, "samples"), json_string(sample)))
		report->failed = true;
}

static void put_count(struct gw_report *report, json_t *family, const char *name,
		      const struct labels *labels, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	put_sample(report, family, name, labels, text);
}

void gw_report_metric(struct gw_report *report, const struct gw_metric *metric, const char *labels,
		      uint64_t value)
{
	const char *type = metric->counter ? "counter" : "gauge";

	if (is_writable(report))
		put_count(report, family_of(report, metric, type), metric->name,
			  &(struct labels){{report->labels, labels}}, value);
}

static void put_buckets(struct gw_report *report, json_t *family, const char *name,
			const char *labels, const struct gw_histogram *histogram)
{
	uint64_t count = 0;

	for (unsigned i = 0; i <= histogram->count; i++) {
		char bound[32] = "le=\"+Inf\"";

		if (i < histogram->count)
			snprintf(bound, sizeof(bound), "le=\"%.9g\"",
				 (double)histogram->bounds_ns[i] / GW_NS_PER_S);
		count += histogram->counts[i];
		put_count(report, family, name, &(struct labels){{report->labels, labels, bound}},
			  count);
	}
}

void gw_report_histogram(struct gw_report *report, const struct gw_metric *metric,
			 const char *labels, const struct gw_histogram *histogram)
{
	const struct labels both = {{report ? report->labels : NULL, labels}};
	char name[128], sum[32];
	uint64_t count = 0;
	json_t *family;

	if (!is_writable(report))
		return;
	family = family_of(report, metric, "histogram");
	snprintf(name, sizeof(name), "%s_bucket", metric->name);
	put_buckets(report, family, name, labels, histogram);
	for (unsigned i = 0; i <= histogram->count; i++)
		count += histogram->counts[i];
	snprintf(name, sizeof(name), "%s_sum", metric->name);
	snprintf(sum, sizeof(sum), "%.9f", (double)histogram->sum_ns / GW_NS_PER_S);
	put_sample(report, family, name, &both, sum);
	snprintf(name, sizeof(name), "%s_count", metric->name);
	put_count(report, family, name, &both, count);
}

static void print_family(FILE *out, const char *name, const json_t *family)
{
	const json_t *samples = json_object_get(family, "samples");

	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name,
		json_string_value(json_object_get(family, "help")), name,
		json_string_value(json_object_get(family, "type")));
	for (size_t i = 0; i < json_array_size(samples); i++)
		fprintf(out, "%s\n", json_string_value(json_array_get(samples, i)));
}

char *gw_report_exposition(const struct gw_report *report)
{
	char *text = NULL;
	size_t len;
	FILE *out = report && !report->failed ? open_memstream(&text, &len) : NULL;
	json_t *all = out ? report->levels[0].value : NULL;

	if (!out)
		return NULL;
	for (void *at = json_object_iter(all); at; at = json_object_iter_next(all, at))
		print_family(out, json_object_iter_key(at), json_object_iter_value(at));
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* -- the library's ------------------------------------------------------------------------- */

void gw_report_cancel(struct gw_report *report)
{
	atomic_store(&report->cancelled, true);
}

bool gw_report_cancelled(const struct gw_report *report)
{
	return report && atomic_load_explicit(&report->cancelled, memory_order_relaxed);
}
