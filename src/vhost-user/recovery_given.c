/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/recovery_given.c - descriptors that a front-end gave, kept for the next process. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <linux/kcmp.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/recovery_internal.h"

#define GIVEN "given-" /* and a number */

static void given_name(char name[GW_FDSTORE_NAME_MAX], uint64_t number)
{
	snprintf(name, GW_FDSTORE_NAME_MAX, GIVEN "%" PRIx64, number);
}

struct gw_given *gw_given_find(struct gw_recovery *recovery, uint64_t number)
{
	for (unsigned i = 0; i < recovery->given_count; i++) {
		if (recovery->given[i].number == number)
			return &recovery->given[i];
	}
	return NULL;
}

/* Takes @fd over, also on failure. */
static struct gw_given *given_add(struct gw_recovery *recovery, uint64_t number, int fd)
{
	if (recovery->given_count == recovery->given_room) {
		unsigned room = GW_MAX(2 * recovery->given_room, 64U);
		struct gw_given *given = realloc(recovery->given, room * sizeof(*given));

		if (!given) {
			close(fd);
			return NULL;
		}
		recovery->given = given;
		recovery->given_room = room;
	}
	recovery->given[recovery->given_count] = (struct gw_given){.number = number, .fd = fd};
	return &recovery->given[recovery->given_count++];
}

static void given_drop(struct gw_recovery *recovery, struct gw_given *given)
{
	char name[GW_FDSTORE_NAME_MAX];

	given_name(name, given->number);
	if (gw_fdstore_remove(recovery->store, name))
		gw_warn("recovery: %s", gw_last_error());
	close(given->fd);
	*given = recovery->given[--recovery->given_count];
}

/* What systemd has already it does not take a second time. */
static bool is_same(int a, int b)
{
	pid_t self = getpid();

	return syscall(SYS_kcmp, self, self, KCMP_FILE, a, b) == 0;
}

static struct gw_given *given_same(struct gw_recovery *recovery, int fd)
{
	for (unsigned i = 0; i < recovery->given_count; i++) {
		if (is_same(recovery->given[i].fd, fd))
			return &recovery->given[i];
	}
	return NULL;
}

/* @fd is borrowed. */
int gw_given_keep(struct gw_recovery *recovery, int fd, uint64_t *number)
{
	struct gw_given *given = given_same(recovery, fd);
	char name[GW_FDSTORE_NAME_MAX];
	int copy, err;

	if (!given) {
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (copy < 0)
			return gw_fail(errno, "descriptor %d: %s", fd, strerror(errno));
		given = given_add(recovery, gw_ledger_next_fd(recovery->ledger), copy);
		if (!given)
			return gw_fail(ENOMEM, "no memory");
		given_name(name, given->number);
		err = gw_fdstore_put(recovery->store, name, copy);
		if (err)
			return err;
	}
	given->uses++;
	*number = given->number;
	return 0;
}

void gw_given_release(struct gw_recovery *recovery, uint64_t number)
{
	struct gw_given *given = gw_given_find(recovery, number);

	if (given && !--given->uses)
		given_drop(recovery, given);
}

void gw_given_drop_all(struct gw_recovery *recovery)
{
	while (recovery->given_count)
		given_drop(recovery, recovery->given);
}

void gw_given_close(struct gw_recovery *recovery)
{
	for (unsigned i = 0; i < recovery->given_count; i++)
		close(recovery->given[i].fd);
	free(recovery->given);
}

/*
 * Of the process before this one.
 */
static bool is_held(const struct gw_ledger *ledger, uint64_t number)
{
	for (unsigned i = 0; i < gw_ledger_count(ledger); i++) {
		const struct gw_ledger_entry *entry = gw_ledger_at(ledger, i);

		for (unsigned j = 0; j < entry->fd_count && j < GW_VU_FDS_MAX; j++)
			if (entry->fds[j] == number)
				return true;
	}
	return false;
}

/* Who dies between keeping one and the commit leaves it behind, and its number will come again. */
static void give_back(struct gw_recovery *recovery, uint64_t number, int fd)
{
	char name[GW_FDSTORE_NAME_MAX];

	given_name(name, number);
	if (gw_fdstore_remove(recovery->store, name))
		gw_warn("recovery: %s", gw_last_error());
	close(fd);
}

int gw_given_take(struct gw_recovery *recovery)
{
	unsigned long long number;
	int fd;

	while (gw_fdstore_take_any(recovery->store, GIVEN, &number, &fd)) {
		if (!is_held(recovery->ledger, number))
			give_back(recovery, number, fd);
		else if (!given_add(recovery, number, fd))
			return gw_fail(ENOMEM, "recovery: no memory");
	}
	return 0;
}
