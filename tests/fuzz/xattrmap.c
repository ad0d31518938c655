/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/xattrmap.c - any text as rules, any names through them: a line of rules, a NUL, and a
 * list of names. What a guest's call reaches is what a list shows it under, or hides. */
#include <stdlib.h>
#include <string.h>

#include "fs/xattrmap.h"
#include "harness.h"

static void one_name(const struct fs_xattrmap *map, const char *name)
{
	char host[FS_XATTR_NAME_MAX + 1];
	const char *guest;

	if (!fs_xattrmap_to_host(map, name, host) && strlen(host) > FS_XATTR_NAME_MAX)
		abort();
	guest = fs_xattrmap_to_guest(map, name);
	if (guest && (guest < name || guest > name + strlen(name)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct fs_xattrmap *map;
	size_t rules, left;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	rules = strlen(text) + 1;
	if (!fs_xattrmap_new(&map, text)) {
		left = size > rules ? size - rules : 0;
		if (left)
			one_name(map, text + rules);
		if (fs_xattrmap_list(map, left ? text + rules : text, left) > left)
			abort();
		if (!fs_xattrmap_id(map))
			abort();
		fs_xattrmap_free(map);
	}
	free(text);
	return 0;
}
