/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/main.c - the common main of all daemons. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fdstore.h"
#include "base/output.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/key.h"
#include "daemon/legacy.h"
#include "daemon/supervisor.h"
#include "daemon/to_syslog.h"
#include "godwit/backend.h"
#include "godwit/error.h"
#include "godwit/loop.h"
#include "migration/journaling.h"
#include "migration/session.h"
#include "vhost-user/recovery.h"

#define CONTROL_SUFFIX ".control"
#define NO_FD	       UINT_MAX

/* The options that every daemon has; reference for them: docs of vhost-user, "Backend programs". */
struct common {
	const char *socket_path;
	const char *old_socket_path; /* --socket, as virtiofsd once called it */
	unsigned fd;
	const char *control_socket;
	bool reconnect;
	int log_level;
	const char *state_key;
	const char *socket_group;
	bool syslog, debug, foreground;
	int migration, on_save, on_lost_outcome, after_migration; /* enums of godwit/device.h */
	unsigned frozen_timeout;				  /* s; 0: the default */
	struct gw_instance_options instance;
	int recover;
	const char *experimental;
	bool print_migration_info, check_migration;
	bool print_capabilities, help, help_all, version;
};

/* Who keeps what a next process needs. */
enum recover { RECOVER_OFF, RECOVER_KEEPER, RECOVER_SYSTEMD };
static const char *const recover_words[] = {"off", "keeper", "systemd", NULL};

/* In the order of enum gw_log_level. */
static const char *const log_words[] = {"off", "error", "warn", "info", "debug", "trace", NULL};

#define FROZEN_TIMEOUT_MAX (24 * 60 * 60) /* a day: then nobody is coming */

#define AT(member) offsetof(struct common, member)
static const struct gw_option common_options[] = {
	{"socket-path", "PATH", "listen for the VMM on a Unix socket at PATH", AT(socket_path),
	 GW_OPTION_STRING},
	{"socket", "PATH", "", AT(old_socket_path), GW_OPTION_STRING, .instead = "--socket-path"},
	{"fd", "N", "or: the socket is inherited as descriptor N", AT(fd), GW_OPTION_NUMBER,
	 .max = INT_MAX},
	{"socket-group", "GROUP", "who may connect to the socket, too", AT(socket_group),
	 GW_OPTION_STRING, .rare = true},
	{"control-socket", "PATH", "JSON control socket [--socket-path + .control]",
	 AT(control_socket), GW_OPTION_STRING},
	{"reconnect", NULL, "when the VMM disconnects, wait for the next", AT(reconnect),
	 GW_OPTION_FLAG},
	{"recover", "HOW", "go on after a crash: off, keeper, systemd [off]", AT(recover),
	 GW_OPTION_WORD, .words = recover_words, .implied = "keeper", .rare = true},
	{"state-key", "FILE", "32 bytes that sign and verify migrated state", AT(state_key),
	 GW_OPTION_STRING},
	{"log-level", "LEVEL", "off, error, warn, info, debug, trace [info]", AT(log_level),
	 GW_OPTION_WORD, .words = log_words},
	{"syslog", NULL, "log to syslog instead of standard error", AT(syslog), GW_OPTION_FLAG,
	 .rare = true},
	{"d", NULL, "", AT(debug), GW_OPTION_FLAG, .letter = 'd', .instead = "--log-level=debug"},
	{"f", NULL, "", AT(foreground), GW_OPTION_FLAG, .letter = 'f',
	 .instead = "nothing, this program stays in the foreground"},
	{"migration", "MODE", "stateful, none, stateless [stateful]", AT(migration), GW_OPTION_WORD,
	 .words = gw_migration_words, .rare = true},
	{"on-save", "WHAT", "hint, move, copy: what one side owns [hint]", AT(on_save),
	 GW_OPTION_WORD, .words = gw_on_save_words, .rare = true},
	{"frozen-timeout", "S", "time to be told whether it moved [60]", AT(frozen_timeout),
	 GW_OPTION_NUMBER, .min = 1, .max = FROZEN_TIMEOUT_MAX, .rare = true},
	{"on-lost-outcome", "WHAT", "keep, drop, resume: if nobody told [keep]",
	 AT(on_lost_outcome), GW_OPTION_WORD, .words = gw_on_lost_outcome_words, .rare = true},
	{"after-migration", "WHAT", "wait, exit, reset: the source [wait]", AT(after_migration),
	 GW_OPTION_WORD, .words = gw_after_migration_words, .rare = true},
	{"migration-model", "NAME", "be an instance of this device model", AT(instance.model),
	 GW_OPTION_STRING, .rare = true},
	{"migration-profile", "NAME", "with this profile; --m-PARAM=VALUE overrides it",
	 AT(instance.profile), GW_OPTION_STRING, .rare = true},
	{"experimental", "LIST", "offer to VMMs that ask: iterative, suspend", AT(experimental),
	 GW_OPTION_STRING, .rare = true},
	{"print-migration-info", NULL, "print models and parameters, as JSON",
	 AT(print_migration_info), GW_OPTION_FLAG, .rare = true},
	{"available-instances", "N", "print that this host takes N more of each",
	 AT(instance.available), GW_OPTION_NUMBER, .max = INT_MAX, .rare = true},
	{"check-migration", NULL, "could an instance be as standard input says?",
	 AT(check_migration), GW_OPTION_FLAG, .rare = true},
	{"print-capabilities", NULL, "print what this program can do, as JSON",
	 AT(print_capabilities), GW_OPTION_FLAG, .rare = true},
	{"help-all", NULL, "print this with the less common options", AT(help_all), GW_OPTION_FLAG},
	{"help", NULL, "print this", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{"version", NULL, "print the version", AT(version), GW_OPTION_FLAG, .letter = 'V'},
	{NULL},
};

static int complain(const struct gw_daemon *daemon, int code)
{
	fprintf(stderr, "%s: %s\n", daemon->program, gw_last_error());
	return code;
}

/* Before anything else is looked at: a management tool asks without knowing the options. */
static bool asks_for(const char *option, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], option))
			return true;
	return false;
}

