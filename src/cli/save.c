/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/save.c - `godwit save`, `godwit load`: a device's state into a file, and out of one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/options.h"
#include "base/socket.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "godwit/error.h"
#include "godwit/frontend.h"
#include "vhost-user/wire.h"

#define MS_PER_S 1000
/* Whether a back-end has ended is looked at for so long. */
#define END_MS	      1500
#define PAUSE_MS      10
#define TIMEOUT_MAX_S 86400
/* A back-end that was started just now may not listen yet. */
#define START_MS 2000
/* For the reason why something failed, in the back-end's own words. */
#define WORDS_S	   2
#define REASON_MAX 768
/* Rings are made and never started. */
#define FEW_ENTRIES 2
#define SOME_MEMORY (64 * 1024)

struct save_options {
	const char *socket, *control, *output;
	unsigned timeout;
	bool json, help;
};

#define AT(member) offsetof(struct save_options, member)
static const struct gw_option common_options[] = {
	{"socket", "PATH", "the vhost-user socket; nobody is connected there", AT(socket),
	 GW_OPTION_STRING},
	{"control-socket", "PATH", "or its control socket; the device is stopped", AT(control),
	 GW_OPTION_STRING},
	{"timeout", "SECONDS", "how long it may take [60]", AT(timeout), GW_OPTION_NUMBER, .min = 1,
	 .max = TIMEOUT_MAX_S},
	{"json", NULL, "print what was done as a JSON object", AT(json), GW_OPTION_FLAG},
	{"help", NULL, "print this", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{NULL},
};
static const struct gw_option save_options[] = {
	{"output", "FILE", "where the state goes", AT(output), GW_OPTION_STRING, .required = true,
	 .letter = 'o'},
	{NULL},
};

/* -- through the vhost-user socket ----------------------------------------------------------- */

static int open_frontend(struct gw_frontend **frontend, const struct save_options *given)
{
	struct gw_frontend_config config = {
		.size = sizeof(config),
		.timeout_ms = given->timeout * MS_PER_S,
		.queues = 1,
		.queue_size = FEW_ENTRIES,
		.memory_size = SOME_MEMORY,
	};
	int err = gw_socket_connect(&config.fd, given->socket, START_MS);

	if (err)
		return err;
	err = gw_frontend_new(frontend, &config);
	if (err == -ECONNRESET)
		return gw_fail(-err,
			       "%s: the back-end took no other front-end; if it has one that has "
			       "stopped the device, --control-socket leads to it",
			       given->socket);
	if (err)
		return gw_fail_in(err, "%s", given->socket);
	if (!(gw_frontend_protocol_features(*frontend) & GW_VU_PF(DEVICE_STATE))) {
		gw_frontend_free(*frontend);
		return gw_fail(ENOTSUP, "%s: the back-end has no device state to give or take",
			       given->socket);
	}
	return 0;
}

/* The last transfer of the back-end's one session, as its control socket has it; NULL: there is no
 * such socket at its usual place, or several sessions. */
static json_t *last_transfer(const char *socket)
{
	json_t *status = NULL, *transfer = NULL;
	GW_AUTO_FREE char *path = NULL;
	const json_t *sessions;

	if (asprintf(&path, "%s.control", socket) < 0)
		path = NULL;
	if (!path || gw_cli_ask_long(path, "query-status", WORDS_S, &status))
		return NULL;
	sessions = json_object_get(status, "sessions");
	if (json_array_size(sessions) == 1)
		transfer =
			json_incref(json_object_get(json_array_get(sessions, 0), "last_transfer"));
	json_decref(status);
	return transfer;
}

/* A front-end hears no more than that it was bad. What the back-end says on its control socket has
 * the reason, and its code, if that is no transfer that was there @before. */
static int fail_in_own_words(int err, const struct save_options *given, const json_t *before)
{
	char text[REASON_MAX];
	json_t *transfer;
	const char *reason;

	snprintf(text, sizeof(text), "%s", gw_last_error());
	transfer = last_transfer(given->socket);
	reason = json_string_value(json_object_get(transfer, "reason"));
	if (reason && *reason && !json_equal(transfer, before))
		snprintf(text, sizeof(text), "%s", reason);
	json_decref(transfer);
	return gw_fail(-err, "%s: %s", given->socket, text);
}

static int transfer_as_frontend(const struct save_options *given, bool load, int fd)
{
	struct gw_frontend *frontend;
	json_t *before = NULL;
	int err = open_frontend(&frontend, given);

	if (err)
		return err;
	before = last_transfer(given->socket);
	err = load ? gw_frontend_load(frontend, fd) : gw_frontend_save(frontend, fd);
	/* One without --reconnect ends when we leave. */
	if (err)
		err = fail_in_own_words(err, given, before);
	json_decref(before);
	gw_frontend_free(frontend);
	return err;
}

/* One without --reconnect ends when we leave, and all was for nothing. Looked at without
 * connecting: that would keep it. */
static int is_still_there(const struct save_options *given)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};

	for (unsigned ms = 0; ms < END_MS; ms += PAUSE_MS) {
		if (!gw_socket_is_held(given->socket))
			return gw_fail(ECONNRESET,
				       "%s: the back-end ended with the connection, and the state "
				       "with it; start it with --reconnect, or load through its "
				       "--control-socket",
				       given->socket);
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* -- through the control socket ---------------------------------------------------------------- */

static int transfer_as_operator(const struct save_options *given, bool load, int fd)
{
	json_t *result = NULL;
	int err = gw_cli_ask_with(given->control, load ? "device-state-load" : "device-state-save",
				  fd, given->timeout, &result);

	json_decref(result);
	return err;
}

static int transfer(const struct save_options *given, bool load, int fd)
{
	int err;

	if (given->control)
		return transfer_as_operator(given, load, fd);
	err = transfer_as_frontend(given, load, fd);
	return !err && load ? is_still_there(given) : err;
}

/* -- files --------------------------------------------------------------------------------- */

static int tell(const struct save_options *given, const char *path, int fd)
{
	struct stat st;
	json_t *told;

	if (fstat(fd, &st) < 0)
		return gw_fail(errno, "%s: %s", path, strerror(errno));
	if (!given->json) {
		printf("%s: %lld bytes\n", path, (long long)st.st_size);
		return 0;
	}
	told = json_pack("{s:s, s:I}", "file", path, "bytes", (json_int_t)st.st_size);
	json_dumpf(told, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(told);
	return 0;
}

/* A name beside it, for as long as it is not whole. */
static int make_beside(const char *path, char **beside, int *fd)
{
	if (asprintf(beside, "%s.XXXXXX", path) < 0) {
		*beside = NULL;
		return gw_fail(ENOMEM, "no memory");
	}
	*fd = mkostemp(*beside, O_CLOEXEC);
	return *fd < 0 ? gw_fail(errno, "%s: %s", *beside, strerror(errno)) : 0;
}

static int sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	GW_AUTO_FREE char *directory =
		slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	GW_AUTO_FD int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0 || fsync(fd) < 0)
		return gw_fail(errno, "%s: its directory: %s", path, strerror(errno));
	return 0;
}

