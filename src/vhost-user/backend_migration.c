/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/backend_migration.c - what an operator tells a back-end about migration. */
#include <errno.h>
#include <string.h>

#include "godwit/error.h"
#include "vhost-user/backend_internal.h"

/* -- arguments ----------------------------------------------------------------------------- */

int gw_backend_only_members(const char *command, const json_t *arguments, const char *const *names)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)arguments, name, value)
	{
		unsigned i = 0;

		while (names[i] && strcmp(names[i], name) != 0)
			i++;
		if (!names[i])
			return gw_fail(EINVAL, "%s: there is no argument '%.64s'", command, name);
	}
	return 0;
}

/* The place of @arguments' member @name in @words; -ENOENT: it is not there. */
static int word_of(const char *command, const json_t *arguments, const char *name,
		   const char *const *words)
{
	const json_t *value = json_object_get(arguments, name);
	const char *text = json_string_value(value);

	if (!value)
		return -ENOENT;
	for (int i = 0; text && words[i]; i++)
		if (!strcmp(words[i], text))
			return i;
	return gw_fail(EINVAL, "%s: '%s' is %.64s, expected a word that docs/control.md has",
		       command, name, text ? text : "no string");
}

/* -- migration-outcome --------------------------------------------------------------------- */

/* In the order of enum gw_outcome; that it is unknown need not be told. */
static const char *const outcome_words[] = {"moved", "failed", "copied", NULL};

/* The transfer's id says whose it is. */
static int tell_by_id(const struct gw_backend *backend, const char *id, enum gw_outcome outcome)
{
	for (const struct gw_seat *seat = backend->seats; seat; seat = seat->next) {
		int err = gw_session_outcome(seat->session, id, outcome);

		if (err != -ENOENT)
			return err;
	}
	return gw_fail(ENOENT, "migration-outcome: no session's last save was %.64s", id);
}

int gw_backend_migration_outcome(void *opaque, const json_t *arguments, json_t **result)
{
	static const char *const names[] = {"id", "outcome", "session", NULL};
	const json_t *id = json_object_get(arguments, "id");
	struct gw_backend *backend = opaque;
	struct gw_seat *seat;
	int outcome, err;

	(void)result;
	err = gw_backend_only_members("migration-outcome", arguments, names);
	if (err)
		return err;
	outcome = word_of("migration-outcome", arguments, "outcome", outcome_words);
	if (outcome == -ENOENT)
		return gw_fail(EINVAL, "migration-outcome: 'outcome' is missing");
	if (outcome < 0)
		return outcome;
	if (id && !json_is_string(id))
		return gw_fail(EINVAL, "migration-outcome: 'id' is no string");
	if (id && !json_object_get(arguments, "session"))
		return tell_by_id(backend, json_string_value(id), (enum gw_outcome)outcome);
	err = gw_backend_find_seat(backend, arguments, &seat);
	return err ? err
		   : gw_session_outcome(seat->session, json_string_value(id),
					(enum gw_outcome)outcome);
}

/* -- migration-set ------------------------------------------------------------------------- */

int gw_backend_migration_set(void *opaque, const json_t *arguments, json_t **result)
{
	static const char *const names[] = {"migration", "on-save", "session", NULL};
	struct gw_seat *seat;
	int migration, on_save, err;

	(void)result;
	err = gw_backend_only_members("migration-set", arguments, names);
	if (!err)
		err = gw_backend_find_seat(opaque, arguments, &seat);
	if (err)
		return err;
	migration = word_of("migration-set", arguments, "migration", gw_migration_words);
	on_save = word_of("migration-set", arguments, "on-save", gw_on_save_words);
	if (migration == -ENOENT && on_save == -ENOENT)
		return gw_fail(EINVAL, "migration-set: nothing to set: 'migration' or 'on-save'");
	if (migration == GW_MIGRATION_STATELESS && ((struct gw_backend *)opaque)->recovery)
		return gw_fail(EBUSY, "migration-set: stateless takes two connections, and with "
				      "recovery there is one");
	/* Both or none. */
	if (migration < 0 && migration != -ENOENT)
		return migration;
	if (on_save < 0 && on_save != -ENOENT)
		return on_save;
	if (migration >= 0)
		gw_session_set_migration(seat->session, (enum gw_migration)migration);
	if (on_save >= 0)
		gw_session_set_on_save(seat->session, (enum gw_on_save)on_save);
	return 0;
}

/* -- migration-expect ---------------------------------------------------------------------- */

int gw_backend_migration_expect(void *opaque, const json_t *arguments, json_t **result)
{
	static const char *const names[] = {"state-bytes", "session", NULL};
	const json_t *bytes = json_object_get(arguments, "state-bytes");
	struct gw_seat *seat;
	int err = gw_backend_only_members("migration-expect", arguments, names);

	(void)result;
	if (!err && (!json_is_integer(bytes) || json_integer_value(bytes) < 0))
		err = gw_fail(EINVAL,
			      "migration-expect: 'state-bytes' is %s, expected a number, "
			      "0 or more",
			      bytes ? "none" : "missing");
	if (!err)
		err = gw_backend_find_seat(opaque, arguments, &seat);
	return err ? err : gw_session_expect(seat->session, (uint64_t)json_integer_value(bytes));
}

/* -- afterwards ---------------------------------------------------------------------------- */

static bool is_alone(const struct gw_seat *seat)
{
	return seat->backend->seats == seat && !seat->next;
}

void gw_backend_moved(void *opaque)
{
	struct gw_seat *seat = opaque;

	switch (gw_session_after_migration(seat->session)) {
	case GW_AFTER_WAIT:
		break;
	case GW_AFTER_EXIT:
		gw_info("vhost-user: the device has moved away%s",
			is_alone(seat) ? "; ending" : ", others are served");
		if (is_alone(seat))
			gw_loop_quit(seat->backend->loop, 0);
		break;
	case GW_AFTER_RESET:
		if (gw_instance_reset(seat->instance))
			gw_error("vhost-user: the device that moved away: %s", gw_last_error());
		break;
	}
}
