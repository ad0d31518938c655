/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/control-server.h - a control socket on a thread of its own, and a blocking client. */
#ifndef TEST_CONTROL_SERVER_H
#define TEST_CONTROL_SERVER_H

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/socket.h"
#include "base/thread.h"
#include "cmocka-all.h"
#include "control/control.h"
#include "godwit/error.h"

#define PATIENCE_S 20 /* no answer for so long fails the test; none waits so long that passes */

static char server_dir[32];
static char server_path[64];
static struct gw_loop *server_loop;
static struct gw_control *server;
static pthread_t server_thread;

/* Registers what the test's server can do, before it runs. */
static void register_commands(struct gw_control *control);

static void *serve(void *opaque)
{
	gw_loop_run(server_loop);
	return NULL;
}

static int server_start(void **state)
{
	strcpy(server_dir, "/tmp/godwit-control-XXXXXX");
	if (!mkdtemp(server_dir))
		return -1;
	gw_log_set_level(GW_LOG_OFF);
	snprintf(server_path, sizeof(server_path), "%s/control", server_dir);
	assert_int_equal(gw_loop_new(&server_loop), 0);
	assert_int_equal(gw_control_new(&server, server_loop, server_path, "godwit-test", "1.2.3"),
			 0);
	register_commands(server);
	return gw_thread_start(&server_thread, GW_THREAD_CONTROL, "control", serve, NULL);
}

static int server_stop(void **state)
{
	gw_loop_quit(server_loop, 0);
	pthread_join(server_thread, NULL);
	gw_control_free(server);
	gw_loop_free(server_loop);
	assert_int_equal(access(server_path, F_OK), -1);
	return rmdir(server_dir);
}

static FILE *client_open(void)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};
	FILE *client;
	int fd;

	assert_int_equal(gw_socket_connect(&fd, server_path, 0), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	client = fdopen(fd, "r"); /* client_write() goes past it */
	assert_non_null(client);
	return client;
}

static void client_write(FILE *client, const char *bytes, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = send(fileno(client), bytes + done, len - done, MSG_NOSIGNAL);

		if (n < 0)
			return; /* dropped while it was still talking */
		done += (size_t)n;
	}
}

/* The next line as JSON, or NULL at the end of the connection. */
static json_t *client_read(FILE *client)
{
	char *line = NULL;
	size_t size = 0;
	json_t *value = NULL;

	if (getline(&line, &size, client) > 0) {
		value = json_loads(line, 0, NULL);
		assert_non_null(value);
	}
	free(line);
	return value;
}

/* Sends @text and a newline, returns what comes back. */
static json_t *client_ask(FILE *client, const char *text)
{
	client_write(client, text, strlen(text));
	client_write(client, "\n", 1);
	return client_read(client);
}

static FILE *client_greeted(void)
{
	FILE *client = client_open();

	json_decref(client_read(client));
	return client;
}

static void expect_text(json_t *value, const char *compact)
{
	char *text = json_dumps(value, JSON_COMPACT);

	assert_string_equal(text, compact);
	free(text);
	json_decref(value);
}

static void expect_error(json_t *reply, const char *class, const char *part)
{
	json_t *error = json_object_get(reply, "error");

	assert_string_equal(json_string_value(json_object_get(error, "class")), class);
	assert_non_null(strstr(json_string_value(json_object_get(error, "desc")), part));
	json_decref(reply);
}

#endif