static int put_in_place(int fd, const char *beside, const char *path)
{
	if (fsync(fd) < 0)
		return gw_fail(errno, "%s: %s", path, strerror(errno));
	if (rename(beside, path) < 0)
		return gw_fail(errno, "%s: %s", path, strerror(errno));
	return sync_directory(path);
}

static int save(const struct save_options *given, char **operands)
{
	GW_AUTO_FREE char *beside = NULL;
	GW_AUTO_FD int fd = -1;
	int err = make_beside(given->output, &beside, &fd);

	if (err)
		return err;
	err = transfer(given, false, fd);
	if (!err)
		err = put_in_place(fd, beside, given->output);
	if (err)
		unlink(beside);
	return err ? err : tell(given, given->output, fd);
}

static int load(const struct save_options *given, char **operands)
{
	GW_AUTO_FD int fd = open(operands[0], O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return gw_fail(errno, "%s: %s", operands[0], strerror(errno));
	err = transfer(given, true, fd);
	return err ? err : tell(given, operands[0], fd);
}

/* -- command line ---------------------------------------------------------------------------- */

struct command {
	const char *name, *program, *summary, *operand;
	const struct gw_option *options; /* of its own, or NULL */
	int (*run)(const struct save_options *given, char **operands);
};

static int check(const struct command *command, const struct save_options *given, int operands)
{
	if (!given->socket == !given->control)
		return gw_fail(EINVAL, "one of --socket and --control-socket is required");
	if (operands != !!command->operand)
		return gw_fail(EINVAL, "%s (see --help)",
			       command->operand ? "which file?" : "it takes no operand");
	return 0;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct save_options given = {.timeout = 60};
	const struct gw_option_table tables[] = {
		{"options", common_options, &given}, {"file", command->options, &given}, {NULL}};
	const struct gw_command_line line = {
		.program = command->program,
		.summary = command->summary,
		.operands = command->operand,
		.tables = tables,
	};
	int first = argc;

	if (gw_options_parse(&line, argc, argv, command->operand ? &first : NULL))
		return gw_cli_complain(command->name, GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (check(command, &given, argc - first))
		return gw_cli_complain(command->name, GW_EXIT_USAGE);
	return command->run(&given, argv + first) ? gw_cli_complain(command->name, GW_EXIT_FAILED)
						  : GW_EXIT_OK;
}

int gw_cli_save(int argc, char **argv)
{
	static const struct command command = {
		.name = "save",
		.program = "godwit save",
		.summary = "Take the state of a stopped device out of its back-end into a file.",
		.options = save_options,
		.run = save,
	};

	return run(&command, argc, argv);
}

int gw_cli_load(int argc, char **argv)
{
	static const struct command command = {
		.name = "load",
		.program = "godwit load",
		.summary = "Bring a device's state from a file into a back-end that is fresh.",
		.operand = "FILE",
		.run = load,
	};

	return run(&command, argc, argv);
}
