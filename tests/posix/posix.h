/* SPDX-License-Identifier: BSD-3-Clause */
/* posix/posix.h - a small language in which a case says what to ask of a file system. */
/*
 * A case is a name and operations, separated by ";". An operation is a word and its arguments.
 * What it returns, the number of an error, attributes or data, goes into the case's one line of
 * output, so that two file systems can be compared line by line (compare.py). docs/posix.md has
 * the language.
 */
#ifndef POSIX_H
#define POSIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ARGS_MAX   12
#define LOCAL_MODE 0644 /* of what is made without a mode */

struct op {
	const char *name;
	unsigned min, max; /* arguments */
	void (*run)(char **arg, unsigned count);
	bool root; /* only root can have it done */
};

/* Each ends with a nameless entry. */
extern const struct op name_ops[], attr_ops[], time_ops[], data_ops[], space_ops[], map_ops[],
	dir_ops[], xattr_ops[], lock_ops[], race_ops[], control_ops[];

/* run.c: one operation with its name, and everything that was opened closed. */
void op_run(char **word, unsigned count);

/* What the current operation answers; more than once joins it with commas. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
void say_result(long long ret);		     /* the number, or for -1 the name of errno */
void say_data(const void *data, size_t len); /* short: itself; long: its length and checksum */
const char *said(void);
void said_reset(void);
/* A case that makes no sense ends the program. */
__attribute__((noreturn, format(printf, 1, 2))) void bad_case(const char *format, ...);

/* Words. */
struct flag {
	const char *name;
	unsigned long long value;
};
long long number_of(const char *word); /* 8k, 1M, 0x10, 0755, -1 */
mode_t mode_of(const char *word);      /* octal */
unsigned long long flags_of(const struct flag *flags, const char *word); /* A|B, or a number */

/* "@a" is an open file, "@a/name" a name below it, anything else a path. */
struct target {
	int dir; /* AT_FDCWD, or the open file */
	const char *path;
	bool is_fd;
};
struct target target_of(const char *word);
const char *proc_path(int fd); /* valid until the next call */

/* Open files, by letter. */
int fd_of(const char *word);
void fd_put(const char *word, int fd); /* says 0 or the error; the one before is closed */
void fds_close(void);
void maps_drop(void);
void dirs_close(void);
void marks_drop(void);

uint32_t checksum(const void *data, size_t len);
void pattern(uint8_t *buf, size_t len, off_t offset, uint32_t seed);
void pause_ms(long ms);

#endif
