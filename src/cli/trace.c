/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/trace.c - `godwit trace`: what a front-end and a back-end say to each other. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/options.h"
#include "base/socket.h"
#include "cli/command.h"
#include "cli/trace/trace.h"
#include "godwit/error.h"

#define CONNECT_MS  10000
#define WORDS_MAX   256
#define PATH_OPTION "--socket-path"
/* What is put behind the path of a back-end that was moved out of the way. */
#define BEHIND ".traced"

struct trace_options {
	const char *proxy, *to, *output, *svg;
	struct gw_texts read;
	bool json, help;
};

#define AT(member) offsetof(struct trace_options, member)
static const struct gw_option options[] = {
	{"proxy", "PATH", "listen here for the front-end", AT(proxy), GW_OPTION_STRING},
	{"to", "PATH", "where the back-end listens", AT(to), GW_OPTION_STRING},
	{"output", "FILE", "write the messages there, not to standard output", AT(output),
	 GW_OPTION_STRING, .letter = 'o'},
	{"json", NULL, "as JSON, one object a line", AT(json), GW_OPTION_FLAG},
	{"svg", "FILE", "draw the sequence, its phases and the blackout", AT(svg),
	 GW_OPTION_STRING},
	{"read", "FILE", "draw what --json wrote; at most two", AT(read), GW_OPTION_LIST},
	{"help", NULL, "print this", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{NULL},
};

struct tracing {
	const struct trace_options *given;
	FILE *out;
	struct tr_list list;
	int64_t start;
};

static int told(void *opaque, const struct tr_message *message)
{
	struct tracing *tracing = opaque;
	int err = 0;

	if (!tracing->start)
		tracing->start = message->at;
	if (tracing->given->json)
		err = tr_print_json(message, tracing->out);
	else
		tr_print_text(message, tracing->start, tracing->out);
	if (fflush(tracing->out) || err)
		return gw_fail(EIO, "the trace could not be written");
	/* What goes beyond the limit is passed on and printed all the same. */
	if (tracing->given->svg && tracing->list.count < TR_MESSAGES_MAX)
		return tr_list_add(&tracing->list, message);
	return 0;
}

static int draw(const struct tr_list *list, unsigned traces, const char *path)
{
	FILE *out = fopen(path, "we");
	int err;

	if (!out)
		return gw_fail(errno, "%s: %s", path, strerror(errno));
	err = tr_draw(list, traces, out);
	if (fclose(out) && !err)
		err = gw_fail(errno, "%s: %s", path, strerror(errno));
	return err;
}

static int draw_recorded(const struct trace_options *given)
{
	struct tr_list list = {0};
	int err = 0;

	if (!given->svg || given->read.count > TR_TRACES_MAX)
		return gw_fail(EINVAL, "--read needs --svg, and is given at most %d times",
			       TR_TRACES_MAX);
	for (unsigned i = 0; i < given->read.count && !err; i++)
		err = tr_list_read(&list, given->read.text[i], i);
	tr_list_sort(&list);
	if (!err)
		err = draw(&list, given->read.count, given->svg);
	tr_list_free(&list);
	return err;
}

/*
 * A back-end that is started here.
 */
struct command {
	char *words[WORDS_MAX + 1];
	char front[108], behind[108]; /* where the front-end comes, and where the back-end goes */
	pid_t pid;
};

/* The back-end's own --socket-path is where the front-end will come; it gets another one. */
static int take_path(struct command *command, unsigned i)
{
	size_t len = sizeof(PATH_OPTION) - 1;
	const char *path =
		command->words[i][len] == '=' ? command->words[i] + len + 1 : command->words[i + 1];

	if (!path || strlen(path) + sizeof(BEHIND) > sizeof(command->behind))
		return gw_fail(EINVAL, "%s: no path, or too long a one", command->words[i]);
	snprintf(command->front, sizeof(command->front), "%s", path);
	snprintf(command->behind, sizeof(command->behind), "%s%s", path, BEHIND);
	return 0;
}

static int make_words(struct command *command, char **argv, char *option)
{
	unsigned count = 0;
	bool found = false;

	for (; argv[count]; count++) {
		if (count == WORDS_MAX)
			return gw_fail(E2BIG, "more than %d words", WORDS_MAX);
		command->words[count] = argv[count];
	}
	for (unsigned i = 0; i < count && !found; i++) {
		size_t len = sizeof(PATH_OPTION) - 1;
		int err;

		found = !strncmp(argv[i], PATH_OPTION, len) &&
			(!argv[i][len] || argv[i][len] == '=');
		if (!found)
			continue;
		err = take_path(command, i);
		if (err)
			return err;
		sprintf(option, "%s=%s", PATH_OPTION, command->behind);
		command->words[i] = option;
		if (!argv[i][len])
			memmove(&command->words[i + 1], &command->words[i + 2],
				(count - i - 1) * sizeof(command->words[0]));
	}
	return found ? 0
		     : gw_fail(EINVAL,
			       "%s: no " PATH_OPTION " among its words; use --proxy and --to",
			       argv[0]);
}

static int start(struct command *command)
{
	command->pid = fork();
	if (command->pid < 0)
		return gw_fail(errno, "%s: %s", command->words[0], strerror(errno));
	if (!command->pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		execvp(command->words[0], command->words);
		fprintf(stderr, "godwit trace: %s: %s\n", command->words[0], strerror(errno));
		_exit(127);
	}
	return 0;
}

static void finish(struct command *command)
{
	if (command->pid <= 0)
		return;
	kill(command->pid, SIGTERM);
	while (waitpid(command->pid, NULL, 0) < 0 && errno == EINTR)
		;
	unlink(command->behind);
}

static int wait_for_frontend(int listener, int *frontend)
{
	struct pollfd poller = {.fd = listener, .events = POLLIN};
	int err = -EAGAIN;

	while (err == -EAGAIN) {
		while (poll(&poller, 1, -1) < 0 && errno == EINTR)
			;
		err = gw_socket_accept(listener, frontend);
	}
	if (err)
		return gw_fail(-err, "accept: %s", strerror(-err));
	/* The relay blocks, one message at a time. */
	return fcntl(*frontend, F_SETFL, 0) < 0 ? gw_fail(errno, "fcntl: %s", strerror(errno)) : 0;
}

/* One connection, from its first message to its end. */
static int trace_one(struct tracing *tracing, int listener, const char *to)
{
	GW_AUTO_FD int frontend = -1;
	GW_AUTO_FD int backend = -1;
	int err = wait_for_frontend(listener, &frontend);

	if (!err)
		err = gw_socket_connect(&backend, to, CONNECT_MS);
	if (!err)
		err = tr_relay(frontend, backend, told, tracing);
	return err;
}

static int trace(const struct trace_options *given, const char *listen_at, const char *to)
{
	struct tracing tracing = {.given = given, .out = stdout};
	GW_AUTO_FCLOSE FILE *file = given->output ? fopen(given->output, "we") : NULL;
	struct gw_listener listener = {.fd = -1};
	int err = 0;

	if (given->output && !file)
		return gw_fail(errno, "%s: %s", given->output, strerror(errno));
	if (file)
		tracing.out = file;
	err = gw_listener_open(&listener, listen_at);
	if (!err)
		err = trace_one(&tracing, listener.fd, to);
	gw_listener_close(&listener);
	if (given->svg && tracing.list.count)
		err = draw(&tracing.list, 1, given->svg) ? -EIO : err;
	tr_list_free(&tracing.list);
	return err;
}

static int trace_command(const struct trace_options *given, char **argv)
{
	struct command command = {0};
	char option[sizeof(command.behind) + sizeof(PATH_OPTION) + 1];
	int err = make_words(&command, argv, option);

	if (!err)
		err = start(&command);
	if (!err)
		err = trace(given, command.front, command.behind);
	finish(&command);
	return err;
}

static int check_options(const struct trace_options *given, bool has_command)
{
	bool between = given->proxy && given->to;

	if (!given->proxy != !given->to)
		return gw_fail(EINVAL, "--proxy and --to belong together");
	if (between + has_command + (given->read.count > 0) != 1)
		return gw_fail(EINVAL, "one of these: --proxy and --to, a command, or --read "
				       "(see --help)");
	return 0;
}

int gw_cli_trace(int argc, char **argv)
{
	struct trace_options given = {0};
	const struct gw_option_table tables[] = {{"options", options, &given}, {NULL}};
	const struct gw_command_line line = {
		.program = "godwit trace",
		.summary = "Show what a front-end and a back-end say to each other.",
		.operands = "[-- COMMAND...]",
		.tables = tables,
	};
	int first, err;

	if (gw_options_parse(&line, argc, argv, &first))
		return gw_cli_complain("trace", GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (check_options(&given, first < argc))
		return gw_cli_complain("trace", GW_EXIT_USAGE);
	signal(SIGPIPE, SIG_IGN);
	if (given.read.count)
		err = draw_recorded(&given);
	else if (first < argc)
		err = trace_command(&given, argv + first);
	else
		err = trace(&given, given.proxy, given.to);
	return err ? gw_cli_complain("trace", GW_EXIT_FAILED) : GW_EXIT_OK;
}
