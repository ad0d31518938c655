/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/open.h - the few ways in which anything of the share is opened or looked at. */
#ifndef GW_FS_OPEN_H
#define GW_FS_OPEN_H

#include <stdint.h>
#include <sys/stat.h>

/*
 * All return a descriptor (close-on-exec) or 0, or a negative errno, without a sentence: callers
 * know who asked. Nothing here follows a symbolic link or leaves @dir.
 */
#define FS_STATX_MASK (STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID)

/* @path below @dir: beneath it, no symbolic links, no magic links. @mode for O_CREAT, else 0. */
int fs_open_beneath(int dir, const char *path, int flags, mode_t mode);
/* Once more what @fd (O_PATH or not) refers to, through /proc/self/fd; @flags as given. */
int fs_open_again(int proc_fd, int fd, int flags);
/*
 * The descriptors' numbers are names in this thread's working directory from now on: for calls that
 * take neither an O_PATH descriptor nor a directory's. No other call depends on that directory.
 */
#define FS_FD_NAME_MAX 16 /* decimal digits of an int */
int fs_proc_enter(int proc_fd);
/* The path that the kernel knows for @fd, NUL-terminated in @path. -ENAMETOOLONG if it is cut. */
int fs_path_of(int proc_fd, int fd, char *path, size_t size);

int fs_statx_at(int dir, const char *name, struct statx *stx);
int fs_statx_fd(int fd, struct statx *stx);

/* The same by what a server says now, whatever this host has cached; @name "": @dir itself. For
 * what another host has changed last. */
int fs_statx_fresh(int dir, const char *name, struct statx *stx);

/* Birth time in nanoseconds, 0 if the file system has none. */
uint64_t fs_btime(const struct statx *stx);

#endif