/* Whatever else the line says, or lacks, a document is printed; but none that has room only because
 * the word about it was not understood. */
static bool hides_room(const struct common *common, int argc, char **argv)
{
	static const char option[] = "--available-instances";

	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], option, strlen(option)))
			return common->instance.available == GW_AVAILABLE_UNKNOWN;
	return false;
}

static void print_capabilities(const struct gw_daemon *daemon)
{
	printf("{\n  \"type\": \"%s\",\n  \"features\": [\n    \"migrate-precopy\",\n",
	       daemon->type);
	for (unsigned i = 0; daemon->features && daemon->features[i]; i++)
		printf("    \"%s\",\n", daemon->features[i]);
	printf("    \"separate-options\"\n  ]\n}\n");
}

static int check_socket(struct common *common)
{
	if (common->old_socket_path && common->socket_path)
		return gw_fail(EINVAL, "options --socket and --socket-path exclude each other");
	if (common->old_socket_path)
		common->socket_path = common->old_socket_path;
	if (common->socket_path && common->fd != NO_FD)
		return gw_fail(EINVAL, "options --socket-path and --fd exclude each other");
	if (!common->socket_path && common->fd == NO_FD)
		return gw_fail(EINVAL, "one of --socket-path and --fd is required (see --help)");
	if (common->socket_group && !common->socket_path)
		return gw_fail(EINVAL, "option --socket-group goes with --socket-path");
	/* What SUSPEND holds, and a state that is half sent, are not among what is kept. */
	if (common->recover && common->experimental)
		return gw_fail(EINVAL, "options --recover and --experimental exclude each other");
	/* In a later life it is among what was kept. */
	if (common->fd != NO_FD && !gw_is_supervised() && fcntl((int)common->fd, F_GETFD) < 0)
		return gw_fail(EINVAL, "option --fd: descriptor %u is not open", common->fd);
	return 0;
}

/* Names with commas between them, into bits of enum gw_experimental. */
static int read_experimental(const char *list, unsigned *bits)
{
	static const char *const names[] = {"iterative", "suspend"};

	*bits = 0;
	while (list && *list) {
		size_t len = strcspn(list, ","), i = 0;

		while (i < GW_ARRAY_LEN(names) &&
		       (strlen(names[i]) != len || memcmp(names[i], list, len) != 0))
			i++;
		if (i == GW_ARRAY_LEN(names))
			return gw_fail(EINVAL,
				       "option --experimental: '%.*s', expected iterative, suspend",
				       (int)len, list);
		*bits |= 1u << i;
		list += len + (list[len] == ',');
	}
	return 0;
}

/*
 * Where the control socket is (the caller's to free), or NULL for none. Only a path that the
 * operator gave may fail: what worked with another daemon must not fail here because our suffix
 * did not fit.
 */
static char *choose_control(const struct common *common)
{
	const char *socket_path = common->socket_path;
	char *path = NULL;

	if (common->control_socket)
		return strdup(common->control_socket);
	if (!socket_path)
		return NULL;
	if (strlen(socket_path) + strlen(CONTROL_SUFFIX) >=
	    sizeof(((struct sockaddr_un *)0)->sun_path))
		gw_warn("no control socket: %s%s would be too long; see --control-socket",
			socket_path, CONTROL_SUFFIX);
	else if (asprintf(&path, "%s%s", socket_path, CONTROL_SUFFIX) < 0)
		return NULL;
	return path;
}

