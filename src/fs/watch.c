/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/watch.c - what others change in the share is noticed, and then not believed in for long. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/thread.h"
#include "fs/evidence.h"
#include "fs/notify.h"
#include "fs/table.h"
#include "fs/watch.h"
#include "godwit/error.h"

#define EVENTS_SIZE 65536
/* Between two readings: meanwhile the kernel makes one event of many for the same file, and whoever
 * changes the file system all the time does not keep this thread busy. */
#define NAP_MS 20
/* How often it is asked whether it is quiet again. */
#define AGE_MS 1000

struct fs_watch {
	int fd, stop_fd;
	int self; /* as the kernel tells this process of itself, in its PID namespace */
	pthread_t thread;
	bool started;
	struct fs_notify *notify; /* NULL: nobody to tell */
	_Atomic uint64_t changes, overflows;
	struct fs_changed changed;
	/* As the kernel aligns them. */
	char events[EVENTS_SIZE]
		__attribute__((aligned(__alignof__(struct fanotify_event_metadata))));
};

const struct fs_changed *fs_watch_changed(const struct fs_watch *watch)
{
	return &watch->changed;
}

/* It goes on while the host sleeps: what the guest knows grows old then, too. */
static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Do these change a directory's names? */
#define NAMES (FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO)

/* The name behind the handle of a directory, "." if the directory itself is meant; @len 0: none. */
static void tell(struct fs_watch *watch, uint64_t key, uint64_t mask, const char *name, size_t len)
{
	size_t name_len = len ? strnlen(name, len) : 0;

	if (!watch->notify)
		return;
	if (mask & NAMES && name_len && name_len < len)
		fs_notify_entry(watch->notify, key, name, name_len);
	else if (!len || (name_len == 1 && name[0] == '.'))
		fs_notify_inode(watch->notify, key);
}

/* One record of an event: the object or its directory, as a handle. */
static void take_record(struct fs_watch *watch, uint64_t mask, const char *at, size_t len,
			uint64_t now)
{
	struct fanotify_event_info_fid info;
	struct file_handle handle;
	size_t head = sizeof(info) + sizeof(handle);
	uint64_t key;

	if (len < head)
		return;
	memcpy(&info, at, sizeof(info));
	memcpy(&handle, at + sizeof(info), sizeof(handle));
	if (info.hdr.info_type != FAN_EVENT_INFO_TYPE_FID &&
	    info.hdr.info_type != FAN_EVENT_INFO_TYPE_DFID &&
	    info.hdr.info_type != FAN_EVENT_INFO_TYPE_DFID_NAME)
		return;
	if (handle.handle_bytes > len - head)
		return;
	key = fs_changed_key(handle.handle_type, at + head, handle.handle_bytes);
	fs_changed_note(&watch->changed, key, now);
	at += head + handle.handle_bytes;
	len -= head + handle.handle_bytes;
	tell(watch, key, mask, at, info.hdr.info_type == FAN_EVENT_INFO_TYPE_DFID_NAME ? len : 0);
}

static void take_records(struct fs_watch *watch, uint64_t mask, const char *at, size_t len,
			 uint64_t now)
{
	struct fanotify_event_info_header header;

	while (len >= sizeof(header)) {
		memcpy(&header, at, sizeof(header));
		if (header.len < sizeof(header) || header.len > len)
			return;
		take_record(watch, mask, at, header.len, now);
		at += header.len;
		len -= header.len;
	}
}

static void take_overflow(struct fs_watch *watch, uint64_t now)
{
	if (!atomic_fetch_add_explicit(&watch->overflows, 1, memory_order_relaxed))
		gw_warn("--watch: more changes than the kernel keeps: for a while nothing is "
			"believed in (fs.fanotify.max_queued_events)");
	fs_changed_note_all(&watch->changed, now);
}

/* @len bytes are there; how many it has, or 0 if that cannot be. */
static size_t take_event(struct fs_watch *watch, const char *at, size_t len, uint64_t now)
{
	struct fanotify_event_metadata event;

	memcpy(&event, at, sizeof(event));
	if (event.vers != FANOTIFY_METADATA_VERSION || event.metadata_len < sizeof(event) ||
	    event.event_len < event.metadata_len || event.event_len > len)
		return 0;
	if (event.mask & FAN_Q_OVERFLOW) {
		take_overflow(watch, now);
	} else if (event.pid != watch->self) {
		atomic_fetch_add_explicit(&watch->changes, 1, memory_order_relaxed);
		take_records(watch, event.mask, at + event.metadata_len,
			     event.event_len - event.metadata_len, now);
	}
	return event.event_len;
}

