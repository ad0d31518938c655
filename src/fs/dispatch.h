/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/dispatch.h - from an element to a handler and back. */
#ifndef GW_FS_DISPATCH_H
#define GW_FS_DISPATCH_H

#include "fs/request.h"

/*
 * Parse what req->elem carries into @req, check it against the operation's row. 0, or the negative
 * errno to answer with; FS_NO_REPLY if there is not even a header to answer to. Touches nothing
 * but @req.
 */
int fs_parse(struct fs_request *req);

/* Serve what is in @queue, on its thread. */
void fs_serve_queue(struct fs *fs, struct gw_queue *queue);

/* Write the answer and give the element back; @req can be used again. Any thread. */
void fs_answer(struct fs_request *req, int result);

/* Can this be the name of a directory entry? @len without the NUL. -EINVAL or -ENAMETOOLONG. */
int fs_name_check(const char *name, size_t len);
/* And may the guest have it? The one filter for names: of LOOKUP and all that names an entry, and
 * of what READDIR hands out. -ENOENT: the entry is ours (attic.h). */
int fs_name_filter(const char *name, size_t len);

#endif
