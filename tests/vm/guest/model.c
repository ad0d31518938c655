// SPDX-License-Identifier: BSD-3-Clause
/* vm/guest/model.c - processes that do random things on the share, each held against a model. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "../../common/model.h"
#include "guest.h"

#define PROCESSES    3
#define VERIFY_EVERY 500 /* steps */
#define PAUSE_NS     2000000
#define REPORT_LINES (MODEL_HISTORY + 1)
#define REPORT_WIDTH 400
#define ATTRIBUTE    "user.model"

/* Shared between init, which reports, and a process that works. */
struct state {
	atomic_bool stop, failed;
	atomic_uint steps;
	char report[REPORT_LINES][REPORT_WIDTH];
};

static struct {
	struct state *state;
	pid_t pid;
} processes[PROCESSES];

static int result(long long ret)
{
	return ret < 0 ? -errno : (int)ret;
}

/* Of a name in a directory that has a name. */
static const char *name_in(void *fs, const struct model_node *dir, const char *name)
{
	static char paths[2][PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % 2], above[PATH_MAX / 2] = "";

	model_path(fs, dir, above, sizeof(above));
	snprintf(path, PATH_MAX, "%s/%s", above, name);
	return path;
}

/* A node's path, or, where it has none any more, the way to it through what is open. */
static const char *path_of(void *fs, const struct model_node *node,
			   const struct model_handle *handle)
{
	static char path[PATH_MAX];

	if (!model_path(fs, node, path, sizeof(path)))
		snprintf(path, sizeof(path), "/proc/self/fd/%d", handle ? (int)handle->id : -1);
	return path;
}

static int do_make(void *fs, struct model_node *parent, const char *name, struct model_node *node)
{
	const char *path = name_in(fs, parent, name);
	int fd;

	if (node->type == MODEL_DIR)
		return result(mkdir(path, node->mode));
	if (node->type == MODEL_LINK)
		return result(symlink(node->target, path));
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, node->mode);
	return fd < 0 ? -errno : result(close(fd));
}

static int do_remove(void *fs, struct model_node *parent, const char *name, bool as_dir)
{
	const char *path = name_in(fs, parent, name);

	return result(as_dir ? rmdir(path) : unlink(path));
}

static int do_link(void *fs, struct model_node *node, struct model_node *parent, const char *name)
{
	return result(link(path_of(fs, node, NULL), name_in(fs, parent, name)));
}

static int do_rename(void *fs, struct model_node *from, const char *name, struct model_node *to,
		     const char *name2, unsigned flags)
{
	return result(syscall(SYS_renameat2, AT_FDCWD, name_in(fs, from, name), AT_FDCWD,
			      name_in(fs, to, name2), flags));
}

static int do_lookup(void *fs, struct model_node *parent, const char *name, struct model_node *node)
{
	struct stat st;

	if (lstat(name_in(fs, parent, name), &st) < 0)
		return -errno;
	return node && node->ino && node->ino != st.st_ino ? -EXDEV : 0;
}