static void take_events(struct fs_watch *watch, size_t len, uint64_t now)
{
	const char *at = watch->events;

	while (len >= sizeof(struct fanotify_event_metadata)) {
		size_t used = take_event(watch, at, len, now);

		if (!used)
			break;
		at += used;
		len -= used;
	}
	/* Not as the kernel says it writes them. */
	if (len)
		fs_changed_note_all(&watch->changed, now);
}

/* Waits for @fd or the end; false: the end. */
static bool wait_for(const struct fs_watch *watch, int fd, int timeout)
{
	struct pollfd fds[] = {{.fd = watch->stop_fd, .events = POLLIN},
			       {.fd = fd, .events = POLLIN}};

	return poll(fds, GW_ARRAY_LEN(fds), timeout) >= 0 ? !fds[0].revents : errno == EINTR;
}

/* False: nothing will be heard any more. */
static bool read_events(struct fs_watch *watch)
{
	ssize_t len = read(watch->fd, watch->events, sizeof(watch->events));

	if (len > 0)
		take_events(watch, (size_t)len, now_ms());
	if (len > 0 || (len < 0 && (errno == EAGAIN || errno == EINTR)))
		return true;
	gw_error("--watch: %s: from now on nothing is believed in",
		 len ? strerror(errno) : "the end of what can be read");
	return false;
}

static void *watch_main(void *opaque)
{
	struct fs_watch *watch = opaque;
	bool hears = true;

	while (wait_for(watch, hears ? watch->fd : -1,
			hears && fs_changed_quiet(&watch->changed) ? -1 : AGE_MS)) {
		if (hears)
			hears = read_events(watch);
		else
			fs_changed_note_all(&watch->changed, now_ms());
		fs_changed_age(&watch->changed, now_ms());
		if (!wait_for(watch, -1, NAP_MS))
			break;
	}
	return NULL;
}

int fs_watch_new(struct fs_watch **out, int fd, struct fs_notify *notify)
{
	struct fs_watch *watch = calloc(1, sizeof(*watch));
	int err = 0;

	if (!watch)
		return gw_fail(ENOMEM, "--watch: no memory");
	watch->fd = fd;
	watch->notify = notify;
	watch->self = getpid();
	watch->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (watch->stop_fd < 0)
		err = gw_fail(errno, "--watch: %s", strerror(errno));
	else
		err = gw_thread_start(&watch->thread, GW_THREAD_WATCH, "watch", watch_main, watch);
	watch->started = !err;
	if (err) {
		fs_watch_free(watch);
		return err;
	}
	*out = watch;
	return 0;
}

void fs_watch_free(struct fs_watch *watch)
{
	if (!watch)
		return;
	if (watch->started) {
		eventfd_write(watch->stop_fd, 1);
		pthread_join(watch->thread, NULL);
	}
	gw_close(&watch->stop_fd);
	free(watch);
}

void fs_watch_stats(const struct fs_watch *watch, struct fs_watch_stats *stats)
{
	stats->changes = atomic_load_explicit(&watch->changes, memory_order_relaxed);
	stats->overflows = atomic_load_explicit(&watch->overflows, memory_order_relaxed);
}

bool fs_watch_key(struct fs_inode *inode, uint64_t *key)
{
	FS_AUTO_PATHFD struct fs_fd path = FS_PATHFD_INIT;
	struct fs_fhandle handle;

	if (!fs_fhandle_recall(inode, &handle) &&
	    (fs_inode_fd(inode, &path) < 0 || fs_fhandle_of(path.fd, &handle) < 0))
		return false;
	*key = fs_changed_key(handle.type, handle.bytes, handle.len);
	return true;
}

/* Where it cannot be told what @inode's handle is it may be any that changed. */
bool fs_watch_asks(const struct fs *fs, struct fs_inode *inode)
{
	const struct fs_changed *changed = &fs->watch->changed;
	uint64_t now = now_ms(), key;

	return fs_changed_all(changed, now) || !fs_watch_key(inode, &key) ||
	       fs_changed_has(changed, key, now);
}
