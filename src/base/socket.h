/* SPDX-License-Identifier: BSD-3-Clause */
/* base/socket.h - Unix stream sockets at a path: listen, accept, connect, who is there. */
#ifndef GW_BASE_SOCKET_H
#define GW_BASE_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

/* A listening socket and the name it made; {.fd = -1} is one that is closed. */
struct gw_listener {
	int fd; /* non-blocking, close-on-exec */
	dev_t dev;
	ino_t ino;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/*
 * Listen at @path; the socket's mode is 0600, less the umask. A socket that nobody holds any more
 * is replaced; -EADDRINUSE if somebody does, -EEXIST if what is there is no socket,
 * -ENAMETOOLONG. Two processes that find the same stale socket in the same moment can still take
 * the name from each other: the later one has it then, and the earlier one does not remove it.
 */
int gw_listener_open(struct gw_listener *listener, const char *path);
/* One that listens at @path already, and from now on in this process's name: who connects sees it
 * as its peer (SO_PEERCRED). Takes @fd over. */
void gw_listener_adopt(struct gw_listener *listener, int fd, const char *path);
/* Closes, and removes the name if it is still the one that was made here. */
void gw_listener_close(struct gw_listener *listener);

/* The next connection, non-blocking and close-on-exec; -EAGAIN if there is none. */
int gw_socket_accept(int listening_fd, int *fd);

/*
 * Connect to @path, trying again for @timeout_ms while nobody listens there (0: once). *@fd is
 * blocking and close-on-exec. The errno of the last try, with a sentence.
 */
int gw_socket_connect(int *fd, const char *path, unsigned timeout_ms);

/* Does a process listen at @path? It does not notice the question. */
bool gw_socket_is_held(const char *path);

/* Is the process at the other end this user's own, or root's (SO_PEERCRED)? */
bool gw_socket_peer_is_trusted(int fd);

#endif
