/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/replay.c - main of a fuzz harness without a fuzzer: runs files, or all of a directory.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "harness.h"

#define INPUT_MAX (4 << 20)

static int run_file(const char *path)
{
	GW_AUTO_FCLOSE FILE *file = fopen(path, "rb");
	GW_AUTO_FREE char *room = malloc(INPUT_MAX);
	GW_AUTO_FREE char *exact = NULL;
	size_t len;

	if (!file || !room) {
		perror(path);
		return 1;
	}
	len = fread(room, 1, INPUT_MAX, file);
	/* A block of the very size, so that a sanitizer sees one byte too many. */
	exact = malloc(len ? len : 1);
	if (!exact)
		return 1;
	memcpy(exact, room, len);
	LLVMFuzzerTestOneInput((const uint8_t *)exact, len);
	return 0;
}

static int run_directory(DIR *dir, const char *path, unsigned *count)
{
	struct dirent *entry;
	char name[4096];
	int failed = 0;

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		failed |= run_file(name);
		++*count;
	}
	return failed;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);

		if (dir) {
			failed |= run_directory(dir, argv[i], &count);
			closedir(dir);
		} else {
			failed |= run_file(argv[i]);
			count++;
		}
	}
	printf("%u inputs\n", count);
	return failed || !count;
}
