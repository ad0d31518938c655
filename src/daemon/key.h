/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/key.h - the key that streams are signed with. */
#ifndef GW_DAEMON_KEY_H
#define GW_DAEMON_KEY_H

#define GW_DAEMON_KEY_LEN 32

/* Exactly 32 bytes from the file at @path; a sentence if it has more, fewer, or others may read. */
int gw_daemon_read_key(const char *path, char key[GW_DAEMON_KEY_LEN]);

#endif