static void on_signal(void *opaque, int signo)
{
	gw_info("ends at signal %d", signo);
	gw_loop_quit(opaque, 0);
}

/* From before there is a socket to remove; they are taken when the loop runs. */
static void hold_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
}

static int handle_signals(struct gw_loop *loop)
{
	int err = gw_loop_add_signal(loop, SIGTERM, on_signal, loop);

	if (!err)
		err = gw_loop_add_signal(loop, SIGINT, on_signal, loop);
	signal(SIGPIPE, SIG_IGN);
	return err;
}

/* @fd is where front-ends come in. */
static int serve_on(int fd, struct gw_loop *loop, const struct gw_backend_config *config)
{
	struct gw_backend *backend = NULL;
	int err = gw_backend_new(&backend, loop, config);

	if (err)
		return err;
	if (fd >= 0)
		err = gw_backend_adopt_fd(backend, fd);
	if (!err)
		err = gw_loop_run(loop);
	gw_backend_free(backend);
	return err;
}

/* A descriptor of its own for the back-end, above standard error; the name stays ours. */
static int lend(const struct gw_listener *listener)
{
	return listener->fd < 0 ? 0 : fcntl(listener->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* The one of --fd. -1: it was a connection, which a process before this one has served. */
static int given_fd(const struct common *common)
{
	return common->fd == NO_FD || fcntl((int)common->fd, F_GETFD) < 0 ? -1 : (int)common->fd;
}

static int serve(const struct common *common, const struct gw_sockets *sockets,
		 struct gw_backend_config *config)
{
	int fd = sockets->vhost_user.fd >= 0 ? lend(&sockets->vhost_user) : given_fd(common);
	struct gw_loop *loop = NULL;
	int err = gw_loop_new(&loop);

	config->control_fd = lend(&sockets->control);
	if (!err && (fd < -1 || config->control_fd < 0))
		err = gw_fail(errno, "listening sockets: %s", strerror(errno));
	if (!err)
		err = handle_signals(loop);
	if (!err)
		err = serve_on(fd, loop, config);
	gw_loop_free(loop);
	return err;
}

static int shut_in(const struct gw_daemon *daemon, const struct common *common,
		   struct gw_sockets *sockets)
{
	struct gw_inside inside;
	int err;

	/* For its hashes jansson asks for the time, a random number and the process's own number,
	 * when it makes its first object: also where nobody has a control socket. */
	json_object_seed(0);
	if (daemon->port_seccomp)
		return gw_sandbox_with_port((enum gw_seccomp_mode) * daemon->port_seccomp,
					    common->syslog);
	if (!daemon->sandbox)
		return 0;
	err = gw_sandbox_enter(daemon->sandbox, common->syslog, sockets, &inside);
	if (!err)
		daemon->confined(daemon->host, &inside);
	return err;
}

static int open_store(const struct common *common, struct gw_fdstore **store)
{
	int err = common->recover ? gw_fdstore_open(store) : 0;

	if (!err && common->recover && !*store)
		err = gw_fail(ENOTCONN, "option --recover=systemd: $NOTIFY_SOCKET is not set");
	return err;
}

static int check_kept(const struct gw_daemon *daemon, const struct gw_params *params,
		      const struct gw_fdstore *store)
{
	int err = gw_recovery_check(store);

	return err ? err : gw_journaling_check(daemon->ops, params, store);
}

/* Could it go on with what another process has, which lives? */
static int check_takeover(const struct gw_daemon *daemon, const struct gw_params *params)
{
	struct gw_fdstore *store = NULL;
	int err = gw_fdstore_open(&store);

	if (!err && !store)
		err = gw_fail(ENOTCONN, GW_FDSTORE_CHECK_ENV ": nothing is kept by anybody");
	if (!err)
		err = check_kept(daemon, params, store);
	gw_fdstore_free(store);
	return err;
}

/*
 * What was left and this build cannot read is for another build: nothing of it is touched, so that
 * it is there for who comes next. With what is not whole nobody goes on, and it is given up.
 */
static int check_left(const struct gw_daemon *daemon, const struct gw_params *params,
		      const struct gw_fdstore *store)
{
	int err = store ? check_kept(daemon, params, store) : 0;

	return err == -ENOENT || err == -ENODATA || err == -EAGAIN || err == -EBADMSG ? 0 : err;
}

/* From the first socket to the last. */
static int open_and_serve(const struct gw_daemon *daemon, const struct common *common,
			  struct gw_backend_config *config)
{
	GW_AUTO_FREE char *control = choose_control(common);
	struct gw_sockets sockets;
	int err;

	hold_signals();
	err = open_store(common, &config->fdstore);
	if (!err)
		err = check_left(daemon, config->params, config->fdstore);
	if (!err)
		err = gw_sockets_open(&sockets, common->socket_path, control, config->fdstore);
	if (err)
		return err;
	if (common->socket_group)
		err = gw_sockets_give(&sockets, common->socket_group);
	if (!err && daemon->open)
		err = daemon->open(daemon->host, &sockets);
	if (!err)
		err = shut_in(daemon, common, &sockets);
	if (!err)
		err = serve(common, &sockets, config);
	if (!err && config->fdstore)
		gw_sockets_forget(config->fdstore);
	gw_sockets_remove(&sockets);
	gw_fdstore_free(config->fdstore);
	return err;
}

static int run(const struct gw_daemon *daemon, const struct common *common)
{
	char key[GW_DAEMON_KEY_LEN];
	struct gw_params *params = NULL;
	struct gw_backend_config config = {
		.size = sizeof(config),
		.ops = daemon->ops,
		.host = daemon->host,
		.reconnect = common->reconnect,
		.program = daemon->program,
		.version = GODWIT_VERSION,
		.state_key = common->state_key ? key : NULL,
		.migration = (enum gw_migration)common->migration,
		.on_save = (enum gw_on_save)common->on_save,
		.on_lost_outcome = (enum gw_on_lost_outcome)common->on_lost_outcome,
		.after_migration = (enum gw_after_migration)common->after_migration,
		.frozen_timeout_ms = common->frozen_timeout * 1000,
	};
	int err = read_experimental(common->experimental, &config.experimental);

	gw_log_set_level(common->debug ? GW_LOG_DEBUG : (enum gw_log_level)common->log_level);
	if (common->syslog)
		gw_log_to_syslog(daemon->program);
	if (!err && daemon->prepare)
		err = daemon->prepare(daemon->host);
	if (!err)
		err = gw_instance_params(daemon, &common->instance, &params);
	if (!err && common->state_key)
		err = gw_daemon_read_key(common->state_key, key);
	config.params = params;
	if (!err)
		err = gw_fdstore_is_check() ? check_takeover(daemon, params)
					    : open_and_serve(daemon, common, &config);
	explicit_bzero(key, sizeof(key));
	gw_params_free(params);
	return err;
}

static int serve_or_tell(const struct gw_daemon *daemon, int argc, char **argv)
{
	static const struct gw_option none[] = {{NULL}};
	struct common common = {
		.fd = NO_FD, .log_level = GW_LOG_INFO, .instance.available = GW_AVAILABLE_UNKNOWN};
	const struct gw_option_table tables[] = {
		{"device", daemon->options ? daemon->options : none, daemon->host},
		{"daemon", common_options, &common},
		{NULL},
	};
	const struct gw_command_line line = {
		.program = daemon->program, .summary = daemon->summary, .tables = tables};
	static char **arguments; /* options point into it for good */
	int err, count;

	if (asks_for("--print-capabilities", argc, argv)) {
		print_capabilities(daemon);
		return GW_EXIT_OK;
	}
	if (asks_for("--check-migration", argc, argv))
		return gw_instance_check(daemon);
	err = gw_legacy_expand(argc, argv, &arguments, &count);
	if (!err)
		err = gw_instance_take(&common.instance, &count, arguments);
	if (!err)
		err = gw_options_parse(&line, count, arguments, NULL);
	if (asks_for("--print-migration-info", argc, argv) &&
	    !(err && hides_room(&common, argc, argv)))
		return gw_instance_print_info(daemon, common.instance.available, common.state_key);
	if (err)
		return complain(daemon, GW_EXIT_USAGE);
	if (common.help || common.help_all)
		gw_options_help(&line, common.help_all, stdout);
	if (common.version)
		printf("%s %s\n", daemon->program, GODWIT_VERSION);
	if (common.help || common.help_all || common.version)
		return GW_EXIT_OK;
	if (common.recover && !daemon->recovers) {
		gw_fail(EINVAL, "option --recover: the state of a %s device would not survive",
			daemon->type);
		return complain(daemon, GW_EXIT_USAGE);
	}
	if (check_socket(&common) || read_experimental(common.experimental, &(unsigned){0}) ||
	    (daemon->check && daemon->check(daemon->host)))
		return complain(daemon, GW_EXIT_USAGE);
	if (common.recover == RECOVER_KEEPER && !gw_is_supervised())
		return gw_supervise(argv);
	return run(daemon, &common) ? complain(daemon, GW_EXIT_FAILED) : GW_EXIT_OK;
}

int gw_daemon_main(const struct gw_daemon *daemon, int argc, char **argv)
{
	int code, unwritten = GW_EXIT_FAILED;

	gw_output_begin();
	if (asks_for("--check-migration", argc, argv))
		unwritten = GW_EXIT_UNKNOWN;
	code = serve_or_tell(daemon, argc, argv);
	return gw_output_end(daemon->program, code, unwritten);
}
