/* SPDX-License-Identifier: BSD-3-Clause */
/* model/prerequisite.c - what a destination must have beside the model: words KIND:WHICH. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "godwit/error.h"
#include "model/prerequisite.h"

#define UNKNOWN "unknown"
#define ANY	"any"

static const char *which_of(const char *word)
{
	const char *colon = strchr(word, ':');

	return colon ? colon + 1 : "";
}

static bool is_same_kind(const char *one, const char *other)
{
	size_t len = strcspn(one, ":");

	return len == strcspn(other, ":") && !memcmp(one, other, len);
}

static bool is_vague(const char *word)
{
	return !strncmp(which_of(word), UNKNOWN, strlen(UNKNOWN));
}

enum gw_provision gw_prerequisite_find(const char *what, const char *const *provides,
				       unsigned count)
{
	bool vague = is_vague(what);

	for (unsigned i = 0; i < count; i++) {
		if (!is_same_kind(what, provides[i]))
			continue;
		if (!strcmp(which_of(provides[i]), ANY))
			return GW_PROVIDED;
		if (!strcmp(what, provides[i]) && strcmp(which_of(what), UNKNOWN) != 0)
			return GW_PROVIDED;
		vague |= is_vague(provides[i]);
	}
	return vague ? GW_PROVISION_UNKNOWN : GW_NOT_PROVIDED;
}

void gw_words_add(char *text, size_t size, const char *word)
{
	size_t len = strlen(text);

	snprintf(text + len, size - len, "%s%s", len ? " " : "", word);
}

int gw_words_split(struct gw_words *words, const char *text)
{
	size_t len = strlen(text);
	char *save = NULL;

	words->count = 0;
	if (len >= sizeof(words->text))
		return gw_fail(E2BIG, "prerequisites: %zu bytes, less than %zu are allowed", len,
			       sizeof(words->text));
	memcpy(words->text, text, len + 1);
	for (char *word = strtok_r(words->text, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		if (words->count == GW_REQUIRES_MAX)
			return gw_fail(E2BIG, "prerequisites: more than %d", GW_REQUIRES_MAX);
		words->word[words->count++] = word;
	}
	return 0;
}
