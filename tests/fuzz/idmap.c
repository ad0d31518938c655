/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/idmap.c - any lines as what --translate-uid, --uid-map and --modcaps say: refused, or
 * maps in which every id has one place. The first byte of a line tells for which. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/caps.h"
#include "daemon/idmap.h"
#include "fs/idmap.h"
#include "harness.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void one_id(const struct fs_idmap *map, uint32_t id)
{
	uint32_t host = 0;

	must(fs_idmap_to_host(map, id, &host) || host != UINT32_MAX);
	fs_idmap_to_guest(map, id);
}

/* Where ranges begin and end is where mistakes would be. */
static void try_edges(const struct fs_idmap *map, const struct fs_idway *way)
{
	for (unsigned i = 0; i < way->count; i++) {
		const struct fs_idrange *range = &way->ranges[i];

		must(range->first < range->end && range->end <= UINT64_C(1) << 32);
		one_id(map, (uint32_t)range->first - 1);
		one_id(map, (uint32_t)range->first);
		one_id(map, (uint32_t)(range->end - 1));
		one_id(map, (uint32_t)range->end);
	}
}

static void namespace_map(const char *text)
{
	struct gw_idmap map;

	if (gw_idmap_parse(&map, text, "uid-map"))
		return;
	must(map.count);
	must((uint64_t)map.inside + map.count <= UINT32_MAX);
	must((uint64_t)map.outside + map.count <= UINT32_MAX);
}

static void one_line(struct fs_idmap *map, const char *line)
{
	uint64_t caps = GW_CAPS_OF_FILES;
	/* In a block of its own, so that a sanitizer sees one byte too many. */
	GW_AUTO_FREE char *text = strdup(*line ? line + 1 : line);

	must(text);
	if (*line == 'u')
		namespace_map(text);
	else if (*line == 'c')
		gw_caps_modify(&caps, text);
	else
		fs_idmap_add(map, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fs_idmap map = {0}, none = {0};
	GW_AUTO_FREE char *text = malloc(size + 1);
	char *line, *rest;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		one_line(&map, line);
	try_edges(&map, &map.to_host);
	try_edges(&map, &map.to_guest);
	must(!fs_idmaps_id(&none, &map) == !(map.to_host.count + map.to_guest.count));
	return 0;
}
