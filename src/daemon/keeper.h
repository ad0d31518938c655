/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/keeper.h - the process that stays outside of the sandbox. */
#ifndef GW_DAEMON_KEEPER_H
#define GW_DAEMON_KEEPER_H

#include "daemon/sockets.h"

/*
 * Forks. The process that was started stays outside as the keeper, with nothing to do but what
 * cannot be done from inside: it passes SIGTERM and SIGINT on, removes the sockets' names in the
 * end, and ends as the other one ended. In the other one this returns 0 and *@lifeline, for
 * gw_keeper_follow(). SIGTERM and SIGINT are blocked: the first process of a PID namespace would
 * never see one that it neither blocks nor handles.
 */
int gw_keeper_fork(struct gw_sockets *sockets, int *lifeline);

/* From now on this process ends if the keeper does, however that ends. After the last change of
 * credentials, which would undo it. Closes *@lifeline. */
int gw_keeper_follow(int *lifeline);

#endif
