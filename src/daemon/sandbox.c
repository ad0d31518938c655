/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/sandbox.c - how a daemon shuts itself in: the steps, in their order. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "daemon/caps.h"
#include "daemon/keeper.h"
#include "daemon/landlock.h"
#include "daemon/proc.h"
#include "daemon/sanitized.h"
#include "daemon/sandbox.h"
#include "daemon/sandbox_modes.h"
#include "daemon/seccomp.h"
#include "godwit/error.h"
#include "state/mac.h"
#include "state/stream.h"

#if GW_SANITIZED
static bool shut_in;

/* Asked at the end by the sanitizer that looks for leaks; in here it would fail. */
int __lsan_is_turned_off(void);
__attribute__((visibility("default"))) int __lsan_is_turned_off(void)
{
	return shut_in;
}
#endif

const char *const gw_sandbox_words[] = {"namespace", "chroot", "none", NULL};

/* Each puts the process where it belongs: the share is "/" then. */
static int (*const modes[])(struct gw_confinement *confinement) = {
	[GW_SANDBOX_NAMESPACE] = gw_sandbox_namespace,
	[GW_SANDBOX_CHROOT] = gw_sandbox_chroot,
	[GW_SANDBOX_NONE] = gw_sandbox_none,
};

static int parse(struct gw_confinement *confinement, const struct gw_sandbox *sandbox)
{
	int err = 0;

	*confinement = (struct gw_confinement){
		.sandbox = sandbox, .caps = GW_CAPS_OF_FILES, .lifeline = -1, .proc_fd = -1};
	if (sandbox->no_handles)
		confinement->caps &= ~GW_CAP(CAP_DAC_READ_SEARCH);
	if (sandbox->modcaps)
		err = gw_caps_modify(&confinement->caps, sandbox->modcaps);
	if (!err && sandbox->uid_map) {
		err = gw_idmap_parse(&confinement->map[0], sandbox->uid_map, "uid-map");
		confinement->uids = &confinement->map[0];
	}
	if (!err && sandbox->gid_map) {
		err = gw_idmap_parse(&confinement->map[1], sandbox->gid_map, "gid-map");
		confinement->gids = &confinement->map[1];
	}
	return err;
}

int gw_sandbox_check(const struct gw_sandbox *sandbox)
{
	struct gw_confinement confinement;
	int err = parse(&confinement, sandbox);

	if (!err && (sandbox->uid_map || sandbox->gid_map) &&
	    (sandbox->mode != GW_SANDBOX_NAMESPACE || geteuid() == 0))
		err = gw_fail(EINVAL, "options --uid-map and --gid-map are for --sandbox=namespace "
				      "of an ordinary user");
	return err;
}

int gw_sandbox_users(const struct gw_sandbox *sandbox, char word[GW_USERS_MAX])
{
	const bool inside = sandbox->mode == GW_SANDBOX_NAMESPACE && geteuid() != 0;
	struct gw_confinement confinement;
	int err = parse(&confinement, sandbox);

	return err ? err
		   : gw_users_name(word, confinement.caps, inside, sandbox->uid_map,
				   sandbox->gid_map);
}

bool gw_sandbox_keeps(const struct gw_sandbox *sandbox, unsigned capability)
{
	struct gw_confinement confinement;

	return !parse(&confinement, sandbox) && confinement.caps & GW_CAP(capability);
}

/* As many as it takes itself on a machine of eight processors. */
#define MALLOC_ARENAS 64
/* Bytes that the C library's qsort() takes without a thought. */
#define SORTED_IN_PLACE 1024

static int compare_bytes(const void *a, const void *b)
{
	return *(const char *)a - *(const char *)b;
}

/* What libraries would read at their first use: afterwards those paths lead into the share, and a
 * guest could have put anything there. */
static int read_what_is_read_late(void)
{
	static const uint8_t key[GW_STATE_KEY_LEN];
	char much[2 * SORTED_IN_PLACE] = {0};
	struct gw_mac *mac = NULL;
	int err = gw_mac_new(&mac, key); /* libcrypto's configuration */

	gw_mac_free(mac);
	tzset();
	/* The first time that it sorts more than a little, the C library asks for the memory's
	 * size. */
	qsort(much, sizeof(much), 1, compare_bytes);
	/* Else malloc() asks for the number of processors some day. */
	mallopt(M_ARENA_MAX, MALLOC_ARENAS);
	return err;
}

/*
 * A process that opens by handle reaches files without a path, which Landlock takes for files
 * outside as soon as the kernel has forgotten their names (docs/security.md). So it is either.
 */
static int restrict_paths(const struct gw_inside *inside)
{
	return gw_handles_open(inside->root_fd) ? 0 : gw_landlock_restrict(inside->root_fd);
}

static int open_root(const struct gw_sandbox *sandbox, struct gw_inside *inside)
{
	GW_AUTO_FD int root = open(sandbox->mode == GW_SANDBOX_NONE ? sandbox->share : "/",
				   O_PATH | O_DIRECTORY | O_CLOEXEC);

	inside->root_fd = root < 0 ? -1 : fcntl(root, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return inside->root_fd < 0 ? gw_fail(errno, "shared directory %s cannot be opened: %s",
					     sandbox->share, strerror(errno))
				   : 0;
}

int gw_sandbox_with_port(enum gw_seccomp_mode mode, bool syslog)
{
	/* For ports below 1024, and to remove the sockets from wherever they are in the end. */
	const uint64_t caps = GW_CAP(CAP_NET_BIND_SERVICE) | GW_CAP(CAP_DAC_OVERRIDE);
	int err = read_what_is_read_late();

	if (!err)
		err = gw_seccomp_prepare(mode, gw_seccomp_port_rules, syslog);
	if (!err)
		err = gw_caps_keep(caps);
	return err ? err : gw_seccomp_enter();
}

int gw_sandbox_enter(const struct gw_sandbox *sandbox, bool syslog, struct gw_sockets *sockets,
		     struct gw_inside *inside)
{
	struct gw_confinement confinement;
	int err = parse(&confinement, sandbox);

	confinement.sockets = sockets;
	if (!err)
		err = read_what_is_read_late();
	if (!err)
		err = gw_seccomp_prepare((enum gw_seccomp_mode)sandbox->seccomp, gw_seccomp_rules,
					 syslog);
	if (!err)
		err = modes[sandbox->mode](&confinement);
	if (!err)
		err = gw_caps_keep(confinement.caps);
	if (!err && confinement.lifeline >= 0)
		err = gw_keeper_follow(&confinement.lifeline);
	if (!err)
		err = open_root(sandbox, inside);
	if (!err && sandbox->mode != GW_SANDBOX_NONE)
		err = restrict_paths(inside);
	inside->proc_fd = confinement.proc_fd;
#if GW_SANITIZED
	shut_in = sandbox->mode != GW_SANDBOX_NONE;
#endif
	return err ? err : gw_seccomp_enter();
}
