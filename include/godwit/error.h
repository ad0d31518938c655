/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit/error.h - how functions fail, and the log. */
#ifndef GODWIT_ERROR_H
#define GODWIT_ERROR_H

#include <errno.h>
#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * Every function of libgodwit that can fail returns 0 (or a count) on success and a negative errno
 * on failure. Where the cause is known it also leaves a sentence for the operator: who, what, the
 * value seen, the value expected. The sentence belongs to the calling thread.
 */

/*
 * The sentence of the last failure on this thread, never NULL; "" if there was none. It is valid
 * until this thread's next failing call. Nothing clears it on success.
 */
const char *gw_last_error(void);

/*
 * Leave a sentence for this thread; errno is kept. It is cut at GW_ERROR_MAX bytes, and control
 * characters become '?', in it as in lines of the log. Any thread, for devices as well as for the
 * library.
 */
void gw_set_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Leave a sentence and be -@err (a positive errno), so that a function can end in it. */
#define gw_fail(err, ...) gw_negative_(err, (gw_set_error(__VA_ARGS__), 0))
/* A failure is never 0, even where a system call failed without a reason. */
static inline int gw_negative_(int err, int unused)
{
	(void)unused;
	return err > 0 ? -err : -EIO;
}

/* Put @format in front of the sentence already there ("outer: inner"); returns @result unchanged.
 */
int gw_fail_in(int result, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define GW_ERROR_MAX 512

enum gw_log_level {
	GW_LOG_OFF,
	GW_LOG_ERROR,
	GW_LOG_WARN,
	GW_LOG_INFO,
	GW_LOG_DEBUG,
	GW_LOG_TRACE,
};

/* Log one line, without a newline at its end. Any thread; lines never mix. */
void gw_log(enum gw_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What is less important than @level is dropped. Default: GW_LOG_INFO. Any thread. */
void gw_log_set_level(enum gw_log_level level);
enum gw_log_level gw_log_get_level(void);

/* "off", "error", "warn", "info", "debug", "trace" to a level; -EINVAL for anything else. */
int gw_log_level_parse(const char *name, enum gw_log_level *level);

/*
 * Where lines go: @sink is called with one formatted line, under a lock, on the thread that logged.
 * NULL brings back the default, standard error. Set it before threads are started.
 */
typedef void gw_log_sink(void *opaque, enum gw_log_level level, const char *line);
void gw_log_set_sink(gw_log_sink *sink, void *opaque);

#define gw_error(...) gw_log(GW_LOG_ERROR, __VA_ARGS__)
#define gw_warn(...)  gw_log(GW_LOG_WARN, __VA_ARGS__)
#define gw_info(...)  gw_log(GW_LOG_INFO, __VA_ARGS__)
#define gw_debug(...) gw_log(GW_LOG_DEBUG, __VA_ARGS__)

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
