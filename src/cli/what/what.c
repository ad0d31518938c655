/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/what/what.c - WHAT of a command line: whatever can tell a model and parameters, asked. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/ask.h"
#include "cli/state/files.h"
#include "cli/what/run.h"
#include "cli/what/what.h"
#include "godwit/error.h"
#include "model/document.h"
#include "state/walk.h"

#define WORDS_MAX 64
#define STEP_MS	  20

/* -- documents ----------------------------------------------------------------------------- */

static int add_instance(struct gw_what *what, const char *name, const json_t *root)
{
	int err;

	if (what->instance_count == GW_WHATS_MAX)
		return gw_fail(EFBIG, "%s: more than %d instances", name, GW_WHATS_MAX);
	err = gw_compat_instance_from_json(&what->instances[what->instance_count], name, root);
	what->instance_count += !err;
	return err;
}

static int add_implementation(struct gw_what *what, const char *name, json_t *root)
{
	struct gw_what_implementation *to;
	int err;

	if (what->implementation_count == GW_WHATS_MAX)
		return gw_fail(EFBIG, "%s: more than %d implementations", name, GW_WHATS_MAX);
	to = &what->implementations[what->implementation_count];
	err = gw_compat_implementation_from_json(&to->implementation, name, root);
	if (err)
		return err;
	to->document = json_incref(root);
	what->implementation_count++;
	return 0;
}

static int add_instances(struct gw_what *what, const char *name, const json_t *list)
{
	int err = 0;

	if (list && !json_is_array(list))
		return gw_fail(EBADMSG, "%s: member 'instances' is not an array", name);
	for (size_t i = 0; i < json_array_size(list) && !err; i++)
		err = add_instance(what, name, json_array_get(list, i));
	return err;
}

int gw_what_add_document(struct gw_what *what, const char *name, json_t *root)
{
	int err = gw_document_check(name, root);

	if (err)
		return err;
	if (json_object_get(root, "model"))
		return add_instance(what, name, root);
	if (!json_object_get(root, "models"))
		return gw_fail(EBADMSG,
			       "%s: it has neither a member 'model', which makes an instance, nor "
			       "'models', which make an implementation",
			       name);
	err = add_implementation(what, name, root);
	return err ? err : add_instances(what, name, json_object_get(root, "instances"));
}

static int add_text(struct gw_what *what, const char *name, const char *text, size_t len)
{
	json_t *root = NULL;
	int err = gw_document_load(&root, name, text, len);

	if (!err)
		err = gw_what_add_document(what, name, root);
	json_decref(root);
	return err;
}

/* @until: how long who writes to a pipe is waited for, and may come at all; 0: not. */
static int read_all(int fd, char *text, size_t max, size_t *len, uint64_t until)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	for (*len = 0; *len < max;) {
		ssize_t n = read(fd, text + *len, max - *len);

		if (n > 0) {
			*len += (size_t)n;
			continue;
		}
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (!n && (*len || gw_clock_ns() > until))
			return 0;
		if (n < 0 && errno == EAGAIN && gw_clock_ns() > until)
			return -EAGAIN;
		/* While nobody has opened its other end poll() does not wait. */
		poll(n ? &poll_fd : NULL, n ? 1 : 0, STEP_MS);
	}
	return 0;
}

static int read_descriptor(char **text, size_t *len, const char *name, int fd, size_t max,
			   uint64_t until)
{
	GW_AUTO_FREE char *buffer = malloc(max + 2);
	int err = buffer ? read_all(fd, buffer, max + 1, len, until) : -ENOMEM;

	if (err)
		return gw_fail(-err, "%s: %s", name, strerror(-err));
	if (*len > max)
		return gw_fail(EFBIG, "%s: more than %zu bytes", name, max);
	buffer[*len] = 0;
	*text = gw_take_ptr(buffer);
	return 0;
}

static int read_path(char **text, size_t *len, const char *path, size_t max, uint64_t until)
{
	GW_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return gw_fail(errno, "%s: %s", path, strerror(errno));
	return read_descriptor(text, len, path, fd, max, until);
}

int gw_what_read_file(char **text, size_t *len, const char *path, size_t max)
{
	return read_path(text, len, path, max, 0);
}

int gw_what_read_given(char **text, size_t *len, const char *path, size_t max)
{
	struct stat st;
	bool is_pipe = !stat(path, &st) && S_ISFIFO(st.st_mode);
	uint64_t until = gw_clock_ns() + GW_WHAT_SECONDS * (uint64_t)GW_NS_PER_S;

	return read_path(text, len, path, max, is_pipe ? until : 0);
}

