/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/precopy.c - most of a state ahead of it, by hand, as a session does it. */
#include <sys/mman.h>
#include <unistd.h>

#include "fs/precopied.h"
#include "fs/records.h"
#include "precopy.h"
#include "state/stream.h"

int precopy_stream;
static struct gw_state_writer *writer;

static void begin(void)
{
	struct gw_state_header header = {.implementation = "test", .mode = GW_MODE_STATEFUL};
	struct gw_state_channel channel = {.cancel = -1, .key = move_key};

	precopy_stream = memfd_create("precopy", MFD_CLOEXEC);
	assert_true(precopy_stream >= 0);
	channel.fd = precopy_stream;
	move_model(header.model, move_number);
	assert_int_equal(gw_state_writer_new(&writer, &channel, &header), 0);
}

static void end(void)
{
	assert_int_equal(gw_state_writer_phase(writer, GW_PHASE_STOPPED), 0);
	assert_int_equal(gw_state_writer_end(writer), 0);
	gw_state_writer_free(writer);
	lseek(precopy_stream, 0, SEEK_SET);
}

void precopy_begin(struct share *from)
{
	begin();
	assert_int_equal(fs_precopy(&from->fs, true), 0);
	assert_int_equal(gw_state_writer_phase(writer, GW_PHASE_RUNNING), 0);
}

int precopy_step(struct share *from)
{
	int more = fs_save(&from->fs, writer, GW_PHASE_RUNNING, 100);

	if (more < 0)
		fail_msg("precopy: %s", gw_last_error());
	return more;
}

void precopy_put(const struct gw_layout *layout, const void *object)
{
	assert_int_equal(gw_state_put(writer, layout, object), 0);
}

void precopy_end(struct share *from)
{
	while (precopy_step(from))
		;
	assert_int_equal(fs_precopy(&from->fs, false), 0);
	end();
}

void precopy_made(void (*put)(struct gw_state_writer *writer))
{
	begin();
	assert_int_equal(gw_state_writer_phase(writer, GW_PHASE_RUNNING), 0);
	put(writer);
	end();
}

int precopy_load(struct share *to)
{
	const struct gw_state_channel channel = {
		.fd = precopy_stream, .cancel = -1, .key = move_key};
	struct gw_state_reader *reader;
	int err = gw_state_reader_new(&reader, &channel);

	if (!err) {
		err = fs_precopy_load(&to->fs, reader);
		gw_state_reader_free(reader);
	}
	close(precopy_stream);
	return err;
}
