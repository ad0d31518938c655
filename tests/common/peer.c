/* SPDX-License-Identifier: BSD-3-Clause */
/* common/peer.c - start, end and kill a back-end for a test. */
#include "../unit/cmocka-all.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"
#include "vhost-user/frontend_internal.h"

static void make_params(struct gw_params **params, const struct gw_device_ops *ops,
			const char *text)
{
	char name[GW_PARAM_NAME_MAX] = "";
	const char *equals = strchr(text, '=');

	memcpy(name, text, (size_t)(equals - text));
	ok(gw_params_new(params, ops->models[0]));
	ok(gw_params_set_text(*params, name, equals + 1, NULL));
}

static void make_backend(struct peer *peer, const struct peer_options *options)
{
	const struct gw_device_ops *ops = options->ops ? options->ops : &scripted_ops;
	struct gw_params *params = NULL;
	struct gw_backend_config config = {
		.size = sizeof(config),
		.ops = ops,
		.host = options->host ? options->host : peer->script,
		.reconnect = options->reconnect,
		.max_connections = options->connections,
		.control_path = options->control ? peer->control : NULL,
		.on_save = options->on_save,
		.on_lost_outcome = options->on_lost_outcome,
		.frozen_timeout_ms = options->frozen_timeout_ms,
		.migration = options->migration,
		.after_migration = options->after_migration,
		.state_key = options->state_key,
		.experimental = options->experimental,
		.program = "godwit-test",
		.version = "0",
	};

	if (options->params)
		make_params(&params, ops, options->params);
	config.params = params;
	ok(gw_loop_new(&peer->loop));
	ok(gw_backend_new(&peer->backend, peer->loop, &config));
	ok(gw_backend_listen(peer->backend, peer->socket));
	gw_params_free(params);
}

static void *run(void *opaque)
{
	struct peer *peer = opaque;

	peer->result = gw_loop_run(peer->loop);
	return NULL;
}

static void run_child(struct peer *peer, const struct peer_options *options)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGABRT, SIG_DFL); /* cmocka's handler would go on with the parent's tests */
	make_backend(peer, options);
	run(peer);
	gw_backend_free(peer->backend);
	gw_loop_free(peer->loop);
	_exit(peer->result);
}

void peer_start(struct peer *peer, const struct peer_options *options)
{
	void *shared = mmap(NULL, sizeof(struct script), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(shared, MAP_FAILED);
	*peer = (struct peer){.script = shared, .dir = "/tmp/gw-test.XXXXXX"};
	assert_non_null(mkdtemp(peer->dir));
	snprintf(peer->socket, sizeof(peer->socket), "%s/vu", peer->dir);
	snprintf(peer->control, sizeof(peer->control), "%s/control", peer->dir);
	if (options->fork) {
		peer->pid = fork();
		assert_true(peer->pid >= 0);
		if (!peer->pid)
			run_child(peer, options);
	} else {
		make_backend(peer, options);
		assert_int_equal(pthread_create(&peer->thread, NULL, run, peer), 0);
	}
	peer->running = true;
}

static void remove_dir(struct peer *peer)
{
	unlink(peer->socket);
	unlink(peer->control);
	rmdir(peer->dir);
	munmap(peer->script, sizeof(*peer->script));
	peer->script = NULL;
}

static void end(struct peer *peer)
{
	int status;

	if (peer->running && peer->pid) {
		waitpid(peer->pid, &status, 0);
		peer->result = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	} else if (peer->running) {
		pthread_join(peer->thread, NULL);
	}
	peer->running = false;
	if (!peer->pid) {
		gw_backend_free(peer->backend);
		gw_loop_free(peer->loop);
	}
}

int peer_join(struct peer *peer)
{
	end(peer);
	remove_dir(peer);
	return peer->result;
}

void peer_stop(struct peer *peer)
{
	if (peer->running && peer->pid)
		kill(peer->pid, SIGTERM);
	else if (peer->running)
		gw_loop_quit(peer->loop, 0);
	peer_join(peer);
}

void peer_kill(struct peer *peer)
{
	kill(peer->pid, SIGKILL);
	end(peer);
}

struct gw_frontend_config peer_config(const struct peer *peer)
{
	return (struct gw_frontend_config){
		.size = sizeof(struct gw_frontend_config),
		.socket_path = peer->socket,
		.timeout_ms = 5000,
		.queues = 1,
		.memory_size = 4u << 20,
	};
}

struct gw_frontend *peer_connect(const struct peer *peer)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	ok(gw_frontend_connect(&frontend, &config));
	return frontend;
}

struct gw_frontend *peer_frontend(const struct peer *peer)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_start(frontend));
	return frontend;
}

unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

void sleep_ms(unsigned ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&pause, NULL);
}

void wait_until(const atomic_uint *counter, unsigned value)
{
	for (unsigned i = 0; i < 5000 && atomic_load(counter) < value; i++)
		sleep_ms(1);
	assert_true(atomic_load(counter) >= value);
}