static int do_open(void *fs, struct model_handle *handle)
{
	bool dir = handle->node->type == MODEL_DIR;
	int flags = dir ? O_RDONLY | O_DIRECTORY : handle->writable ? O_RDWR : O_RDONLY;
	int fd = open(path_of(fs, handle->node, model_open_handle(fs, handle->node, false)),
		      flags | (handle->append ? O_APPEND : 0) | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	handle->id = (uint64_t)fd;
	handle->stream = dir ? fdopendir(fd) : NULL;
	return dir && !handle->stream ? -errno : 0;
}

static int do_close(void *fs, struct model_handle *handle)
{
	return result(handle->stream ? closedir(handle->stream) : close((int)handle->id));
}

static int do_read(void *fs, struct model_handle *handle, size_t at, void *data, size_t len)
{
	return result(pread((int)handle->id, data, len, (off_t)at));
}

static int do_write(void *fs, struct model_handle *handle, size_t at, const void *data, size_t len)
{
	return result(pwrite((int)handle->id, data, len, (off_t)at));
}

static int do_truncate(void *fs, struct model_node *node, struct model_handle *handle, size_t size)
{
	return result(handle ? ftruncate((int)handle->id, (off_t)size)
			     : truncate(path_of(fs, node, NULL), (off_t)size));
}

static int do_chmod(void *fs, struct model_node *node, struct model_handle *handle, mode_t mode)
{
	return result(handle ? fchmod((int)handle->id, mode)
			     : chmod(path_of(fs, node, NULL), mode));
}

static int do_stat(void *fs, struct model_node *node, struct model_handle *handle,
		   struct model_stat *answer)
{
	char path[PATH_MAX];
	struct stat st;
	/* By its name where it has one: that is looked up, and belongs to the same inode. */
	bool named = model_path(fs, node, path, sizeof(path));

	if ((named ? lstat(path, &st) : fstat(handle ? (int)handle->id : -1, &st)) < 0)
		return -errno;
	*answer = (struct model_stat){.type = S_ISDIR(st.st_mode)   ? MODEL_DIR
					      : S_ISLNK(st.st_mode) ? MODEL_LINK
								    : MODEL_FILE,
				      .ino = st.st_ino,
				      .mode = st.st_mode & 07777,
				      .nlink = (unsigned int)st.st_nlink,
				      .size = (size_t)st.st_size};
	return 0;
}

static int do_readlink(void *fs, struct model_node *node, char *target, size_t room)
{
	return result(readlink(path_of(fs, node, NULL), target, room - 1));
}

static int do_set_value(void *fs, struct model_node *node, struct model_handle *handle,
			const char *value)
{
	return result(
		handle ? fsetxattr((int)handle->id, ATTRIBUTE, value, strlen(value), 0)
		       : setxattr(path_of(fs, node, NULL), ATTRIBUTE, value, strlen(value), 0));
}

static int do_get_value(void *fs, struct model_node *node, struct model_handle *handle, char *value,
			size_t room)
{
	return result(handle ? fgetxattr((int)handle->id, ATTRIBUTE, value, room)
			     : getxattr(path_of(fs, node, NULL), ATTRIBUTE, value, room));
}

static int do_list(void *fs, struct model_handle *handle, char *name)
{
	const struct dirent *entry;

	errno = 0;
	entry = readdir(handle->stream);
	if (!entry)
		return -errno;
	snprintf(name, sizeof(entry->d_name), "%s", entry->d_name);
	return 1;
}

static const struct model_ops ops = {
	.make = do_make,
	.remove = do_remove,
	.link = do_link,
	.rename = do_rename,
	.lookup = do_lookup,
	.open = do_open,
	.close = do_close,
	.read = do_read,
	.write = do_write,
	.truncate = do_truncate,
	.chmod = do_chmod,
	.stat = do_stat,
	.readlink = do_readlink,
	.set_value = do_set_value,
	.get_value = do_get_value,
	.list = do_list,
};

static void report_difference(const struct model *model, struct state *state)
{
	const char *line;

	for (unsigned int n = 0; n < REPORT_LINES && (line = model_report(model, n)); n++)
		snprintf(state->report[n], REPORT_WIDTH, "%s", line);
	atomic_store(&state->failed, true);
}

/* Until told to stop, or a difference; at the end the kernel has nothing cached that helps. */
static void work(struct state *state, uint64_t seed)
{
	const struct timespec pause = {0, PAUSE_NS};
	struct model *model = calloc(1, sizeof(*model));
	bool same = model;

	umask(0);
	if (same)
		model_start(model, &ops, model, seed, 0);
	while (same && !atomic_load(&state->stop)) {
		same = model_step(model);
		if (same && model->step % VERIFY_EVERY == 0)
			same = model_verify(model);
		atomic_store(&state->steps, (unsigned int)model->step);
		nanosleep(&pause, NULL);
	}
	if (same) {
		drop_caches();
		same = model_verify(model);
	}
	if (!same && model)
		report_difference(model, state);
	_exit(same ? 0 : 1);
}

/* SEED: one process a seed, each in a directory of its own. */
void model_processes_start(const char *args)
{
	uint64_t seed = strtoull(args, NULL, 0);

	for (unsigned int i = 0; i < PROCESSES; i++) {
		char dir[32];

		snprintf(dir, sizeof(dir), SHARE "/model%u", i);
		processes[i].state = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (processes[i].state == MAP_FAILED || mkdir(dir, 0755) < 0 ||
		    (processes[i].pid = fork()) < 0)
			channel_say("fail model %u cannot start: %s", i, strerror(errno));
		else if (processes[i].pid == 0 && chdir(dir) == 0)
			work(processes[i].state, seed + i);
	}
}

void model_processes_report(void)
{
	for (unsigned int i = 0; i < PROCESSES; i++) {
		const struct state *state = processes[i].state;

		if (!atomic_load(&state->failed)) {
			channel_say("worker model%u %u 0", i, atomic_load(&state->steps));
			continue;
		}
		channel_say("fail model%u %s", i, state->report[0]);
		for (unsigned int n = 1; n < REPORT_LINES && state->report[n][0]; n++)
			channel_say("note %s", state->report[n]);
	}
}

void model_processes_stop(void)
{
	int status;

	for (unsigned int i = 0; i < PROCESSES; i++)
		atomic_store(&processes[i].state->stop, true);
	for (unsigned int i = 0; i < PROCESSES; i++) {
		if (waitpid(processes[i].pid, &status, 0) < 0 ||
		    (status && !atomic_load(&processes[i].state->failed)))
			channel_say("fail model%u ended with status %x", i, (unsigned int)status);
	}
	model_processes_report();
}
