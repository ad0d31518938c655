// SPDX-License-Identifier: BSD-3-Clause
/* posix/run.c - runs cases in a directory and prints one line for each. */
/*
 * usage: posix-cases [-u] [-p CASE] CASES DIR
 *
 * CASES has a line "name: operation; operation; ..." for each (cases.py expands the tables). Every
 * case has a directory of its own in DIR. A line of output is the case's name and what each of its
 * operations answered, separated by "|"; the last line is "end" and the count of cases.
 * -u: leave out what only root can do. -p CASE: lie about the last answer of this case, so that the
 * comparison can be seen to fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix.h"

#define LINE_LEN     65536
#define EXPANDED_MAX (64 * 1024)
#define CASE_LIMIT_S 300

static const struct op *const tables[] = {name_ops,  attr_ops, time_ops,   data_ops,
					  space_ops, map_ops,  dir_ops,	   xattr_ops,
					  lock_ops,  race_ops, control_ops};

static const struct op *op_find(const char *name)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct op *op = tables[t]; op->name; op++) {
			if (strcmp(op->name, name) == 0)
				return op;
		}
	}
	bad_case("there is no operation '%s'", name);
}

void op_run(char **word, unsigned count)
{
	const struct op *op = op_find(word[0]);

	if (count - 1 < op->min || count - 1 > op->max)
		bad_case("'%s' has %u to %u arguments, here are %u", op->name, op->min, op->max,
			 count - 1);
	errno = 0;
	op->run(word + 1, count - 1);
}

/* ~N~ is a name of N letters, ^N^ a path of N bytes that leads nowhere else, \xHH a byte. */
static size_t expand_one(const char **in, char *out)
{
	char kind = **in, *end;
	unsigned long value;

	if (kind == '\\' && (*in)[1] == 'x') {
		char hex[3] = {(*in)[2], (*in)[2] ? (*in)[3] : '\0', '\0'};

		*out = (char)strtoul(hex, NULL, 16);
		*in += 4;
		return 1;
	}
	value = kind == '~' || kind == '^' ? strtoul(*in + 1, &end, 10) : 0;
	if (!value || *end != kind || value > EXPANDED_MAX / 4) {
		*out = *(*in)++;
		return 1;
	}
	for (unsigned long i = 0; i < value; i++)
		out[i] = kind == '~' ? 'x' : i % 2 ? '/' : '.';
	*in = end + 1;
	return value;
}

/* '' is the empty word. */
static char *expand(const char *word, char **room)
{
	char *start = *room, *out = start;

	if (strcmp(word, "''") != 0) {
		while (*word)
			out += expand_one(&word, out);
	}
	*out++ = '\0';
	*room = out;
	return start;
}

static void run_operation(char *operation, char *room)
{
	char *words[ARGS_MAX], *save, *room_end = room;
	unsigned count = 0;

	for (char *w = strtok_r(operation, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
		if (count == ARGS_MAX)
			bad_case("too many words");
		words[count++] = expand(w, &room_end);
	}
	if (!count)
		bad_case("an empty operation");
	op_run(words, count);
}

/* What only root can do is found by its operations' names. */
static bool needs_root(const char *script)
{
	char copy[LINE_LEN], *save;

	snprintf(copy, sizeof(copy), "%s", script);
	for (char *w = strtok_r(copy, " \t;", &save); w; w = strtok_r(NULL, " \t;", &save)) {
		for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
			for (const struct op *op = tables[t]; op->name; op++) {
				if (op->root && strcmp(op->name, w) == 0)
					return true;
			}
		}
		if (strcmp(w, "chr") == 0 || strcmp(w, "blk") == 0 ||
		    strncmp(w, "trusted.", 8) == 0 || strncmp(w, "security.", 9) == 0)
			return true;
	}
	return false;
}

/* What a case has changed of the process. */
static void clean_up(int top)
{
	maps_drop();
	dirs_close();
	fds_close();
	marks_drop();
	umask(022);
	if (fchdir(top) < 0)
		bad_case("cannot go back: %s", strerror(errno));
}

static void run_case(const char *name, char *script, const char *planted)
{
	static char room[2 * EXPANDED_MAX];
	char *save;

	printf("%s", name);
	alarm(CASE_LIMIT_S);
	for (char *op = strtok_r(script, ";\n", &save); op; op = strtok_r(NULL, ";\n", &save)) {
		said_reset();
		run_operation(op, room);
		printf("|%s", said());
	}
	alarm(0);
	printf("%s\n", planted && strcmp(name, planted) == 0 ? "planted" : "");
	fflush(stdout);
}

static void in_directory(unsigned number, char *line, bool unprivileged, const char *planted,
			 int top)
{
	char *script = strstr(line, ": "), dir[16];

	if (!script)
		bad_case("'%s' is no case", line);
	*script = '\0';
	script += 2;
	if (unprivileged && needs_root(script)) {
		printf("%s|skipped\n", line);
		return;
	}
	snprintf(dir, sizeof(dir), "c%u", number);
	if (mkdir(dir, 0755) < 0 || chdir(dir) < 0)
		bad_case("%s: %s", dir, strerror(errno));
	run_case(line, script, planted);
	clean_up(top);
}

static void interrupted(int sig)
{
	(void)sig; /* the system call that hangs ends with EINTR, which is a difference */
}

int main(int argc, char **argv)
{
	static char line[LINE_LEN];
	const char *planted = NULL;
	bool unprivileged = false;
	unsigned count = 0;
	FILE *cases;
	int opt, top;

	while ((opt = getopt(argc, argv, "up:")) != -1) {
		if (opt == 'u')
			unprivileged = true;
		else if (opt == 'p')
			planted = optarg;
		else
			return 2;
	}
	if (argc - optind != 2)
		bad_case("usage: posix-cases [-u] [-p CASE] CASES DIR");
	cases = fopen(argv[optind], "re");
	if (!cases || chdir(argv[optind + 1]) < 0)
		bad_case("%s, %s: %s", argv[optind], argv[optind + 1], strerror(errno));
	top = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = interrupted}, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	umask(022);
	while (fgets(line, sizeof(line), cases))
		in_directory(count++, line, unprivileged, planted, top);
	printf("end %u\n", count);
	return fclose(cases) == 0 && fflush(stdout) == 0 ? 0 : 1;
}
