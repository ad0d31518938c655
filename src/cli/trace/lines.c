/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/trace/lines.c - messages as lines: for people, as JSON, and out of that again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "cli/trace/trace.h"
#include "vhost-user/messages.h"
#include "godwit/error.h"

#define USEC_PER_SEC 1000000
/* A line that is read; ours are shorter. */
#define LINE_MAX_BYTES (64u * 1024)

static const char *const sides[] = {"front-end", "back-end"};
static const char *const channels[] = {"main", "back-end channel"};

void tr_print_text(const struct tr_message *message, int64_t start, FILE *out)
{
	int64_t at = message->at - start;
	char detail[TR_DETAIL_MAX];

	tr_detail(message, detail);
	fprintf(out, "%6lld.%06lld  %s %s%s", (long long)(at / USEC_PER_SEC),
		(long long)(at % USEC_PER_SEC), message->from == TR_FRONTEND ? "-->" : "<--",
		tr_name(message), tr_is_reply(message) ? " reply" : "");
	if (!gw_vu_row(message->request) && message->request >= GW_VU_REQUESTS)
		fprintf(out, " (%u)", message->request);
	if (*detail)
		fprintf(out, ": %s", detail);
	if (message->fds)
		fprintf(out, " [%u descriptor%s]", message->fds, message->fds == 1 ? "" : "s");
	if (message->flags & GW_VU_NEED_REPLY)
		fprintf(out, " (reply asked for)");
	fprintf(out, "\n");
}

static json_t *hexadecimal(const struct tr_message *message)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = GW_MIN((size_t)message->size, (size_t)TR_KEPT_MAX);
	char text[2 * TR_KEPT_MAX + 1] = {0};

	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[message->payload[i] >> 4];
		text[2 * i + 1] = digits[message->payload[i] & 15];
	}
	return json_string(text);
}

int tr_print_json(const struct tr_message *message, FILE *out)
{
	json_t *line = json_pack("{s:I, s:s, s:s, s:i, s:s, s:i, s:i, s:i, s:o}", "us",
				 (json_int_t)message->at, "from", sides[message->from], "channel",
				 channels[message->channel], "request", (int)message->request,
				 "name", tr_name(message), "flags", (int)message->flags, "size",
				 (int)message->size, "descriptors", (int)message->fds, "payload",
				 hexadecimal(message));
	int err =
		line && !json_dumpf(line, out, JSON_COMPACT) && fputc('\n', out) != EOF ? 0 : -EIO;

	json_decref(line);
	return err;
}

static int digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool take_payload(struct tr_message *message, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (len % 2 || len > (size_t)2 * TR_KEPT_MAX)
		return false;
	for (size_t i = 0; i < len / 2; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		message->payload[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* Which of two words; -1: neither. */
static int which(const json_t *line, const char *key, const char *const words[2])
{
	const char *text = json_string_value(json_object_get(line, key));

	for (int i = 0; text && i < 2; i++)
		if (!strcmp(text, words[i]))
			return i;
	return -1;
}

static bool take_u32(const json_t *line, const char *key, uint32_t *value)
{
	const json_t *number = json_object_get(line, key);
	json_int_t n = json_integer_value(number);

	*value = (uint32_t)n;
	return json_is_integer(number) && n >= INT32_MIN && n <= UINT32_MAX;
}

static bool take(struct tr_message *message, const json_t *line)
{
	const json_t *at = json_object_get(line, "us");
	int from = which(line, "from", sides), channel = which(line, "channel", channels);

	*message = (struct tr_message){.at = json_integer_value(at)};
	if (!json_is_integer(at) || message->at < 0 || from < 0 || channel < 0)
		return false;
	message->from = (enum tr_side)from;
	message->channel = (enum tr_channel)channel;
	return take_u32(line, "request", &message->request) &&
	       take_u32(line, "flags", &message->flags) && take_u32(line, "size", &message->size) &&
	       take_u32(line, "descriptors", &message->fds) &&
	       take_payload(message, json_string_value(json_object_get(line, "payload")));
}

int tr_parse(struct tr_message *message, const char *line, const char *path, unsigned number)
{
	json_error_t error;
	json_t *parsed = json_loads(line, JSON_REJECT_DUPLICATES, &error);
	bool good = parsed && take(message, parsed);

	json_decref(parsed);
	if (good)
		return 0;
	return gw_fail(EINVAL, "%s: line %u is no message of a trace%s%.80s", path, number,
		       parsed ? "" : ": ", parsed ? "" : error.text);
}

int tr_list_add(struct tr_list *list, const struct tr_message *message)
{
	if (list->count == TR_MESSAGES_MAX)
		return gw_fail(EFBIG, "more than %u messages", TR_MESSAGES_MAX);
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 256;
		struct tr_message *more = realloc(list->at, room * sizeof(*more));

		if (!more)
			return gw_fail(ENOMEM, "no memory for %zu messages", room);
		list->at = more;
		list->room = room;
	}
	list->at[list->count] = *message;
	list->at[list->count].order = list->count;
	list->count++;
	return 0;
}

void tr_list_free(struct tr_list *list)
{
	free(list->at);
	*list = (struct tr_list){0};
}

int tr_list_read(struct tr_list *list, const char *path, unsigned trace)
{
	GW_AUTO_FCLOSE FILE *file = fopen(path, "re");
	GW_AUTO_FREE char *line = malloc(LINE_MAX_BYTES);
	struct tr_message message;
	unsigned number = 0;
	int err = 0;

	if (!file || !line)
		return gw_fail(errno, "%s: %s", path, strerror(errno));
	while (!err && fgets(line, LINE_MAX_BYTES, file)) {
		err = tr_parse(&message, line, path, ++number);
		message.trace = trace;
		if (!err)
			err = tr_list_add(list, &message);
	}
	return err;
}

static int by_time(const void *a, const void *b)
{
	const struct tr_message *one = a, *other = b;

	if (one->at != other->at)
		return one->at < other->at ? -1 : 1;
	return one->order < other->order ? -1 : 1;
}

void tr_list_sort(struct tr_list *list)
{
	if (list->count)
		qsort(list->at, list->count, sizeof(*list->at), by_time);
}
