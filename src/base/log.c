/* SPDX-License-Identifier: BSD-3-Clause */
/* base/log.c - the log, and each thread's last error. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"

#define LINE_MAX_BYTES 1024

static const char *const level_names[] = {
	[GW_LOG_OFF] = "off",	[GW_LOG_ERROR] = "error", [GW_LOG_WARN] = "warn",
	[GW_LOG_INFO] = "info", [GW_LOG_DEBUG] = "debug", [GW_LOG_TRACE] = "trace",
};

static _Atomic enum gw_log_level threshold = GW_LOG_INFO;
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static gw_log_sink *current_sink;
static void *current_opaque;

static _Thread_local char last_error[GW_ERROR_MAX];

const char *gw_last_error(void)
{
	return last_error;
}

/* Names of a peer or a guest are in sentences: none steers a terminal, or begins a line of a log.
 */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = '?';
}

void gw_set_error(const char *format, ...)
{
	int saved = errno;
	va_list args;

	va_start(args, format);
	vsnprintf(last_error, sizeof(last_error), format, args);
	va_end(args);
	make_printable(last_error);
	errno = saved;
}

int gw_fail_in(int result, const char *format, ...)
{
	char inner[GW_ERROR_MAX];
	char outer[GW_ERROR_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(outer, sizeof(outer), format, args);
	va_end(args);
	make_printable(outer);
	memcpy(inner, last_error, sizeof(inner));
	if (!inner[0])
		snprintf(inner, sizeof(inner), "%s", strerror(-result));
	snprintf(last_error, sizeof(last_error), "%.*s: %s", GW_ERROR_MAX / 2, outer, inner);
	return result;
}

static void log_to_stderr(enum gw_log_level level, const char *line)
{
	struct timespec now;
	struct tm tm;
	char stamp[32];

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%H:%M:%S", &tm);
	fprintf(stderr, "%s.%03ld %-5s %s\n", stamp, now.tv_nsec / 1000000, level_names[level],
		line);
}

void gw_log(enum gw_log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	int saved = errno;
	va_list args;

	if (level > atomic_load_explicit(&threshold, memory_order_relaxed) || level <= GW_LOG_OFF)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	make_printable(line);
	{
		GW_LOCK_SCOPE(&sink_lock);
		if (current_sink)
			current_sink(current_opaque, level, line);
		else
			log_to_stderr(level, line);
	}
	errno = saved;
}

void gw_log_set_level(enum gw_log_level level)
{
	atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

enum gw_log_level gw_log_get_level(void)
{
	return atomic_load_explicit(&threshold, memory_order_relaxed);
}

int gw_log_level_parse(const char *name, enum gw_log_level *level)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(level_names); i++) {
		if (!strcmp(name, level_names[i])) {
			*level = (enum gw_log_level)i;
			return 0;
		}
	}
	return gw_fail(EINVAL, "log level '%s' is none of off, error, warn, info, debug, trace",
		       name);
}

void gw_log_set_sink(gw_log_sink *sink, void *opaque)
{
	GW_LOCK_SCOPE(&sink_lock);
	current_sink = sink;
	current_opaque = opaque;
}
