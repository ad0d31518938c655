/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/report.c - what a device writes is what comes out, bounded. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmocka-all.h"
#include "migration/report.h"

static struct gw_report *report;

static int set_up(void **state)
{
	report = gw_report_new();
	return !report;
}

static int tear_down(void **state)
{
	gw_report_free(report);
	return 0;
}

static void expect(const char *text)
{
	json_t *json = gw_report_json(report);
	GW_AUTO_FREE char *seen = json_dumps(json, JSON_COMPACT);

	assert_string_equal(seen, text);
	json_decref(json);
}

static void test_values(void **state)
{
	gw_report_number(report, "n", 7);
	gw_report_number(report, "most", UINT64_MAX);
	gw_report_flag(report, "on", true);
	gw_report_text(report, "t", "a \"b\"");
	expect("{\"n\":7,\"most\":9223372036854775807,\"on\":true,\"t\":\"a \\\"b\\\"\"}");
}

static void test_objects_and_lists(void **state)
{
	gw_report_list(report, "list");
	gw_report_object(report, NULL);
	gw_report_number(report, "a", 1);
	gw_report_end(report);
	gw_report_text(report, NULL, "b");
	gw_report_end(report);
	gw_report_object(report, "object");
	gw_report_end(report);
	gw_report_number(report, "last", 2);
	expect("{\"list\":[{\"a\":1},\"b\"],\"object\":{},\"last\":2}");
}

/* Two names stay two names, and none of them steers a terminal. */
static void test_names_of_files(void **state)
{
	static const char odd[] = "a\\b\x1b\xff\xc0\xaf\xed\xa0\x80\xc3\xa4\xe2\x82";

	gw_report_path(report, "path", odd, sizeof(odd) - 1);
	gw_report_path(report, "c1", "\xc2\x9b", 2);
	gw_report_path(report, "nul", "x\0y", 3);
	gw_report_text(report, "text", "\xff");
	expect("{\"path\":\"a\\\\x5cb\\\\x1b\\\\xff\\\\xc0\\\\xaf\\\\xed\\\\xa0\\\\x80\xc3\xa4"
	       "\\\\xe2\\\\x82\",\"c1\":\"\\\\xc2\\\\x9b\",\"nul\":\"x\\\\x00y\",\"text\":\"?\"}");
}

/* A million files: the first are named, the others counted, and what follows is still there. */
static void test_is_bounded(void **state)
{
	GW_AUTO_FREE char *text = NULL;
	json_t *json, *list;
	json_int_t left_out;

	gw_report_list(report, "files");
	for (unsigned i = 0; i < 1000000; i++) {
		gw_report_object(report, NULL);
		gw_report_path(report, "path", "some/file/or/other", 18);
		gw_report_number(report, "inode", i);
		gw_report_end(report);
	}
	gw_report_end(report);
	gw_report_number(report, "count", 1000000);
	json = gw_report_json(report);
	text = json_dumps(json, JSON_COMPACT);
	assert_true(strlen(text) < GW_REPORT_BYTES_MAX + 4096);
	list = json_object_get(json, "files");
	left_out = json_integer_value(json_object_get(json, "files_left_out"));
	assert_true(json_array_size(list) > 1000);
	assert_int_equal((json_int_t)json_array_size(list) + left_out, 1000000);
	assert_int_equal(json_integer_value(json_object_get(json, "count")), 1000000);
	/* The last one is whole. */
	assert_int_equal(json_object_size(json_array_get(list, json_array_size(list) - 1)), 2);
	json_decref(json);
}

static void test_too_deep_is_nothing(void **state)
{
	for (int i = 0; i < 2 * GW_REPORT_DEPTH_MAX; i++)
		gw_report_object(report, "deeper");
	for (int i = 0; i < 3 * GW_REPORT_DEPTH_MAX; i++)
		gw_report_end(report);
	gw_report_number(report, "n", 1);
	assert_null(gw_report_json(report));
}

static void test_without_a_report(void **state)
{
	static const struct gw_metric metric = {"m", "help", false};

	gw_report_number(NULL, "n", 1);
	gw_report_flag(NULL, "n", true);
	gw_report_text(NULL, "n", "t");
	gw_report_path(NULL, "n", "t", 1);
	gw_report_object(NULL, "n");
	gw_report_list(NULL, "n");
	gw_report_end(NULL);
	gw_report_metric(NULL, &metric, NULL, 1);
	gw_report_free(NULL);
	assert_false(gw_report_cancelled(NULL));
	assert_null(gw_report_json(NULL));
	assert_null(gw_report_exposition(NULL));
}

static void test_cancel(void **state)
{
	assert_false(gw_report_cancelled(report));
	gw_report_cancel(report);
	assert_true(gw_report_cancelled(report));
}

/* https://prometheus.io/docs/instrumenting/exposition_formats: samples of a metric together. */
static void test_metrics(void **state)
{
	static const struct gw_metric requests = {"x_requests_total", "Requests.", true};
	static const struct gw_metric inodes = {"x_inodes", "Inodes.", false};
	GW_AUTO_FREE char *text = NULL;

	gw_report_metric(report, &requests, "op=\"read\"", 3);
	gw_report_metric(report, &inodes, NULL, 5);
	report->labels = "session=\"1\"";
	gw_report_metric(report, &requests, "op=\"read\"", UINT64_MAX);
	gw_report_metric(report, &inodes, NULL, 0);
	text = gw_report_exposition(report);
	assert_string_equal(text, "# HELP x_requests_total Requests.\n"
				  "# TYPE x_requests_total counter\n"
				  "x_requests_total{op=\"read\"} 3\n"
				  "x_requests_total{session=\"1\",op=\"read\"} "
				  "18446744073709551615\n"
				  "# HELP x_inodes Inodes.\n"
				  "# TYPE x_inodes gauge\n"
				  "x_inodes 5\n"
				  "x_inodes{session=\"1\"} 0\n");
}

/* Buckets add up as they go, and the last one counts all. */
static void test_histogram(void **state)
{
	static const struct gw_metric metric = {"x_seconds", "Time."};
	static const uint64_t bounds[] = {4096, 2000000000}, counts[] = {1, 2, 3};
	const struct gw_histogram histogram = {2, bounds, counts, 1500000000};
	GW_AUTO_FREE char *text = NULL;

	gw_report_histogram(report, &metric, "op=\"a\"", &histogram);
	text = gw_report_exposition(report);
	assert_string_equal(text, "# HELP x_seconds Time.\n"
				  "# TYPE x_seconds histogram\n"
				  "x_seconds_bucket{op=\"a\",le=\"4.096e-06\"} 1\n"
				  "x_seconds_bucket{op=\"a\",le=\"2\"} 3\n"
				  "x_seconds_bucket{op=\"a\",le=\"+Inf\"} 6\n"
				  "x_seconds_sum{op=\"a\"} 1.500000000\n"
				  "x_seconds_count{op=\"a\"} 6\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_values),
		TEST(test_objects_and_lists),
		TEST(test_names_of_files),
		TEST(test_is_bounded),
		TEST(test_too_deep_is_nothing),
		TEST(test_without_a_report),
		TEST(test_cancel),
		TEST(test_metrics),
		TEST(test_histogram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
