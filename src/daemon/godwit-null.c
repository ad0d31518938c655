/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/godwit-null.c - the null device as a program: how little a daemon needs. */
#include "daemon/daemon.h"
#include "null/null.h"

static const struct gw_daemon daemon = {
	.program = "godwit-null",
	.summary = "Serve the null device, which counts what it is given, over vhost-user.",
	.type = "null",
	.ops = &gw_null_ops,
	.recovers = true,
};

int main(int argc, char **argv)
{
	return gw_daemon_main(&daemon, argc, argv);
}
