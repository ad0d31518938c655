/* SPDX-License-Identifier: BSD-3-Clause */
/* model/prerequisite.h - what a destination must have beside the model: words KIND:WHICH. */
#ifndef GW_MODEL_PREREQUISITE_H
#define GW_MODEL_PREREQUISITE_H

#include <stdbool.h>
#include <stddef.h>

#include "godwit/compat.h"

/*
 * "cap:dac_read_search", "shared-backing:5f0c...". Who provides KIND:any takes whatever is asked.
 * A WHICH that begins with "unknown" is one that can only be told from itself: where both are not
 * equal nobody knows, and "unknown" alone is not even equal to itself.
 */
enum gw_provision {
	GW_PROVIDED,
	GW_PROVISION_UNKNOWN,
	GW_NOT_PROVIDED,
};

enum gw_provision gw_prerequisite_find(const char *what, const char *const *provides,
				       unsigned count);

/* One more behind those in @text of @size bytes. One that does not fit is cut, and then provided by
 * nobody. */
void gw_words_add(char *text, size_t size, const char *word);

/* Words divided by spaces, cut into a copy of at most GW_REQUIRES_MAX of them. */
struct gw_words {
	unsigned count;
	const char *word[GW_REQUIRES_MAX];
	char text[GW_REQUIRES_MAX * GW_REQUIRE_MAX];
};
/* -E2BIG with a sentence if they do not fit. */
int gw_words_split(struct gw_words *words, const char *text);

#endif
