/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/seccomp_words.h - what tables of system calls are written in. */
#ifndef GW_DAEMON_SECCOMP_WORDS_H
#define GW_DAEMON_SECCOMP_WORDS_H

#include "daemon/seccomp.h"

#define ALL  (GW_KIND_CONTROL | GW_KIND_WORKER | GW_KIND_TRANSFER)
#define MOVE (GW_KIND_CONTROL | GW_KIND_TRANSFER)
#define CTRL GW_KIND_CONTROL
/* The thread of --watch reads events, writes to the log, and sleeps. */
#define EACH (ALL | GW_KIND_WATCH)

#define WHOLE	 UINT32_MAX
#define NEGATIVE UINT32_C(0x80000000)

#endif
