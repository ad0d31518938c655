/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/replay.c - main of a fuzz harness without libFuzzer: runs files, or all of a
 * directory, and then what can be made of them. It takes those of libFuzzer's options that it
 * knows. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "harness.h"
#include "mutate.h"

#define SEEDS_MAX 1024

static struct seed seeds[SEEDS_MAX];
static size_t seed_count;

static struct options {
	unsigned seconds; /* of changed inputs, after the given ones */
	unsigned timeout; /* of one input */
	uint64_t random;
	const char *prefix;
} options = {.timeout = 60, .prefix = ""};

static int run_file(const char *path)
{
	GW_AUTO_FCLOSE FILE *file = fopen(path, "rb");
	GW_AUTO_FREE char *room = malloc(INPUT_MAX);
	struct seed *seed = &seeds[seed_count];

	if (!file || !room || seed_count == SEEDS_MAX) {
		perror(path);
		return 1;
	}
	seed->len = fread(room, 1, INPUT_MAX, file);
	/* A block of the very size, so that a sanitizer sees one byte too many. */
	seed->data = malloc(seed->len ? seed->len : 1);
	if (!seed->data)
		return 1;
	memcpy(seed->data, room, seed->len);
	seed_count++;
	LLVMFuzzerTestOneInput(seed->data, seed->len);
	return 0;
}

static int run_directory(DIR *dir, const char *path)
{
	struct dirent *entry;
	char name[4096];
	int failed = 0;

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		failed |= run_file(name);
	}
	return failed;
}

static int run_path(const char *path)
{
	DIR *dir = opendir(path);
	int failed;

	if (!dir)
		return run_file(path);
	failed = run_directory(dir, path);
	closedir(dir);
	return failed;
}

/* "-name=value" is @name's? Then where its value is. */
static const char *value_of(const char *argument, const char *name)
{
	size_t len = strlen(name);

	return strncmp(argument, name, len) ? NULL : argument + len;
}

static void take_option(const char *argument)
{
	const char *value;

	if ((value = value_of(argument, "-max_total_time=")))
		options.seconds = (unsigned)strtoul(value, NULL, 10);
	else if ((value = value_of(argument, "-timeout=")))
		options.timeout = (unsigned)strtoul(value, NULL, 10);
	else if ((value = value_of(argument, "-seed=")))
		options.random = strtoull(value, NULL, 10);
	else if ((value = value_of(argument, "-artifact_prefix=")))
		options.prefix = value;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			take_option(argv[i]);
		else
			failed |= run_path(argv[i]);
	}
	printf("%zu inputs\n", seed_count);
	if (!failed && seed_count && options.seconds)
		printf("%" PRIu64 " changed inputs in %u s, seed %" PRIu64 "\n",
		       mutate(seeds, seed_count, options.seconds, options.random, options.timeout,
			      options.prefix),
		       options.seconds, options.random);
	for (size_t i = 0; i < seed_count; i++)
		free(seeds[i].data);
	return failed || !seed_count;
}
