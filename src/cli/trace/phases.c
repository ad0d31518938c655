/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/trace/phases.c - what a back-end went through, from what was said to it. */
#include <string.h>

#include "base/checked.h"
#include "cli/trace/trace.h"

const char *tr_phase_name(enum tr_phase_kind kind)
{
	static const char *const names[TR_PHASES] = {
		"negotiation", "running", "stopping", "saving", "loading", "starting",
	};

	return names[kind];
}

/* The one that lasts, of this trace. */
static struct tr_phase *current(struct tr_story *story, unsigned trace)
{
	for (unsigned i = story->count; i--;)
		if (story->phases[i].trace == trace && !story->phases[i].ended)
			return &story->phases[i];
	return NULL;
}

static void begin(struct tr_story *story, unsigned trace, enum tr_phase_kind kind, size_t at)
{
	struct tr_phase *before = current(story, trace);

	if (before && before->kind == kind) {
		before->last = at;
		return;
	}
	if (before)
		before->ended = true;
	if (story->count < TR_PHASES_MAX)
		story->phases[story->count++] =
			(struct tr_phase){.kind = kind, .trace = trace, .first = at, .last = at};
}

static uint32_t second_word(const struct tr_message *message)
{
	uint32_t value;

	memcpy(&value, message->payload + sizeof(value), sizeof(value));
	return value;
}

static bool is_enable(const struct tr_message *message, uint32_t on)
{
	return message->request == GW_VU_SET_VRING_ENABLE && !tr_is_reply(message) &&
	       !second_word(message) == !on;
}

static bool is_running(struct tr_story *story, unsigned trace)
{
	const struct tr_phase *phase = current(story, trace);

	return phase && phase->kind == TR_RUN;
}

/* What a request begins, if it begins something; TR_PHASES: nothing. */
static enum tr_phase_kind begins(struct tr_story *story, const struct tr_message *message)
{
	if (tr_is_reply(message) || message->channel != TR_MAIN)
		return TR_PHASES;
	switch (message->request) {
	case GW_VU_GET_VRING_BASE:
		return TR_STOP;
	case GW_VU_SET_DEVICE_STATE_FD:
		return (uint32_t)tr_number(message) == GW_VU_STATE_SAVE ? TR_SAVE : TR_LOAD;
	case GW_VU_SET_VRING_KICK:
		return is_running(story, message->trace) ? TR_PHASES : TR_START;
	case GW_VU_SET_VRING_ENABLE:
		if (is_enable(message, 1))
			return TR_RUN;
		return is_running(story, message->trace) ? TR_STOP : TR_PHASES;
	default:
		return current(story, message->trace) ? TR_PHASES : TR_NEGOTIATE;
	}
}

/* The longest time without a ring that is enabled, between two in which there was one. */
static void find_blackout(struct tr_story *story, const struct tr_list *list)
{
	int64_t longest = -1;

	for (unsigned i = 0; i < story->count; i++) {
		const struct tr_phase *stop = &story->phases[i], *run = NULL;

		for (unsigned j = i + 1; stop->kind == TR_STOP && j < story->count && !run; j++)
			if (story->phases[j].kind == TR_RUN)
				run = &story->phases[j];
		if (!run || list->at[run->first].at - list->at[stop->first].at <= longest)
			continue;
		longest = list->at[run->first].at - list->at[stop->first].at;
		story->has_blackout = true;
		story->dark_from = stop->first;
		story->dark_to = run->first;
	}
}

void tr_story_tell(struct tr_story *story, const struct tr_list *list)
{
	*story = (struct tr_story){0};
	for (size_t i = 0; i < list->count; i++) {
		const struct tr_message *message = &list->at[i];
		enum tr_phase_kind kind = begins(story, message);
		struct tr_phase *phase;

		if (kind != TR_PHASES)
			begin(story, message->trace, kind, i);
		phase = current(story, message->trace);
		if (phase)
			phase->last = i;
	}
	find_blackout(story, list);
}
