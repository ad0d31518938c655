/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/rounds.c - a save in rounds, by hand, from one share to another. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/records.h"
#include "rounds.h"
#include "state/stream.h"

struct share from, to;
struct gw_state_writer *rounds_writer;
int rounds_stream;

int rounds_set_up(void **state)
{
	(void)state;
	move_source(&from);
	return 0;
}

int rounds_tear_down(void **state)
{
	(void)state;
	share_close(&from);
	return 0;
}

void rounds_begin(unsigned number)
{
	struct gw_state_header header = {.implementation = "test", .mode = GW_MODE_STATEFUL};
	struct gw_state_channel channel = {.cancel = -1};

	rounds_stream = memfd_create("state", MFD_CLOEXEC);
	assert_true(rounds_stream >= 0);
	channel.fd = rounds_stream;
	move_model(header.model, number);
	assert_int_equal(gw_state_writer_new(&rounds_writer, &channel, &header), 0);
	assert_int_equal(fs_iterate(&from.fs, true), 0);
}

uint64_t rounds_send(void)
{
	uint64_t before = gw_state_written(rounds_writer);
	int more;

	assert_int_equal(gw_state_writer_phase(rounds_writer, GW_PHASE_RUNNING), 0);
	while ((more = fs_save(&from.fs, rounds_writer, GW_PHASE_RUNNING, 1000)) > 0)
		;
	if (more)
		fail_msg("round: %s", gw_last_error());
	return gw_state_written(rounds_writer) - before;
}

uint64_t rounds_rest(void)
{
	uint64_t before = gw_state_written(rounds_writer);

	assert_int_equal(gw_state_writer_phase(rounds_writer, GW_PHASE_STOPPED), 0);
	if (fs_save(&from.fs, rounds_writer, GW_PHASE_STOPPED, SIZE_MAX))
		fail_msg("rest: %s", gw_last_error());
	assert_int_equal(gw_state_writer_end(rounds_writer), 0);
	before = gw_state_written(rounds_writer) - before;
	gw_state_writer_free(rounds_writer);
	assert_int_equal(fs_iterate(&from.fs, false), 0);
	return before;
}

void rounds_arrive(void)
{
	move_twin(&to, &from);
	lseek(rounds_stream, 0, SEEK_SET);
	if (move_load(&to, rounds_stream))
		fail_msg("load: %s", gw_last_error());
}