static int read_pipe(struct gw_what *what, const char *name)
{
	GW_AUTO_FREE char *text = NULL;
	size_t len = 0;
	int err = gw_what_read_given(&text, &len, name, GW_DOCUMENT_MAX);

	what->kind = "document";
	return err ? err : add_text(what, name, text, len);
}

/* What may block does: whoever gives us standard input decides when it ends. */
static int read_document(struct gw_what *what, const char *name, int fd)
{
	GW_AUTO_FREE char *text = NULL;
	size_t len = 0;
	int err = read_descriptor(&text, &len, name, fd, GW_DOCUMENT_MAX, 0);

	what->kind = "document";
	return err ? err : add_text(what, name, text, len);
}

/* -- a program ----------------------------------------------------------------------------- */

/* @name in words; the array and the words are one allocation each: words[0] is the second. */
static int split(char ***words, const char *name)
{
	char **list = calloc(WORDS_MAX + 2, sizeof(*list)), *save = NULL, *copy = strdup(name);
	unsigned count = 0;

	if (!list || !copy) {
		free(copy);
		free(list);
		return gw_fail(ENOMEM, "%s: no memory", name);
	}
	for (char *word = strtok_r(copy, " ", &save); word && count < WORDS_MAX;
	     word = strtok_r(NULL, " ", &save))
		list[count++] = word;
	if (list[0] != copy) { /* it begins with a space, or is nothing else */
		free(copy);
		free(list);
		return gw_fail(EINVAL, "'%s': this is no name", name);
	}
	*words = list;
	return 0;
}

static unsigned count_words(char **words)
{
	unsigned count = 0;

	while (words[count])
		count++;
	return count;
}

static int refused(const char *name, const struct gw_ran *ran)
{
	int len = (int)strcspn(ran->err, "\n");

	if (ran->code < 0)
		return gw_fail(EREMOTEIO, "%s: signal %d ended it", name, ran->signal);
	if (!len)
		return gw_fail(EREMOTEIO,
			       "%s: it does not print its migration info, and ends with %d", name,
			       ran->code);
	return gw_fail(EREMOTEIO, "%s: it does not print its migration info: %.*s", name, len,
		       ran->err);
}

static int read_program(struct gw_what *what, const char *name)
{
	struct gw_ran ran = {0};
	unsigned count;
	int err = split(&what->command, name);

	what->kind = "program";
	if (err ||
	    !what->command) /* the second is for the analyser: there are words, or an error */
		return err;
	count = count_words(what->command);
	what->command[count] = (char *)"--print-migration-info";
	err = gw_run(&ran, what->command, NULL, 0, GW_DOCUMENT_MAX, GW_WHAT_SECONDS);
	what->command[count] = NULL;
	if (!err && ran.code)
		err = refused(name, &ran);
	if (!err)
		err = add_text(what, name, ran.out, ran.out_len);
	free(ran.out);
	return err;
}

/* -- a control socket ---------------------------------------------------------------------- */

static int read_socket(struct gw_what *what, const char *name)
{
	json_t *result = NULL;
	int err = gw_cli_ask_long(name, "query-migration-info", GW_WHAT_SECONDS, &result);

	what->kind = "control socket";
	what->answers = true;
	if (!err)
		err = gw_what_add_document(what, name, result);
	json_decref(result);
	return err;
}

/* -- device states ------------------------------------------------------------------------- */

struct header_seen {
	struct gw_what *what;
	const char *name;
	int err;
};

static void take_header(void *opaque, const struct gw_state_header *header)
{
	struct header_seen *seen = opaque;
	struct gw_what *what = seen->what;

	if (what->instance_count == GW_WHATS_MAX) {
		seen->err = gw_fail(EFBIG, "%s: more than %d states", seen->name, GW_WHATS_MAX);
		return;
	}
	seen->err = gw_compat_instance_canonical(&what->instances[what->instance_count], seen->name,
						 header->model, strlen(header->model),
						 header->prerequisites);
	what->instance_count += !seen->err;
}

/* To its end: what is said of a damaged state is no answer. */
static int read_state(struct gw_what *what, const char *name, int fd)
{
	static const struct gw_state_visitor visitor = {.header = take_header};
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct header_seen seen = {what, name, 0};
	int err = gw_state_walk(&channel, &visitor, &seen);

	return err ? gw_fail_in(err, "%s", name) : seen.err;
}

static int read_states(struct gw_what *what, const char *name)
{
	struct gw_state_file states[GW_STATES_MAX];
	unsigned count;
	int err = gw_states_open(name, states, &count);

	what->kind = "state file";
	for (unsigned i = 0; i < count && !err; i++)
		err = read_state(what, name, states[i].fd);
	gw_states_close(states, count);
	return err;
}

