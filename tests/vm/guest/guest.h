/* SPDX-License-Identifier: BSD-3-Clause */
/* vm/guest/guest.h - the program that is the whole guest of the VM test. */
#ifndef VM_GUEST_H
#define VM_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SHARE "/share" /* where it is mounted */

/*
 * One thing that has to survive a move. prepare() sets it up before, verify() looks after it
 * afterwards; both run once, with a directory of the check's own on the share. What verify() needs
 * it keeps in static variables: that they survive is QEMU's business, and not in question.
 */
struct check {
	const char *name;
	int (*prepare)(const char *dir); /* 0, CHECK_FAILED or CHECK_SKIPPED */
	int (*verify)(const char *dir);
};

enum { CHECK_FAILED = -1, CHECK_SKIPPED = 77 };

/* Each ends with a nameless entry. */
extern const struct check file_checks[];
extern const struct check dir_checks[];
extern const struct check meta_checks[];

/* Why the current check failed or was skipped; returned by must() and skip_if(). */
extern char check_reason[256];
int check_failed(const char *file, int line, const char *what);
int check_skipped(const char *what);

#define must(cond)                                                      \
	do {                                                            \
		if (!(cond))                                            \
			return check_failed(__FILE__, __LINE__, #cond); \
	} while (0)
#define skip_if(cond, what)                         \
	do {                                        \
		if (cond)                           \
			return check_skipped(what); \
	} while (0)

/* The line to the host. */
int channel_open(const char *tty);
__attribute__((format(printf, 1, 2))) void channel_say(const char *format, ...);
char *channel_line(char *buf, size_t size);

/* "hold": mount the second share and open a file there; else: is the file as it was? */
void second_share(const char *what);

/* A process that works on the share while the machine moves, step by step. */
struct worker {
	const char *name;
	unsigned int interval_ms;
	int (*begin)(void);		   /* 0 or a negative errno, as step() */
	int (*step)(unsigned int number);  /* from 1 */
	int (*verify)(unsigned int steps); /* after the last; as a check's */
};
extern const struct worker log_worker, churn_worker;

/* Other programs, and what they need; each says what came of it. */
void program_run(char *line);
void program_set(char *line);
void program_set_clock(void);

/* Random operations against a model (model.c); a report is made of "worker" and "fail". */
void model_processes_start(const char *seed);
void model_processes_report(void);
void model_processes_stop(void);

void workload_start(void);
void workload_report(void);
void workload_stop(void); /* reports, and verifies */
uint64_t now_ms(void);

/* Files, in one call each. Text is without its closing zero. */
const char *path_in(const char *dir, const char *name); /* valid for the next seven calls */
bool put_text(int fd, off_t offset, const char *text);
bool has_text(int fd, off_t offset, const char *text);
int make_file(const char *path, const char *text); /* a new file, open for reading and writing */
bool file_is(const char *path, const char *text);  /* as a fresh open sees it */
void fill_pattern(uint8_t *buf, size_t len, uint32_t seed);
bool has_pattern(int fd, off_t offset, size_t len, uint32_t seed);
bool stat_fresh(int fd, const char *path, uint64_t *ino, uint32_t *nlink); /* asks the back-end */
uint32_t crc32_of(uint32_t crc, const void *data, size_t len);
void drop_caches(void);

/* Tells the host what it has to see of this file, now and from its side. */
void host_expects(const char *path);

#endif
