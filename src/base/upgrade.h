/* SPDX-License-Identifier: BSD-3-Clause */
/* base/upgrade.h - what a keeper and who asks it for an upgrade say to each other. */
#ifndef GW_BASE_UPGRADE_H
#define GW_BASE_UPGRADE_H

/*
 * Values of SIGUSR2. A keeper (daemon/supervisor.h) that gets it by sigqueue(3) with the question
 * answers its sender with the same signal; to any other SIGUSR2 nobody is answered.
 */
#define GW_UPGRADE_QUESTION 0x67755047
enum gw_upgrade_answer {
	GW_UPGRADE_DONE = 0x67755000,
	GW_UPGRADE_REFUSED,    /* nothing was touched */
	GW_UPGRADE_TAKEN_BACK, /* the one before goes on, as after a crash */
};

#endif
