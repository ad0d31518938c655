/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/to_syslog.h - the log to the system's log. */
#ifndef GW_DAEMON_TO_SYSLOG_H
#define GW_DAEMON_TO_SYSLOG_H

/* From here on; the connection is made at once, before a sandbox is in the way. */
void gw_log_to_syslog(const char *program);

#endif
