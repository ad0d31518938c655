/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/upgrade_try.h - what is installed is tried out beside a process that runs. */
#ifndef GW_CLI_UPGRADE_TRY_H
#define GW_CLI_UPGRADE_TRY_H

#include <sys/types.h>

/*
 * Executes what lies now where process @pid was started from, with its command line and with the
 * memory in which the state of the device is kept, only for it to say whether it could go on
 * (base/fdstore.h, GW_FDSTORE_CHECK_ENV); what else it says goes to standard error. Nothing of the
 * process is touched. 0: it could. -ECANCELED, with a sentence: not. Other errors: it cannot be
 * told.
 */
int gw_upgrade_try(pid_t pid);

#endif