/* -- whichever it is ----------------------------------------------------------------------- */

static bool is_program(const struct stat *st, const char *start, size_t len)
{
	return (st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) && len >= 2 &&
	       (!memcmp(start, "#!", 2) || (len >= 4 && !memcmp(start, "\177ELF", 4)));
}

static int read_regular(struct gw_what *what, const char *name, const struct stat *st)
{
	GW_AUTO_FD int fd = open(name, O_RDONLY | O_CLOEXEC);
	char start[64];
	ssize_t len = fd < 0 ? -1 : pread(fd, start, sizeof(start), 0);
	size_t blanks = 0;
	int err;

	if (len < 0)
		return gw_fail(errno, "%s: %s", name, strerror(errno));
	if (is_program(st, start, (size_t)len))
		return read_program(what, name);
	while (blanks < (size_t)len && strchr(" \t\r\n", start[blanks]))
		blanks++;
	if (blanks < (size_t)len && start[blanks] == '{')
		return read_document(what, name, fd);
	err = read_states(what, name);
	return err != -ENOENT ? err
			      : gw_fail(ENOENT,
					"%s: neither a document ('{' is expected) nor a device "
					"state",
					name);
}

static int read_directory(struct gw_what *what, const char *name, const char *path)
{
	int err = gw_what_read_sysfs(what, name, path);

	if (err != -ENOENT)
		return err;
	return gw_fail(ENOENT, "%s: this directory is neither an mdev parent nor an mdev device",
		       path);
}

/* As the kernel calls it: an address, or a UUID. */
static int read_device(struct gw_what *what, const char *name, const char *root)
{
	static const char *const places[] = {"class/mdev_bus", "bus/mdev/devices"};
	char path[4096];

	for (size_t i = 0; i < GW_ARRAY_LEN(places) && !strchr(name, '/'); i++) {
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s/%s", root, places[i], name);
		if (!stat(path, &st) && S_ISDIR(st.st_mode))
			return read_directory(what, name, path);
	}
	return -ENOENT;
}

/* A program with arguments, or one in PATH. */
static int read_command(struct gw_what *what, const char *name)
{
	int err = read_program(what, name);

	return err != -ENOENT ? err
			      : gw_fail(ENOENT, "%.*s: no such file, device or program",
					(int)strcspn(name, " "), name);
}

static int read_any(struct gw_what *what, const char *name, const char *root)
{
	struct stat st;
	int err;

	if (!strcmp(name, "-"))
		return read_document(what, "standard input", STDIN_FILENO);
	if (!stat(name, &st)) {
		if (S_ISSOCK(st.st_mode))
			return read_socket(what, name);
		if (S_ISDIR(st.st_mode))
			return read_directory(what, name, name);
		if (S_ISFIFO(st.st_mode))
			return read_pipe(what, name);
		return read_regular(what, name, &st);
	}
	if (errno != ENOENT && errno != ENOTDIR)
		return gw_fail(errno, "%s: %s", name, strerror(errno));
	err = read_device(what, name, root);
	if (err != -ENOENT)
		return err;
	return strchr(name, ' ') || !strchr(name, '/')
		       ? read_command(what, name)
		       : gw_fail(ENOENT, "%s: %s", name, strerror(ENOENT));
}

int gw_what_read(struct gw_what **out, const char *name, const char *sysfs_root)
{
	struct gw_what *what = calloc(1, sizeof(*what));
	int err;

	if (!what)
		return gw_fail(ENOMEM, "%s: no memory", name);
	err = read_any(what, name, sysfs_root ? sysfs_root : GW_WHAT_SYSFS);
	if (err)
		gw_what_free(what);
	else
		*out = what;
	return err;
}

void gw_what_free(struct gw_what *what)
{
	if (!what)
		return;
	for (unsigned i = 0; i < what->implementation_count; i++) {
		gw_compat_implementation_free(what->implementations[i].implementation);
		json_decref(what->implementations[i].document);
	}
	for (unsigned i = 0; i < what->instance_count; i++)
		gw_compat_instance_free(what->instances[i]);
	if (what->command)
		free(what->command[0]);
	free(what->command);
	free(what);
}

const struct gw_compat_instance *gw_what_instance(const struct gw_what *what, const char *name)
{
	if (what->instance_count == 1)
		return what->instances[0];
	if (what->instance_count)
		gw_set_error("%s: it has %u instances, and none is told to be meant", name,
			     what->instance_count);
	else
		gw_set_error("%s: it is no instance, it is what instances are made of", name);
	return NULL;
}
