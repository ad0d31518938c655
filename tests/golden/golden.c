/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/golden/golden.c - streams that were once written are loaded for ever, and written alike. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "sample.h"

/*
 * golden DIR          load each stream in DIR, write each anew, and compare
 * golden --write DIR  make those that are not there yet; one that is there is never written over
 *
 * A stream that fails here after a change of the code is a stream of a user that cannot be loaded
 * any more: it is the change that is wrong.
 */
static const struct golden {
	const char *name;
	bool with_key;
	unsigned state;
} goldens[] = {
	{"sample-1.stream", false, 1},
	{"sample-1-signed.stream", true, 1},
	{"sample-1-state2.stream", false, 2},
};

static const uint8_t *key_of(const struct golden *golden)
{
	return golden->with_key ? sample_key : NULL;
}

static int open_in(const char *dir, const struct golden *golden, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, golden->name);
	fd = open(path, flags | O_CLOEXEC, 0644);
	return fd < 0 ? gw_fail(errno, "%s: %s", path, strerror(errno)) : fd;
}

static int load(const char *dir, const struct golden *golden)
{
	GW_AUTO_FD int fd = open_in(dir, golden, O_RDONLY);
	struct sample_result result;
	int err;

	if (fd < 0)
		return fd;
	err = sample_read(fd, key_of(golden), &result);
	if (!err && !sample_is_right(&result, golden->state))
		err = gw_fail(EBADMSG, "other things were read than were once written");
	return err;
}

static int compare(const char *dir, const struct golden *golden)
{
	GW_AUTO_FD int fd = open_in(dir, golden, O_RDONLY);
	GW_AUTO_FD int anew = sample_fd("", 0);
	GW_AUTO_FREE uint8_t *want = NULL;
	GW_AUTO_FREE uint8_t *got = NULL;
	size_t want_len, got_len;
	int err = fd < 0 ? fd : sample_write(anew, key_of(golden), golden->state);

	if (err)
		return err;
	want = sample_bytes(fd, &want_len);
	got = sample_bytes(anew, &got_len);
	if (want_len != got_len || memcmp(want, got, want_len) != 0)
		return gw_fail(EBADMSG, "what is written now differs from what was once written");
	return 0;
}

static int make(const char *dir, const struct golden *golden)
{
	GW_AUTO_FD int fd = open_in(dir, golden, O_WRONLY | O_CREAT | O_EXCL);

	if (fd == -EEXIST)
		return 0;
	return fd < 0 ? fd : sample_write(fd, key_of(golden), golden->state);
}

static int check(const char *dir, const struct golden *golden)
{
	int err = load(dir, golden);

	return err ? err : compare(dir, golden);
}

int main(int argc, char **argv)
{
	bool writing = argc == 3 && !strcmp(argv[1], "--write");
	int failed = 0;

	if (argc != 2 && !writing) {
		fprintf(stderr, "usage: golden [--write] DIR\n");
		return 2;
	}
	gw_log_set_level(GW_LOG_WARN);
	for (size_t i = 0; i < GW_ARRAY_LEN(goldens); i++) {
		const struct golden *golden = &goldens[i];

		if (!(writing ? make : check)(argv[argc - 1], golden))
			continue;
		fprintf(stderr, "%s: %s\n", golden->name, gw_last_error());
		failed++;
	}
	return failed ? 1 : 0;
}
