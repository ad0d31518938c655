/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/to_syslog.c - the log to the system's log. */
#include <stddef.h>
#include <syslog.h>

#include "daemon/to_syslog.h"
#include "godwit/error.h"

static const int priorities[] = {
	[GW_LOG_OFF] = LOG_ERR,	  [GW_LOG_ERROR] = LOG_ERR,   [GW_LOG_WARN] = LOG_WARNING,
	[GW_LOG_INFO] = LOG_INFO, [GW_LOG_DEBUG] = LOG_DEBUG, [GW_LOG_TRACE] = LOG_DEBUG,
};

static void write_line(void *opaque, enum gw_log_level level, const char *line)
{
	(void)opaque;
	syslog(priorities[level], "%s", line);
}

void gw_log_to_syslog(const char *program)
{
	openlog(program, LOG_PID | LOG_NDELAY, LOG_DAEMON);
	gw_log_set_sink(write_line, NULL);
}
