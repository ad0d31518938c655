/* SPDX-License-Identifier: BSD-3-Clause */
/* install/echo.c - a program of somebody else: a device that echoes, a front-end that asks it. */
#include <godwit/backend.h>
#include <godwit/device.h>
#include <godwit/error.h>
#include <godwit/frontend.h>
#include <godwit/loop.h>
#include <godwit/queue.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int echo_create(void **dev, const struct gw_params *params, const void *host)
{
	(void)params, (void)host;
	*dev = malloc(1);
	return *dev ? 0 : -ENOMEM;
}

static void echo_ready(void *dev, struct gw_queue *queue)
{
	struct gw_elem *elem;
	char text[64];

	(void)dev;
	while ((elem = gw_queue_pop(queue))) {
		size_t len = gw_elem_copy_from(elem, 0, text, sizeof(text));

		gw_elem_push(elem, gw_elem_copy_to(elem, 0, text, len));
	}
}

static const struct gw_param no_params[] = {{.name = NULL}};
static const struct gw_profile profiles[] = {
	{.name = "v1", .settings = (const struct gw_setting[]){{.name = NULL}}}, {.name = NULL}};
static const struct gw_model model = {
	.name = "example.org/echo",
	.params = no_params,
	.profiles = profiles,
	.default_profile = "v1",
};
static const struct gw_model *const models[] = {&model, NULL};

static const struct gw_device_ops echo_ops = {
	.size = sizeof(struct gw_device_ops),
	.name = "echo",
	.virtio_id = 0x8001, /* none of VIRTIO 1.3, section 5 */
	.max_queues = 1,
	.models = models,
	.create = echo_create,
	.destroy = free,
	.queue_ready = echo_ready,
};

static void give_up(void)
{
	fprintf(stderr, "%s\n", gw_last_error());
	exit(1);
}

/* The back-end ends by itself when its front-end is gone. */
static void *serve(void *socket)
{
	struct gw_backend_config config = {
		.size = sizeof(config), .ops = &echo_ops, .program = "echo", .version = "1"};
	struct gw_backend *backend = NULL;
	struct gw_loop *loop = NULL;

	if (gw_loop_new(&loop) || gw_backend_new(&backend, loop, &config) ||
	    gw_backend_adopt_fd(backend, *(int *)socket))
		give_up();
	gw_loop_run(loop);
	gw_backend_free(backend);
	gw_loop_free(loop);
	return NULL;
}

static int ask(struct gw_frontend *frontend, const char *question)
{
	struct iovec out = {gw_frontend_alloc(frontend, 64), 64};
	struct iovec in = {gw_frontend_alloc(frontend, 64), 64};
	void *token = NULL;
	uint32_t len = 0;

	strcpy(out.iov_base, question);
	if (gw_frontend_start(frontend) || gw_driver_add(frontend, 0, &out, 1, &in, 1, &token) ||
	    gw_driver_kick(frontend, 0))
		return 1;
	while (!gw_driver_get(frontend, 0, &token, &len))
		if (gw_driver_wait(frontend, 0, 10000))
			return 1;
	puts(in.iov_base);
	return len != 64 || gw_frontend_stop(frontend);
}

int main(int argc, char **argv)
{
	struct gw_frontend_config config = {.size = sizeof(config), .queues = 1};
	struct gw_frontend *frontend = NULL;
	pthread_t backend;
	int ends[2];

	if (argc != 2 || strlen(argv[1]) > 63 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) ||
	    pthread_create(&backend, NULL, serve, &ends[1]))
		return 2;
	config.fd = ends[0];
	if (gw_frontend_new(&frontend, &config) || ask(frontend, argv[1]))
		give_up();
	gw_frontend_free(frontend);
	pthread_join(backend, NULL);
	return 0;
}
