/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/sandbox_chroot.c - the lesser modes: for where something else has made the walls. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/keeper.h"
#include "daemon/proc.h"
#include "daemon/sandbox_modes.h"
#include "godwit/error.h"

int gw_sandbox_chroot(struct gw_confinement *confinement)
{
	const char *share = confinement->sandbox->share;
	int err = gw_keeper_fork(confinement->sockets, &confinement->lifeline);

	if (!err)
		err = gw_proc_take(&confinement->proc_fd);
	if (!err && (chdir(share) < 0 || chroot(".") < 0 || chdir("/") < 0))
		err = gw_fail(errno,
			      "sandbox: chroot to %s: %s (it takes root: use "
			      "--sandbox=namespace or none)",
			      share, strerror(errno));
	return err;
}

int gw_sandbox_none(struct gw_confinement *confinement)
{
	gw_warn("no sandbox: the guest reaches the share with this program's own rights, and a "
		"mistake in it would reach the host");
	return gw_proc_take(&confinement->proc_fd);
}
