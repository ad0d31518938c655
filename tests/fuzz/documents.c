/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/documents.c - two documents, divided by a NUL: an instance and an implementation. Each
 * is refused with a sentence, or they are compared; what is said of them holds together. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "godwit/error.h"
#include "harness.h"
#include "model/alike.h"
#include "model/baseline.h"
#include "model/document.h"

static void expect(bool truth)
{
	if (!truth)
		abort();
}

/* Written and read again it is the same instance. */
static void check_again(const struct gw_compat_instance *instance)
{
	char before[GW_CANONICAL_MAX], after[GW_CANONICAL_MAX];
	json_t *document = gw_compat_instance_json(instance);
	struct gw_compat_instance *again;

	expect(!gw_compat_instance_from_json(&again, "again", document));
	expect(gw_compat_fingerprint(instance, NULL, before, sizeof(before)) > 0);
	expect(gw_compat_fingerprint(again, NULL, after, sizeof(after)) > 0);
	expect(!strcmp(before, after));
	gw_compat_instance_free(again);
	json_decref(document);
}

static void check_report(const struct gw_compat_report *report)
{
	bool refused = false;

	for (unsigned i = 0; i < gw_compat_report_count(report); i++) {
		const struct gw_compat_reason *reason = gw_compat_report_reason(report, i);

		expect(reason->code != GW_ACCEPTED && *reason->text);
		refused |= reason->code != GW_CANNOT_TELL;
	}
	expect((gw_compat_report_verdict(report) == GW_INCOMPATIBLE) == refused);
	json_decref(gw_compat_report_json(report));
}

/* A profile that an implementation has is one that it takes, but for room and layouts. */
static void check_own(const struct gw_compat_implementation *implementation,
		      const struct gw_model *model, const char *profile)
{
	char form[GW_CANONICAL_MAX];
	struct gw_compat_instance *instance;
	struct gw_compat_report *report;
	struct gw_params *params;

	expect(!gw_params_new(&params, model));
	expect(!gw_params_apply_profile(params, profile));
	expect(gw_params_canonical(params, form, sizeof(form)) > 0);
	expect(!gw_compat_instance_canonical(&instance, "own", form, strlen(form), NULL));
	expect(!gw_compat_report_new(&report));
	expect(!gw_compat_check(instance, implementation, report));
	for (unsigned i = 0; i < gw_compat_report_count(report); i++) {
		enum gw_refusal code = gw_compat_report_reason(report, i)->code;

		expect(code == GW_NO_CAPACITY || code == GW_STATE_FORMAT_UNREADABLE);
	}
	gw_compat_report_free(report);
	gw_compat_instance_free(instance);
	gw_params_free(params);
}

static void compare(const struct gw_compat_instance *instance,
		    const struct gw_compat_implementation *implementation)
{
	struct gw_compat_report *report;
	struct gw_compat_rank rank;

	expect(!gw_compat_report_new(&report));
	expect(!gw_compat_check(instance, implementation, report));
	check_report(report);
	/* An instance fits one that is made like it, whatever else. */
	gw_compat_report_free(report);
	expect(!gw_compat_report_new(&report));
	expect(!gw_compat_check_made(instance, instance, implementation, report));
	expect(!gw_compat_report_count(report));
	gw_compat_report_free(report);
	gw_compat_rank(instance, implementation, &rank);
	expect(!gw_compat_rank_compare(&rank, "a", &rank, "a"));
}

/* The same bytes as what a stream's header says: a canonical form, and prerequisites. */
static void check_form(const char *text, size_t len, const char *rest, size_t rest_len)
{
	char *words = strndup(rest ? rest : "", rest_len);
	struct gw_compat_instance *instance = NULL;
	char again[GW_CANONICAL_MAX];
	int err = gw_compat_instance_canonical(&instance, "form", text, len, words);

	expect(!err || ((err == -EBADMSG || err == -EFBIG) && *gw_last_error()));
	if (instance) {
		expect(gw_compat_fingerprint(instance, NULL, again, sizeof(again)) == (int)len);
		expect(!memcmp(again, text, len));
		check_again(instance);
	}
	gw_compat_instance_free(instance);
	free(words);
}

/* The same text is the same document to one who knows its models; cut short it is as refused as
 * ever. */
static void check_alike(const char *text, size_t len, int expected)
{
	struct gw_compat_implementation *read;
	struct gw_alike *alike;

	expect(!gw_alike_new(&alike));
	for (unsigned i = 0; i < 2; i++) {
		read = NULL;
		expect(gw_alike_parse(alike, &read, "implementation", text, len) == expected);
		gw_compat_implementation_free(read);
	}
	read = NULL;
	expected = gw_compat_implementation_parse(&read, "cut", text, len ? len - 1 : 0);
	gw_compat_implementation_free(read);
	read = NULL;
	expect(gw_alike_parse(alike, &read, "cut", text, len ? len - 1 : 0) == expected);
	gw_compat_implementation_free(read);
	gw_alike_free(alike);
}

/* Two hosts that are alike refuse the same, and nothing without a reason. */
static void check_baseline(const struct gw_compat_implementation *implementation)
{
	const struct gw_hosted both[] = {{implementation, 0}, {implementation, 1}};
	struct gw_baseline *baseline;
	const struct gw_model *model;

	for (unsigned i = 0; (model = gw_compat_implementation_model(implementation, i)); i++) {
		expect(!gw_baseline_new(&baseline, both, 2, model->name));
		expect(gw_baseline_chosen(baseline) < (int)baseline->count);
		for (unsigned k = 0; k < baseline->count; k++) {
			const struct gw_candidate *one = &baseline->candidates[k];

			expect(one->refuses[0] == one->refuses[1] &&
			       one->refuses[0] == one->refused);
			expect(!one->refused || gw_compat_report_count(one->reports[0]));
			expect(gw_compat_report_count(one->reports[0]) ==
			       gw_compat_report_count(one->reports[1]));
		}
		gw_baseline_free(baseline);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *nul = size ? memchr(data, 0, size) : NULL;
	size_t first = nul ? (size_t)(nul - text) : size;
	struct gw_compat_implementation *implementation = NULL;
	struct gw_compat_instance *instance = NULL;
	const struct gw_model *model;
	int err = gw_compat_instance_parse(&instance, "instance", text, first);

	expect(!err || ((err == -EBADMSG || err == -EFBIG) && *gw_last_error()));
	if (nul)
		err = gw_compat_implementation_parse(&implementation, "implementation", nul + 1,
						     size - first - 1);
	expect(!err || ((err == -EBADMSG || err == -EFBIG) && *gw_last_error()));
	if (nul)
		check_alike(nul + 1, size - first - 1, err);
	check_form(text, first, nul ? nul + 1 : NULL, nul ? size - first - 1 : 0);
	if (instance)
		check_again(instance);
	for (unsigned i = 0;
	     implementation && (model = gw_compat_implementation_model(implementation, i)); i++)
		for (const struct gw_profile *p = model->profiles; p->name; p++)
			check_own(implementation, model, p->name);
	if (implementation)
		check_baseline(implementation);
	if (instance && implementation)
		compare(instance, implementation);
	gw_compat_instance_free(instance);
	gw_compat_implementation_free(implementation);
	return 0;
}
