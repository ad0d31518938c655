/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/label.h - security labels that come with what is made (FUSE_SECURITY_CTX). */
#ifndef GW_FS_LABEL_H
#define GW_FS_LABEL_H

#include <stdbool.h>
#include <stddef.h>

struct fs_request;

/*
 * The extension's content: @count labels in @len bytes, of which the first is taken (Linux sends
 * one). It stays in the request's private text. -EINVAL with a line in the log if it is none.
 */
int fs_label_parse(struct fs_request *req, unsigned count, const char *data, size_t len);

/*
 * Nothing is to be seen under its name without its label. Where the host's kernel has SELinux and
 * the label is one, the kernel puts it on as it makes the file, on this thread and between
 * fs_label_enter() and fs_label_leave(). Otherwise fs_label_due() says so, and fs_label_set() does
 * it with a descriptor of what was made, O_PATH or not, before that gets its name.
 */
struct fs_label_scope {
	bool entered;
};
int fs_label_enter(struct fs_label_scope *scope, const struct fs_request *req);
void fs_label_leave(struct fs_label_scope *scope);
#define FS_AUTO_LABEL __attribute__((cleanup(fs_label_leave)))
bool fs_label_due(const struct fs_label_scope *scope, const struct fs_request *req);
int fs_label_set(const struct fs_request *req, int fd);

#endif
