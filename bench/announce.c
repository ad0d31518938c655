/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/announce.c - a daemon that waits is told what is coming, as `godwit migrate` does it. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/announce.h"
#include "cli/qmp/ahead.h"
#include "godwit/error.h"

#define PATIENCE_S 60
/* What it makes ready is there soon after its answer. */
#define SETTLE_US 1000000

static struct gw_qmp *call(struct gw_qmp_group *group, const struct peer *peer)
{
	char where[sizeof(peer->socket) + 16];
	struct gw_qmp *qmp = NULL;

	snprintf(where, sizeof(where), "%s.control", peer->socket);
	return gw_qmp_open(&qmp, group, where) ? NULL : qmp;
}

static json_int_t ask_size(struct gw_qmp *from)
{
	json_t *result = NULL;
	json_int_t bytes = 0;

	if (gw_qmp_execute(from, "preflight", NULL, &result))
		die("preflight: %s", gw_last_error());
	bytes = json_integer_value(json_object_get(
		json_array_get(json_object_get(result, "sessions"), 0), "state_bytes"));
	json_decref(result);
	return bytes;
}

/* A build that does not know it yet is measured without. */
static void expect(struct gw_qmp *to, json_int_t bytes)
{
	int err = gw_qmp_execute(to, "migration-expect", json_pack("{s:I}", "state-bytes", bytes),
				 NULL);

	if (err && err != -EOPNOTSUPP)
		die("migration-expect: %s", gw_last_error());
	usleep(SETTLE_US);
}

static void bring_ahead(struct gw_qmp *from, struct gw_qmp *to)
{
	struct gw_qmp_ahead ahead = {.from = from, .to = to, .from_session = -1, .to_session = -1};
	int err = gw_qmp_ahead_begin(&ahead);

	while (!err && (err = gw_qmp_ahead_go_on(&ahead)) == -EAGAIN) {
		gw_qmp_group_listen(from->group, PATIENCE_S * 1000);
		err = 0;
	}
	if (err && err != -EOPNOTSUPP)
		die("what goes ahead: %s", gw_last_error());
	gw_qmp_ahead_end(&ahead);
}

void announce(const struct peer *from, const struct peer *to, bool precopied)
{
	struct gw_qmp_group group = {.signals = -1, .patience = PATIENCE_S};
	struct gw_qmp *source = call(&group, from), *destination = call(&group, to);

	if (source && destination)
		expect(destination, ask_size(source));
	if (source && destination && precopied)
		bring_ahead(source, destination);
	gw_qmp_close(source);
	gw_qmp_close(destination);
}
