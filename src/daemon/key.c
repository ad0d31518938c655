/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/key.c - the key that streams are signed with. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "daemon/key.h"
#include "godwit/error.h"

int gw_daemon_read_key(const char *path, char key[GW_DAEMON_KEY_LEN])
{
	/* Not blocking: a FIFO without a writer would keep the program from starting. */
	GW_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char bytes[GW_DAEMON_KEY_LEN + 1];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return gw_fail(errno, "state key %s: %s", path, strerror(errno));
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return gw_fail(EACCES, "state key %s: others than its owner may use it (mode %o)",
			       path, st.st_mode & 07777);
	n = read(fd, bytes, sizeof(bytes));
	if (n != GW_DAEMON_KEY_LEN)
		return gw_fail(EINVAL, "state key %s: it does not have exactly %d bytes", path,
			       GW_DAEMON_KEY_LEN);
	memcpy(key, bytes, GW_DAEMON_KEY_LEN);
	explicit_bzero(bytes, sizeof(bytes));
	return 0;
}
